# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
# cython: freethreading_compatible=True
"""The compiled twin of ``_scan_py``, which documents the layout and the checks.

Safety rests on one rule: a byte at ``position`` is read only after ``position < end`` was
tested, where ``end`` never exceeds the buffer's size, and ``position`` moves past a field only
after the field's length was held against ``end - position``. Each byte is read once per pass
into a local, so that a buffer which another thread changes meanwhile gives wrong values, but
never a read outside of it.
"""

from cpython.buffer cimport (
    PyBUF_SIMPLE,
    PyBuffer_FillInfo,
    PyBuffer_Release,
    PyObject_GetBuffer,
)
from cpython.bytes cimport PyBytes_FromStringAndSize
from libc.stdint cimport INT64_MAX, INT64_MIN, int64_t, uint64_t

from pyproducer.errors import CorruptRecord
from pyproducer.model import TimestampType
from pyproducer.records.faults import fault
from pyproducer.records.record import Record, ScanSummary

__all__ = ["Pinned", "read_records", "scan_records"]

cdef enum Fault:
    SOUND = 0
    MISSING = 1
    BAD_LENGTH = 2
    BAD_FIELD = 3
    BAD_KEY = 4
    BAD_VALUE = 5
    BAD_HEADER_COUNT = 6
    BAD_HEADER_KEY = 7
    BAD_HEADER_VALUE = 8
    TRAILING = 9
    BAD_TIMESTAMP = 10
    BAD_HEADER_NAME = 11
    LEFT_OVER = 12

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


cdef struct Fields:
    int64_t timestamp_delta
    int64_t offset_delta
    Py_ssize_t key
    int64_t key_length
    Py_ssize_t value
    int64_t value_length
    Py_ssize_t headers
    int64_t header_count


cdef inline bint unsigned_varint(
    const unsigned char *data, Py_ssize_t *position, Py_ssize_t end, int longest, uint64_t *value
) noexcept nogil:
    # The tenth byte of a varlong holds one bit; more would be lost in the shift.
    cdef uint64_t raw = 0
    cdef unsigned char byte
    cdef int index
    cdef Py_ssize_t at = position[0]
    for index in range(longest):
        if at >= end:
            return False
        byte = data[at]
        at += 1
        if index == 9 and byte > 1:
            return False
        raw |= (<uint64_t> (byte & 0x7F)) << (7 * index)
        if byte < 0x80:
            position[0] = at
            value[0] = raw
            return True
    return False


cdef inline int64_t unzigzag(uint64_t raw) noexcept nogil:
    return <int64_t> (raw >> 1) ^ -<int64_t> (raw & 1)


cdef inline bint varint(
    const unsigned char *data, Py_ssize_t *position, Py_ssize_t end, int64_t *value
) noexcept nogil:
    cdef uint64_t raw = 0
    if position[0] < end and data[position[0]] < 0x80:
        # Read anew, but the mask keeps it to one byte even if it has changed since.
        value[0] = unzigzag(data[position[0]] & 0x7F)
        position[0] += 1
        return True
    if not unsigned_varint(data, position, end, 5, &raw) or raw > <uint64_t> 0xFFFFFFFF:
        return False
    value[0] = unzigzag(raw)
    return True


cdef inline bint varlong(
    const unsigned char *data, Py_ssize_t *position, Py_ssize_t end, int64_t *value
) noexcept nogil:
    cdef uint64_t raw = 0
    if not unsigned_varint(data, position, end, 10, &raw):
        return False
    value[0] = unzigzag(raw)
    return True


cdef inline bint plus_overflows(int64_t a, int64_t b) noexcept nogil:
    if b >= 0:
        return a > INT64_MAX - b
    return a < INT64_MIN - b


cdef int parse(
    const unsigned char *data, Py_ssize_t size, Py_ssize_t *next_record, Fields *fields
) noexcept nogil:
    """Checks the record at ``next_record[0]``, fills the fields and moves on behind it."""
    cdef Py_ssize_t position = next_record[0]
    cdef Py_ssize_t end
    cdef int64_t length = 0
    cdef int64_t _
    if position == size:
        return MISSING
    if not varint(data, &position, size, &length) or length < 0 or length > size - position:
        return BAD_LENGTH
    end = position + <Py_ssize_t> length
    if length == 0:
        return BAD_FIELD
    position += 1
    if not varlong(data, &position, end, &fields.timestamp_delta):
        return BAD_FIELD
    if not varint(data, &position, end, &fields.offset_delta):
        return BAD_FIELD
    if not varint(data, &position, end, &length):
        return BAD_FIELD
    if length < -1 or length > end - position:
        return BAD_KEY
    fields.key = position
    fields.key_length = length
    if length > 0:
        position += <Py_ssize_t> length
    if not varint(data, &position, end, &length):
        return BAD_FIELD
    if length < -1 or length > end - position:
        return BAD_VALUE
    fields.value = position
    fields.value_length = length
    if length > 0:
        position += <Py_ssize_t> length
    if not varint(data, &position, end, &length):
        return BAD_FIELD
    if length < 0 or length > (end - position) // 2:
        return BAD_HEADER_COUNT
    fields.headers = position
    fields.header_count = length
    for _ in range(fields.header_count):
        if not varint(data, &position, end, &length):
            return BAD_FIELD
        if length < 0 or length > end - position:
            return BAD_HEADER_KEY
        position += <Py_ssize_t> length
        if not varint(data, &position, end, &length):
            return BAD_FIELD
        if length < -1 or length > end - position:
            return BAD_HEADER_VALUE
        if length > 0:
            position += <Py_ssize_t> length
    if position != end:
        return TRAILING
    next_record[0] = end
    return SOUND


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
