# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
# cython: freethreading_compatible=True
"""The compiled twin of ``_scan_py``, which documents the layout and the checks.

Why it never reads outside of a buffer is told where the records are walked, in ``_walk.pxi``.
"""

from cpython.buffer cimport (
    PyBUF_SIMPLE,
    PyBuffer_FillInfo,
    PyBuffer_Release,
    PyObject_GetBuffer,
)
from cpython.bytes cimport PyBytes_FromStringAndSize

from pyproducer.errors import CorruptRecord
from pyproducer.model import TimestampType
from pyproducer.records.faults import fault
from pyproducer.records.record import Record, ScanSummary

__all__ = ["Pinned", "read_records", "scan_records"]

include "_walk.pxi"

#: The numbers of the faults as this twin knows them, for the test that compares the two.
FAULTS = {
    "MISSING": MISSING,
    "BAD_LENGTH": BAD_LENGTH,
    "BAD_FIELD": BAD_FIELD,
    "BAD_KEY": BAD_KEY,
    "BAD_VALUE": BAD_VALUE,
    "BAD_HEADER_COUNT": BAD_HEADER_COUNT,
    "BAD_HEADER_KEY": BAD_HEADER_KEY,
    "BAD_HEADER_VALUE": BAD_HEADER_VALUE,
    "TRAILING": TRAILING,
    "BAD_TIMESTAMP": BAD_TIMESTAMP,
    "BAD_HEADER_NAME": BAD_HEADER_NAME,
    "LEFT_OVER": LEFT_OVER,
}

cdef object CREATE_TIME = TimestampType.CREATE_TIME
cdef object LOG_APPEND_TIME = TimestampType.LOG_APPEND_TIME

# A named tuple's own constructor is a Python function, three times as slow.
cdef object new_tuple = tuple.__new__


cdef struct Summary:
    int64_t max_timestamp
    int64_t offset_of_max
    int64_t min_timestamp
    int64_t null_key_index
    bint sequential


cdef int scan(
    const unsigned char *data,
    Py_ssize_t size,
    int64_t count,
    int64_t base_timestamp,
    Summary *summary,
    int64_t *index,
    Py_ssize_t *start,
) noexcept nogil:
    """Checks all records; on a fault ``index`` and ``start`` say of which record."""
    cdef Py_ssize_t position = 0
    cdef Fields fields
    cdef int64_t timestamp
    cdef int number
    summary.max_timestamp = summary.offset_of_max = -1
    summary.min_timestamp = summary.null_key_index = -1
    summary.sequential = True
    index[0] = 0
    start[0] = 0
    while index[0] < count:
        start[0] = position
        number = parse(data, size, &position, &fields)
        if number != SOUND:
            return number
        if plus_overflows(base_timestamp, fields.timestamp_delta):
            return BAD_TIMESTAMP
        timestamp = base_timestamp + fields.timestamp_delta
        if timestamp > summary.max_timestamp or index[0] == 0:
            summary.max_timestamp = timestamp
            summary.offset_of_max = fields.offset_delta
        if timestamp < summary.min_timestamp or index[0] == 0:
            summary.min_timestamp = timestamp
        if fields.key_length < 0 and summary.null_key_index < 0:
            summary.null_key_index = index[0]
        if fields.offset_delta != index[0]:
            summary.sequential = False
        index[0] += 1
    if position != size:
        start[0] = position
        return LEFT_OVER
    return SOUND


def scan_records(payload, int64_t count, int64_t base_timestamp):
    """A summary of the records, each of which is sound: see ``_scan_py.scan_records``."""
    if count < 0:
        raise CorruptRecord(f"the batch declares {count} records")
    cdef Py_buffer buffer
    cdef Summary summary
    cdef int64_t index = 0
    cdef Py_ssize_t start = 0
    cdef int number
    PyObject_GetBuffer(payload, &buffer, PyBUF_SIMPLE)
    try:
        with nogil:
            number = scan(
                <const unsigned char *> buffer.buf,
                buffer.len,
                count,
                base_timestamp,
                &summary,
                &index,
                &start,
            )
    finally:
        PyBuffer_Release(&buffer)
    if number != SOUND:
        raise fault(number, index, start)
    return ScanSummary(
        summary.max_timestamp,
        summary.offset_of_max,
        summary.min_timestamp,
        summary.null_key_index,
        summary.sequential,
    )


