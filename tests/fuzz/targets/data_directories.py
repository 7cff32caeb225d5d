"""A data directory that a broker finds at its start: metadata, checkpoints, folders.

The input is changes to a directory that was sound.
"""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from uuid import UUID

from pyproducer.broker.broker_clock import BrokerClock
from pyproducer.broker.configs import BrokerConfig
from pyproducer.broker.groups.wiring import open_groups
from pyproducer.broker.handlers.table import ROUTES
from pyproducer.broker.log.directory import DataDirectoryError
from pyproducer.broker.node import Node
from pyproducer.broker.timers import Timers
from pyproducer.broker.topics import TopicSpec
from pyproducer.broker.transactions.wiring import open_transactions
from pyproducer.errors import ConfigError
from tests.fuzz.bites import Bites
from tests.fuzz.target import Target
from tests.fuzz.targets._files import Files, changed, changes, read_all
from tests.helpers.memory_disk import MemoryDisk
from tests.helpers.partition_logs import batch
from tests.helpers.virtual_time import VirtualTime

_FOLDER = Path(tempfile.gettempdir()) / "data"
_LOOP = asyncio.new_event_loop()


def _node(disk: MemoryDisk) -> Node:
    numbers = iter(range(1, 1 << 30))
    node = Node(
        _FOLDER,
        config=BrokerConfig(
            {"offsets.topic.num.partitions": "1", "transaction.state.log.num.partitions": "1"}
        ),
        clock=BrokerClock(VirtualTime()),
        fs=disk,
        routes=ROUTES,
        new_uuid=lambda: UUID(int=next(numbers)),
    )
    node.open()
    return node


def _serve(node: Node) -> None:
    node.timers = Timers(_LOOP, node.clock)
    open_groups(node, node.timers)
    open_transactions(node)


@cache
def sound() -> Files:
    """A directory with two topics, one of them with records, and what a broker keeps of itself."""
    disk = MemoryDisk()
    node = _node(disk)
    _serve(node)
    node.create_topics(
        [TopicSpec("orders", 1), TopicSpec("keyed", 1, {"cleanup.policy": "compact"})]
    )
    node.producer_ids.take()
    for _ in range(3):
        node.partition("orders", 0).append(batch(2), request_version=9)
    node.groups.close()
    node.close()
    return {
        name: data
        for name, data in read_all(disk, _FOLDER).items()
        if not name.endswith((".lock", "index"))
    }


def run(data: bytes) -> None:
    """The broker starts with what is sound of it, or says which file it cannot start with."""
    disk = MemoryDisk.holding(_FOLDER, changed(sound(), Bites(data)))
    try:
        node = _node(disk)
    except (ConfigError, DataDirectoryError, OSError, ValueError) as error:
        assert str(error)
        return
    try:
        _serve(node)
        node.groups.close()
    finally:
        node.close()


def seeds() -> Iterator[bytes]:
    """The directory as it is, and each file of it changed in some ways."""
    yield b""
    yield from changes(sound())
    number = sorted(sound()).index("pyproducer-metadata.json")
    for text in (
        b'{"format": 1, "topics": []}',
        b'{"format": 1, "topics": {"a": 5}}',
        b'{"format": 1, "broker_configs": 7}',
        b'{"format": 1, "starts": "x"}',
        b'{"format": 1, "producer_ids": null}',
        b"[" * 250,
        b"[1]",
    ):
        yield bytes((0, number, 5, 0, 0, len(text))) + text


TARGET = Target(run, seeds, max_len=400)
