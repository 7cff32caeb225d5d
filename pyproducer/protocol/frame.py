# cython: annotation_typing=False, nonecheck=True, binding=False, freethreading_compatible=True
"""Frames and headers: what stands around a message on the wire.

A frame is a 4-byte size and that many bytes. A request header is v1 (key, version, correlation
id, client id) or, for flexible versions, v2 (the same and tagged fields); a response header is v0
(correlation id) or v1 (the same and tagged fields). The response to ApiVersions always has v0,
since whoever asks cannot know yet what the other side understands (KIP-511).
"""

from __future__ import annotations

import struct
from collections import deque
from collections.abc import Iterator
from typing import NamedTuple

from pyproducer.errors import ProtocolError, UnsupportedVersion
from pyproducer.model import Buffer
from pyproducer.protocol.api import API, ApiKey
from pyproducer.protocol.frame_pool import LARGE, FramePool
from pyproducer.protocol.primitives import Malformed, skip_tags
from pyproducer.protocol.schema import Message

__all__ = [
    "DEFAULT_MAX_FRAME",
    "FrameReader",
    "RequestHeader",
    "TlsSpoken",
    "UnknownApi",
    "UnsupportedRequest",
    "decode_request",
    "decode_request_header",
    "decode_response_header",
    "encode_request",
    "encode_response",
]

#: Bytes; the default of Kafka's socket.request.max.bytes.
DEFAULT_MAX_FRAME = 100 * 1024 * 1024

_SIZE = struct.Struct(">i")
_REQUEST_START = struct.Struct(">ihhih")
_REQUEST_HEADER = struct.Struct(">hhih")
_RESPONSE_START = struct.Struct(">ii")

_NO_ROOM = memoryview(b"")

#: The first byte of an alert of TLS, and of a handshake.
_TLS_RECORDS = frozenset({0x15, 0x16})


class RequestHeader(NamedTuple):
    """What a request says before its body.

    Attributes:
        api_key: which API, known to us or not.
        api_version: in which version, known to us or not.
        correlation_id: to be repeated in the response.
        client_id: what the client calls itself; "" for null.
        body: the rest of the frame.
    """

    api_key: int
    api_version: int
    correlation_id: int
    client_id: str
    body: memoryview


class _RequestError:
    """The identity of the request that an error is about."""

    api_key: int
    api_version: int
    correlation_id: int

    def identify(self, header: RequestHeader) -> None:
        self.api_key = header.api_key
        self.api_version = header.api_version
        self.correlation_id = header.correlation_id


class UnknownApi(_RequestError, ProtocolError):
    """A request has an API key that we do not know.

    Attributes:
        api_key: the key.
        api_version: its version, which means nothing to us.
        correlation_id: the request's.
    """

    def __init__(self, message: str, *, header: RequestHeader) -> None:
        super().__init__(message)
        self.identify(header)


class UnsupportedRequest(_RequestError, UnsupportedVersion):
    """A request has a version that we do not know, of an API that we do.

    Attributes:
        api_key: the API.
        api_version: the version.
        correlation_id: the request's; an ApiVersions request is to be answered even so.
    """

    def __init__(self, message: str, *, header: RequestHeader) -> None:
        super().__init__(message)
        self.identify(header)


class TlsSpoken(ProtocolError):
    """The peer's first bytes are a record of TLS."""


def encode_request(
    message: Message, version: int, correlation_id: int, client_id: str | None
) -> list[Buffer]:
    """The whole frame of a request, as buffers to be written one behind the other.

    Raises:
        UnsupportedVersion: the message has no such version.
        ValueError: a value does not fit its field.
    """
    name = b"" if client_id is None else client_id.encode()
    length = -1 if client_id is None else len(name)
    head = bytearray(_REQUEST_START.pack(0, message.api_key, version, correlation_id, length))
    head += name
    if version >= message.flexible_since:
        head.append(0)
    return _complete(head, message, version)


def encode_response(message: Message, version: int, correlation_id: int) -> list[Buffer]:
    """The whole frame of a response, as buffers to be written one behind the other.

    Raises:
        UnsupportedVersion: the message has no such version.
        ValueError: a value does not fit its field.
    """
    head = bytearray(_RESPONSE_START.pack(0, correlation_id))
    if version >= message.flexible_since and message.api_key != ApiKey.API_VERSIONS:
        head.append(0)
    return _complete(head, message, version)


def _complete(head: bytearray, message: Message, version: int) -> list[Buffer]:
    buffers: list[Buffer] = []
    message.encode_into(head, buffers, version)
    size = -_SIZE.size
    for part in buffers:
        size += part.nbytes if isinstance(part, memoryview) else len(part)
    if size > 0x7FFFFFFF:
        raise ValueError(f"{type(message).__name__} has {size} bytes, beyond what a frame holds")
    _SIZE.pack_into(head, 0, size)
    return buffers


