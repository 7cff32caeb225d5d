"""Which partition a record goes to when its caller names none.

A partitioner is a pure choice: key bytes and partition count in, partition out. Records that
have nothing to hash do not come here: the appender keeps them on one partition until that
partition's batch closes (:attr:`Partitioner.keeps_together` says which records those are).

``murmur2`` is Java's choice and ``crc32`` librdkafka's, so that a topic shared with programs in
other languages keeps each key on one partition. Key and partition belong together only as long
as the topic's partition count does not change.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable
from typing import Any, NamedTuple, TypeAlias

from pyproducer.config import PartitionerOption
from pyproducer.errors import ConfigError, UsageError

__all__ = [
    "PARTITIONERS",
    "PartitionFunction",
    "Partitioner",
    "RoundRobin",
    "checked_partition",
    "crc32_partition",
    "murmur2",
    "murmur2_partition",
    "resolve",
]

PartitionFunction: TypeAlias = Callable[[bytes | None, int], int]

_SEED = 0x9747B28C
_M = 0x5BD1E995
_MASK = 0xFFFFFFFF
_words = struct.Struct("<I").iter_unpack


def murmur2(key: bytes) -> int:
    """Return the 32-bit hash of ``key`` that Kafka's Java client computes, as an unsigned int."""
    length = len(key)
    left_over = key[length & ~3 :]
    h = _SEED ^ length
    for (word,) in _words(key[: -len(left_over)] if left_over else key):
        k = (word * _M) & _MASK
        # Bits above the 32nd have no way down through * and ^: one mask is enough for both.
        h = ((h * _M) ^ ((k ^ (k >> 24)) * _M)) & _MASK
    if left_over:
        # These bytes, little-endian, are mixed in without the multiplication above.
        h = ((h ^ int.from_bytes(left_over, "little")) * _M) & _MASK
    h = ((h ^ (h >> 13)) * _M) & _MASK
    return h ^ (h >> 15)


def murmur2_partition(key: bytes | None, count: int) -> int:
    """Return the partition of ``key`` among ``count`` as Kafka's Java producer chooses it.

    A null key has no hash; it is given partition 0, though the appender never asks for it.
    """
    # Java clears the sign bit of its int rather than taking the absolute value.
    return 0 if key is None else (murmur2(key) & 0x7FFFFFFF) % count


def crc32_partition(key: bytes | None, count: int) -> int:
    """Return the partition of ``key`` among ``count`` as librdkafka's default chooses it.

    A null key hashes like an empty one, though the appender asks for neither.
    """
    return zlib.crc32(key or b"") % count


class RoundRobin:
    """Partitions in turn, whatever the key; one object serves one topic."""

    __slots__ = ("_next",)

    def __init__(self) -> None:
        self._next = 0

    def __call__(self, key: bytes | None, count: int) -> int:
        """Return the next partition below ``count``."""
        # A topic can grow between two calls, never shrink below a partition already chosen.
        chosen = self._next % count
        self._next = chosen + 1
        return chosen


class Partitioner(NamedTuple):
    """A way to choose partitions.

    Attributes:
        name: the option's value, or the callable's own name.
        for_topic: makes the function that chooses for one topic; the functions that keep no
            state are shared.
        sticky_null: null keys stay together on the appender's partition of the moment.
        sticky_empty: so do empty keys (librdkafka hashes neither).
        custom: the function is the user's; its results go through :func:`checked_partition`.
    """

    name: str
    for_topic: Callable[[], PartitionFunction]
    sticky_null: bool
    sticky_empty: bool
    custom: bool

    def keeps_together(self, key: bytes | None) -> bool:
        """Tell whether a record with ``key`` is the appender's to place."""
        return (key is None and self.sticky_null) or (key == b"" and self.sticky_empty)


PARTITIONERS: dict[str, Partitioner] = {
    "murmur2": Partitioner("murmur2", lambda: murmur2_partition, True, False, False),
    "crc32": Partitioner("crc32", lambda: crc32_partition, True, True, False),
    "round_robin": Partitioner("round_robin", RoundRobin, False, False, False),
}


def resolve(option: PartitionerOption) -> Partitioner:
    """Return the partitioner that the ``partitioner`` option means.

    Args:
        option: a name of :data:`PARTITIONERS`, or a callable ``(key, count) -> int``, which is
            called for every record without a partition, null keys included.

    Raises:
        ConfigError: it is neither.
    """
    if isinstance(option, str):
        try:
            return PARTITIONERS[option]
        except KeyError:
            names = ", ".join(map(repr, PARTITIONERS))
            raise ConfigError(
                f"partitioner={option!r} is not known; use {names} or a callable.",
                option="partitioner",
            ) from None
    if not callable(option):
        raise ConfigError(
            f"partitioner={option!r} must be a name or a callable (key, count) -> int.",
            option="partitioner",
        )
    function = option
    return Partitioner(_name_of(function), lambda: function, False, False, True)


def ask_partitioner(
    partitioner: Partitioner,
    function: PartitionFunction,
    key: bytes | None,
    count: int,
    *,
    topic: str,
) -> int:
    """Return the partition that a user's own function chooses.

    Raises:
        UsageError: it raised (the cause), or returned no partition of the topic.
    """
    try:
        number = function(key, count)
    except Exception as cause:
        raise UsageError(
            f"partitioner {partitioner.name} failed for topic {topic!r}: "
            f"{type(cause).__name__}: {cause}"
        ) from cause
    return checked_partition(number, count, partitioner=partitioner.name, topic=topic)


def checked_partition(partition: object, count: int, *, partitioner: str, topic: str) -> int:
    """Return what a user's partitioner chose, if it is a partition.

    Raises:
        UsageError: it is no int (bools and floats included), or not from 0 to ``count`` - 1.
    """
    if type(partition) is bool or not isinstance(partition, int):
        raise UsageError(
            f"partitioner {partitioner} returned {partition!r} for topic {topic!r}: it must "
            f"return an int, not {type(partition).__name__}."
        )
    if not 0 <= partition < count:
        raise UsageError(
            f"partitioner {partitioner} returned {partition} for topic {topic!r}, which has "
            f"partitions 0 to {count - 1}: take the hash modulo the count it is given."
        )
    return partition


def _name_of(function: Callable[..., Any]) -> str:
    return getattr(function, "__qualname__", type(function).__qualname__)
