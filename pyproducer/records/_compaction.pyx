# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
# cython: freethreading_compatible=True
"""The compiled twin of ``_compaction_py``, which documents what compaction asks of a batch.

Keys are not kept: 128 bits of SipHash-2-4 under a secret stand for each, so that an entry takes
24 bytes whatever the key's length and nobody can make two keys that are taken for one. All that
goes over records lets other threads run.
"""

from cpython.buffer cimport PyBUF_SIMPLE, PyBuffer_Release, PyObject_GetBuffer
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize
from libc.stdlib cimport calloc, free
from libc.string cimport memcpy

from pyproducer.errors import CorruptRecord
from pyproducer.records.faults import fault
from pyproducer.records.record import Retained

__all__ = ["OffsetMap", "rebased"]

include "_walk.pxi"

# Share of the table that is in use when it counts as full.
cdef double LOAD = 0.9

cdef uint64_t SIGN = <uint64_t> 1 << 63


cdef struct Entry:
    uint64_t low
    uint64_t high
    # The offset with its sign bit turned over: 0, which no offset is, is a free entry.
    uint64_t stored


cdef struct Kept:
    int64_t count
    Py_ssize_t size
    int64_t max_timestamp
    bint tombstones


cdef struct Hash:
    uint64_t low
    uint64_t high


cdef inline uint64_t rotated(uint64_t value, int bits) noexcept nogil:
    return (value << bits) | (value >> (64 - bits))


cdef inline void mix(uint64_t *v) noexcept nogil:
    v[0] += v[1]
    v[1] = rotated(v[1], 13)
    v[1] ^= v[0]
    v[0] = rotated(v[0], 32)
    v[2] += v[3]
    v[3] = rotated(v[3], 16)
    v[3] ^= v[2]
    v[0] += v[3]
    v[3] = rotated(v[3], 21)
    v[3] ^= v[0]
    v[2] += v[1]
    v[1] = rotated(v[1], 17)
    v[1] ^= v[2]
    v[2] = rotated(v[2], 32)


cdef inline Hash siphash(
    const unsigned char *data, Py_ssize_t length, uint64_t k0, uint64_t k1
) noexcept nogil:
    """SipHash-2-4 with 128 bits of output, as its authors define it."""
    cdef uint64_t v[4]
    cdef uint64_t word
    cdef Py_ssize_t at = 0
    cdef int shift
    cdef Hash result
    v[0] = k0 ^ <uint64_t> 0x736F6D6570736575
    v[1] = k1 ^ <uint64_t> 0x646F72616E646F6D ^ <uint64_t> 0xEE
    v[2] = k0 ^ <uint64_t> 0x6C7967656E657261
    v[3] = k1 ^ <uint64_t> 0x7465646279746573
    while at + 8 <= length:
        # Byte by byte, so that it is little-endian everywhere; compilers make one load of it.
        word = 0
        for shift in range(8):
            word |= <uint64_t> data[at + shift] << (8 * shift)
        v[3] ^= word
        mix(v)
        mix(v)
        v[0] ^= word
        at += 8
    word = <uint64_t> length << 56
    shift = 0
    while at < length:
        word |= <uint64_t> data[at] << shift
        shift += 8
        at += 1
    v[3] ^= word
    mix(v)
    mix(v)
    v[0] ^= word
    v[2] ^= <uint64_t> 0xEE
    mix(v)
    mix(v)
    mix(v)
    mix(v)
    result.low = v[0] ^ v[1] ^ v[2] ^ v[3]
    v[1] ^= <uint64_t> 0xDD
    mix(v)
    mix(v)
    mix(v)
    mix(v)
    result.high = v[0] ^ v[1] ^ v[2] ^ v[3]
    return result


cdef inline int64_t offset_of(const Entry *entry) noexcept nogil:
    """The offset in an entry, -1 in a free one."""
    if entry.stored == 0:
        return -1
    return <int64_t> (entry.stored ^ SIGN)


