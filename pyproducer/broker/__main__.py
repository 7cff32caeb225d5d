"""`python -m pyproducer.broker`: a broker of its own process, without the extra `cli`."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from pyproducer.broker.log.directory import DataDirectoryError
from pyproducer.broker.program import run_broker
from pyproducer.errors import ConfigError


def main(arguments: list[str] | None = None) -> int:
    """Runs a broker until SIGTERM or SIGINT; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m pyproducer.broker", description=__doc__)
    parser.add_argument(
        "--properties",
        type=Path,
        metavar="FILE",
        help="Kafka's server.properties",
    )
    parser.add_argument("--host", help="address to listen at; default: 127.0.0.1")
    parser.add_argument("--port", type=int, help="port to listen at; 0 picks one; default: 9092")
    parser.add_argument(
        "--security",
        metavar="PROTOCOL",
        help="what is spoken there: PLAINTEXT, SSL, SASL_PLAINTEXT or SASL_SSL",
    )
    parser.add_argument(
        "--users", type=Path, metavar="FILE", help="who may come in: NAME=PASSWORD lines"
    )
    parser.add_argument("--advertised-host", help="address told to clients")
    parser.add_argument("--data-dir", type=Path, help="where data is kept; default: nowhere")
    parser.add_argument("--http-port", type=int, help="port of /health, /topics and /metrics")
    parser.add_argument("--http-host", default="127.0.0.1", help="its address; default: 127.0.0.1")
    parser.add_argument(
        "--http-token-file",
        type=Path,
        metavar="FILE",
        help="the token that its requests bring; default: PYPRODUCER_HTTP_TOKEN, if set",
    )
    parser.add_argument(
        "--http-certificate", type=Path, metavar="FILE", help="for HTTPS: certificate chain in PEM"
    )
    parser.add_argument("--http-key", type=Path, metavar="FILE", help="its private key")
    parser.add_argument(
        "--topic", action="append", default=[], metavar="NAME:PARTITIONS", help="make this topic"
    )
    parser.add_argument(
        "--config",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="a Kafka broker property",
    )
    parser.add_argument(
        "--flush",
        default="os",
        metavar="MODE",
        help="when records are forced to disk: always, interval or os; default: os",
    )
    options = parser.parse_args(arguments)
    try:
        run_broker(
            properties=options.properties,
            host=options.host,
            port=options.port,
            advertised_host=options.advertised_host,
            data_dir=options.data_dir,
            http_port=options.http_port,
            http_host=options.http_host,
            http_token_file=options.http_token_file,
            http_certificate=options.http_certificate,
            http_key=options.http_key,
            topics=options.topic,
            config=options.config,
            flush=options.flush,
            security=options.security,
            users=options.users,
        )
    except ConfigError as error:
        print(f"error: {error}", file=sys.stderr)  # noqa: T201
        return 2
    except (OSError, DataDirectoryError) as error:
        print(f"error: {error}", file=sys.stderr)  # noqa: T201
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
