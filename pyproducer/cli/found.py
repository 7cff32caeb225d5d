"""What is found in the input of ``produce``."""

from __future__ import annotations

from typing import Final, NamedTuple, TypeAlias

__all__ = ["TOO_LONG", "Found", "Item", "Rejected"]

TOO_LONG: Final = "the line is longer than max_request_size allows a record to be"


class Item(NamedTuple):
    """One record, and the line that it began on."""

    line: int
    key: str | None
    value: bytes


class Rejected(NamedTuple):
    """A line that is no record, and why."""

    line: int
    reason: str


Found: TypeAlias = Item | Rejected
