"""States of a batch, and sizes that both twins have, as C knows them; part of ``_appender.pyx``."""

OPEN, CLOSED, ACKED, FAILED, SPLIT = range(5)

cdef enum:
    _OPEN = 0
    _CLOSED = 1
    _ACKED = 2
    _FAILED = 3
    _SPLIT = 4
    _HASH_OTHER = 0
    _HASH_MURMUR2 = 1
    _HASH_CRC32 = 2
    _OVERHEAD = 61
    _RECORD_OVERHEAD = 31
    _FIRST_SEGMENT = 1024
    _LARGEST_STEP = 65536
    _BATCH_HELD = 1024
    _RECORD_HELD = 56
    _CALLBACK_HELD = 32
    _SHELVED_HELD = 128
    _KEPT_FROM = 262144
    _KEPT_TO = 2097152
    _TURN_BYTES = 262144
    _TURN_MS = 2
    _LOOKED_AT = 8

assert (
    _OVERHEAD, _RECORD_OVERHEAD, _FIRST_SEGMENT, _LARGEST_STEP, _TURN_BYTES, _TURN_MS, _LOOKED_AT,
    _BATCH_HELD, _RECORD_HELD, _CALLBACK_HELD, _SHELVED_HELD,
) == (
    rules.BATCH_OVERHEAD, rules.RECORD_OVERHEAD, rules.FIRST_SEGMENT, rules.LARGEST_STEP,
    rules.TURN_BYTES, rules.TURN_MS, rules.LOOKED_AT,
    rules.BATCH_HELD, rules.RECORD_HELD, rules.CALLBACK_HELD, rules.SHELVED_HELD,
)
