"""The straight path of Produce in Python: see ``produce_shortcut.py``, and its twin in Cython."""

from __future__ import annotations

import struct
from functools import lru_cache
from typing import Any, Final

from pyproducer.model import Buffer
from pyproducer.protocol.messages.produce import (
    PartitionProduceData,
    PartitionProduceResponse,
    ProduceRequest,
    ProduceResponse,
    TopicProduceData,
    TopicProduceResponse,
)
from pyproducer.protocol.primitives import MAX_STRING, ZERO_UUID, pack_uvarint

__all__ = ["between", "encode_batches", "read_answers", "request_of"]

#: Compact lengths came with the first, topic ids instead of names after the last.
_VERSIONS: Final = frozenset(range(ProduceRequest.flexible_since, 13))

#: Size, API key, version and correlation id.
_START: Final = struct.Struct(">ihhi")
_INDEX: Final = struct.Struct(">i")
_ACKS: Final = struct.Struct(">hi")
_CLIENT: Final = struct.Struct(">h")
#: No tagged fields of the partition, of the topic, of the request.
_END: Final = bytes(3)
_SIZE: Final = 4
#: A count of one: 0 is for null, 1 for none.
_ONE: Final = b"\2"
#: Beyond this many bytes the general way says what is wrong.
_MOST: Final = 0x7FFF0000

#: API key, version and correlation id.
_REST: Final = struct.Struct(">hhi")
#: From so many bytes on a copy of records costs more than a buffer of their own.
_LARGE: Final = 16 * 1024
#: Partitions in a request; for more the general way is as good.
_MANY: Final = 100_000

#: A partition of which nothing but where its batch is can be told.
_PART: Final = struct.Struct(">ihqqq3s")
_NO_MORE: Final = b"\1\0\0"
#: Throttling, and no tagged fields.
_TAIL: Final = struct.Struct(">iB")
#: Bytes of a compact length that are read here.
_LENGTH: Final = 3

_new = object.__new__


def request_of(
    transactional_id: str | None,
    acks: int,
    timeout_ms: int,
    batches: list[tuple[str, int, list[Buffer]]],
) -> ProduceRequest:
    """A request with the batches of several partitions, each a topic, a partition and records."""
    topics: dict[str, TopicProduceData] = {}
    for topic, index, records in batches:
        part = _new(PartitionProduceData)
        part.index = index
        part.records = records
        data = topics.get(topic)
        if data is None:
            data = topics[topic] = _new(TopicProduceData)
            data.name = topic
            data.topic_id = ZERO_UUID
            data.partition_data = []
        data.partition_data.append(part)
    request = _new(ProduceRequest)
    request.transactional_id = transactional_id
    request.acks = acks
    request.timeout_ms = timeout_ms
    request.topic_data = list(topics.values())
    return request


@lru_cache(maxsize=1024)
def between(
    client_id: str, transactional_id: str | None, acks: int, timeout_ms: int, topic: str | None
) -> bytes | None:
    """What stands between correlation id and the only partition, or with None the topics.

    That is always the same. None where the general way has to say what is wrong with it.
    """
    try:
        client, name = client_id.encode(), (topic or "").encode()
        identity = None if transactional_id is None else transactional_id.encode()
        if max(len(client), len(name), len(identity or b"")) > MAX_STRING:
            return None
        return b"".join(
            [
                _CLIENT.pack(len(client)),
                client,
                b"\0",
                b"\0" if identity is None else pack_uvarint(len(identity) + 1) + identity,
                _ACKS.pack(acks, timeout_ms),
                b"" if topic is None else _ONE + pack_uvarint(len(name) + 1) + name + _ONE,
            ]
        )
    except (AttributeError, ValueError, struct.error):
        return None


def encode_batches(
    request: ProduceRequest, version: int, correlation_id: int, client_id: str
) -> list[Buffer] | None:
    """The frame of a request whose batches are each a header and a body; None for others."""
    topics = request.topic_data
    if version not in _VERSIONS or type(topics) is not list or not topics:
        return None
    parts = topics[0].partition_data
    if type(parts) is not list or not parts:
        return None
    if len(topics) != 1 or len(parts) != 1:
        return _encode_many(request, version, correlation_id, client_id)
    usual = _usual(parts[0].records)
    if usual is None:
        return None
    header, body = usual
    start = between(
        client_id, request.transactional_id, request.acks, request.timeout_ms, topics[0].name
    )
    size = len(header) + len(body)
    if start is None or size > _MOST:
        return None
    try:
        index = _INDEX.pack(parts[0].index)
    except struct.error:
        return None
    length = pack_uvarint(size + 1)
    total = _START.size - _SIZE + len(start) + _INDEX.size + len(length) + size + len(_END)
    head = _START.pack(total, request.api_key, version, correlation_id) + start
    return [head + index + length, header, body, _END]


