"""Reads choices off the front of an input, so that equal bytes always mean the same run."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

T = TypeVar("T")


class Bites:
    """An input that is eaten from the front; behind its end there are zeros."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def __bool__(self) -> bool:
        """Whether anything is left."""
        return self._at < len(self._data)

    def byte(self) -> int:
        """The next byte."""
        return self.take(1)[0]

    def number(self, size: int, *, signed: bool = True) -> int:
        """The next bytes as a big-endian number."""
        return int.from_bytes(self.take(size), "big", signed=signed)

    def one_of(self, choices: Sequence[T]) -> T:
        """One of the choices, by the next byte or, of many, the next two."""
        size = 1 if len(choices) <= 256 else 2
        return choices[self.number(size, signed=False) % len(choices)]

    def take(self, size: int) -> bytes:
        """That many bytes."""
        found = self._data[self._at : self._at + size]
        self._at += size
        return found + bytes(size - len(found))

    def some(self) -> bytes:
        """As many bytes as the next one says, or as are left."""
        size = self.byte()
        found = self._data[self._at : self._at + size]
        self._at += size
        return found

    def rest(self) -> bytes:
        """All that is left."""
        found = self._data[self._at :]
        self._at = len(self._data)
        return found


def pieces(stream: bytes, size: int) -> list[bytes]:
    """A stream cut into pieces of one byte more than the size; 0 is all at once."""
    step = 1 + size if size else len(stream) or 1
    return [stream[at : at + step] for at in range(0, len(stream), step)]
