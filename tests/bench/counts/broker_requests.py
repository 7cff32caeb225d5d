"""The embedded broker's way of a Produce request, from its frame in the socket to the answer.

The requests are shaped as librdkafka's are: one batch for one partition, of up to a megabyte or of
a single record, records of 1 KB, no compression, acks=1. They wait in a file of memory, from which the system
reads into the broker's own buffer as it would from a socket, so that the copy is not ours to count.
"""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final, cast

from pyproducer.broker import Broker
from pyproducer.model import TimestampType
from pyproducer.protocol.frame import decode_response_header, encode_request
from pyproducer.protocol.messages.produce import (
    PartitionProduceData,
    ProduceRequest,
    ProduceResponse,
    TopicProduceData,
)
from pyproducer.records.builder import build_batch
from pyproducer.records.record import Record
from tests.bench.counts.marks import Marks
from tests.bench.counts.virtual_loop import MemoryTransport, VirtualLoop

if TYPE_CHECKING:
    from tests.bench.counts.paths import Path

__all__ = ["FULL", "count_broker"]

_TOPIC = "orders"
_PARTITIONS = 4
WALL_MS = 1_700_000_000_000
#: Records that fit into librdkafka's batch.size of 1,000,000 bytes.
FULL: Final = 952
_VALUE = bytes(range(256)) * 4
#: The version that librdkafka 2.x asks with.
_VERSION = 10
#: What asyncio reads at once.
_AT_ONCE = 256 * 1024


class _Client:
    """Takes the answers."""

    def __init__(self) -> None:
        self.answered: asyncio.Event = asyncio.Event()
        self.answer = b""

    def connected(self, transport: MemoryTransport) -> None:
        """Nothing is asked before the first request."""

    def receive(self, data: Any) -> None:
        self.answer += bytes(data)
        if len(self.answer) >= 4 + int.from_bytes(self.answer[:4], "big"):
            self.answered.set()


def _request(partition: int, count: int) -> bytes:
    records = [
        Record(0, WALL_MS + number // 100, TimestampType.CREATE_TIME, None, _VALUE, ())
        for number in range(count)
    ]
    data = PartitionProduceData(index=partition, records=build_batch(records))
    topic = TopicProduceData(name=_TOPIC, partition_data=[data])
    request = ProduceRequest(acks=1, timeout_ms=30_000, topic_data=[topic])
    return b"".join(encode_request(request, _VERSION, partition, "rdkafka"))


async def _serve(records: int, path: Path, marks: Marks, loop: VirtualLoop) -> None:
    ready = asyncio.Event()
    broker = Broker({_TOPIC: _PARTITIONS})
    serving = loop.create_task(broker.serve(on_ready=lambda _: ready.set()))
    await ready.wait()
    protocol: Any = loop.listening[-1]()
    client = _Client()
    # Not connected: the broker looks at its number, to know how many files are open.
    sock = socket.socket()
    protocol.connection_made(MemoryTransport(loop, protocol, client, sock))
    frames = [_request(number, records) for number in range(_PARTITIONS)]
    stream = os.memfd_create("requests")
    os.write(stream, b"".join(frames))

    async def send(count: int) -> None:
        for number in range(count):
            at = sum(len(frame) for frame in frames[: number % _PARTITIONS])
            end = at + len(frames[number % _PARTITIONS])
            client.answered.clear()
            client.answer = b""
            while at < end:
                room = protocol.get_buffer(-1)[: min(_AT_ONCE, end - at)]
                size = os.preadv(stream, [room], at)
                protocol.buffer_updated(size)
                # asyncio holds it no longer than this either.
                del room
                at += size
                await asyncio.sleep(0)
            await client.answered.wait()
            _check(client.answer)

    await send(path.short)
    marks.keep("warm")
    await send(path.short)
    marks.keep("short")
    await send(path.long)
    marks.keep("long")
    os.close(stream)
    serving.cancel()
    await asyncio.wait([serving])
    sock.close()


def _check(answer: bytes) -> None:
    """The log has the batch."""
    _, body = decode_response_header(answer[4:], ProduceRequest.api_key, _VERSION)
    [topic] = ProduceResponse.decode(body, _VERSION).responses
    [partition] = topic.partition_responses
    assert partition.error_code == 0, partition


def count_broker(records: int) -> Callable[[Path, Marks], None]:
    """Requests of so many records each, one after the other on one connection."""

    def no_peer() -> Any:
        raise AssertionError("a broker opens no connections")

    def run(path: Path, marks: Marks) -> None:
        with asyncio.Runner(loop_factory=lambda: VirtualLoop(no_peer, marks)) as runner:
            runner.run(_serve(records, path, marks, cast("VirtualLoop", runner.get_loop())))

    return run
