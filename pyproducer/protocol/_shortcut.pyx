# cython: language_level=3, boundscheck=False, wraparound=False, binding=False
# cython: freethreading_compatible=True
"""The straight path of Produce in Cython: see ``produce_shortcut.py``, and its twin in Python."""

from cpython.buffer cimport PyBUF_SIMPLE, PyBuffer_Release, PyObject_GetBuffer
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from cpython.mem cimport PyMem_Free, PyMem_Malloc
from cpython.unicode cimport PyUnicode_DecodeUTF8
from libc.stdint cimport int16_t, int32_t, int64_t, uint8_t, uint16_t, uint32_t, uint64_t
from libc.string cimport memcpy

from pyproducer.protocol._shortcut_py import between
from pyproducer.protocol.messages.produce import (
    PartitionProduceData,
    PartitionProduceResponse,
    ProduceRequest,
    ProduceResponse,
    TopicProduceData,
    TopicProduceResponse,
)
from pyproducer.protocol.primitives import MAX_STRING, ZERO_UUID

cdef object _new = object.__new__
cdef object _no_topic = ZERO_UUID
cdef object _kind = ProduceRequest
cdef int _api_key = ProduceRequest.api_key
cdef int _first = ProduceRequest.flexible_since
#: No tagged fields of the partition, of the topic, of the request.
cdef bytes _end = bytes(3)
cdef Py_ssize_t _longest = MAX_STRING

cdef enum:
    # Version 13 names topics by id.
    _LAST = 12
    # Beyond this many bytes the general way says what is wrong.
    _MOST = 0x7FFF0000
    # Bytes of a partition in an answer, of which nothing but where its batch is can be told.
    _PART = 33
    # From so many on, records are passed on uncopied: see _shortcut_py.py.
    _LARGE = 16384
    # Partitions in a request. No more are expected, and this many lengths fit in memory.
    _MANY = 100000


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


cdef inline int _width(uint32_t length) noexcept:
    """Bytes of a compact length."""
    return (1 if length < 0x80 else 2 if length < 0x4000 else 3 if length < 0x200000
            else 4 if length < 0x10000000 else 5)


cdef inline uint8_t *_put_length(uint8_t *at, uint32_t length) noexcept:
    """Write a compact length; where it ends is returned."""
    while length >= 0x80:
        at[0] = length & 0x7F | 0x80
        length >>= 7
        at += 1
    at[0] = length
    return at + 1


cdef inline Py_ssize_t _get_count(const uint8_t **at, const uint8_t *end) noexcept:
    """Read a compact length that is not null and of no more than three bytes; -1 for others."""
    cdef Py_ssize_t number = 0
    cdef int shift = 0
    cdef uint8_t byte
    while at[0] < end and shift < 21:
        byte = at[0][0]
        at[0] += 1
        number |= <Py_ssize_t>(byte & 0x7F) << shift
        if byte < 0x80:
            return number - 1
        shift += 7
    return -1


def request_of(transactional_id, acks, timeout_ms, list batches):
    """A request with the batches of several partitions, each a topic, a partition and records."""
    cdef dict topics = {}
    cdef list found
    request = _new(_kind)
    request.transactional_id = transactional_id
    request.acks = acks
    request.timeout_ms = timeout_ms
    request.topic_data = data = []
    last = None
    for topic, index, records in batches:
        part = _new(PartitionProduceData)
        part.index = index
        part.records = records
        if topic is not last:
            parts = topics.get(topic)
            if parts is None:
                parts = topics[topic] = []
                entry = _new(TopicProduceData)
                entry.name = topic
                entry.topic_id = _no_topic
                entry.partition_data = parts
                data.append(entry)
            found = <list>parts
            last = topic
        found.append(part)
    return request


cdef uint8_t *_begin(
    uint8_t *at, Py_ssize_t size, int version, int32_t correlation_id, bytes start
) noexcept:
    """Write a frame's size, and what stands in it up to its topics; where they begin is returned."""
    _put32(at, <uint32_t>size)
    _put16(at + 4, <uint16_t>_api_key)
    _put16(at + 6, <uint16_t>version)
    _put32(at + 8, <uint32_t>correlation_id)
    memcpy(at + 12, PyBytes_AS_STRING(start), PyBytes_GET_SIZE(start))
    return at + 12 + PyBytes_GET_SIZE(start)