cdef inline object copied(const unsigned char *data, Py_ssize_t start, int64_t length):
    if length < 0:
        return None
    return PyBytes_FromStringAndSize(<const char *> data + start, <Py_ssize_t> length)


cdef tuple read_headers(
    const unsigned char *data, Py_ssize_t end, Py_ssize_t position, int64_t count
):
    """The headers, or None if a name is not UTF-8.

    They were checked by ``parse``, and are checked again here: memory that another thread may
    write to can hold other lengths by now.
    """
    cdef list headers = []
    cdef int64_t length = 0
    cdef int64_t _
    for _ in range(count):
        if not varint(data, &position, end, &length) or length < 0 or length > end - position:
            return None
        name = copied(data, position, length)
        position += <Py_ssize_t> length
        if not varint(data, &position, end, &length) or length > end - position:
            return None
        value = copied(data, position, length)
        if length > 0:
            position += <Py_ssize_t> length
        try:
            headers.append(((<bytes> name).decode("utf-8"), value))
        except UnicodeDecodeError:
            return None
    return tuple(headers)


def read_records(
    payload, int64_t count, base_offset, int64_t base_timestamp, append_timestamp=None
):
    """The records, each owning its bytes: see ``_scan_py.read_records``."""
    if count < 0:
        raise CorruptRecord(f"the batch declares {count} records")
    cdef Py_buffer buffer
    cdef Fields fields
    cdef const unsigned char *data
    cdef Py_ssize_t position = 0
    cdef Py_ssize_t start = 0
    cdef int64_t index
    cdef int number
    cdef list records = []
    cdef tuple headers
    kind = CREATE_TIME if append_timestamp is None else LOG_APPEND_TIME
    timestamp = append_timestamp
    PyObject_GetBuffer(payload, &buffer, PyBUF_SIMPLE)
    try:
        data = <const unsigned char *> buffer.buf
        for index in range(count):
            start = position
            number = parse(data, buffer.len, &position, &fields)
            if number == SOUND and plus_overflows(base_timestamp, fields.timestamp_delta):
                number = BAD_TIMESTAMP
            if number != SOUND:
                raise fault(number, index, start)
            headers = ()
            if fields.header_count:
                headers = read_headers(data, position, fields.headers, fields.header_count)
                if headers is None:
                    raise fault(BAD_HEADER_NAME, index, start)
            if append_timestamp is None:
                timestamp = base_timestamp + fields.timestamp_delta
            parts = (
                base_offset + fields.offset_delta,
                timestamp,
                kind,
                copied(data, fields.key, fields.key_length),
                copied(data, fields.value, fields.value_length),
                headers,
            )
            records.append(new_tuple(Record, parts))
        if position != buffer.len:
            raise fault(LEFT_OVER, count, position)
    finally:
        PyBuffer_Release(&buffer)
    return records


cdef class Pinned:
    """The bytes of another object, which cannot move while this one lives.

    Functions that take nothing but read-only bytes take this, and so need no copy of a view.
    """

    cdef Py_buffer buffer

    def __cinit__(self, source):
        PyObject_GetBuffer(source, &self.buffer, PyBUF_SIMPLE)

    def __dealloc__(self):
        PyBuffer_Release(&self.buffer)

    # No __releasebuffer__, on purpose: it is what makes such functions refuse an object.
    def __getbuffer__(self, Py_buffer *view, int flags):
        PyBuffer_FillInfo(view, self, self.buffer.buf, self.buffer.len, 1, flags)
