"""``pyproducer broker``: a broker in this terminal."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Annotated

import typer

from pyproducer.cli.exits import CliError, Exit
from pyproducer.cli.shared import Shared, command

__all__ = ["register"]


def register(app: typer.Typer) -> None:
    """Adds the command."""
    command(app, "broker", cluster=False)(broker)


def broker(
    _shared: Shared,
    properties: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Kafka's server.properties; options here are stronger."),
    ] = None,
    port: Annotated[
        int | None,
        typer.Option(min=0, max=65535, help="Port to listen at; 0 picks one.  [default: 9092]"),
    ] = None,
    data_dir: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR", help="Where topics and records are kept.  [default: gone at the end]"
        ),
    ] = None,
    host: Annotated[
        str | None, typer.Option(help="Address to listen at.  [default: 127.0.0.1]")
    ] = None,
    advertised_host: Annotated[
        str | None, typer.Option(metavar="HOST", help="Address told to clients, if another.")
    ] = None,
    http_port: Annotated[
        int | None,
        typer.Option(min=0, max=65535, help="Port of /health, /topics and /metrics; 0 picks one."),
    ] = None,
    http_host: Annotated[
        str, typer.Option(metavar="HOST", help="Its address; one that others reach takes a token.")
    ] = "127.0.0.1",
    http_token_file: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="The token that its requests bring.  [default: PYPRODUCER_HTTP_TOKEN, if set]",
        ),
    ] = None,
    http_certificate: Annotated[
        Path | None, typer.Option(metavar="FILE", help="For HTTPS: a certificate chain in PEM.")
    ] = None,
    http_key: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Its private key, if in another file.")
    ] = None,
    topic: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME:PARTITIONS", help="Make this topic; may be repeated."),
    ] = None,
    broker_config: Annotated[
        list[str] | None,
        typer.Option(metavar="K=V", help="A broker configuration of Kafka's; may be repeated."),
    ] = None,
    security: Annotated[
        str | None,
        typer.Option(
            metavar="PROTOCOL",
            help="What is spoken there: PLAINTEXT, SSL, SASL_PLAINTEXT or SASL_SSL.  "
            "[default: PLAINTEXT]",
        ),
    ] = None,
    users: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Who may come in by SASL: NAME=PASSWORD lines."),
    ] = None,
    flush: Annotated[
        str,
        typer.Option(
            metavar="MODE",
            help="When records are forced to disk: always (before they are acknowledged), "
            "interval, or os (when the system does).",
        ),
    ] = "os",
    slow_reader_timeout: Annotated[
        float | None,
        typer.Option(
            metavar="SECONDS",
            help="Disconnect who reads nothing of an answer for so long; -1 is never.  "
            "[default: -1]",
        ),
    ] = None,
    authentication_timeout: Annotated[
        float | None,
        typer.Option(
            metavar="SECONDS",
            help="Disconnect who has not proved by SASL who it is by then; -1 is never.  "
            "[default: 30]",
        ),
    ] = None,
    audit_log: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="Who came in, who may not, who changed what: lines added there."
        ),
    ] = None,
) -> None:
    """Run a broker until Ctrl-C or SIGTERM, for any Kafka client.

    \b
    pyproducer broker --data-dir ./data
    pyproducer broker --port 0 --topic shop.orders:6 --topic shop.clicks
    pyproducer broker --data-dir ./data --http-port 8080
    pyproducer broker --properties server.properties --port 9192
    pyproducer broker --security SASL_SSL --users users.properties

    It prints 'listening on HOST:PORT' when it takes connections, with several listeners
    'NAME on HOST:PORT' for each of the others, with --http-port 'http on HOST:PORT', and where it
    made its own certificate 'ca in FILE', which clients have to trust. One node, for development,
    tests and small services on one machine; its log on disk has Kafka's own format.
    """
    from pyproducer.broker.log.directory import DataDirectoryError
    from pyproducer.broker.program import run_broker

    # A server's log is for its operator.
    logging.getLogger("pyproducer").propagate = True

    try:
        run_broker(
            properties=properties,
            host=host,
            port=port,
            advertised_host=advertised_host,
            data_dir=data_dir,
            http_port=http_port,
            http_host=http_host,
            http_token_file=http_token_file,
            http_certificate=http_certificate,
            http_key=http_key,
            topics=topic or (),
            config=broker_config or (),
            flush=flush,
            security=security,
            users=users,
            slow_reader_timeout=slow_reader_timeout,
            authentication_timeout=authentication_timeout,
            audit_log=audit_log,
        )
    except DataDirectoryError as error:
        raise CliError(str(error), Exit.FAILED) from error
    except OSError as error:
        # Only what went wrong with a file has a name.
        place = "" if host is None else f" at {host}"
        what = f"run{place}" if error.filename is None else f"use {error.filename}"
        reason = error.strerror or str(error)
        raise CliError(f"the broker cannot {what}: {reason}", Exit.FAILED) from error
