"""The paths whose instructions are counted: what a user writes, sent to a peer of memory.

Each runs in a process of its own, forked from one that has imported everything: first as warm-up,
then over a short and over a long run. What both have in common is in neither's figure.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from pyproducer import AsyncProducer, SyncProducer
from serializers import JsonSerializer
from tests.bench.counts.acking_peer import PORT, AckingPeer
from tests.bench.counts.broker_requests import FULL, count_broker
from tests.bench.counts.marks import Marks
from tests.bench.counts.virtual_loop import VirtualLoop

__all__ = ["PATHS", "TOPIC", "VALUE", "WIDE_VALUE", "Path"]

TOPIC = "orders"
PARTITIONS = 4
#: Has a partition for every record, so that what a batch costs is what a record costs.
SPREAD_TOPIC = "meters"
MANY = 1000
_SERVERS = f"127.0.0.1:{PORT}"

#: 100 bytes that compress about as well as a log line does.
VALUE = b'{"order":1204,"table":7,"items":["tea","cake","water"],"paid":true,"note":"window seat, please."}   '
#: What is known of copying small values is compared with this one.
WIDE_VALUE = VALUE * 10
DOCUMENT = {"order": 1204, "table": 7, "items": ["tea", "cake"], "paid": True, "total": 17.25}
HEADERS = [("trace", b"00f067aa0ba902b7"), ("source", b"till")]
KEYS = [b"table-%04d" % number for number in range(1000)]
_BULK = 1000


Send: TypeAlias = Callable[[AsyncProducer[Any, Any], int], Awaitable[None]]


@dataclass(frozen=True)
class Path:
    """One way a record, or a request, goes.

    Attributes:
        run: sends ``short`` and ``long`` records and marks both.
        short: records of the short run.
        long: records of the long run.
        environment: for the process.
        unit: what is counted one by one.
    """

    run: Callable[[Path, Marks], None]
    short: int = 2_000
    long: int = 12_000
    environment: dict[str, str] = field(default_factory=dict)
    unit: str = "record"

    @property
    def records(self) -> int:
        """How many the long run has more than the short one."""
        return self.long - self.short


def peer() -> AckingPeer:
    return AckingPeer({TOPIC: PARTITIONS, SPREAD_TOPIC: MANY})


def from_asyncio(send: Send, **options: Any) -> Callable[[Path, Marks], None]:
    """A path of the asyncio producer's."""

    async def main(path: Path, marks: Marks) -> None:
        async with AsyncProducer(_SERVERS, **options) as producer:
            await send(producer, path.short)
            marks.keep("warm")
            await send(producer, path.short)
            marks.keep("short")
            await send(producer, path.long)
            marks.keep("long")

    def run(path: Path, marks: Marks) -> None:
        with asyncio.Runner(loop_factory=lambda: VirtualLoop(peer, marks)) as runner:
            runner.run(main(path, marks))

    return run


async def enqueue(producer: AsyncProducer[Any, Any], count: int) -> None:
    kept = []
    for _ in range(count):
        kept.append(await producer.enqueue(TOPIC, VALUE))
    await producer.flush()
    for delivery in kept:
        delivery.result()


async def wide(producer: AsyncProducer[Any, Any], count: int) -> None:
    kept = []
    for _ in range(count):
        kept.append(await producer.enqueue(TOPIC, WIDE_VALUE))
    await producer.flush()
    for delivery in kept:
        delivery.result()


async def enqueue_nowait(producer: AsyncProducer[Any, Any], count: int) -> None:
    def delivered(delivery: Any) -> None:
        delivery.result()

    for _ in range(count):
        producer.enqueue_nowait(TOPIC, VALUE, on_delivery=delivered)
    await producer.flush()


