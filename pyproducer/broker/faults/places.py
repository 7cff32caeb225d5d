"""Where the answer to each API carries its error codes, and how to refuse a part of a request.

A *key* is what one error code is about: `(topic, partition)`, `(name, None)`, or `(None, None)` for
an answer as a whole. Requests and responses are walked by the names of their fields.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeAlias, cast

from pyproducer.protocol.api import ApiKey
from pyproducer.protocol.error_codes import ErrorCode
from pyproducer.protocol.messages.add_partitions_to_txn import (
    AddPartitionsToTxnPartitionResult,
    AddPartitionsToTxnRequest,
    AddPartitionsToTxnResponse,
    AddPartitionsToTxnTopicResult,
)
from pyproducer.protocol.messages.fetch import FetchRequest
from pyproducer.protocol.messages.write_txn_markers import (
    WritableTxnMarkerPartitionResult,
    WritableTxnMarkerResult,
    WritableTxnMarkerTopicResult,
    WriteTxnMarkersRequest,
    WriteTxnMarkersResponse,
)
from pyproducer.protocol.primitives import Array
from pyproducer.protocol.schema import Message, Struct

if TYPE_CHECKING:
    from pyproducer.broker.node import Node

__all__ = ["MESSAGE", "PLACES", "Key", "Place", "can_carry"]

Key: TypeAlias = tuple[str | None, int | None]
Codes: TypeAlias = Mapping[Key, int]

WHOLE: Key = (None, None)
#: Told to clients beside the code, where the answer has room for it.
MESSAGE = "a fault that a test has set"


class Place:
    """The error codes of one API.

    Attributes:
        by_topic: Whether they are about topics, so that a fault can be about one of them.
        by_partition: Likewise for partitions.
        reads: Whether a request changes nothing, so that it can be worked on and then refused.
        handled: Whether the handler itself refuses what it finds in `RequestContext.refused`.
    """

    by_topic = False
    by_partition = False
    reads = False
    handled = False

    def keys(self, request: Message, node: Node) -> list[Key]:
        """What the answer will have codes about."""
        raise NotImplementedError

    def without(self, request: Message, keys: Iterable[Key], node: Node) -> Message | None:
        """The request with the keys left out; None if nothing is left to ask for."""
        raise NotImplementedError

    def add(
        self, response: Message, request: Message, codes: Codes, version: int, node: Node
    ) -> None:
        """The response has the codes for what was left out of the request."""
        raise NotImplementedError

    def overlay(
        self, response: Message, codes: Codes, version: int, node: Node, *, always: bool
    ) -> set[Key]:
        """What went well, or `always` all, says the codes instead; returns which keys do now."""
        raise NotImplementedError


@dataclass(frozen=True)
class Whole(Place):
    """One code for the answer, or the same one for all its items.

    Attributes:
        items: Lists of the response whose items have the code, by the version that has them
            first; where no version is low enough, the answer has it itself.
        reads: See `Place`.
        blank: Other fields of a refusal.
    """

    items: Mapping[range, str] = field(default_factory=dict)
    reads: bool = False
    blank: Mapping[str, Any] = field(default_factory=dict)

    def keys(self, request: Message, node: Node) -> list[Key]:
        return [WHOLE]

    def without(self, request: Message, keys: Iterable[Key], node: Node) -> Message | None:
        return None

    def add(
        self, response: Message, request: Message, codes: Codes, version: int, node: Node
    ) -> None:
        _set(response, codes[WHOLE], version, self.blank)

    def overlay(
        self, response: Message, codes: Codes, version: int, node: Node, *, always: bool
    ) -> set[Key]:
        for versions, name in self.items.items():
            if version in versions:
                targets = _nested(response, name.split("."))
                break
        else:
            targets = [response]
        meant = [one for one in targets if always or not getattr(one, "error_code", 0)]
        for one in meant:
            _set(one, codes[WHOLE], version, self.blank)
        return {WHOLE} if meant else set()


@dataclass(frozen=True)
class Items(Place):
    """A code for each named item.

    Attributes:
        asked: Lists of the request whose items are named; a version fills one of them.
        answered: The list of the response.
        asked_name: The field of the request's items with the name; unused for plain names.
        name: The field of the response's items with the name.
        by_topic: The name is a topic's.
        reads: See `Place`.
        copied: Fields of the request's items that come back in the answer.
        blank: Other fields of a refusal.
    """

    asked: tuple[str, ...]
    answered: str
    asked_name: str = "name"
    name: str = "name"
    by_topic: bool = True
    reads: bool = False
    copied: tuple[str, ...] = ()
    blank: Mapping[str, Any] = field(default_factory=dict)

    def keys(self, request: Message, node: Node) -> list[Key]:
        if any(getattr(request, name) is None for name in self.asked):
            return [(topic.name, None) for topic in node.topics]
        return [
            (_name(item, self.asked_name, node), None)
            for name in self.asked
            for item in getattr(request, name)
        ]

    def without(self, request: Message, keys: Iterable[Key], node: Node) -> Message | None:
        gone = {key[0] for key in keys}
        rest = {
            name: [
                item
                for item in getattr(request, name)
                if _name(item, self.asked_name, node) not in gone
            ]
            for name in self.asked
        }
        return request.replace(**rest) if any(rest.values()) else None

    def add(
        self, response: Message, request: Message, codes: Codes, version: int, node: Node
    ) -> None:
        kind = _element(type(response), self.answered)
        for name in self.asked:
            for item in getattr(request, name):
                known = _name(item, self.asked_name, node)
                if (known, None) not in codes:
                    continue
                made = kind(
                    **{self.name: item if isinstance(item, str) else getattr(item, self.asked_name)}
                )
                for copied in self.copied:
                    if not isinstance(item, str):
                        setattr(made, copied, getattr(item, copied))
                _set(made, codes[known, None], version, self.blank)
                getattr(response, self.answered).append(made)

    def overlay(
        self, response: Message, codes: Codes, version: int, node: Node, *, always: bool
    ) -> set[Key]:
        struck: set[Key] = set()
        for item in getattr(response, self.answered):
            key = (_name(item, self.name, node), None)
            if key in codes and (always or not item.error_code):
                _set(item, codes[key], version, self.blank)
                struck.add(key)
        return struck


@dataclass(frozen=True)
class Partitions(Place):
    """A code for each partition of each topic.

    Attributes:
        asked: The request's list of topics, a topic's name, its partitions, a partition's number;
            "" for the last where partitions are plain numbers.
        answered: Likewise in the response.
        reads: See `Place`.
        blank: Other fields of a refusal.
    """

    asked: tuple[str, str, str, str]
    answered: tuple[str, str, str, str]
    reads: bool = False
    blank: Mapping[str, Any] = field(default_factory=dict)
    by_topic: bool = True
    by_partition: bool = True

    def keys(self, request: Message, node: Node) -> list[Key]:
        topics, name, parts, number = self.asked
        return [
            (_name(topic, name, node), _number(part, number))
            for topic in getattr(request, topics)
            for part in getattr(topic, parts)
        ]

    def without(self, request: Message, keys: Iterable[Key], node: Node) -> Message | None:
        topics, name, parts, number = self.asked
        gone = set(keys)
        left = []
        for topic in getattr(request, topics):
            known = _name(topic, name, node)
            rest = [
                part for part in getattr(topic, parts) if (known, _number(part, number)) not in gone
            ]
            if rest:
                left.append(topic.replace(**{parts: rest}))
        return request.replace(**{topics: left}) if left else None

    def add(
        self, response: Message, request: Message, codes: Codes, version: int, node: Node
    ) -> None:
        topics, name, parts, number = self.asked
        answered, answered_name, answered_parts, answered_number = self.answered
        of_topic = _element(type(response), answered)
        of_part = _element(of_topic, answered_parts)
        held = {_name(one, answered_name, node): one for one in getattr(response, answered)}
        for topic in getattr(request, topics):
            known = _name(topic, name, node)
            for part in getattr(topic, parts):
                key = (known, _number(part, number))
                if key not in codes:
                    continue
                if known not in held:
                    held[known] = made = of_topic(**{answered_name: getattr(topic, name)})
                    if hasattr(topic, "topic_id"):
                        made.topic_id = topic.topic_id
                    getattr(response, answered).append(made)
                refusal = of_part(**{answered_number: key[1]})
                _set(refusal, codes[key], version, self.blank)
                getattr(held[known], answered_parts).append(refusal)

    def overlay(
        self, response: Message, codes: Codes, version: int, node: Node, *, always: bool
    ) -> set[Key]:
        topics, name, parts, number = self.answered
        struck: set[Key] = set()
        for topic in getattr(response, topics):
            known = _name(topic, name, node)
            for part in getattr(topic, parts):
                key = (known, _number(part, number))
                if key in codes and (always or not part.error_code):
                    _set(part, codes[key], version, self.blank)
                    struck.add(key)
        return struck


class FetchedPartitions(Partitions):
    """Fetch: a code for each partition, named in the request or kept in its session."""

    handled = True

    def keys(self, request: Message, node: Node) -> list[Key]:
        found = super().keys(request, node)
        wanted = cast("FetchRequest", request)
        session = node.fetch_sessions.get(wanted.session_id)
        if session is not None and session.epoch == wanted.session_epoch:
            kept = ((one.topic, one.index) for one in session.partitions.values())
            found = list(dict.fromkeys([*found, *kept]))
        return found


class AddedPartitions(Place):
    """AddPartitionsToTxn: a code for each partition, and from version 4 on one for the answer."""

    by_topic = True
    by_partition = True

    def keys(self, request: Message, node: Node) -> list[Key]:
        wanted = cast("AddPartitionsToTxnRequest", request)
        topics = wanted.v3_and_below_topics
        return [(topic.name, index) for topic in topics for index in topic.partitions] or [WHOLE]

    def without(self, request: Message, keys: Iterable[Key], node: Node) -> Message | None:
        # All partitions of a request are added, or none.
        return None

    def add(
        self, response: Message, request: Message, codes: Codes, version: int, node: Node
    ) -> None:
        answer = cast("AddPartitionsToTxnResponse", response)
        wanted = cast("AddPartitionsToTxnRequest", request)
        answer.error_code = codes.get(WHOLE, 0)
        answer.results_by_topic_v3_and_below = [
            AddPartitionsToTxnTopicResult(
                name=topic.name,
                results_by_partition=[
                    AddPartitionsToTxnPartitionResult(
                        partition_index=index,
                        partition_error_code=codes.get(
                            (topic.name, index), ErrorCode.OPERATION_NOT_ATTEMPTED
                        ),
                    )
                    for index in topic.partitions
                ],
            )
            for topic in wanted.v3_and_below_topics
        ]

    def overlay(
        self, response: Message, codes: Codes, version: int, node: Node, *, always: bool
    ) -> set[Key]:
        answer = cast("AddPartitionsToTxnResponse", response)
        if WHOLE in codes:
            answer.error_code = codes[WHOLE]
            return {WHOLE}
        struck: set[Key] = set()
        for topic in answer.results_by_topic_v3_and_below:
            for part in topic.results_by_partition:
                key = (topic.name, part.partition_index)
                if key in codes and (always or not part.partition_error_code):
                    part.partition_error_code = codes[key]
                    struck.add(key)
        return struck


class Marked(Place):
    """WriteTxnMarkers: a code for each partition of each marker, the same for all."""

    def keys(self, request: Message, node: Node) -> list[Key]:
        return [WHOLE]

    def without(self, request: Message, keys: Iterable[Key], node: Node) -> Message | None:
        return None

    def add(
        self, response: Message, request: Message, codes: Codes, version: int, node: Node
    ) -> None:
        cast("WriteTxnMarkersResponse", response).markers = [
            WritableTxnMarkerResult(
                producer_id=marker.producer_id,
                topics=[
                    WritableTxnMarkerTopicResult(
                        name=topic.name,
                        partitions=[
                            WritableTxnMarkerPartitionResult(
                                partition_index=index, error_code=codes[WHOLE]
                            )
                            for index in topic.partition_indexes
                        ],
                    )
                    for topic in marker.topics
                ],
            )
            for marker in cast("WriteTxnMarkersRequest", request).markers
        ]

    def overlay(
        self, response: Message, codes: Codes, version: int, node: Node, *, always: bool
    ) -> set[Key]:
        parts = _nested(response, ["markers", "topics", "partitions"])
        meant = [one for one in parts if always or not one.error_code]
        for one in meant:
            one.error_code = codes[WHOLE]
        return {WHOLE} if meant else set()


@dataclass(frozen=True)
class Each(Place):
    """The same code for each item of the request, of which the answer has as many.

    Attributes:
        asked: The list of the request.
        answered: The list of the response.
        copied: Fields of the request's items that come back in the answer.
    """

    asked: str
    answered: str
    copied: tuple[str, ...] = ()

    def keys(self, request: Message, node: Node) -> list[Key]:
        return [WHOLE]

    def without(self, request: Message, keys: Iterable[Key], node: Node) -> Message | None:
        return None

    def add(
        self, response: Message, request: Message, codes: Codes, version: int, node: Node
    ) -> None:
        kind = _element(type(response), self.answered)
        for item in getattr(request, self.asked):
            made = kind(**{name: getattr(item, name) for name in self.copied})
            _set(made, codes[WHOLE], version, {})
            getattr(response, self.answered).append(made)

    def overlay(
        self, response: Message, codes: Codes, version: int, node: Node, *, always: bool
    ) -> set[Key]:
        items = getattr(response, self.answered)
        meant = [one for one in items if always or not one.error_code]
        for one in meant:
            _set(one, codes[WHOLE], version, {})
        return {WHOLE} if meant else set()


def can_carry(kind: type[Struct], name: str, version: int) -> bool:
    """Whether the struct has the field on the wire in this version."""
    wire = kind.wire_fields().get(name)
    return wire is not None and wire.in_version(version)


def _set(target: Any, code: int, version: int, blank: Mapping[str, Any]) -> None:
    target.error_code = code
    for name, value in blank.items():
        # A list of its own for each.
        setattr(target, name, [*value] if isinstance(value, tuple) else value)
    if can_carry(type(target), "error_message", version):
        target.error_message = MESSAGE


def _nested(struct: Any, names: list[str]) -> list[Any]:
    found = [struct]
    for name in names:
        found = [item for one in found for item in getattr(one, name)]
    return found


def _element(kind: type[Struct], name: str) -> Any:
    listed = kind.wire_fields()[name].type
    assert isinstance(listed, Array)
    return listed.element


def _number(part: Any, name: str) -> int:
    return cast("int", getattr(part, name) if name else part)


def _name(item: Any, name: str, node: Node) -> str | None:
    if isinstance(item, str):
        return item
    found: str | None = getattr(item, name)
    if not found and hasattr(item, "topic_id"):
        topic = node.topics.by_id(item.topic_id)
        # Two ids that nobody knows must not be taken for one topic.
        return topic.name if topic is not None else str(item.topic_id)
    return found


_TOPICS = ("topics", "name", "partitions", "partition_index")
_CONFIGS = Items(
    asked=("resources",),
    answered="responses",
    asked_name="resource_name",
    name="resource_name",
    by_topic=False,
    copied=("resource_type",),
)

#: By API key. Every API that the broker serves is here.
PLACES: dict[int, Place] = {
    ApiKey.PRODUCE: Partitions(
        asked=("topic_data", "name", "partition_data", "index"),
        answered=("responses", "name", "partition_responses", "index"),
        blank={"base_offset": -1, "log_append_time_ms": -1, "log_start_offset": -1},
    ),
    ApiKey.FETCH: FetchedPartitions(
        asked=("topics", "topic", "partitions", "partition"),
        answered=("responses", "topic", "partitions", "partition_index"),
        # Empty, not null: librdkafka refuses a records length of -1.
        blank={"high_watermark": -1, "last_stable_offset": -1, "records": b""},
        reads=True,
    ),
    ApiKey.LIST_OFFSETS: Partitions(
        _TOPICS, _TOPICS, blank={"offset": -1, "timestamp": -1, "leader_epoch": -1}, reads=True
    ),
    ApiKey.METADATA: Items(("topics",), "topics", reads=True, blank={"partitions": ()}),
    ApiKey.OFFSET_COMMIT: Partitions(_TOPICS, _TOPICS),
    ApiKey.OFFSET_FETCH: Whole(
        items={range(2): "topics.partitions", range(8, 1 << 15): "groups"}, reads=True
    ),
    ApiKey.FIND_COORDINATOR: Whole(
        items={range(4, 1 << 15): "coordinators"},
        reads=True,
        blank={"node_id": -1, "host": "", "port": -1},
    ),
    ApiKey.JOIN_GROUP: Whole(),
    ApiKey.HEARTBEAT: Whole(),
    ApiKey.LEAVE_GROUP: Whole(),
    ApiKey.SYNC_GROUP: Whole(),
    ApiKey.DESCRIBE_GROUPS: Whole(items={range(1 << 15): "groups"}, reads=True),
    ApiKey.LIST_GROUPS: Whole(reads=True),
    ApiKey.SASL_HANDSHAKE: Whole(reads=True),
    ApiKey.SASL_AUTHENTICATE: Whole(reads=True),
    ApiKey.API_VERSIONS: Whole(reads=True),
    ApiKey.CREATE_TOPICS: Items(("topics",), "topics"),
    ApiKey.DELETE_TOPICS: Items(("topics", "topic_names"), "responses", copied=("topic_id",)),
    ApiKey.DELETE_RECORDS: Partitions(_TOPICS, _TOPICS, blank={"low_watermark": -1}),
    ApiKey.INIT_PRODUCER_ID: Whole(blank={"producer_id": -1, "producer_epoch": -1}),
    ApiKey.OFFSET_FOR_LEADER_EPOCH: Partitions(
        asked=("topics", "topic", "partitions", "partition"),
        answered=("topics", "topic", "partitions", "partition"),
        blank={"leader_epoch": -1, "end_offset": -1},
        reads=True,
    ),
    ApiKey.ADD_PARTITIONS_TO_TXN: AddedPartitions(),
    ApiKey.ADD_OFFSETS_TO_TXN: Whole(),
    ApiKey.END_TXN: Whole(),
    ApiKey.WRITE_TXN_MARKERS: Marked(),
    ApiKey.TXN_OFFSET_COMMIT: Partitions(_TOPICS, _TOPICS),
    ApiKey.DESCRIBE_CONFIGS: Whole(items={range(1 << 15): "results"}, reads=True),
    ApiKey.ALTER_CONFIGS: _CONFIGS,
    ApiKey.DESCRIBE_LOG_DIRS: Whole(items={range(1 << 15): "results"}, reads=True),
    ApiKey.CREATE_PARTITIONS: Items(("topics",), "results"),
    ApiKey.DELETE_GROUPS: Items(("groups_names",), "results", name="group_id", by_topic=False),
    ApiKey.INCREMENTAL_ALTER_CONFIGS: _CONFIGS,
    ApiKey.OFFSET_DELETE: Whole(),
    ApiKey.DESCRIBE_CLIENT_QUOTAS: Whole(reads=True, blank={"entries": None}),
    ApiKey.ALTER_CLIENT_QUOTAS: Each("entries", "entries", copied=("entity",)),
    ApiKey.DESCRIBE_ACLS: Whole(reads=True),
    ApiKey.CREATE_ACLS: Each("creations", "results"),
    ApiKey.DELETE_ACLS: Each("filters", "filter_results"),
    ApiKey.CREATE_DELEGATION_TOKEN: Whole(),
    ApiKey.RENEW_DELEGATION_TOKEN: Whole(),
    ApiKey.EXPIRE_DELEGATION_TOKEN: Whole(),
    ApiKey.DESCRIBE_DELEGATION_TOKEN: Whole(reads=True),
    ApiKey.DESCRIBE_USER_SCRAM_CREDENTIALS: Whole(reads=True),
    ApiKey.ALTER_USER_SCRAM_CREDENTIALS: Items(
        ("deletions", "upsertions"), "results", name="user", by_topic=False
    ),
    ApiKey.DESCRIBE_CLUSTER: Whole(reads=True),
    ApiKey.DESCRIBE_PRODUCERS: Partitions(
        asked=("topics", "name", "partition_indexes", ""), answered=_TOPICS, reads=True
    ),
    ApiKey.DESCRIBE_TRANSACTIONS: Whole(items={range(1 << 15): "transaction_states"}, reads=True),
    ApiKey.LIST_TRANSACTIONS: Whole(reads=True),
}
