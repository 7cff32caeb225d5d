"""What batches of few records cost where nobody has to keep an account of them.

The caller's two loops over calls that do nothing; then, for every sixteen of those records, a batch
of sixteen that were made before: its header with the checksum, its place in a request, and its
answer read. Nothing is queued, timed, retried, or told to anybody.
"""

from __future__ import annotations

import asyncio
import itertools
import socket
from collections import deque

from pyproducer.model import Buffer
from pyproducer.protocol.connection import ClientConnection
from pyproducer.protocol.messages.produce import ProduceRequest, ProduceResponse
from pyproducer.protocol.produce_shortcut import request_of
from pyproducer.records.batch import HEADER_SIZE
from pyproducer.records.builder import build_batch
from pyproducer.records.codec import Codec
from pyproducer.records.reader import Record
from pyproducer.records.seal import seal_header
from tests.bench.drivers.common import Answer, Job, Span, pool, rows, work
from tests.bench.drivers.floor import Handle

#: Records of a batch: about as many as the producer has in one where 10,000 partitions take turns.
RECORDS = 16
#: Batches of a request, and requests without an answer: as the producer has them.
_BATCHES = 256
_IN_FLIGHT = 5


class Peer:
    """A connection that is ready for requests."""

    def __init__(self, servers: str) -> None:
        host, port = servers.split(",", maxsplit=1)[0].rsplit(":", 1)
        self._socket = socket.create_connection((host, int(port)))
        self._wire = ClientConnection("floor")
        self._answers: deque[ProduceResponse] = deque()
        self._wire.start()
        while not self._wire.ready:
            self._write()
            self._wire.receive_data(self._socket.recv(1 << 16))

    def send(self, request: ProduceRequest) -> None:
        """Write a request, once less than five are without an answer."""
        while self._wire.in_flight >= _IN_FLIGHT:
            self.read()
        self._wire.send(request, None)
        self._write()

    def read(self) -> None:
        """Take an answer, or a part of one."""
        self._wire.receive_data(self._socket.recv(1 << 18))
        if self._wire.error is not None:
            raise self._wire.error
        self._answers += [answer.message for answer in self._wire.answers()]

    def close(self) -> int:
        """Wait for the answers, and return how many batches were acknowledged."""
        while self._wire.in_flight:
            self.read()
        self._socket.close()
        parts = [
            part
            for answer in self._answers
            for topic in answer.responses
            for part in topic.partition_responses
        ]
        return sum(part.error_code == 0 for part in parts)

    def _write(self) -> None:
        self._socket.sendall(b"".join(self._wire.data_to_send()))


async def throughput(job: Job) -> Answer:
    """See the module."""
    handle = Handle()
    records = [Record(n, 0, 0, None, value, ()) for n, value in enumerate(pool(job.size)[:RECORDS])]
    body = build_batch(records, codec=Codec.NONE)[HEADER_SIZE:]
    wanted = job.count // RECORDS
    partitions = itertools.cycle(range(job.partitions))
    peer = Peer(job.bootstrap_servers)

    async def enqueue(*_: object, **__: object) -> Handle:
        return handle

    with Span() as span:
        kept = [
            await enqueue(value, key=key, headers=headers, partition=partition)
            for value, key, headers, partition in rows(job)
        ]
        for start in range(0, wanted, _BATCHES):
            batches: list[tuple[str, int, list[Buffer]]] = []
            for _ in range(min(_BATCHES, wanted - start)):
                header = seal_header(body, 0, RECORDS, 0, 0, -1, -1, -1)
                batches.append((job.topic, next(partitions), [header, body]))
            peer.send(request_of(None, job.settings.acks, 30_000, batches))
        taken = peer.close()
        assert sum(one.result().offset for one in kept) == job.count
    assert taken == wanted
    return span.answer(len(kept), extra=0)


if __name__ == "__main__":
    work({"throughput": lambda job: asyncio.run(throughput(job))})