async def enqueue_many(producer: AsyncProducer[Any, Any], count: int) -> None:
    values = [VALUE] * _BULK
    groups = [await producer.enqueue_many(TOPIC, values) for _ in range(count // _BULK)]
    await producer.flush()
    for group in groups:
        group.results()


async def keyed(producer: AsyncProducer[Any, Any], count: int) -> None:
    kept = []
    for number in range(count):
        kept.append(await producer.enqueue(TOPIC, VALUE, key=KEYS[number % 1000]))
    await producer.flush()
    for delivery in kept:
        delivery.result()


async def with_headers(producer: AsyncProducer[Any, Any], count: int) -> None:
    kept = []
    for _ in range(count):
        kept.append(await producer.enqueue(TOPIC, VALUE, headers=HEADERS))
    await producer.flush()
    for delivery in kept:
        delivery.result()


async def documents(producer: AsyncProducer[Any, Any], count: int) -> None:
    kept = []
    for _ in range(count):
        kept.append(await producer.enqueue(TOPIC, DOCUMENT))
    await producer.flush()
    for delivery in kept:
        delivery.result()


async def send_one_by_one(producer: AsyncProducer[Any, Any], count: int) -> None:
    for _ in range(count):
        await producer.send(TOPIC, VALUE)


async def send_together(producer: AsyncProducer[Any, Any], count: int) -> None:
    for _ in range(count // _BULK):
        await asyncio.gather(*(producer.send(TOPIC, VALUE) for _ in range(_BULK)))


async def one_to_a_batch(producer: AsyncProducer[Any, Any], count: int) -> None:
    for _ in range(count // MANY):
        for number in range(MANY):
            producer.enqueue_nowait(SPREAD_TOPIC, VALUE, partition=number)
        await producer.flush()


def enqueue_blocking(producer: SyncProducer[Any, Any], count: int) -> None:
    kept = []
    for _ in range(count):
        kept.append(producer.enqueue(TOPIC, VALUE))
    producer.flush()
    for delivery in kept:
        delivery.result()


def send_blocking(producer: SyncProducer[Any, Any], count: int) -> None:
    for _ in range(count):
        producer.send(TOPIC, VALUE)


def from_one_thread(
    send: Callable[[SyncProducer[Any, Any], int], None], **options: Any
) -> Callable[[Path, Marks], None]:
    """A path of the blocking producer's."""

    def run(path: Path, marks: Marks) -> None:
        asyncio.set_event_loop_policy(_Policy(marks))
        with SyncProducer(_SERVERS, **options) as producer:
            send(producer, path.short)
            marks.keep("warm")
            send(producer, path.short)
            marks.keep("short")
            send(producer, path.long)
            marks.keep("long")

    return run


def copying(path: Path, marks: Marks) -> None:
    """One copy of a small value, and one of a wide one: what other paths' copies are told by."""
    for value, name in ((VALUE, "warm"), (VALUE, "short"), (WIDE_VALUE, "long")):
        for _ in range(path.records):
            bytearray(value)
        marks.keep(name)


class _Policy(asyncio.DefaultEventLoopPolicy):
    """The background thread's loop is a virtual one, which waits for its callers."""

    def __init__(self, marks: Marks) -> None:
        super().__init__()
        self._marks = marks

    def new_event_loop(self) -> asyncio.AbstractEventLoop:
        return VirtualLoop(peer, self._marks, waits=True)


def _wasteful(value: bytes) -> bytes:
    return bytes(bytearray(value))


#: A regression made on purpose, which the guard's own test has it find: two copies too many.
_PLANTED: dict[str, Any] = (
    {"value_serializer": _wasteful} if os.environ.get("COUNTS_PLANTED") else {}
)

PATHS = {
    "enqueue": Path(from_asyncio(enqueue, **_PLANTED)),
    "enqueue_nowait": Path(from_asyncio(enqueue_nowait)),
    "enqueue_many": Path(from_asyncio(enqueue_many)),
    "keyed": Path(from_asyncio(keyed)),
    "headers": Path(from_asyncio(with_headers)),
    "json": Path(from_asyncio(documents, value_serializer=JsonSerializer())),
    "lz4": Path(from_asyncio(enqueue, compression_type="lz4")),
    "sync": Path(from_one_thread(enqueue_blocking)),
    "wide": Path(from_asyncio(wide)),
    "copying": Path(copying),
    "send": Path(from_asyncio(send_one_by_one, linger_ms=0), short=100, long=600),
    "sync_send": Path(from_one_thread(send_blocking, linger_ms=0), short=100, long=600),
    "send_together": Path(from_asyncio(send_together)),
    "one_to_a_batch": Path(from_asyncio(one_to_a_batch), short=1_000, long=5_000),
    "pure": Path(from_asyncio(enqueue), short=500, long=2500, environment={"PYPRODUCER_PURE": "1"}),
    "broker": Path(count_broker(FULL), short=4, long=24, unit="request"),
    "broker_single": Path(count_broker(1), short=100, long=600, unit="request"),
}