def decode_request_header(frame: Buffer) -> RequestHeader:
    """The header of a request; for a key or version unknown to us, ``body`` may hold tags too.

    Raises:
        ProtocolError: the frame is no request.
    """
    view = memoryview(frame)
    try:
        key, version, correlation_id, length = _REQUEST_HEADER.unpack_from(view)
        end = _REQUEST_HEADER.size + max(length, 0)
        if length < -1 or end > len(view):
            raise Malformed(f"there is no room for a client id of {length} bytes")
        client_id = str(view[_REQUEST_HEADER.size : end], "utf-8")
        api = API.get(key)
        if api is not None and api.flexible_since <= version <= api.max_version:
            end = skip_tags(view, end + 1, len(view), view[end])
    except (IndexError, ValueError, struct.error) as error:
        raise ProtocolError(
            f"{len(view)} bytes starting {bytes(view[:16])!r} have no request header: "
            f"{_reason(error)}"
        ) from error
    return RequestHeader(key, version, correlation_id, client_id, view[end:])


def decode_request(frame: Buffer) -> tuple[RequestHeader, Message]:
    """The header and the message of a request, as a broker reads it.

    Bytes behind the message's last field are ignored, as Kafka's brokers do.

    Raises:
        UnknownApi: we do not know the API.
        UnsupportedRequest: we know the API, not the version. Kafka answers an ApiVersions
            request even then (version 0, error 35) and closes the connection on any other.
        ProtocolError: the bytes are no request of that API and version.
    """
    header = decode_request_header(frame)
    api = API.get(header.api_key)
    if api is None:
        raise UnknownApi(f"API key {header.api_key} is unknown", header=header)
    if not api.min_version <= header.api_version <= api.max_version:
        raise UnsupportedRequest(
            f"{api.name} version {header.api_version} is not among "
            f"{api.min_version} to {api.max_version}",
            header=header,
        )
    return header, api.request.decode(header.body, header.api_version, whole=False)


def decode_response_header(frame: Buffer, api_key: int, version: int) -> tuple[int, memoryview]:
    """The correlation id of a response and its body.

    Args:
        frame: what came.
        api_key: the API of the request that it should answer.
        version: the version of that request.

    Raises:
        ProtocolError: the frame is too short or its tagged fields are broken.
    """
    view = memoryview(frame)
    try:
        (correlation_id,) = _SIZE.unpack_from(view)
        end = _SIZE.size
        if api_key != ApiKey.API_VERSIONS and version >= API[api_key].flexible_since:
            first, end = view[end], end + 1
            if first:
                end = skip_tags(view, end, len(view), first)
    except (IndexError, ValueError, struct.error) as error:
        raise ProtocolError(
            f"{len(view)} bytes starting {bytes(view[:16])!r} have no response header: "
            f"{_reason(error)}"
        ) from error
    return correlation_id, view[end:]


def _reason(error: Exception) -> str:
    """What is wrong with a header, in terms of the frame."""
    if isinstance(error, (IndexError, struct.error)):
        return "the frame is too short"
    return str(error)


