"""Requests to a broker: every API that it serves, in every version, one after the other.

The input is requests in a row: API, version, length, body.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import struct
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import UUID

from pyproducer.broker.broker_clock import BrokerClock
from pyproducer.broker.configs import BrokerConfig
from pyproducer.broker.context import CloseConnection, ConnectionInfo
from pyproducer.broker.groups.wiring import open_groups
from pyproducer.broker.handlers.route import Route
from pyproducer.broker.handlers.table import ROUTES
from pyproducer.broker.node import Node
from pyproducer.broker.router import Router
from pyproducer.broker.timers import Timers
from pyproducer.broker.topics import TopicSpec
from pyproducer.broker.transactions.wiring import open_transactions
from pyproducer.errors import ProtocolError
from pyproducer.protocol import primitives
from pyproducer.protocol.api import API, ApiKey
from pyproducer.records.builder import build_batch
from pyproducer.records.codec import Codec
from pyproducer.records.record import Record
from tests.fuzz.bites import Bites
from tests.fuzz.target import Target
from tests.helpers.memory_disk import MemoryDisk
from tests.helpers.random_messages import MessageMaker
from tests.helpers.record_batches import NOON
from tests.helpers.virtual_time import VirtualTime

_CONFIG = {
    "auto.create.topics.enable": "true",
    "group.initial.rebalance.delay.ms": "0",
    "offsets.topic.num.partitions": "2",
    "transaction.state.log.num.partitions": "2",
}
_TOPICS = [TopicSpec("orders", 2), TopicSpec("keyed", 1, {"cleanup.policy": "compact"})]
#: Inputs after which a broker has seen enough: what they leave makes it slow.
_LIFE = 300
#: Turns of the loop after which a request that has no answer waits for something.
_TURNS = 12


class BrokerInMemory:
    """A node on a disk in memory, whose time stands still, and what routes requests to it."""

    def __init__(self, config: dict[str, str] | None = None) -> None:
        numbers = iter(range(1, 1 << 30))
        self.loop = asyncio.new_event_loop()
        self.inputs = 0
        self.node = Node(
            # Nothing is written to it; but how full it is can be asked.
            Path(tempfile.gettempdir()),
            config=BrokerConfig({**_CONFIG, **(config or {})}),
            clock=BrokerClock(VirtualTime()),
            fs=MemoryDisk(),
            routes=ROUTES,
            new_uuid=lambda: UUID(int=next(numbers)),
        )
        self.node.open()
        self.node.timers = Timers(self.loop, self.node.clock)
        open_groups(self.node, self.node.timers)
        open_transactions(self.node)
        self.node.create_topics(_TOPICS)
        self.router = Router(self.node)

    def ask(self, frame: bytes, info: ConnectionInfo) -> bytes | None:
        """The answer to a request; None where there is none, or none yet.

        Raises:
            CloseConnection, ProtocolError: The connection is to be closed.
        """
        return self.loop.run_until_complete(self._ask(frame, info))

    async def _ask(self, frame: bytes, info: ConnectionInfo) -> bytes | None:
        task = asyncio.ensure_future(self.router.answer(memoryview(bytearray(frame)), info))
        for _ in range(_TURNS):
            await asyncio.sleep(0)
            if task.done():
                break
        else:
            # As when the client goes away.
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
            return None
        answer = task.result()
        if answer is None:
            return None
        return b"".join(
            one if isinstance(one, (bytes, bytearray, memoryview)) else one.read() for one in answer
        )

    def close(self) -> None:
        """Nothing is left of it."""
        self.node.groups.close()
        self.node.close()
        self.loop.run_until_complete(asyncio.sleep(0))
        self.loop.close()


_broker: BrokerInMemory | None = None


def run(data: bytes) -> None:
    """A request is answered, waits, or has its connection closed; the broker serves on."""
    global _broker
    if _broker is not None and _broker.inputs >= _LIFE:
        _broker.close()
        _broker = None
    if _broker is None:
        _broker = BrokerInMemory()
    broker = _broker
    broker.inputs += 1
    bites = Bites(data)
    info = ConnectionInfo(broker.inputs, "127.0.0.1", 1)
    try:
        while bites:
            route = bites.one_of(ROUTES)
            version = route.min_version + bites.byte() % (route.max_version - route.min_version + 1)
            body = bites.take(min(bites.number(2, signed=False), len(data)))
            with contextlib.suppress(CloseConnection, ProtocolError):
                _check(broker.ask(_head(route, version) + body, info), version)
        hello = _head(_HELLO, 0)
        assert broker.ask(hello, info)
    except BaseException:
        # What broke it may be in it still.
        _broker = None
        raise


def _head(route: Route, version: int) -> bytes:
    start = struct.pack(">hhih", route.api_key, version, 7, 1) + b"c"
    return start + (b"\x00" if version >= API[route.api_key].flexible_since else b"")


def _check(answer: bytes | None, version: int) -> None:
    if answer is not None:
        size, number = struct.unpack_from(">ii", answer)
        assert (len(answer) - 4, 7) == (size, number)


_HELLO = next(route for route in ROUTES if route.api_key == ApiKey.API_VERSIONS)


class _Plausible(MessageMaker):
    """Makes requests that name what there is, with numbers that mean something."""

    def one(self, name: str, kind: Any, version: int) -> Any:
        if isinstance(kind, type):
            return self.make(kind, version)
        if kind is primitives.RECORDS:
            return _records(self.random)
        if kind is primitives.UUID128:
            return UUID(int=self.random.randint(0, 3))
        if kind is primitives.STRING:
            return self.random.choice(_WORDS.get(name, ("orders", "keyed", "group", "")))
        if kind is primitives.BYTES:
            return self.random.choice(
                (b"", b"\x00\x01\x00\x00\x00\x01\x00\x06orders\x00\x00\x00\x00")
            )
        return super().one(name, kind, version)

    def number(self, name: str, kind: str) -> int:
        if name in _NUMBERS:
            return self.random.choice(_NUMBERS[name])
        return self.random.choice((0, 0, 1, -1, 2))


_WORDS = {
    "transactional_id": ("tx",),
    "group_id": ("group",),
    "member_id": ("", "member"),
    "protocol_type": ("consumer",),
    "client_software_name": ("fuzz",),
    "client_software_version": ("1",),
    "resource_name": ("orders", "1", ""),
    "mechanism": ("PLAIN", "SCRAM-SHA-256"),
    "value": ("1", "compact", "-1"),
}
_NUMBERS = {
    "session_timeout_ms": (10_000,),
    "rebalance_timeout_ms": (10_000,),
    "transaction_timeout_ms": (1000,),
    "num_partitions": (1, 2, -1),
    "replication_factor": (1, -1),
    "partition_max_bytes": (1000,),
    "max_bytes": (1000,),
    "resource_type": (2, 4),
    "acks": (-1, 1, 0),
    "producer_id": (0, 1, -1),
}


def _records(rand: random.Random) -> bytes:
    producer = rand.choice((-1, 0, 1))
    return build_batch(
        [Record(0, NOON, key=b"k", value=b"v")] * rand.choice((1, 2)),
        codec=rand.choice(list(Codec)),
        producer_id=producer,
        producer_epoch=min(producer, 0),
        base_sequence=min(producer, 0),
        transactional=rand.random() < 0.3,
    )


def _request(route: Route, version: int, maker: MessageMaker) -> bytes:
    message = maker.make(API[route.api_key].request, version)
    body = b"".join(message.encode(version))
    number = ROUTES.index(route)
    return bytes((number, version - route.min_version)) + struct.pack(">H", len(body)) + body


def seeds() -> Iterator[bytes]:
    """Each API in its oldest and newest version, twice, and stories of a few of them."""
    for route in ROUTES:
        for version in sorted({route.min_version, route.max_version}):
            for number in range(2):
                yield _request(
                    route, version, _Plausible((route.api_key, version, number), largest=2)
                )
    routes: dict[int, Route] = {route.api_key: route for route in ROUTES}
    for number in range(6):
        maker = _Plausible(number, largest=2)
        for story in _STORIES:
            yield b"".join(_request(routes[key], routes[key].max_version, maker) for key in story)


_STORIES: tuple[tuple[int, ...], ...] = (
    (ApiKey.INIT_PRODUCER_ID, ApiKey.ADD_PARTITIONS_TO_TXN, ApiKey.PRODUCE, ApiKey.END_TXN),
    (ApiKey.JOIN_GROUP, ApiKey.SYNC_GROUP, ApiKey.OFFSET_COMMIT, ApiKey.OFFSET_FETCH),
    (ApiKey.CREATE_TOPICS, ApiKey.METADATA, ApiKey.PRODUCE, ApiKey.DELETE_TOPICS),
    (ApiKey.PRODUCE, ApiKey.FETCH, ApiKey.DELETE_RECORDS, ApiKey.FETCH),
)

TARGET = Target(run, seeds, max_len=800)
