"""A broker as a program: from words on a command line to its end by a signal."""

from __future__ import annotations

import asyncio
import logging
import signal
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, cast

from pyproducer.broker.broker import Broker
from pyproducer.broker.properties_file import options_of_file, with_place
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
    security: str | None = None,
) -> None:
    """Runs a broker until SIGTERM or SIGINT, and says ``listening on HOST:PORT`` once it does.

    More lines follow in the same write: ``NAME on HOST:PORT`` for each other listener, ``http on
    HOST:PORT`` for the HTTP side if it has one, and ``ca in FILE``, which clients have to trust if
    it made its own certificate.

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
        security: What is spoken there: `PLAINTEXT`, `SSL`, `SASL_PLAINTEXT` or `SASL_SSL`.

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
    given["http_port"], given["http_host"] = http_port, _HTTP_HOST
    given["flush"] = cast("FlushMode", flush)
    options = with_place(options, given)
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
    lines = [f"listening on {broker.bootstrap_servers}"]
    lines += [f"{name} on {broker.bootstrap_servers_of(name)}" for name in broker.listeners[1:]]
    if broker.http_port is not None:
        lines.append(f"http on {_HTTP_HOST}:{broker.http_port}")
    if broker.makes_certificates:
        lines.append(f"ca in {broker.ca_file}")
    print("\n".join(lines), flush=True)  # noqa: T201
