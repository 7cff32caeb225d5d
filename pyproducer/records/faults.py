"""What can be wrong with a record, numbered, so that both twins of the scan say the same."""

from __future__ import annotations

from typing import Final

from pyproducer.errors import CorruptRecord

__all__ = [
    "BAD_FIELD",
    "BAD_HEADER_COUNT",
    "BAD_HEADER_KEY",
    "BAD_HEADER_NAME",
    "BAD_HEADER_VALUE",
    "BAD_KEY",
    "BAD_LENGTH",
    "BAD_TIMESTAMP",
    "BAD_VALUE",
    "LEFT_OVER",
    "MISSING",
    "TRAILING",
    "fault",
]

# The compiled twin has these numbers as an enum; a test holds the two together.
MISSING: Final = 1
BAD_LENGTH: Final = 2
BAD_FIELD: Final = 3
BAD_KEY: Final = 4
BAD_VALUE: Final = 5
BAD_HEADER_COUNT: Final = 6
BAD_HEADER_KEY: Final = 7
BAD_HEADER_VALUE: Final = 8
TRAILING: Final = 9
BAD_TIMESTAMP: Final = 10
BAD_HEADER_NAME: Final = 11
LEFT_OVER: Final = 12

_TEXTS: Final[dict[int, str]] = {
    MISSING: "the batch ends before it, so it declares more records than it holds",
    BAD_LENGTH: "its length is broken, negative or runs past the end of the batch",
    BAD_FIELD: "a field is cut off by its end or is not a variable-length integer",
    BAD_KEY: "its key runs past its end or has a negative length",
    BAD_VALUE: "its value runs past its end or has a negative length",
    BAD_HEADER_COUNT: "it declares more headers than it has room for, or a negative number",
    BAD_HEADER_KEY: "a header's name runs past its end or has a negative length",
    BAD_HEADER_VALUE: "a header's value runs past its end or has a negative length",
    TRAILING: "bytes are left over after its headers",
    BAD_TIMESTAMP: "its timestamp does not fit into 64 bits",
    BAD_HEADER_NAME: "a header's name is not UTF-8",
    LEFT_OVER: "the batch declares no such record, but bytes are left over",
}


def fault(number: int, index: int, position: int) -> CorruptRecord:
    """The error for a fault in the record of this index.

    Args:
        number: one of the constants of this module.
        index: the record's index in its batch, from 0; for LEFT_OVER, of the one after the last.
        position: where the record starts, in bytes from the first record of the batch.
    """
    return CorruptRecord(f"record {index} (byte {position} of the records): {_TEXTS[number]}")
