"""A broker as a program: from words on a command line to its end by a signal."""

from __future__ import annotations

import asyncio
import logging
import signal
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, cast

from pyproducer.broker.broker import Broker
from pyproducer.broker.properties_file import options_of_file
from pyproducer.broker.settings import BrokerOptions
from pyproducer.errors import ConfigError

if TYPE_CHECKING:
    from pyproducer.broker.durability import FlushMode

__all__ = ["run_broker"]

_PORT = 9092
_HTTP_HOST = "127.0.0.1"


def run_broker(
    *,
    properties: Path | None = None,
    host: str | None = None,
    port: int | None = None,
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
        properties: File of Kafka's broker configurations; what else is given is stronger.
        host: Address to listen at; None is the file's, else 127.0.0.1.
        port: Port to listen at; 0 lets the system pick one, None is the file's, else 9092.
        advertised_host: Address told to clients; None is the file's, else `host`.
        data_dir: Where data is kept; None is where the file says, else a temporary folder.
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
    options = BrokerOptions() if properties is None else options_of_file(properties)
    options.setdefault("port", _PORT)
    if host is not None:
        options["host"] = host
        # What the file says clients are told is of the address that the file has.
        options.pop("advertised_host", None)
    if port is not None:
        options["port"] = port
    if advertised_host is not None:
        options["advertised_host"] = advertised_host
    if data_dir is not None:
        options["data_dir"] = data_dir
    options["config"] = {**(options.get("config") or {}), **dict(map(_setting, config))}
    options["http_port"], options["http_host"] = http_port, _HTTP_HOST
    options["flush"] = cast("FlushMode", flush)
    broker = Broker(dict(map(_topic, topics)), **options)
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
