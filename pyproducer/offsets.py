"""Offsets and consumer groups as a caller has them, from whichever consumer, as we need them."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Mapping
from typing import Any, Final, TypeAlias

from pyproducer.errors import UsageError
from pyproducer.model import GroupMetadata, OffsetAndMetadata, TopicPartition

__all__ = ["Group", "Offsets", "group_of", "offsets_of"]

#: The next offset to read for each partition: a mapping, or objects that have ``topic``,
#: ``partition`` and ``offset`` (as those of confluent-kafka's ``position()``).
Offsets: TypeAlias = Mapping[tuple[str, int], int | OffsetAndMetadata] | Iterable[Any]

#: A group's id, or what a consumer says of its membership.
Group: TypeAlias = str | GroupMetadata | bytes | Any

#: How librdkafka writes group metadata down: generation, then strings that end with a zero byte.
_LIBRDKAFKA: Final = b"CGMDv2:"

_FIELDS: Final = ("group_id", "generation_id", "member_id")


def offsets_of(offsets: Offsets) -> dict[TopicPartition, OffsetAndMetadata]:
    """The offsets, by partition.

    Raises:
        UsageError: they are not offsets; the text names the place.
    """
    found: dict[TopicPartition, OffsetAndMetadata] = {}
    if isinstance(offsets, Mapping):
        for place, value in offsets.items():
            found[_place(place)] = _offset(place, value)
    elif isinstance(offsets, Iterable) and not isinstance(offsets, str | bytes):
        for each in offsets:
            topic, partition = getattr(each, "topic", None), getattr(each, "partition", None)
            place = _place((topic, partition), each)
            found[place] = _offset(place, each)
    else:
        raise UsageError(
            f"offsets must map (topic, partition) to the next offset to read, got {offsets!r}"
        )
    return found


def group_of(group: Group) -> GroupMetadata:
    """The group, with its member where that is told.

    Raises:
        UsageError: it is no group.
    """
    if isinstance(group, GroupMetadata):
        made = group
    elif isinstance(group, str):
        made = GroupMetadata(group)
    elif isinstance(group, bytes):
        made = _from_librdkafka(group)
    elif all(hasattr(group, name) for name in _FIELDS):
        instance = getattr(group, "group_instance_id", None)
        made = GroupMetadata(group.group_id, group.generation_id, group.member_id, instance)
    else:
        raise UsageError(
            "group must be a group id, a GroupMetadata, or what a consumer's group_metadata() "
            f"returns, got {type(group).__name__}"
        )
    if not isinstance(made.group_id, str) or not made.group_id:
        raise UsageError(f"a group id must be a non-empty str, got {made.group_id!r}")
    return made


def _place(place: object, shown: object = None) -> TopicPartition:
    match place:
        case (str(topic), int(partition)) if partition >= 0 and not isinstance(partition, bool):
            return TopicPartition(topic, partition)
    raise UsageError(
        "offsets must be given for (topic, partition), a str and an int of 0 or more, "
        f"got {place if shown is None else shown!r}"
    )


def _offset(place: tuple[str, int], value: Any) -> OffsetAndMetadata:
    made = OffsetAndMetadata(value) if isinstance(value, int) else value
    offset = getattr(made, "offset", None)
    if not isinstance(offset, int) or isinstance(offset, bool) or offset < 0:
        raise UsageError(
            f"the offset of {place[0]}-{place[1]} must be an int of 0 or more, or have one as "
            f".offset, got {value!r}"
        )
    epoch = getattr(made, "leader_epoch", None)
    return OffsetAndMetadata(
        offset, getattr(made, "metadata", None) or "", -1 if epoch is None else epoch
    )


def _from_librdkafka(data: bytes) -> GroupMetadata:
    """What confluent-kafka's ``consumer_group_metadata()`` returns."""
    try:
        if not data.startswith(_LIBRDKAFKA):
            raise ValueError(data)
        (generation,) = struct.unpack_from("=i", data, len(_LIBRDKAFKA))
        group, member, instance = data[len(_LIBRDKAFKA) + 4 :].split(b"\0", 2)
        static = None if instance[0] else instance[1:].rstrip(b"\0").decode()
        return GroupMetadata(group.decode(), generation, member.decode(), static)
    except (ValueError, struct.error, IndexError):
        raise UsageError(
            "group is bytes that are not what consumer_group_metadata() of confluent-kafka returns"
        ) from None
