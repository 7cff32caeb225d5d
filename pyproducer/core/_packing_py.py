"""The bytes of one record of a v2 batch, in pure Python."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from pyproducer.core.appender_rules import header_error

__all__ = ["pack_headers", "pack_record", "varint"]


def varint(value: int) -> bytes:
    """Zigzag-encode a signed number (protocol guide, VARINT and VARLONG)."""
    number = (value << 1) ^ (value >> 63)
    if number < 0x80:
        return bytes((number,))
    out = bytearray()
    while number >= 0x80:
        out.append((number & 0x7F) | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)


def pack_headers(topic: str, headers: Any) -> bytes:
    """Encode a record's headers: their count, then name and value of each."""
    if isinstance(headers, Mapping):
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
        out += (varint(len(encoded)), encoded)
        if value is None:
            out.append(b"\x01")
        elif isinstance(value, (bytes, bytearray, memoryview)):
            value = bytes(value)
            out += (varint(len(value)), value)
        else:
            raise header_error(topic, pair)
        count += 1
    return varint(count) + b"".join(out)


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
            varint(timestamp_delta),
            varint(offset_delta),
            b"\x01" if key is None else varint(len(key)) + key,
            b"\x01" if value is None else varint(len(value)) + value,
            headers,
        )
    )
    return varint(len(packed)) + packed