cdef Py_ssize_t _body_size(found) except -2:
    """Bytes of the body where records are a header and a body; -1 for others."""
    cdef Py_ssize_t size
    if type(found) is not list or len(<list>found) != 2:
        return -1
    header, body = (<list>found)[0], (<list>found)[1]
    if type(header) is not bytes or type(body) is memoryview or not PyBytes_GET_SIZE(header):
        # A view has as many items as it likes for its bytes, and empty buffers are not passed on.
        return -1
    size = len(body)
    return size if size else -1


def encode_batches(request, int version, int32_t correlation_id, str client_id):
    """The frame of a request whose batches are each a header and a body; None for others."""
    cdef list records
    cdef bytes start
    cdef int32_t index
    cdef Py_ssize_t size, fixed, total
    cdef uint32_t length
    cdef uint8_t *at
    topics = request.topic_data
    if not _first <= version <= _LAST or type(topics) is not list or not topics:
        return None
    topic = topics[0]
    parts = topic.partition_data
    if type(parts) is not list or not parts:
        return None
    if len(<list>topics) != 1 or len(<list>parts) != 1:
        return _encode_many(request, version, correlation_id, client_id)
    part = parts[0]
    found = part.records
    size = _body_size(found)
    if size < 0:
        return None
    records = <list>found
    header, body = records[0], records[1]
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
    total = 12 + fixed + 4 + _width(length)
    head = PyBytes_FromStringAndSize(NULL, total)
    at = <uint8_t *>PyBytes_AS_STRING(head)
    # The size counts what stands behind it: this head, the records, and the end.
    at = _begin(at, total - 4 + size + 3, version, correlation_id, start)
    _put32(at, <uint32_t>index)
    _put_length(at + 4, length)
    return [head, header, body, _end]


cdef list _encode_many(request, int version, int32_t correlation_id, str client_id):
    """See ``encode_batches``. Small records are copied in between what stands around them."""
    cdef list found = [], names = [], counts = [], frame = [], parts, records
    cdef list sizes = []
    cdef bytes start, name
    cdef Py_ssize_t size, total, run, number, place
    cdef int32_t *indexes
    cdef uint8_t *at
    cdef bint fits
    cdef Py_buffer view
    start = between(client_id, request.transactional_id, request.acks, request.timeout_ms, None)
    if start is None:
        return None
    for topic in <list>request.topic_data:
        text, data = topic.name, topic.partition_data
        if type(text) is not str or type(data) is not list:
            return None
        try:
            name = (<str>text).encode()
        except UnicodeEncodeError:
            return None
        if PyBytes_GET_SIZE(name) > _longest:
            return None
        names.append(name)
        counts.append(len(<list>data))
        found += <list>data
    if len(found) > _MANY:
        return None
    indexes = <int32_t *>PyMem_Malloc((len(found) + 1) * sizeof(int32_t))
    if not indexes:
        raise MemoryError
    try:
        # First what there is to write: ``run`` bytes up to the next records that are passed on.
        total = 0
        run = 12 + PyBytes_GET_SIZE(start) + _width(<uint32_t>len(names) + 1)
        number = 0
        for place in range(len(names)):
            size = PyBytes_GET_SIZE(<bytes>names[place])
            parts = found[number:number + <Py_ssize_t>counts[place]]
            run += _width(<uint32_t>size + 1) + size + _width(<uint32_t>len(parts) + 1)
            for part in parts:
                data = part.records
                size = _body_size(data)
                if not 0 <= size <= _MOST:
                    return None
                records = <list>data
                header = records[0]
                try:
                    indexes[number] = part.index
                except (OverflowError, TypeError):
                    return None
                found[number] = records
                number += 1
                run += 4 + _width(<uint32_t>(size + PyBytes_GET_SIZE(header)) + 1)
                run += PyBytes_GET_SIZE(header)
                if size < _LARGE:
                    run += size
                else:
                    sizes.append(run)
                    total += run + size
                    run = 0
                run += 1
            run += 1
        run += 1
        sizes.append(run)
        total += run
        if total > _MOST:
            return None
        # Then all of it, from one such place to the next.
        sizes.reverse()
        piece = PyBytes_FromStringAndSize(NULL, sizes.pop())
        at = <uint8_t *>PyBytes_AS_STRING(piece)
        at = _begin(at, total - 4, version, correlation_id, start)
        at = _put_length(at, <uint32_t>len(names) + 1)
        number = 0
        for place in range(len(names)):
            name = <bytes>names[place]
            size = PyBytes_GET_SIZE(name)
            at = _put_length(at, <uint32_t>size + 1)
            memcpy(at, PyBytes_AS_STRING(name), size)
            at = _put_length(at + size, <uint32_t><Py_ssize_t>counts[place] + 1)
            for _ in range(<Py_ssize_t>counts[place]):
                records = <list>found[number]
                header, body = records[0], records[1]
                size = len(body)
                _put32(at, <uint32_t>indexes[number])
                number += 1
                at = _put_length(at + 4, <uint32_t>(size + PyBytes_GET_SIZE(header)) + 1)
                memcpy(at, PyBytes_AS_STRING(header), PyBytes_GET_SIZE(header))
                at += PyBytes_GET_SIZE(header)
                if size < _LARGE:
                    PyObject_GetBuffer(body, &view, PyBUF_SIMPLE)
                    fits = view.len == size
                    if fits:
                        memcpy(at, view.buf, size)
                    PyBuffer_Release(&view)
                    if not fits:
                        return None
                    at += size
                else:
                    frame.append(piece)
                    frame.append(body)
                    piece = PyBytes_FromStringAndSize(NULL, sizes.pop())
                    at = <uint8_t *>PyBytes_AS_STRING(piece)
                at[0] = 0
                at += 1
            at[0] = 0
            at += 1
        at[0] = 0
        frame.append(piece)
        return frame
    finally:
        PyMem_Free(indexes)


