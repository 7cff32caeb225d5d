"""The bytes of one record of a v2 batch, in pure Python."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from pyproducer.core.appender_rules import header_error

__all__ = ["NO_HEADERS", "VARINTS", "pack_headers", "pack_record"]

#: What stands for no headers at all: their count.
NO_HEADERS: Final = b"\0"


class _Varints(dict[int, bytes]):
    """Signed numbers, zigzag-encoded (protocol guide, VARINT and VARLONG).

    Those of one and two bytes stay once they were asked for: lengths and offsets in a batch are
    the same few, over and over.
    """

    def __missing__(self, value: int) -> bytes:
        number = (value << 1) ^ (value >> 63)
        out = bytearray()
        while number >= 0x80:
            out.append((number & 0x7F) | 0x80)
            number >>= 7
        out.append(number)
        encoded = bytes(out)
        if len(encoded) <= 2:
            self[value] = encoded
        return encoded


#: The encoded form of a number, by subscript.
VARINTS: Final = _Varints()


def pack_headers(topic: str, headers: Any) -> bytes:
    """Encode a record's headers: their count, then name and value of each."""
    if type(headers) is dict or isinstance(headers, Mapping):
        pairs: Iterable[Any] = headers.items()
    elif isinstance(headers, (str, bytes)) or not isinstance(headers, Iterable):
        raise header_error(topic, headers)
    else:
        pairs = headers
    out: list[bytes] = []
    count = 0
    for pair in pairs:
        if not isinstance(pair, (tuple, list)) or len(pair) != 2:
            raise header_error(topic, pair)
        name, value = pair
        if type(name) is not str:
            raise header_error(topic, pair)
        try:
            encoded = name.encode()
            if isinstance(value, str):
                value = value.encode()
        except UnicodeEncodeError as cause:
            raise header_error(topic, pair) from cause
        out += (VARINTS[len(encoded)], encoded)
        if value is None:
            out.append(b"\x01")
        elif isinstance(value, (bytes, bytearray, memoryview)):
            value = bytes(value)
            out += (VARINTS[len(value)], value)
        else:
            raise header_error(topic, pair)
        count += 1
    return VARINTS[count] + b"".join(out)


def pack_record(
    key: bytes | None,
    value: bytes | None,
    headers: bytes,
    timestamp_delta: int,
    offset_delta: int,
) -> bytes:
    """One record of a v2 batch: its length, then its fields."""
    packed = b"".join(
        (
            b"\0",
            VARINTS[timestamp_delta],
            VARINTS[offset_delta],
            b"\x01" if key is None else VARINTS[len(key)] + key,
            b"\x01" if value is None else VARINTS[len(value)],
            b"" if value is None else value,
            headers,
        )
    )
    return VARINTS[len(packed)] + packed