def _usual(records: Any) -> tuple[bytes, Buffer] | None:
    """The records of a partition if they are a header and a body."""
    if type(records) is not list or len(records) != 2:
        return None
    header, body = records
    if type(header) is not bytes or type(body) is memoryview or not header or not body:
        # A view has as many items as it likes for its bytes, and empty buffers are not passed on.
        return None
    return header, body


def _encode_many(
    request: ProduceRequest, version: int, correlation_id: int, client_id: str
) -> list[Buffer] | None:
    """See ``encode_batches``. Small records are copied in between what stands around them."""
    start = between(client_id, request.transactional_id, request.acks, request.timeout_ms, None)
    topics = request.topic_data
    if start is None or sum(map(len, (topic.partition_data or () for topic in topics))) > _MANY:
        return None
    # What is to be written next, behind the size.
    run: list[Buffer] = [_REST.pack(request.api_key, version, correlation_id), start]
    run.append(pack_uvarint(len(topics) + 1))
    frame: list[Buffer] = []
    for topic in topics:
        parts = topic.partition_data
        if type(topic.name) is not str or type(parts) is not list:
            return None
        try:
            name = topic.name.encode()
        except UnicodeEncodeError:
            return None
        if len(name) > MAX_STRING:
            return None
        run += (pack_uvarint(len(name) + 1), name, pack_uvarint(len(parts) + 1))
        for part in parts:
            usual = _usual(part.records)
            if usual is None or len(usual[1]) > _MOST:
                return None
            header, body = usual
            try:
                index = _INDEX.pack(part.index)
            except struct.error:
                return None
            run += (index, pack_uvarint(len(header) + len(body) + 1), header)
            if len(body) < _LARGE:
                run.append(body)
            else:
                frame += (b"".join(run), body)
                run = []
            run.append(b"\0")
        run.append(b"\0")
    run.append(b"\0")
    frame.append(b"".join(run))
    total = sum(map(len, frame))
    if total > _MOST:
        return None
    frame[0] = _INDEX.pack(total) + frame[0]
    return frame


def read_answers(frame: memoryview, version: int) -> tuple[int, ProduceResponse] | None:
    """The correlation id of an answer that tells nothing but offsets, and the answer; else None."""
    end = len(frame)
    if version not in _VERSIONS or end < _SIZE + 1 or frame[_SIZE]:
        return None
    topics, at = _count(frame, _SIZE + 1)
    responses = []
    for _ in range(topics):
        length, at = _count(frame, at)
        if not 0 <= length <= min(end - at, MAX_STRING):
            return None
        topic = _new(TopicProduceResponse)
        try:
            topic.name = str(frame[at : at + length], "utf-8")
        except UnicodeDecodeError:
            return None
        count, at = _count(frame, at + length)
        if not 0 <= count * _PART.size <= end - at:
            return None
        parts = []
        for _ in range(count):
            part = _new(PartitionProduceResponse)
            (
                part.index,
                part.error_code,
                part.base_offset,
                part.log_append_time_ms,
                part.log_start_offset,
                nothing,
            ) = _PART.unpack_from(frame, at)
            if nothing != _NO_MORE:
                return None
            part.record_errors = []
            part.error_message = part.current_leader = None
            parts.append(part)
            at += _PART.size
        if at == end or frame[at]:
            return None
        at += 1
        topic.topic_id = ZERO_UUID
        topic.partition_responses = parts
        responses.append(topic)
    if topics < 0 or end - at != _TAIL.size:
        return None
    throttle_time_ms, tags = _TAIL.unpack_from(frame, at)
    if tags:
        return None
    response = _new(ProduceResponse)
    response.responses = responses
    response.throttle_time_ms = throttle_time_ms
    response.node_endpoints = []
    return _INDEX.unpack_from(frame)[0], response


def _count(frame: memoryview, at: int) -> tuple[int, int]:
    """A compact length, of no more than three bytes, and where it ends; -1 for others."""
    number = 0
    for place in range(_LENGTH):
        if at == len(frame):
            break
        byte = frame[at]
        at += 1
        number |= (byte & 0x7F) << 7 * place
        if byte < 0x80:
            return number - 1, at
    return -1, at
