"""Offsets and consumer groups as a caller has them, from whichever consumer, as we need them."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, Protocol, TypeAlias, TypeGuard, TypeVar

from pyproducer.errors import UsageError
from pyproducer.model import GroupMetadata, OffsetAndMetadata, TopicPartition

__all__ = [
    "Group",
    "Membership",
    "Offsets",
    "PartitionOffset",
    "Place",
    "group_of",
    "offsets_of",
]


class PartitionOffset(Protocol):
    """The next offset to read of one partition, as confluent-kafka's ``TopicPartition`` has it."""

    @property
    def topic(self) -> str:
        """The topic."""

    @property
    def partition(self) -> int:
        """The partition."""

    @property
    def offset(self) -> int:
        """The next offset to read; -1001 where nothing was read yet, and nothing is committed."""


class Membership(Protocol):
    """A consumer's place in its group, as kafka-python's ``group_metadata()`` has it."""

    @property
    def group_id(self) -> str:
        """The group."""

    @property
    def generation_id(self) -> int:
        """The group's generation."""

    @property
    def member_id(self) -> str:
        """The member."""


#: ``(topic, partition)``, or a NamedTuple of these from whichever client.
Place = TypeVar("Place", bound=tuple[str, int])

#: The next offset to read for each partition: a mapping from ``(topic, partition)``, or what
#: confluent-kafka's ``position()`` returns.
Offsets: TypeAlias = Mapping[Place, int | OffsetAndMetadata] | Sequence[PartitionOffset]

#: A group's id, or what a consumer says of its membership.
Group: TypeAlias = str | bytes | GroupMetadata | Membership

#: How librdkafka writes group metadata down: generation, then strings that end with a zero byte.
_LIBRDKAFKA: Final = b"CGMDv2:"

#: The offset of a partition of which librdkafka's consumer has read nothing yet.
_NOWHERE: Final = -1001

_INT32_MAX: Final = 2**31 - 1
_INT64_MAX: Final = 2**63 - 1

_FIELDS: Final = ("group_id", "generation_id", "member_id")


def offsets_of(offsets: Offsets[Place]) -> dict[TopicPartition, OffsetAndMetadata]:
    """The offsets, by partition.

    Raises:
        UsageError: they are not offsets; the text names the place.
    """
    found: dict[TopicPartition, OffsetAndMetadata] = {}
    if isinstance(offsets, Mapping):
        for key, value in offsets.items():
            place = _place(key)
            found[place] = _offset(place, value)
    elif isinstance(offsets, Iterable) and not isinstance(offsets, str | bytes):
        for each in offsets:
            topic, partition = getattr(each, "topic", None), getattr(each, "partition", None)
            place = _place((topic, partition), each)
            if getattr(each, "offset", None) != _NOWHERE:
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
    _check(made)
    return made


def _check(group: GroupMetadata) -> None:
    """Refuse what could not be written down."""
    instance = group.group_instance_id
    if not isinstance(group.group_id, str) or not group.group_id:
        raise UsageError(f"a group id must be a non-empty str, got {group.group_id!r}")
    if not _is_int(group.generation_id, -1, _INT32_MAX):
        raise UsageError(f"a group's generation must be an int, got {group.generation_id!r}")
    if not isinstance(group.member_id, str):
        raise UsageError(f"a group's member id must be a str, got {group.member_id!r}")
    if instance is not None and not isinstance(instance, str):
        raise UsageError(f"a group's instance id must be a str or None, got {instance!r}")


def _is_int(value: object, low: int, high: int) -> TypeGuard[int]:
    return isinstance(value, int) and not isinstance(value, bool) and low <= value <= high


def _place(place: object, shown: object = None) -> TopicPartition:
    match place:
        case (str(topic), partition) if topic and _is_int(partition, 0, _INT32_MAX):
            return TopicPartition(topic, partition)
    raise UsageError(
        "offsets must be given for (topic, partition), a str and an int of 0 or more, "
        f"got {place if shown is None else shown!r}"
    )


def _offset(place: TopicPartition, value: Any) -> OffsetAndMetadata:
    offset = value if isinstance(value, int) else getattr(value, "offset", None)
    if not _is_int(offset, 0, _INT64_MAX):
        raise UsageError(
            f"the offset of {place} must be an int of 0 or more, or have one as .offset, "
            f"got {value!r}"
        )
    note, epoch = getattr(value, "metadata", None), getattr(value, "leader_epoch", None)
    if note is not None and not isinstance(note, str):
        raise UsageError(f"the metadata of {place} must be a str, got {note!r}")
    if epoch is not None and not _is_int(epoch, -1, _INT32_MAX):
        raise UsageError(f"the leader epoch of {place} must be an int, got {epoch!r}")
    return OffsetAndMetadata(offset, note or "", -1 if epoch is None else epoch)


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