cdef class OffsetMap:
    """The highest offset of each key: see ``_compaction_py.OffsetMap``."""

    cdef Entry *entries
    cdef int64_t slots
    cdef int64_t used
    cdef readonly int64_t capacity
    cdef uint64_t k0
    cdef uint64_t k1

    def __cinit__(self, int64_t capacity, bytes secret):
        if capacity < 1:
            raise ValueError(f"a map holds at least one key, not {capacity}")
        if len(secret) != 16:
            raise ValueError("the secret is 16 bytes long")
        self.capacity = capacity
        self.slots = <int64_t> (capacity / LOAD) + 1
        self.k0 = int.from_bytes(secret[:8], "little")
        self.k1 = int.from_bytes(secret[8:], "little")
        # Pages that no key falls on are never touched.
        self.entries = <Entry *> calloc(self.slots, sizeof(Entry))
        if self.entries == NULL:
            raise MemoryError(f"no room for a map of {capacity} keys")

    def __dealloc__(self):
        free(self.entries)

    def __len__(self):
        return self.used

    cdef inline Entry *entry(self, const unsigned char *key, Py_ssize_t length) noexcept nogil:
        """The key's entry, or the free one that it would take."""
        cdef Hash hashed = siphash(key, length, self.k0, self.k1)
        cdef int64_t at = <int64_t> (hashed.low % <uint64_t> self.slots)
        cdef Entry *found
        while True:
            found = &self.entries[at]
            if found.stored == 0:
                found.low = hashed.low
                found.high = hashed.high
                return found
            if found.low == hashed.low and found.high == hashed.high:
                return found
            at += 1
            if at == self.slots:
                at = 0

    cdef int _add(
        self,
        const unsigned char *data,
        Py_ssize_t size,
        int64_t count,
        int64_t base_offset,
        int64_t first_offset,
        bint *full,
        int64_t *index,
        Py_ssize_t *start,
    ) noexcept nogil:
        cdef Py_ssize_t position = 0
        cdef Fields fields
        cdef Entry *found
        cdef int64_t offset
        cdef int number
        full[0] = False
        index[0] = 0
        while index[0] < count:
            start[0] = position
            number = parse(data, size, &position, &fields)
            if number != SOUND:
                return number
            offset = base_offset + fields.offset_delta
            if fields.key_length >= 0 and offset >= first_offset:
                if self.used >= self.capacity:
                    full[0] = True
                    return SOUND
                found = self.entry(data + fields.key, <Py_ssize_t> fields.key_length)
                self.used += found.stored == 0
                found.stored = <uint64_t> offset ^ SIGN
            index[0] += 1
        if position != size:
            start[0] = position
            return LEFT_OVER
        return SOUND

    def add(self, payload, int64_t count, int64_t base_offset, int64_t first_offset):
        """The keys of a batch are in the map: see ``_compaction_py.OffsetMap.add``."""
        if count < 0:
            raise CorruptRecord(f"the batch declares {count} records")
        cdef Py_buffer buffer
        cdef bint full = False
        cdef int64_t index = 0
        cdef Py_ssize_t start = 0
        cdef int number
        PyObject_GetBuffer(payload, &buffer, PyBUF_SIMPLE)
        try:
            with nogil:
                number = self._add(
                    <const unsigned char *> buffer.buf,
                    buffer.len,
                    count,
                    base_offset,
                    first_offset,
                    &full,
                    &index,
                    &start,
                )
        finally:
            PyBuffer_Release(&buffer)
        if number != SOUND:
            raise fault(number, index, start)
        return not full

    def get(self, bytes key):
        """The highest offset of a key, or -1: see ``_compaction_py.OffsetMap.get``."""
        return offset_of(self.entry(<const unsigned char *> PyBytes_AS_STRING(key), len(key)))

    cdef int _retained(
        self,
        const unsigned char *data,
        Py_ssize_t size,
        int64_t count,
        int64_t base_offset,
        int64_t base_timestamp,
        int64_t end_offset,
        bint keep_tombstones,
        unsigned char *out,
        Kept *kept,
        int64_t *index,
        Py_ssize_t *start,
    ) noexcept nogil:
        cdef Py_ssize_t position = 0
        cdef Fields fields
        cdef int64_t offset, timestamp
        cdef bint keep
        cdef int number
        index[0] = 0
        while index[0] < count:
            start[0] = position
            number = parse(data, size, &position, &fields)
            if number != SOUND:
                return number
            if plus_overflows(base_timestamp, fields.timestamp_delta):
                return BAD_TIMESTAMP
            offset = base_offset + fields.offset_delta
            if offset >= end_offset:
                keep = True
            elif fields.key_length < 0 or (fields.value_length < 0 and not keep_tombstones):
                keep = False
            else:
                keep = offset >= offset_of(
                    self.entry(data + fields.key, <Py_ssize_t> fields.key_length)
                )
            if keep:
                timestamp = base_timestamp + fields.timestamp_delta
                if timestamp > kept.max_timestamp or kept.count == 0:
                    kept.max_timestamp = timestamp
                if fields.value_length < 0:
                    kept.tombstones = True
                memcpy(out + kept.size, data + start[0], position - start[0])
                kept.size += position - start[0]
                kept.count += 1
            index[0] += 1
        if position != size:
            start[0] = position
            return LEFT_OVER
        return SOUND

    def retained(
        self,
        payload,
        int64_t count,
        int64_t base_offset,
        int64_t base_timestamp,
        int64_t end_offset,
        bint keep_tombstones,
    ):
        """What stays of a batch: see ``_compaction_py.OffsetMap.retained``."""
        if count < 0:
            raise CorruptRecord(f"the batch declares {count} records")
        cdef Py_buffer buffer
        cdef Kept kept
        cdef int64_t index = 0
        cdef Py_ssize_t start = 0
        cdef int number
        cdef bytes out
        cdef unsigned char *target
        kept.count = kept.size = 0
        kept.max_timestamp = -1
        kept.tombstones = False
        PyObject_GetBuffer(payload, &buffer, PyBUF_SIMPLE)
        try:
            out = PyBytes_FromStringAndSize(NULL, buffer.len)
            target = <unsigned char *> PyBytes_AS_STRING(out)
            with nogil:
                number = self._retained(
                    <const unsigned char *> buffer.buf,
                    buffer.len,
                    count,
                    base_offset,
                    base_timestamp,
                    end_offset,
                    keep_tombstones,
                    target,
                    &kept,
                    &index,
                    &start,
                )
        finally:
            PyBuffer_Release(&buffer)
        if number != SOUND:
            raise fault(number, index, start)
        return Retained(
            kept.count,
            kept.tombstones,
            kept.max_timestamp,
            None if kept.count == count else out[: kept.size],
        )


