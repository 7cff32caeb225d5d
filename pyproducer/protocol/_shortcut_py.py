"""The straight path of Produce in Python: see ``produce_shortcut.py``, and its twin in Cython."""

from __future__ import annotations

import struct
from functools import lru_cache
from typing import Final

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

__all__ = ["between", "encode_one_batch", "read_one_answer", "request_of_one"]

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

#: Bytes of an answer without the topic's name.
_ANSWER: Final = 47
#: Longer names have a longer length.
_LONGEST_NAME: Final = 126
#: No errors of records, no message, no tagged fields of the partition, nor of the topic.
_NOTHING: Final = b"\1\0\0\0"
#: How an answer looks whose topic has a name of so many bytes.
_LAYOUTS: Final = tuple(
    struct.Struct(f">i3s{length}scihqqq4siB") for length in range(_LONGEST_NAME + 1)
)
#: And how it begins: no tagged fields of the header, one topic, and the length of its name.
_BEGINNINGS: Final = tuple(
    b"\0" + _ONE + bytes([length + 1]) for length in range(_LONGEST_NAME + 1)
)

_new = object.__new__


def request_of_one(
    transactional_id: str | None,
    acks: int,
    timeout_ms: int,
    topic: str,
    index: int,
    records: list[Buffer],
) -> ProduceRequest:
    """A request with the batch of one partition."""
    part = _new(PartitionProduceData)
    part.index = index
    part.records = records
    data = _new(TopicProduceData)
    data.name = topic
    data.topic_id = ZERO_UUID
    data.partition_data = [part]
    request = _new(ProduceRequest)
    request.transactional_id = transactional_id
    request.acks = acks
    request.timeout_ms = timeout_ms
    request.topic_data = [data]
    return request


@lru_cache(maxsize=1024)
def between(
    client_id: str, transactional_id: str | None, acks: int, timeout_ms: int, topic: str
) -> bytes | None:
    """What stands between correlation id and partition, which is always the same."""
    try:
        client, name = client_id.encode(), topic.encode()
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
                _ONE,
                pack_uvarint(len(name) + 1),
                name,
                _ONE,
            ]
        )
    except (AttributeError, ValueError, struct.error):
        return None


def encode_one_batch(
    request: ProduceRequest, version: int, correlation_id: int, client_id: str
) -> list[Buffer] | None:
    """The frame of a request with one batch, which is a header and a body; None for others."""
    topics = request.topic_data
    if version not in _VERSIONS or not topics or len(topics) != 1:
        return None
    parts = topics[0].partition_data
    if not parts or len(parts) != 1:
        return None
    records = parts[0].records
    if type(records) is not list or len(records) != 2:
        return None
    header, body = records
    if type(header) is not bytes or type(body) is memoryview or not header or not body:
        # A view has as many items as it likes for its bytes, and empty buffers are not passed on.
        return None
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


def read_one_answer(frame: memoryview, version: int) -> tuple[int, ProduceResponse] | None:
    """The correlation id of a plain answer about one partition, and the answer; None for others."""
    length = len(frame) - _ANSWER
    if not 0 <= length <= _LONGEST_NAME or version not in _VERSIONS:
        return None
    part = _new(PartitionProduceResponse)
    (
        correlation_id,
        begins,
        name,
        partitions,
        part.index,
        part.error_code,
        part.base_offset,
        part.log_append_time_ms,
        part.log_start_offset,
        nothing,
        throttle_time_ms,
        tags,
    ) = _LAYOUTS[length].unpack(frame)
    if begins != _BEGINNINGS[length] or partitions != _ONE or nothing != _NOTHING or tags:
        return None
    topic = _new(TopicProduceResponse)
    try:
        topic.name = name.decode()
    except UnicodeDecodeError:
        return None
    part.record_errors = []
    part.error_message = part.current_leader = None
    topic.topic_id = ZERO_UUID
    topic.partition_responses = [part]
    response = _new(ProduceResponse)
    response.responses = [topic]
    response.throttle_time_ms = throttle_time_ms
    response.node_endpoints = []
    return correlation_id, response
