"""A broker as a program: from words on a command line to its end by a signal."""

from __future__ import annotations

import asyncio
import logging
import logging.handlers
import os
import signal
import time
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, cast

from pyproducer.broker.broker import Broker
from pyproducer.broker.properties_file import options_of_file, with_place
from pyproducer.broker.security.audit import LOGGER
from pyproducer.broker.settings import BrokerOptions
from pyproducer.errors import ConfigError
from pyproducer.properties import read_properties

if TYPE_CHECKING:
    from pyproducer.broker.durability import FlushMode

__all__ = ["run_broker"]

_PORT = 9092
_HTTP_HOST = "127.0.0.1"
_NO_LIMIT = -1
_TIME = "%Y-%m-%dT%H:%M:%S"
_TOKEN_VARIABLE = "PYPRODUCER_HTTP_TOKEN"  # noqa: S105


def run_broker(
    *,
    properties: Path | None = None,
    host: str | None = None,
    port: int | None = None,
    advertised_host: str | None = None,
    data_dir: Path | None = None,
    http_port: int | None = None,
    http_host: str = _HTTP_HOST,
    http_token_file: Path | None = None,
    http_certificate: Path | None = None,
    http_key: Path | None = None,
    topics: Iterable[str] = (),
    config: Iterable[str] = (),
    flush: str = "os",
    security: str | None = None,
    users: Path | None = None,
    slow_reader_timeout: float | None = None,
    authentication_timeout: float | None = None,
    audit_log: Path | None = None,
) -> None:
    """Runs a broker until SIGTERM or SIGINT, and says ``listening on HOST:PORT`` once it does.

    More lines follow in the same write: ``NAME on HOST:PORT`` for each other listener, ``http on
    HOST:PORT`` for the HTTP side if it has one (``https`` if that speaks TLS), and ``ca in FILE``,
    which clients have to trust if it made its own certificate.

    Args:
        properties: File of Kafka's broker configurations; what else is given is stronger.
        host: Address to listen at; None is the file's, else 127.0.0.1.
        port: Port to listen at; 0 lets the system pick one, None is the file's, else 9092.
        advertised_host: Address told to clients; None is the file's, else `host`.
        data_dir: Where data is kept; None is where the file says, else a temporary folder.
        http_port: Port of the HTTP side; None is no HTTP side.
        http_host: Address of the HTTP side.
        http_token_file: File of the token that its requests bring; None is the environment's
            `PYPRODUCER_HTTP_TOKEN`, if it has one. It is no argument: those can be seen by all.
        http_certificate: File of the certificate chain of HTTPS; None is HTTP.
        http_key: File of its private key; None is the same file.
        topics: Topics to make, as `NAME` or `NAME:PARTITIONS`.
        config: Kafka's broker configurations, as `NAME=VALUE`.
        flush: When records are forced to disk: `always`, `interval` or `os`.
        security: What is spoken there: `PLAINTEXT`, `SSL`, `SASL_PLAINTEXT` or `SASL_SSL`.
        users: File of names with passwords, as `NAME=PASSWORD`.
        slow_reader_timeout: Seconds after which a client that reads nothing of its answer is
            disconnected; -1 is never, None is what the file says, else never.
        authentication_timeout: Seconds in which a client of a SASL listener has to prove who it
            is; -1 is without end, None is what the file says, else 30.
        audit_log: File that the audit log is written to, behind what is there.

    Raises:
        ConfigError: An argument is not possible, or the data directory cannot be used.
        OSError: The address cannot be used, or the disk failed.
        DataDirectoryError: Another broker uses the data directory.
    """
    logging.basicConfig(format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    options = BrokerOptions() if properties is None else options_of_file(properties)
    given = BrokerOptions(config=dict(map(_setting, config)))
    if host is not None:
        given["host"] = host
    if port is not None:
        given["port"] = port
    elif not options.get("listeners"):
        given["port"] = _PORT
    if advertised_host is not None:
        given["advertised_host"] = advertised_host
    if data_dir is not None:
        given["data_dir"] = data_dir
    if security is not None:
        given["security"] = security
    if users is not None:
        given["users"] = read_properties(users)
    if http_port is not None:
        given["http_port"], given["http_host"] = http_port, http_host
        given["http_token"] = _token(http_token_file)
        given["http_certificate"], given["http_key"] = http_certificate, http_key
    elif http_token_file is not None or http_certificate is not None or http_key is not None:
        raise ConfigError("there is no HTTP side: give --http-port", option="http_port")
    if slow_reader_timeout is not None:
        given["slow_reader_timeout"] = _limit(slow_reader_timeout)
    if authentication_timeout is not None:
        given["authentication_timeout"] = _limit(authentication_timeout)
    given["flush"] = cast("FlushMode", flush)
    options = with_place(options, given)
    broker = Broker(dict(map(_topic, topics)), **options)
    if audit_log is not None:
        _write_audit_log(audit_log)
    scheme = "http" if http_certificate is None else "https"
    place = f"[{http_host}]" if ":" in http_host else http_host
    asyncio.run(
        broker.serve(
            on_ready=lambda running: _announce(running, f"{scheme} on {place}"),
            stop_signals=(signal.SIGTERM, signal.SIGINT),
        )
    )


def _limit(seconds: float) -> float | None:
    return None if seconds == _NO_LIMIT else seconds


def _write_audit_log(path: Path) -> None:
    """The audit log goes to the file alone: what is at INFO, or all of it where all is wanted."""
    # Who comes in from where is for the owner alone.
    os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600))
    # Another file is begun as soon as somebody has moved this one away.
    handler = logging.handlers.WatchedFileHandler(path, encoding="ascii")
    formatter = logging.Formatter("%(asctime)s.%(msecs)03dZ %(levelname)s %(message)s", _TIME)
    formatter.converter = time.gmtime
    handler.setFormatter(formatter)
    logger = logging.getLogger(LOGGER)
    logger.addHandler(handler)
    logger.propagate = False
    if not logger.isEnabledFor(logging.INFO):
        logger.setLevel(logging.INFO)


def _token(path: Path | None) -> str | None:
    if path is None:
        return os.environ.get(_TOKEN_VARIABLE) or None
    try:
        return path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is no text"
        raise ConfigError(
            f"the token cannot be read from {path}: {reason}", option="http_token"
        ) from None


def _topic(entry: str) -> tuple[str, int]:
    name, _, count = entry.partition(":")
    if count and not (count.isascii() and count.isdigit()):
        raise ConfigError(f"a topic is NAME or NAME:PARTITIONS, not {entry!r}", option="topics")
    return name, int(count or 1)


def _setting(entry: str) -> tuple[str, str]:
    name, equals, value = entry.partition("=")
    if not name or not equals:
        raise ConfigError(f"a configuration is NAME=VALUE, not {entry!r}", option="config")
    return name, value


def _announce(broker: Broker, http: str) -> None:
    lines = [f"listening on {broker.bootstrap_servers}"]
    lines += [f"{name} on {broker.bootstrap_servers_of(name)}" for name in broker.listeners[1:]]
    if broker.http_port is not None:
        lines.append(f"{http}:{broker.http_port}")
    if broker.makes_certificates:
        lines.append(f"ca in {broker.ca_file}")
    print("\n".join(lines), flush=True)  # noqa: T201