def read_answers(frame, int version):
    """The correlation id of an answer that tells nothing but offsets, and the answer; else None."""
    cdef Py_buffer view
    if not _first <= version <= _LAST:
        return None
    PyObject_GetBuffer(frame, &view, PyBUF_SIMPLE)
    try:
        return _read(<const uint8_t *>view.buf, view.len)
    finally:
        PyBuffer_Release(&view)


cdef _read_part(const uint8_t *at):
    part = _new(PartitionProduceResponse)
    part.index = <int32_t>_get32(at)
    part.error_code = <int16_t>((<uint16_t>at[4] << 8) | at[5])
    part.base_offset = _get64(at + 6)
    part.log_append_time_ms = _get64(at + 14)
    part.log_start_offset = _get64(at + 22)
    part.record_errors = []
    part.error_message = None
    part.current_leader = None
    return part


cdef tuple _read(const uint8_t *at, Py_ssize_t size):
    """See ``read_answers``.

    Correlation id, no tags; of each topic its name, of each partition index, code, offset, time and
    first offset of the log, no errors of records, no message, no tags; throttling and no tags.
    """
    cdef const uint8_t *start = at
    cdef const uint8_t *end = at + size
    cdef Py_ssize_t topics, count, length
    cdef list responses = [], parts
    if size < 5 or at[4]:
        return None
    at += 5
    topics = _get_count(&at, end)
    if topics < 0:
        return None
    for _ in range(topics):
        length = _get_count(&at, end)
        if not 0 <= length <= min(end - at, _longest):
            return None
        topic = _new(TopicProduceResponse)
        try:
            topic.name = PyUnicode_DecodeUTF8(<const char *>at, length, NULL)
        except UnicodeDecodeError:
            return None
        at += length
        count = _get_count(&at, end)
        if not 0 <= count * _PART <= end - at:
            return None
        parts = []
        for _ in range(count):
            # No errors of records, no message, no tagged fields.
            if at[30] != 1 or at[31] or at[32]:
                return None
            parts.append(_read_part(at))
            at += _PART
        if at == end or at[0]:
            return None
        at += 1
        topic.topic_id = _no_topic
        topic.partition_responses = parts
        responses.append(topic)
    if end - at != 5 or at[4]:
        return None
    response = _new(ProduceResponse)
    response.responses = responses
    response.throttle_time_ms = <int32_t>_get32(at)
    response.node_endpoints = []
    return <int32_t>_get32(start), response
