# cython: language_level=3, boundscheck=False, wraparound=False, binding=False
# cython: freethreading_compatible=True
"""Headers of complete batches, in Cython: see ``seal.py``, and its twin in Python."""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize
from libc.stdint cimport int16_t, int32_t, int64_t, uint8_t, uint32_t, uint64_t

from google_crc32c import extend

from pyproducer.records.batch import HEADER_SIZE, MAGIC, MIN_BATCH_LENGTH
from pyproducer.records.crc import crc32c

cdef Py_ssize_t _size = HEADER_SIZE
cdef Py_ssize_t _least = MIN_BATCH_LENGTH
cdef uint8_t _magic = MAGIC

cdef enum:
    # What the CRC covers begins here.
    _SUMMED = 21


cdef inline uint8_t *_put16(uint8_t *at, int16_t number) noexcept:
    at[0] = <uint8_t>(number >> 8)
    at[1] = <uint8_t>(number & 0xFF)
    return at + 2


cdef inline uint8_t *_put32(uint8_t *at, uint32_t number) noexcept:
    at[0] = number >> 24
    at[1] = (number >> 16) & 0xFF
    at[2] = (number >> 8) & 0xFF
    at[3] = number & 0xFF
    return at + 4


cdef inline uint8_t *_put64(uint8_t *at, int64_t number) noexcept:
    return _put32(_put32(at, <uint32_t>(<uint64_t>number >> 32)), <uint32_t>number)


def seal_header(
    records,
    int16_t attributes,
    int32_t record_count,
    int64_t base_timestamp,
    int64_t max_timestamp,
    int64_t producer_id,
    int16_t producer_epoch,
    int32_t base_sequence,
):
    """The header of records that are complete, as a producer sends it: with their CRC."""
    cdef bytes header = PyBytes_FromStringAndSize(NULL, _size)
    cdef bytes summed
    cdef uint8_t *start = <uint8_t *>PyBytes_AS_STRING(header)
    cdef uint8_t *at = start + _SUMMED
    at = _put16(at, attributes)
    at = _put32(at, <uint32_t>(record_count - 1))
    at = _put64(at, base_timestamp)
    at = _put64(at, max_timestamp)
    at = _put64(at, producer_id)
    at = _put16(at, producer_epoch)
    at = _put32(at, <uint32_t>base_sequence)
    _put32(at, <uint32_t>record_count)
    summed = PyBytes_FromStringAndSize(<char *>start + _SUMMED, _size - _SUMMED)
    # No base offset, and no leader epoch: the broker gives them.
    at = _put64(start, 0)
    at = _put32(at, <uint32_t>(_least + len(records)))
    at = _put32(at, 0xFFFFFFFF)
    at[0] = _magic
    if type(records) is bytearray or type(records) is memoryview:
        _put32(at + 1, crc32c(summed, records))
    else:
        # What the C binding takes as it is.
        _put32(at + 1, extend(extend(0, summed), records))
    return header
