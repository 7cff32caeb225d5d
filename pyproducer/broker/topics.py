"""Which topics there are: names, ids, partition counts and settings, kept over restarts."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any
from uuid import UUID

from pyproducer.broker.errors import Refused
from pyproducer.protocol.error_codes import ErrorCode

if TYPE_CHECKING:
    from pyproducer.broker.metadata_file import MetadataFile

#: Topics that the broker writes itself; clients may read but not produce to them.
INTERNAL_TOPICS = frozenset({"__consumer_offsets", "__transaction_state"})
#: More would fail on open files long before anything else; one request should not get that far.
MAX_PARTITIONS = 10_000

_LEGAL_NAME = re.compile(r"[a-zA-Z0-9._-]{1,249}")
_SECTION = "topics"


@dataclass(frozen=True, slots=True)
class TopicSpec:
    """A topic to be made.

    Attributes:
        name: 1 to 249 letters, digits, dots, underscores and hyphens.
        partitions: How many; at least 1.
        configs: Kafka's topic configurations that differ from the broker's defaults.
    """

    name: str
    partitions: int = 1
    configs: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Topic:
    """A topic that there is. A change makes a new one in the registry.

    Attributes:
        name: Its name.
        id: Never used again, even if a topic of the same name comes back.
        partitions: How many; their numbers are 0 to this less 1.
        configs: Its own configurations; what is not here is the broker's default.
    """

    name: str
    id: UUID
    partitions: int
    configs: Mapping[str, str]

    @property
    def internal(self) -> bool:
        """True for the topics that the broker keeps for itself."""
        return self.name in INTERNAL_TOPICS


def check_name(name: str) -> None:
    """Returns if a topic may be called that.

    Raises:
        Refused: INVALID_TOPIC_EXCEPTION.
    """
    if name in {".", ".."} or not _LEGAL_NAME.fullmatch(name):
        shown = name if len(name) <= 60 else f"{name[:60]}... ({len(name)} characters)"
        raise Refused(
            ErrorCode.INVALID_TOPIC_EXCEPTION,
            f"topic name {shown!r} is not legal: 1 to 249 of a-z, A-Z, 0-9, '.', '_' and '-', "
            "and neither '.' nor '..'",
        )


class TopicRegistry:
    """All topics, by name and by id. Every change is on disk before it is seen.

    Args:
        metadata: Where they are kept.
        new_id: Makes random ids.
    """

    def __init__(self, metadata: MetadataFile, new_id: Callable[[], UUID]) -> None:
        self._metadata = metadata
        self._new_id = new_id
        rows = metadata.get(_SECTION, [])
        self._by_name: dict[str, Topic] = {row["name"]: _from_row(row) for row in rows}
        self._by_id = {topic.id: topic for topic in self._by_name.values()}

    def __iter__(self) -> Iterator[Topic]:
        """The topics in order of their names."""
        return iter(sorted(self._by_name.values(), key=lambda topic: topic.name))

    def __len__(self) -> int:
        return len(self._by_name)

    def __getitem__(self, name: str) -> Topic:
        return self._by_name[name]

    def get(self, name: str) -> Topic | None:
        """The topic of that name, or None."""
        return self._by_name.get(name)

    def has(self, name: str, partition: int) -> bool:
        """Whether there is a topic of that name with a partition of that number."""
        topic = self._by_name.get(name)
        return topic is not None and 0 <= partition < topic.partitions

    def by_id(self, topic_id: UUID) -> Topic | None:
        """The topic with that id, or None."""
        return self._by_id.get(topic_id)

    def check_new(self, name: str) -> None:
        """Returns if a topic of that name can be made.

        Raises:
            Refused: INVALID_TOPIC_EXCEPTION if the name is not legal, or differs from an
                existing one in nothing but '.' and '_' (metric names would collide);
                TOPIC_ALREADY_EXISTS.
        """
        check_name(name)
        if name in self._by_name:
            raise Refused(ErrorCode.TOPIC_ALREADY_EXISTS, f"topic {name!r} exists already")
        twin = name.replace(".", "_")
        for other in self._by_name:
            if other.replace(".", "_") == twin:
                raise Refused(
                    ErrorCode.INVALID_TOPIC_EXCEPTION,
                    f"topic {name!r} collides with {other!r}: '.' and '_' count as the same",
                )

    def create(self, specs: Iterable[TopicSpec]) -> list[Topic]:
        """The topics exist, all of them or none; their names and settings were checked before.

        Raises:
            OSError: None of them exists.
        """
        made = [
            Topic(spec.name, self._new_id(), spec.partitions, dict(spec.configs)) for spec in specs
        ]
        self._commit({**self._by_name, **{topic.name: topic for topic in made}})
        return made

    def delete(self, names: Iterable[str]) -> list[Topic]:
        """The topics are gone; returns what they were.

        Raises:
            OSError: None of them is gone.
        """
        left = dict(self._by_name)
        gone = [left.pop(name) for name in names]
        self._commit(left)
        return gone

    def grow(self, name: str, partitions: int) -> Topic:
        """The topic has that many partitions.

        Raises:
            OSError: It has as many as before.
        """
        return self._replace(replace(self._by_name[name], partitions=partitions))

    def configure(self, name: str, configs: Mapping[str, str]) -> Topic:
        """The topic's own configurations are these and no others; they were checked before.

        Raises:
            OSError: They are those from before.
        """
        return self._replace(replace(self._by_name[name], configs=dict(configs)))

    def _replace(self, topic: Topic) -> Topic:
        self._commit({**self._by_name, topic.name: topic})
        return topic

    def _commit(self, topics: dict[str, Topic]) -> None:
        self._metadata.update(topics=[_to_row(topic) for topic in topics.values()])
        self._by_name = topics
        self._by_id = {topic.id: topic for topic in topics.values()}


def _from_row(row: Mapping[str, Any]) -> Topic:
    """The topic in a row of the metadata file.

    Raises:
        AttributeError, KeyError, TypeError, ValueError: The row is none.
    """
    name, partitions = row["name"], int(row["partitions"])
    # Folders are named after it: none may lie elsewhere.
    if name in {".", ".."} or not _LEGAL_NAME.fullmatch(name):
        raise ValueError(f"{name!r} is no topic's name")
    if not 1 <= partitions <= MAX_PARTITIONS:
        raise ValueError(f"{name} has 1 to {MAX_PARTITIONS} partitions, not {partitions}")
    return Topic(name, UUID(row["id"]), partitions, dict(row["configs"]))


def _to_row(topic: Topic) -> dict[str, Any]:
    return {
        "name": topic.name,
        "id": str(topic.id),
        "partitions": topic.partitions,
        "configs": dict(topic.configs),
    }
