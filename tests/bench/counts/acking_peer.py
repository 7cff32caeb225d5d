"""A broker of a few lines that acknowledges everything, at a cost that depends on nothing else.

It reads no more of a Produce request than it has to repeat, and never joins what it is given: it
must neither hide copies of the producer's nor add any of its own.
"""

from __future__ import annotations

import struct
from typing import Any

from pyproducer.protocol.api import ApiKey
from pyproducer.protocol.frame import decode_request, encode_response
from tests.bench.counts.virtual_loop import MemoryTransport
from tests.helpers.scripted_broker import ScriptedBroker

__all__ = ["PORT", "AckingPeer"]

PORT = 9092

_NEWEST_PRODUCE = 12
_OLDEST_PRODUCE = 9
#: index, error, base offset, append time, log start; no record errors, no message, no tags.
_PARTITION = struct.Struct(">ihqqqbbb")
_OFFSETS = 10_000
_BATCH_HEADER = 61


class AckingPeer:
    """Leads every partition.

    Args:
        topics: number of partitions by topic.

    Attributes:
        requests: Produce requests answered.
        batches: batches in them.
        record_bytes: bytes of those batches.
        joined: bytes of them that came in an object together with something else.
        silent: no Produce request is answered until :meth:`speak`.
    """

    def __init__(self, topics: dict[str, int]) -> None:
        self._sound = ScriptedBroker(topics)
        self._sound.port = PORT
        self._transport: MemoryTransport | None = None
        self._chunks: list[Any] = []
        self._held = 0
        self._offset = 0
        self.requests = 0
        self.batches = 0
        self.record_bytes = 0
        self.joined = 0
        self.silent = False
        self._unsaid: list[bytes] = []

    def connected(self, transport: MemoryTransport) -> None:
        self._transport = transport

    def speak(self) -> None:
        """Answer what was not answered."""
        self.silent = False
        assert self._transport is not None
        for reply in self._unsaid:
            self._transport.deliver(reply)
        self._unsaid.clear()

    def receive(self, data: Any) -> None:
        self._chunks.append(data)
        self._held += len(data)
        while self._held >= 4:
            size = 4 + int.from_bytes(_Cursor(self._chunks).read(4), "big")
            if self._held < size:
                return
            self._serve(size)

    def _serve(self, size: int) -> None:
        chunks = self._chunks
        cursor = _Cursor(chunks)
        _, key, version, correlation = struct.unpack(">ihhi", cursor.read(12))
        assert self._transport is not None
        if key == ApiKey.PRODUCE:
            assert _OLDEST_PRODUCE <= version <= _NEWEST_PRODUCE, version
            reply = self._acknowledge(cursor, correlation)
            cursor.skip(size - cursor.passed)
            if self.silent and reply:
                self._unsaid.append(reply)
                reply = b""
        else:
            cursor = _Cursor(chunks)
            cursor.skip(4)
            header, request = decode_request(cursor.read(size - 4))
            parts = encode_response(
                self._sound.respond(request), header.api_version, header.correlation_id
            )
            reply = b"".join(parts)
        self._chunks = cursor.rest()
        self._held -= size
        if reply:
            self._transport.deliver(reply)

    def _acknowledge(self, cursor: _Cursor, correlation: int) -> bytes:
        """The answer; nothing with acks=0."""
        cursor.skip(max(0, int.from_bytes(cursor.read(2), "big", signed=True)))
        cursor.number()
        cursor.skip(max(0, cursor.number() - 1))
        acks, _ = struct.unpack(">hi", cursor.read(6))
        topics = cursor.number()
        answer = bytearray(struct.pack(">ib", correlation, 0))
        answer += _number(topics)
        for _ in range(topics - 1):
            length = cursor.number()
            answer += _number(length) + cursor.read(length - 1)
            partitions = cursor.number()
            answer += _number(partitions)
            for _ in range(partitions - 1):
                (index,) = struct.unpack(">i", cursor.read(4))
                size = cursor.number() - 1
                # Behind the header of the batch its body is an object of its own, or it is not.
                if not cursor.at_start(_BATCH_HEADER, size):
                    self.joined += size
                cursor.skip(size)
                cursor.number()
                answer += _PARTITION.pack(index, 0, self._offset, -1, 0, 1, 0, 0)
                self._offset += _OFFSETS
                self.batches += 1
                self.record_bytes += size
            cursor.number()
            answer += b"\0"
        answer += bytes(5)
        self.requests += 1
        return len(answer).to_bytes(4, "big") + answer if acks else b""


class _Cursor:
    """Reads on over the ends of buffers."""

    def __init__(self, chunks: list[Any]) -> None:
        self._chunks = chunks
        self._at = 0
        self._in = 0
        self.passed = 0

    def read(self, count: int) -> bytes:
        """The next bytes."""
        found = b""
        while len(found) < count:
            chunk = self._chunks[self._at]
            piece = bytes(chunk[self._in : self._in + count - len(found)])
            found = found + piece if found else piece
            self.skip(len(piece))
        return found

    def skip(self, count: int) -> None:
        self.passed += count
        while count:
            left = len(self._chunks[self._at]) - self._in
            if count < left:
                self._in += count
                return
            count -= left
            self._at += 1
            self._in = 0

    def at_start(self, ahead: int, size: int) -> bool:
        """True if ``ahead`` bytes from here an object begins that ends with the ``size`` bytes."""
        left = len(self._chunks[self._at]) - self._in
        if left != ahead or self._at + 1 == len(self._chunks):
            return False
        return len(self._chunks[self._at + 1]) == size - ahead

    def number(self) -> int:
        """An unsigned varint."""
        found = shift = 0
        while True:
            byte = self.read(1)[0]
            found |= (byte & 0x7F) << shift
            if byte < 0x80:
                return found
            shift += 7

    def rest(self) -> list[Any]:
        """What comes behind."""
        left = self._chunks[self._at :]
        if self._in:
            left[0] = memoryview(left[0])[self._in :]
        return left


def _number(value: int) -> bytes:
    encoded = bytearray()
    while value > 0x7F:
        encoded.append(value & 0x7F | 0x80)
        value >>= 7
    encoded.append(value)
    return bytes(encoded)