cdef inline void write_unsigned(unsigned char **out, uint64_t value) noexcept nogil:
    while value >= 0x80:
        out[0][0] = <unsigned char> (value | 0x80)
        out[0] += 1
        value >>= 7
    out[0][0] = <unsigned char> value
    out[0] += 1


cdef inline uint64_t zigzag(int64_t value) noexcept nogil:
    return (<uint64_t> value << 1) ^ <uint64_t> (value >> 63)


cdef inline int width(uint64_t value) noexcept nogil:
    cdef int bytes_needed = 1
    while value >= 0x80:
        value >>= 7
        bytes_needed += 1
    return bytes_needed


def rebased(payload, int64_t count, int64_t shift):
    """The same records with other timestamp deltas: see ``_compaction_py.rebased``."""
    if count < 0:
        raise CorruptRecord(f"the batch declares {count} records")
    cdef Py_buffer buffer
    cdef Fields fields
    cdef const unsigned char *data
    cdef unsigned char *out
    cdef bytes space
    cdef Py_ssize_t position = 0
    cdef Py_ssize_t start = 0
    cdef Py_ssize_t rest, length
    cdef int64_t index
    cdef uint64_t delta, offset_delta, key_length
    cdef int number
    PyObject_GetBuffer(payload, &buffer, PyBUF_SIMPLE)
    try:
        data = <const unsigned char *> buffer.buf
        # Ten bytes are the most that a delta takes, and three more fields five each. A record
        # has seven at least, whatever the batch declares.
        space = PyBytes_FromStringAndSize(NULL, buffer.len + 25 * min(count, buffer.len))
        out = <unsigned char *> PyBytes_AS_STRING(space)
        for index in range(count):
            start = position
            number = parse(data, buffer.len, &position, &fields)
            if number == SOUND and plus_overflows(fields.timestamp_delta, shift):
                number = BAD_TIMESTAMP
            if number != SOUND:
                raise fault(number, index, start)
            delta = zigzag(fields.timestamp_delta + shift)
            offset_delta = zigzag(fields.offset_delta)
            key_length = zigzag(fields.key_length)
            rest = position - fields.key
            length = 1 + width(delta) + width(offset_delta) + width(key_length) + rest
            write_unsigned(&out, <uint64_t> length << 1)
            # The attributes, of which no bit has a meaning.
            out[0] = 0
            out += 1
            write_unsigned(&out, delta)
            write_unsigned(&out, offset_delta)
            write_unsigned(&out, key_length)
            memcpy(out, data + fields.key, rest)
            out += rest
        if position != buffer.len:
            raise fault(LEFT_OVER, count, position)
    finally:
        PyBuffer_Release(&buffer)
    return space[: out - <unsigned char *> PyBytes_AS_STRING(space)]