class FrameReader:
    """Cuts a stream of bytes into frames.

    Bytes come in by :meth:`feed`, or without a copy by :meth:`get_buffer` and
    :meth:`buffer_updated`, in the manner of ``asyncio.BufferedProtocol``. A frame owns its
    memory: its view stays valid, costs no more than the frame however long it is kept, and may be
    written to by whoever takes it.
    A frame's memory grows with the bytes received, at most to twice as many, and never with the
    size that the peer announced.

    Args:
        max_size: bytes; a larger announcement is a ProtocolError.
        pool: where large frames find memory that is there already, which may be longer than
            they are, and small ones the memory that they arrive in. Whoever takes the frames gives
            them back to it.

    Attributes:
        max_size: as given.
    """

    # The stage is where small frames and sizes arrive; a larger frame's rest goes straight into its
    # own memory.

    def __init__(self, max_size: int = DEFAULT_MAX_FRAME, *, pool: FramePool | None = None) -> None:
        self.max_size = max_size
        self._pool = pool
        self._frames: deque[memoryview] = deque()
        self._stage: bytearray | None = None
        self._room = _NO_ROOM
        self._staged = 0
        self._body: bytearray | None = None
        self._filled = 0
        self._size = 0
        self._lent = 0
        self._error: ProtocolError | None = None

    def get_buffer(self, hint: int = -1) -> memoryview:
        """Room for the next bytes from the peer, never empty; valid until buffer_updated."""
        if self._body is not None:
            if self._filled == len(self._body):
                grown = self._memory(2 * self._filled)
                grown[: self._filled] = self._body
                self._body = grown
            return memoryview(self._body)[self._filled : self._size]
        if self._stage is None:
            self._stage = bytearray(LARGE) if self._pool is None else self._pool.take_stage()
            self._room = memoryview(self._stage)
        return self._room[self._staged :] if self._staged else self._room

    def buffer_updated(self, count: int) -> None:
        """Takes note that ``count`` bytes were put into the room from :meth:`get_buffer`.

        Raises:
            ProtocolError: the stream is no sequence of frames. Frames before that stay
                available; the bytes behind it are ignored, and every further call raises.
        """
        if self._error is not None:
            raise self._error
        if self._body is not None:
            self._filled += count
            if self._filled == self._size:
                self._frames.append(memoryview(self._body)[: self._size])
                self._body = None
                self._settle()
            return
        if self._stage is not None:
            self._staged += count
            self._cut(self._stage)
            if self._pool is not None and not self._staged:
                # A connection at rest holds none, and there may be thousands.
                self._pool.give_stage(self._stage)
                self._stage = None
                self._room = _NO_ROOM

    def drop(self) -> None:
        """No more will come: the memory of what is not complete is the pool's again."""
        body, self._body = self._body, None
        self._settle()
        if self._pool is not None:
            if body is not None:
                self._pool.give(memoryview(body))
            if self._stage is not None:
                self._room = _NO_ROOM
                self._pool.give_stage(self._stage)
                self._stage = None
                self._staged = 0

    def feed(self, data: Buffer) -> None:
        """Takes bytes from the peer, copying them.

        Raises:
            ProtocolError: as :meth:`buffer_updated` does.
        """
        view = memoryview(data)
        while view:
            room = self.get_buffer(len(view))
            count = min(len(room), len(view))
            room[:count] = view[:count]
            self.buffer_updated(count)
            view = view[count:]

    def frames(self) -> Iterator[memoryview]:
        """The complete frames, without their size, oldest first; each is given once."""
        while (frame := self.next_frame()) is not None:
            yield frame

    def next_frame(self) -> memoryview | None:
        """The oldest complete frame, without its size; None where there is none left."""
        return self._frames.popleft() if self._frames else None

    @property
    def partial(self) -> bool:
        """True if a part of a frame has come and the rest has not."""
        return self._body is not None or self._staged > 0

    def _cut(self, stage: bytearray) -> None:
        """Moves what is in the stage into frames."""
        staged = self._staged
        if staged >= _SIZE.size:
            (size,) = _SIZE.unpack_from(stage)
            if size == staged - _SIZE.size and size <= self.max_size:
                # One frame and nothing else, as whoever waits for each answer gets them.
                self._frames.append(memoryview(stage[_SIZE.size : staged]))
                self._staged = 0
                return
        position = 0
        with memoryview(stage) as view:
            while staged - position >= _SIZE.size:
                (size,) = _SIZE.unpack_from(stage, position)
                if not 0 <= size <= self.max_size:
                    self._error = self._refuse(size, bytes(view[position:staged]))
                    raise self._error
                start = position + _SIZE.size
                position = start + size
                if position <= staged:
                    self._frames.append(memoryview(bytearray(view[start:position])))
                    continue
                if position > len(stage):
                    # It will not fit into the stage, so the rest is received in place.
                    received = staged - start
                    self._filled, self._size = received, size
                    self._body = self._memory(max(2 * received, LARGE))
                    self._body[:received] = view[start:staged]
                    position = staged
                else:
                    position = start - _SIZE.size
                break
            self._staged = staged - position
            if position and self._staged:
                stage[: self._staged] = bytes(view[position:staged])

    def _memory(self, size: int) -> bytearray:
        """Memory for the frame under way: all it needs if that is at hand, else ``size`` bytes."""
        kept = self._pool.take(self._size) if self._pool is not None else None
        if kept is None:
            return bytearray(min(self._size, size))
        self._lent = len(kept)
        return kept

    def _settle(self) -> None:
        if self._lent and self._pool is not None:
            self._pool.settle(self._lent)
            self._lent = 0

    def _refuse(self, size: int, data: bytes) -> ProtocolError:
        problem = "negative" if size < 0 else f"beyond the limit of {self.max_size} bytes"
        kind = TlsSpoken if data[0] in _TLS_RECORDS and data[1] == 3 else ProtocolError
        return kind(f"the peer sent a frame size of {size}, {problem}; {_guess(data)}")


def _guess(data: bytes) -> str:
    """What kind of peer starts a frame with ``data``."""
    if data[:4] in {b"HTTP", b"GET ", b"POST", b"HEAD", b"PUT "}:
        return f"it speaks HTTP, not Kafka: {data[:32]!r}"
    if data[0] in _TLS_RECORDS and data[1] == 3:
        return "it speaks TLS where plain Kafka was expected"
    if data[:4].isascii() and data[:4].decode().isprintable():
        return f"it does not speak Kafka: {data[:32]!r}"
    return f"the bytes are {data[:16].hex(' ')}"
