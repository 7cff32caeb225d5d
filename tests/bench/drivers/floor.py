"""What asyncio and the server cost without any client: the floor under the other figures."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import os
import struct
import sys
import threading
import time
from collections.abc import Callable, Coroutine, Iterator
from time import perf_counter
from typing import Any, TypeVar

from pyproducer.protocol.frame import encode_request
from pyproducer.protocol.messages.produce import (
    PartitionProduceData,
    ProduceRequest,
    TopicProduceData,
)
from pyproducer.records.builder import build_batch
from pyproducer.records.compression import Codec, compress
from tests.bench.drivers.common import Answer, Job, Span, pool, values, work
from tests.bench.drivers.ticker import Ticker

T = TypeVar("T")

_VERSION = 7
#: How long the busy loop holds the event loop each time before it lets others run.
_TURN = 0.001
#: Seconds for which a loop beside threads that compress lets them in.
_ASIDE = 0.0001


class _Echo(asyncio.Protocol):
    """Writes a frame, and settles a future when a whole frame has come back."""

    def __init__(self) -> None:
        self.answered: asyncio.Future[None] | None = None
        self._seen = b""

    def data_received(self, data: bytes) -> None:
        self._seen += data
        if len(self._seen) >= 4 and len(self._seen) >= 4 + struct.unpack_from(">i", self._seen)[0]:
            self._seen = b""
            if self.answered is not None:
                self.answered.set_result(None)


def _frame(job: Job) -> bytes:
    """A Produce request with one record, byte for byte what a client would write."""
    from pyproducer.records.reader import Record

    record = Record(0, 0, 0, None, pool(job.size)[0], ())
    batch = build_batch([record], codec=Codec.NONE)
    part = PartitionProduceData(index=0, records=batch)
    topic = TopicProduceData(name=job.topic, partition_data=[part])
    request = ProduceRequest(acks=1, timeout_ms=30_000, topic_data=[topic])
    return b"".join(bytes(one) for one in encode_request(request, _VERSION, 1, "floor"))


async def latency(job: Job) -> Answer:
    """The same request written to a bare asyncio protocol again and again."""
    host, port = job.bootstrap_servers.split(",")[0].rsplit(":", 1)
    loop = asyncio.get_running_loop()
    frame = _frame(job)
    transport, echo = await loop.create_connection(_Echo, host, int(port))
    samples = []
    for _ in range(job.warm_up + job.count):
        began = perf_counter()
        echo.answered = loop.create_future()
        transport.write(frame)
        await echo.answered
        samples.append(perf_counter() - began)
    transport.close()
    return {"samples": samples[job.warm_up :]}


async def stall(job: Job) -> Answer:
    """A ticker alone, or beside a loop that is busy with nothing for 1 ms at a time.

    Or beside that and two threads that compress, of the priority that the producer's have: so long
    does a loop wait for the interpreter and for a processor where a codec's library works. As the
    producer does, it lets them have the interpreter between turns; a loop that does not keeps it
    from them nearly all the time.
    """
    with compressing(job) if job.how == "compressing" else contextlib.nullcontext():
        return await _ticked(job)


@contextlib.contextmanager
def compressing(job: Job) -> Iterator[None]:
    """Two threads that compress a megabyte after the other with the job's codec."""
    codec, level = Codec[job.settings.codec.upper()], job.settings.level
    body = b"".join(itertools.islice(itertools.cycle(pool(job.size)), 1_000_000 // job.size))
    over = threading.Event()

    def run() -> None:
        if sys.platform == "linux":
            os.setpriority(os.PRIO_PROCESS, 0, os.getpriority(os.PRIO_PROCESS, 0) + 5)
        while not over.is_set():
            compress(codec, body, level)

    threads = [threading.Thread(target=run) for _ in range(2)]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        over.set()
        for thread in threads:
            thread.join()


async def _ticked(job: Job) -> Answer:
    async with Ticker(job.seconds) as ticker:
        while not ticker.over:
            if job.how == "idle":
                await asyncio.sleep(0.05)
                continue
            until = perf_counter() + _TURN
            while perf_counter() < until:
                pass
            if job.how == "compressing":
                time.sleep(_ASIDE)
            await asyncio.sleep(0)
    return {"samples": ticker.stalls, "held": ticker.held, "records": 0}


class Handle:
    """What a caller keeps of a record, and asks for its result, where nobody did anything."""

    __slots__ = ("offset",)

    def __init__(self) -> None:
        self.offset = 1

    def result(self) -> Handle:
        return self


async def nothing(job: Job) -> Answer:
    """The two loops of whoever awaits a call for each record and reads each result.

    The call does nothing and gives the same handle: what is left is the caller's own.
    """
    handle = Handle()

    async def enqueue(_: bytes) -> Handle:
        return handle

    source = values(job)
    with Span() as span:
        kept = [await enqueue(value) for value in source]
        assert sum(one.result().offset for one in kept) == job.count
    return span.answer(len(kept), extra=0)


async def _in_turns(
    job: Job,
    sender: Callable[[], Coroutine[Any, Any, None]],
    asleep: list[T],
    wake: Callable[[list[T]], None],
) -> Answer:
    """So many tasks as the job has senders; in each turn of the loop all that sleep are woken."""
    with Span() as span:
        tasks = [asyncio.create_task(sender()) for _ in range(job.senders)]
        while not tasks[0].done() or asleep:
            await asyncio.sleep(0)
            ready, asleep[:] = asleep[:], []
            wake(ready)
        await asyncio.gather(*tasks)
    return span.answer(job.count, extra=0)


async def waiting(job: Job) -> Answer:
    """Tasks that are woken by futures: asyncio's own cost."""
    loop = asyncio.get_running_loop()
    asleep: list[asyncio.Future[None]] = []
    source = iter(range(job.count))

    async def sender() -> None:
        for _ in source:
            future = loop.create_future()
            asleep.append(future)
            await future

    def wake(ready: list[asyncio.Future[None]]) -> None:
        for future in ready:
            future.set_result(None)

    return await _in_turns(job, sender, asleep, wake)


async def keeping(job: Job) -> Answer:
    """The same tasks, each waiting in a call that keeps its record, and gives what became of it.

    What is kept is what no client can leave out: the record's bytes, a future, and a result for
    each of those who wait. Nothing is checked, written, or read.
    """
    loop = asyncio.get_running_loop()
    asleep: list[tuple[Handle, asyncio.Future[None]]] = []
    batch = bytearray()
    source = values(job)
    total = 0

    async def send(value: bytes) -> Handle:
        batch.extend(value)
        handle, future = Handle(), loop.create_future()
        asleep.append((handle, future))
        await future
        return handle

    async def sender() -> None:
        nonlocal total
        for value in source:
            total += (await send(value)).offset

    def wake(ready: list[tuple[Handle, asyncio.Future[None]]]) -> None:
        batch.clear()
        for place, (handle, future) in enumerate(ready, 1):
            handle.offset = place
            future.set_result(None)

    answer = await _in_turns(job, sender, asleep, wake)
    assert total >= job.count
    return answer


_WAYS = {"nothing": nothing, "keeping": keeping}


async def throughput(job: Job) -> Answer:
    """What the job's client leaves out; see there."""
    return await _WAYS.get(job.how, waiting)(job)


if __name__ == "__main__":
    work(
        {
            "latency": lambda job: asyncio.run(latency(job)),
            "stall": lambda job: asyncio.run(stall(job)),
            "throughput": lambda job: asyncio.run(throughput(job)),
            # Whatever a task waits for, to asyncio it is a future.
            "room": lambda job: asyncio.run(throughput(job)),
        }
    )
