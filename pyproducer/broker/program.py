"""A broker as a program: from words on a command line to its end by a signal."""

from __future__ import annotations

import asyncio
import logging
import signal
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, cast

from pyproducer.broker.broker import Broker
from pyproducer.errors import ConfigError

if TYPE_CHECKING:
    from pyproducer.broker.durability import FlushMode

__all__ = ["run_broker"]

_HTTP_HOST = "127.0.0.1"


def run_broker(
    *,
    host: str = "127.0.0.1",
    port: int = 9092,
    advertised_host: str | None = None,
    data_dir: Path | None = None,
    http_port: int | None = None,
    topics: Iterable[str] = (),
    config: Iterable[str] = (),
    flush: str = "os",
) -> None:
    """Runs a broker until SIGTERM or SIGINT, and says ``listening on HOST:PORT`` once it does.

    A second line, ``http on HOST:PORT``, says where its HTTP side is, if it has one.

    Args:
        host: Address to listen at.
        port: Port to listen at; 0 lets the system pick one.
        advertised_host: Address told to clients; None is `host`.
        data_dir: Where data is kept; None is a temporary folder.
        http_port: Port of the HTTP side; None is no HTTP side.
        topics: Topics to make, as `NAME` or `NAME:PARTITIONS`.
        config: Kafka's broker configurations, as `NAME=VALUE`.
        flush: When records are forced to disk: `always`, `interval` or `os`.

    Raises:
        ConfigError: An argument is not possible, or the data directory cannot be used.
        OSError: The address cannot be used, or the disk failed.
        DataDirectoryError: Another broker uses the data directory.
    """
    logging.basicConfig(format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    broker = Broker(
        dict(_topic(entry) for entry in topics),
        data_dir=data_dir,
        host=host,
        port=port,
        advertised_host=advertised_host,
        config=dict(_setting(entry) for entry in config),
        http_port=http_port,
        http_host=_HTTP_HOST,
        flush=cast("FlushMode", flush),
    )
    asyncio.run(broker.serve(on_ready=_announce, stop_signals=(signal.SIGTERM, signal.SIGINT)))


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


def _announce(broker: Broker) -> None:
    print(f"listening on {broker.bootstrap_servers}", flush=True)  # noqa: T201
    if broker.http_port is not None:
        print(f"http on {_HTTP_HOST}:{broker.http_port}", flush=True)  # noqa: T201
