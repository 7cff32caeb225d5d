# cython: language_level=3, boundscheck=False, wraparound=False, binding=False
# cython: freethreading_compatible=True
"""The straight path of Produce in Cython: see ``produce_shortcut.py``, and its twin in Python."""

from cpython.buffer cimport PyBUF_SIMPLE, PyBuffer_Release, PyObject_GetBuffer
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from cpython.unicode cimport PyUnicode_DecodeUTF8
from libc.stdint cimport int16_t, int32_t, int64_t, uint8_t, uint16_t, uint32_t, uint64_t
from libc.string cimport memcmp, memcpy

from pyproducer.protocol._shortcut_py import between
from pyproducer.protocol.messages.produce import (
    PartitionProduceData,
    PartitionProduceResponse,
    ProduceRequest,
    ProduceResponse,
    TopicProduceData,
    TopicProduceResponse,
)
from pyproducer.protocol.primitives import ZERO_UUID

cdef object _new = object.__new__
cdef object _no_topic = ZERO_UUID
cdef object _kind = ProduceRequest
cdef int _api_key = ProduceRequest.api_key
cdef int _first = ProduceRequest.flexible_since
#: No tagged fields of the partition, of the topic, of the request.
cdef bytes _end = bytes(3)

cdef enum:
    # Version 13 names topics by id.
    _LAST = 12
    # Beyond this many bytes the general way says what is wrong.
    _MOST = 0x7FFF0000
    # Bytes of an answer without the topic's name, and the longest name whose length is one byte.
    _ANSWER = 47
    _LONGEST_NAME = 126


cdef inline void _put16(uint8_t *at, uint16_t number) noexcept:
    at[0] = number >> 8
    at[1] = number & 0xFF


cdef inline void _put32(uint8_t *at, uint32_t number) noexcept:
    _put16(at, number >> 16)
    _put16(at + 2, number & 0xFFFF)


cdef inline uint32_t _get32(const uint8_t *at) noexcept:
    return (<uint32_t>at[0] << 24) | (<uint32_t>at[1] << 16) | (<uint32_t>at[2] << 8) | at[3]


cdef inline int64_t _get64(const uint8_t *at) noexcept:
    return <int64_t>((<uint64_t>_get32(at) << 32) | _get32(at + 4))


def request_of_one(transactional_id, acks, timeout_ms, topic, index, list records):
    """A request with the batch of one partition."""
    part = _new(PartitionProduceData)
    part.index = index
    part.records = records
    data = _new(TopicProduceData)
    data.name = topic
    data.topic_id = _no_topic
    data.partition_data = [part]
    request = _new(_kind)
    request.transactional_id = transactional_id
    request.acks = acks
    request.timeout_ms = timeout_ms
    request.topic_data = [data]
    return request


def encode_one_batch(request, int version, int32_t correlation_id, str client_id):
    """The frame of a request with one batch, which is a header and a body; None for others."""
    cdef list records
    cdef bytes start
    cdef int32_t index
    cdef Py_ssize_t size, fixed, total
    cdef uint32_t length
    cdef uint8_t *at
    topics = request.topic_data
    if not _first <= version <= _LAST or not topics or len(topics) != 1:
        return None
    topic = topics[0]
    parts = topic.partition_data
    if not parts or len(parts) != 1:
        return None
    part = parts[0]
    found = part.records
    if type(found) is not list or len(<list>found) != 2:
        return None
    records = <list>found
    header, body = records[0], records[1]
    if type(header) is not bytes or type(body) is memoryview:
        # A view has as many items as it likes for its bytes.
        return None
    size = len(body)
    if not size or not PyBytes_GET_SIZE(header):
        # Empty buffers are not passed on.
        return None
    size += PyBytes_GET_SIZE(header)
    start = between(
        client_id, request.transactional_id, request.acks, request.timeout_ms, topic.name
    )
    if start is None or size > _MOST:
        return None
    try:
        index = part.index
    except (OverflowError, TypeError):
        return None
    fixed = PyBytes_GET_SIZE(start)
    length = <uint32_t>(size + 1)
    total = 12 + fixed + 4 + (1 if length < 0x80 else 2 if length < 0x4000 else 3 if length
                              < 0x200000 else 4 if length < 0x10000000 else 5)
    head = PyBytes_FromStringAndSize(NULL, total)
    at = <uint8_t *>PyBytes_AS_STRING(head)
    # The size counts what stands behind it: this head, the records, and the end.
    _put32(at, <uint32_t>(total - 4 + size + 3))
    _put16(at + 4, <uint16_t>_api_key)
    _put16(at + 6, <uint16_t>version)
    _put32(at + 8, <uint32_t>correlation_id)
    memcpy(at + 12, PyBytes_AS_STRING(start), fixed)
    at += 12 + fixed
    _put32(at, <uint32_t>index)
    at += 4
    while length >= 0x80:
        at[0] = length & 0x7F | 0x80
        length >>= 7
        at += 1
    at[0] = length
    return [head, header, body, _end]


def read_one_answer(frame, int version):
    """The correlation id of a plain answer about one partition, and the answer; None for others."""
    cdef Py_buffer view
    if not _first <= version <= _LAST:
        return None
    PyObject_GetBuffer(frame, &view, PyBUF_SIMPLE)
    try:
        return _read(<const uint8_t *>view.buf, view.len)
    finally:
        PyBuffer_Release(&view)


cdef tuple _read(const uint8_t *at, Py_ssize_t size):
    """See ``read_one_answer``.

    Correlation id, no tags, one topic, its name, one partition: index, code, offset, time, first
    offset of the log; no errors of records, no message, no tags of partition and topic; throttling
    and no tags.
    """
    cdef Py_ssize_t length = size - _ANSWER
    cdef const uint8_t *rest
    if not 0 <= length <= _LONGEST_NAME:
        return None
    rest = at + 7 + length
    if at[4] or at[5] != 2 or at[6] != length + 1 or rest[0] != 2:
        return None
    if memcmp(rest + 31, b"\1\0\0\0", 4) or rest[39]:
        return None
    topic = _new(TopicProduceResponse)
    try:
        topic.name = PyUnicode_DecodeUTF8(<const char *>at + 7, length, NULL)
    except UnicodeDecodeError:
        return None
    part = _new(PartitionProduceResponse)
    part.index = <int32_t>_get32(rest + 1)
    part.error_code = <int16_t>((<uint16_t>rest[5] << 8) | rest[6])
    part.base_offset = _get64(rest + 7)
    part.log_append_time_ms = _get64(rest + 15)
    part.log_start_offset = _get64(rest + 23)
    part.record_errors = []
    part.error_message = None
    part.current_leader = None
    topic.topic_id = _no_topic
    topic.partition_responses = [part]
    response = _new(ProduceResponse)
    response.responses = [topic]
    response.throttle_time_ms = <int32_t>_get32(rest + 35)
    response.node_endpoints = []
    return <int32_t>_get32(at), response
