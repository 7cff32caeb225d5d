"""What records hold while they wait and after, and what is handed to the socket.

``python -m tests.bench.counts.holdings`` prints it as JSON. No callgrind is needed for this, but
the same loop of memory, with a peer that can fall silent.
"""

from __future__ import annotations

import asyncio
import gc
import json
import os
import sys
import traceback
import tracemalloc
from collections.abc import Awaitable, Callable
from typing import Any, TypeAlias

from pyproducer import AsyncProducer
from tests.bench.counts.acking_peer import PORT, AckingPeer
from tests.bench.counts.marks import Marks
from tests.bench.counts.paths import TOPIC, VALUE
from tests.bench.counts.virtual_loop import VirtualLoop

__all__ = ["held"]

_SHORT = 20_000
_LONG = 120_000
_AWAITED = 1_000

Producer: TypeAlias = AsyncProducer[Any, Any]
Counted: TypeAlias = dict[str, float]


class Bench:
    """A producer and its peers.

    Attributes:
        peers: the other ends, metadata's first.
    """

    def __init__(self, marks: Marks) -> None:
        self._marks = marks
        self.peers: list[AckingPeer] = []
        self.loop: VirtualLoop | None = None

    def _peer(self) -> AckingPeer:
        self.peers.append(AckingPeer({TOPIC: 4}))
        return self.peers[-1]

    def run(self, what: Callable[[Bench, Producer], Awaitable[Counted]], **options: Any) -> Counted:
        """Start a producer, do something with it, close it."""

        async def main() -> Counted:
            async with AsyncProducer(f"127.0.0.1:{PORT}", **options) as producer:
                await producer.send(TOPIC, VALUE)
                found = await what(self, producer)
                for peer in self.peers:
                    peer.speak()
                await producer.flush()
            return found

        loop = self.loop = VirtualLoop(self._peer, self._marks)
        with asyncio.Runner(loop_factory=lambda: loop) as runner:
            return runner.run(main())

    def hush(self) -> None:
        """From now on no Produce request is answered."""
        for peer in self.peers:
            peer.silent = True


async def queued(bench: Bench, producer: Producer, *, keep: bool) -> Counted:
    """Records that wait for a broker that does not answer."""
    bench.hush()
    kept: list[Any] = [None] * (_SHORT + _LONG)

    async def fill(start: int, count: int) -> int:
        for number in range(start, start + count):
            delivery = await producer.enqueue(TOPIC, VALUE)
            if keep:
                kept[number] = delivery
        del delivery
        gc.collect()
        return tracemalloc.get_traced_memory()[0]

    tracemalloc.start()
    gc.collect()
    before = await fill(0, _SHORT)
    after = await fill(_SHORT, _LONG)
    tracemalloc.stop()
    return {"bytes": (after - before) / _LONG}


async def kept_handles(bench: Bench, producer: Producer) -> Counted:
    """Handles of acknowledged records whose outcomes were read."""
    kept: list[Any] = [None] * (_SHORT + _LONG)

    async def fill(start: int, count: int) -> tuple[int, int, int]:
        for number in range(start, start + count):
            kept[number] = await producer.enqueue(TOPIC, VALUE)
        await producer.flush()
        for number in range(start, start + count):
            kept[number].result()
        gc.collect()
        return (
            len(gc.get_objects()),
            sys.getallocatedblocks(),
            tracemalloc.get_traced_memory()[0],
        )

    tracemalloc.start()
    before = await fill(0, _SHORT)
    after = await fill(_SHORT, _LONG)
    tracemalloc.stop()
    names = ("gc_objects", "blocks", "bytes")
    return {name: (new - old) / _LONG for name, old, new in zip(names, before, after, strict=True)}


async def waiting_handles(bench: Bench, producer: Producer) -> Counted:
    """Handles of records that are still queued."""
    bench.hush()
    kept: list[Any] = [None] * (_SHORT + _LONG)

    async def fill(start: int, count: int) -> int:
        for number in range(start, start + count):
            kept[number] = await producer.enqueue(TOPIC, VALUE)
        gc.collect()
        return len(gc.get_objects())

    before = await fill(0, _SHORT)
    after = await fill(_SHORT, _LONG)
    return {"gc_objects": (after - before) / _LONG}


async def handed_over(bench: Bench, producer: Producer) -> Counted:
    """What reaches the transport, and how often the system would have been asked."""
    loop = bench.loop
    assert loop is not None
    produced = bench.peers[-1]

    def now() -> list[int]:
        return [
            sum(one.writes for one in loop.transports),
            sum(one.reads for one in loop.transports),
            loop.turns,
            produced.requests,
            produced.joined,
            produced.record_bytes,
        ]

    before = now()
    for _ in range(_LONG):
        await producer.enqueue(TOPIC, VALUE)
    await producer.flush()
    writes, reads, turns, requests, joined, payload = (
        new - old for new, old in zip(now(), before, strict=True)
    )
    return {
        "writes": writes / requests,
        "reads": reads / requests,
        "turns": turns * 1000 / _LONG,
        "requests": requests * 1000 / _LONG,
        "joined": joined / payload,
    }


async def awaited(bench: Bench, producer: Producer) -> Counted:
    """How often the loop turns for one who sends a record after the other."""
    loop = bench.loop
    assert loop is not None
    before = loop.turns
    for _ in range(_AWAITED):
        await producer.send(TOPIC, VALUE)
    return {"turns": (loop.turns - before) * 1000 / _AWAITED}


async def sending(bench: Bench, producer: Producer) -> Counted:
    """What a closed batch needs besides itself on its way out."""
    produced = bench.peers[-1]
    for _ in range(9_000):
        producer.enqueue_nowait(TOPIC, VALUE, partition=0)
    before = produced.record_bytes
    tracemalloc.start()
    await producer.flush()
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return {"spare": peak / (produced.record_bytes - before)}


async def _queued_dropped(bench: Bench, producer: Producer) -> Counted:
    return await queued(bench, producer, keep=False)


async def _queued_kept(bench: Bench, producer: Producer) -> Counted:
    return await queued(bench, producer, keep=True)


_PARTS = (
    ("queued", _queued_dropped),
    ("queued with handle", _queued_kept),
    ("queued with handle", waiting_handles),
    ("acknowledged with handle", kept_handles),
    ("socket", handed_over),
    ("socket", sending),
    ("awaited", awaited),
)


def held(marks: Marks) -> dict[str, float]:
    """All of it, by measure; each part in a process of its own, for buffers are pooled."""
    found: dict[str, float] = {}
    for name, part in _PARTS:
        counts = _apart(lambda part=part: Bench(marks).run(part))  # type: ignore[misc]
        found.update({f"{name}.{kind}": value for kind, value in counts.items()})
    return found


def _apart(work: Callable[[], Counted]) -> Counted:
    """What the work returns in a fork of this process."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        status = 1
        try:
            os.write(writer, json.dumps(work()).encode())
            status = 0
        except BaseException:
            traceback.print_exc()
        finally:
            sys.stderr.flush()
            os._exit(status)
    os.close(writer)
    with os.fdopen(reader, encoding="utf-8") as answer:
        text = answer.read()
    if os.waitpid(child, 0)[1]:
        raise RuntimeError("a part failed")
    found: Counted = json.loads(text)
    return found


def main() -> int:
    marks = Marks("holdings")
    marks.stop_time()
    json.dump(held(marks), sys.stdout)
    return 0


if __name__ == "__main__":
    sys.exit(main())
