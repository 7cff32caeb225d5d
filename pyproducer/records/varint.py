"""Writes the variable-length integers of a record: zigzag, seven bits to a byte, low end first."""

from __future__ import annotations

__all__ = ["write_varint"]


def write_varint(out: bytearray, value: int) -> None:
    """Appends the value; 32-bit values take up to 5 bytes, 64-bit values up to 10."""
    raw = value << 1 if value >= 0 else (-value << 1) - 1
    while raw >= 0x80:
        out.append(raw & 0x7F | 0x80)
        raw >>= 7
    out.append(raw)
