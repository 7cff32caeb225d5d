"""The wire types that message fields are made of, and the varint routines they share.

A type here is a description; :mod:`pyproducer.protocol.compiler` turns descriptions into code.
Integers are big-endian. In flexible versions the length of strings, bytes and arrays is an
unsigned varint of length + 1 (0 for null); before, an int16 (strings) or int32 with -1 for null.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias
from uuid import UUID

if TYPE_CHECKING:
    from pyproducer.protocol.schema import Struct

__all__ = [
    "BOOL",
    "BYTES",
    "FLOAT64",
    "INT8",
    "INT16",
    "INT32",
    "INT64",
    "MAX_STRING",
    "RECORDS",
    "STRING",
    "UINT16",
    "UUID128",
    "ZERO_UUID",
    "Array",
    "Fixed",
    "Malformed",
    "Variable",
    "WireType",
    "continue_uvarint",
    "pack_uvarint",
    "read_uvarint",
    "skip_tags",
]

#: Kafka's "no id".
ZERO_UUID = UUID(int=0)

#: Kafka refuses longer strings (bytes of UTF-8), whatever the width of their length field.
MAX_STRING = 0x7FFF

# A varint carries 7 bits a byte and Kafka's are of 32-bit numbers.
_MAX_VARINT_SHIFT = 28


class Malformed(ValueError):
    """Bytes that are no legal value; becomes a ProtocolError with field and position."""


@dataclass(frozen=True, slots=True)
class Fixed:
    """A type whose every value takes the same number of bytes.

    Attributes:
        name: Kafka's name of the type.
        code: the ``struct`` code.
        size: bytes on the wire.
        zero: default of a field that names none.
    """

    name: str
    code: str
    size: int
    zero: object = 0


@dataclass(frozen=True, slots=True)
class Variable:
    """A type with a length in front.

    Attributes:
        name: Kafka's name of the type.
        length_code: ``struct`` code of the length in versions that are not flexible.
        zero: default of a field that names none.
    """

    name: str
    length_code: str
    zero: object


@dataclass(frozen=True, slots=True)
class Array:
    """A counted sequence; a list in Python."""

    element: Fixed | Variable | type[Struct]


WireType: TypeAlias = "Fixed | Variable | Array | type[Struct]"

BOOL = Fixed("bool", "?", 1, zero=False)
INT8 = Fixed("int8", "b", 1)
INT16 = Fixed("int16", "h", 2)
UINT16 = Fixed("uint16", "H", 2)
INT32 = Fixed("int32", "i", 4)
INT64 = Fixed("int64", "q", 8)
FLOAT64 = Fixed("float64", "d", 8, zero=0.0)
UUID128 = Fixed("uuid", "16s", 16, zero=ZERO_UUID)
STRING = Variable("string", "h", "")
BYTES = Variable("bytes", "i", b"")
#: Record batches: encoded by reference, decoded as a view of the frame.
RECORDS = Variable("records", "i", None)


def pack_uvarint(value: int) -> bytes:
    """The unsigned varint of ``value``, which is between 0 and 2**32 - 1."""
    if value < 0x80:
        return bytes((value,))
    if value < 0x4000:
        # What a small batch's length takes.
        return bytes((value & 0x7F | 0x80, value >> 7))
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def read_uvarint(buffer: bytes | memoryview, position: int) -> tuple[int, int]:
    """The unsigned varint at ``position`` and the position behind it.

    Raises:
        IndexError: the buffer ends inside it.
        Malformed: it has more than 32 bits.
    """
    first = buffer[position]
    if first < 0x80:
        return first, position + 1
    return continue_uvarint(buffer, position + 1, first)


def continue_uvarint(buffer: bytes | memoryview, position: int, first: int) -> tuple[int, int]:
    """Like :func:`read_uvarint`, where the byte before ``position`` was read and is > 127."""
    value = first & 0x7F
    shift = 7
    while True:
        byte = buffer[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            break
        if shift == _MAX_VARINT_SHIFT:
            raise Malformed("a varint has more than five bytes")
        shift += 7
    if value > 0xFFFFFFFF:
        raise Malformed(f"the varint {value} has more than 32 bits")
    return value, position


def skip_tags(buffer: bytes | memoryview, position: int, end: int, first: int) -> int:
    """The position behind a block of tagged fields, none of which this version knows.

    Args:
        buffer: what holds the block.
        position: behind the first byte of the block's count.
        end: where the buffer ends.
        first: the first byte of the count.
    """
    count = first
    if first > 0x7F:
        count, position = continue_uvarint(buffer, position, first)
    for _ in range(count):
        _, position = read_uvarint(buffer, position)
        size, position = read_uvarint(buffer, position)
        position += size
        if position > end:
            raise Malformed(f"a tagged field of {size} bytes ends behind the message")
    return position
