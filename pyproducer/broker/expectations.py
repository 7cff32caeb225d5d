"""What a test expects a log to hold, and how the log differs from that, for people to read."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import takewhile
from typing import Any, TypeAlias

from pyproducer.broker.inspection import BrokerRecord
from pyproducer.errors import ConfigError

#: A value, a (key, value), or a record. Texts stand for their UTF-8 bytes, None for null.
Expected: TypeAlias = (
    bytes | str | tuple[bytes | str | None, bytes | str | None] | BrokerRecord | None
)
_Key: TypeAlias = tuple[Any, ...]

#: Records without a difference that are shown beside one.
_AROUND = 3


def difference(place: str, found: Sequence[BrokerRecord], expected: Sequence[Expected]) -> str:
    """What stands where something else should; "" if the log holds exactly what is expected.

    Args:
        place: Name of the log.
        found: What it holds.
        expected: What it should hold, in order.

    Raises:
        ConfigError: One of these is no record, or part of one.
    """
    wanted = [_key(one) for one in expected]
    before = _alike(zip(found, wanted, strict=False))
    if before == len(found) == len(wanted):
        return ""
    rest = min(len(found), len(wanted)) - before
    behind = min(_alike(zip(reversed(found), reversed(wanted), strict=False)), rest)
    counts = f"{len(found)} records instead of {len(wanted)}"
    lines = [f"{place} holds {counts} ('-' was expected, '+' is there):"]
    lines += _shortened([f"    {_told(record)}" for record in found[:before]])
    lines += [f"  - {_wanted(key)}" for key in wanted[before : len(wanted) - behind]]
    lines += [f"  + {_told(record)}" for record in found[before : len(found) - behind]]
    lines += _shortened([f"    {_told(record)}" for record in found[len(found) - behind :]])
    return "\n".join(lines)


def _alike(pairs: Iterable[tuple[BrokerRecord, _Key]]) -> int:
    """How many pairs from the first on are of what was expected."""
    return sum(1 for _ in takewhile(lambda pair: _is(*pair), pairs))


def _is(record: BrokerRecord, key: _Key) -> bool:
    if len(key) == 1:
        return bool(record.value == key[0])
    return key == ((record.key, record.value) if len(key) == 2 else tuple(record))


def _key(one: Expected) -> _Key:
    if isinstance(one, BrokerRecord):
        return tuple(one)
    if isinstance(one, tuple):
        if len(one) != 2:
            raise ConfigError(f"{one!r} is no (key, value)", option="expected")
        return _bytes(one[0]), _bytes(one[1])
    return (_bytes(one),)


def _bytes(one: object) -> bytes | None:
    if one is None or isinstance(one, bytes):
        return one
    if isinstance(one, str):
        return one.encode()
    raise ConfigError(
        f"a record is expected as its value, as (key, value) or as a BrokerRecord; keys and "
        f"values are bytes, texts or None, not {one!r}",
        option="expected",
    )


def _told(record: BrokerRecord) -> str:
    headers = f"  headers {record.headers}" if record.headers else ""
    return f"offset {record.offset}  key {record.key!r}  value {record.value!r}{headers}"


def _wanted(key: _Key) -> str:
    if len(key) == 1:
        return f"value {key[0]!r}"
    if len(key) == 2:
        return f"key {key[0]!r}  value {key[1]!r}"
    return _told(BrokerRecord(*key))


def _shortened(lines: list[str]) -> list[str]:
    if len(lines) <= 2 * _AROUND + 1:
        return lines
    left_out = f"    ... {len(lines) - 2 * _AROUND} more as expected"
    return [*lines[:_AROUND], left_out, *lines[-_AROUND:]]
