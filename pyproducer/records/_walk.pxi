"""Walking over the records of a batch, checked; part of ``_scan.pyx`` and ``_compaction.pyx``.

Safety rests on one rule: a byte at ``position`` is read only after ``position < end`` was
tested, where ``end`` never exceeds the buffer's size, and ``position`` moves past a field only
after the field's length was held against ``end - position``. Each byte is read once per pass
into a local, so that a buffer which another thread changes meanwhile gives wrong values, but
never a read outside of it.
"""

from libc.stdint cimport INT64_MAX, INT64_MIN, int64_t, uint64_t

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
