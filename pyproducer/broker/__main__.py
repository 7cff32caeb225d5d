"""`python -m pyproducer.broker`: a broker of its own process."""

from __future__ import annotations

import argparse
import asyncio
import logging
import signal
import sys
from pathlib import Path

from pyproducer.broker.broker import Broker
from pyproducer.broker.log.directory import DataDirectoryError
from pyproducer.errors import ConfigError


def main(arguments: list[str] | None = None) -> int:
    """Runs a broker until SIGTERM or SIGINT; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m pyproducer.broker", description=__doc__)
    parser.add_argument("--host", default="127.0.0.1", help="address to listen at")
    parser.add_argument("--port", type=int, default=9092, help="port to listen at; 0 picks one")
    parser.add_argument("--advertised-host", help="address told to clients")
    parser.add_argument("--data-dir", type=Path, help="where data is kept; default: nowhere")
    parser.add_argument("--http-port", type=int, help="port of /health, /topics and /metrics")
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
    options = parser.parse_args(arguments)
    logging.basicConfig(format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    try:
        broker = Broker(
            {name: int(count or 1) for name, _, count in (t.partition(":") for t in options.topic)},
            data_dir=options.data_dir,
            host=options.host,
            port=options.port,
            advertised_host=options.advertised_host,
            config={name: value for name, _, value in (c.partition("=") for c in options.config)},
            http_port=options.http_port,
        )
        asyncio.run(broker.serve(on_ready=_announce, stop_signals=(signal.SIGTERM, signal.SIGINT)))
    except (ConfigError, ValueError) as error:
        print(f"error: {error}", file=sys.stderr)  # noqa: T201
        return 2
    except (OSError, DataDirectoryError) as error:
        print(f"error: {error}", file=sys.stderr)  # noqa: T201
        return 1
    return 0


def _announce(broker: Broker) -> None:
    print(f"listening on {broker.bootstrap_servers}", flush=True)  # noqa: T201


if __name__ == "__main__":
    sys.exit(main())
