# cython: annotation_typing=False, nonecheck=True, binding=False, freethreading_compatible=True
"""What is known of the cluster, and when to ask again."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from pyproducer.core.backoff import Backoff
from pyproducer.core.contacts import Contacts, HostPort
from pyproducer.protocol.error_codes import ErrorCode, error_name
from pyproducer.protocol.messages.metadata import (
    MetadataRequest,
    MetadataRequestTopic,
    MetadataResponse,
    MetadataResponseTopic,
)

if TYPE_CHECKING:
    from collections.abc import Collection, Container, Sequence
    from uuid import UUID

__all__ = ["Cluster", "TopicView", "view_of"]

logger = logging.getLogger("pyproducer.engine")

_NEVER: Final = float("inf")

#: So many answers of one broker that do not help, and another one is asked.
_PATIENCE: Final = 8


@dataclass(slots=True)
class TopicView:
    """One topic of an answer.

    Attributes:
        name: the topic.
        error: the code for the topic as a whole; 0 for none.
        topic_id: what tells it from another of the same name; zero where brokers do not say.
        leaders: for each partition, by number: (leader or -1, leader epoch or -1).
    """

    name: str
    error: int
    topic_id: UUID
    leaders: list[tuple[int, int]] = field(default_factory=list)

    @property
    def available(self) -> list[int]:
        """Numbers of the partitions that have a leader."""
        return [number for number, (leader, _) in enumerate(self.leaders) if leader >= 0]

    @property
    def complete(self) -> bool:
        """True where every partition has a leader."""
        return not self.error and all(leader >= 0 for leader, _ in self.leaders)


def view_of(topic: MetadataResponseTopic, brokers: Container[int]) -> TopicView:
    """A topic of the wire as a view.

    Partitions that the answer skips, or whose leader is not among ``brokers``, have no leader.
    """
    view = TopicView(topic.name or "", topic.error_code, topic.topic_id)
    if topic.error_code not in {ErrorCode.NONE, ErrorCode.LEADER_NOT_AVAILABLE}:
        return view
    if topic.error_code and not topic.partitions:
        return view
    view.error = 0
    count = 1 + max((part.partition_index for part in topic.partitions), default=-1)
    # An answer with holes is the peer's fault; it must not make us allocate for them.
    view.leaders = [(-1, -1)] * min(count, len(topic.partitions))
    for part in topic.partitions:
        if 0 <= part.partition_index < len(view.leaders):
            usable = part.leader_id in brokers and part.error_code in {
                ErrorCode.NONE,
                ErrorCode.REPLICA_NOT_AVAILABLE,
            }
            view.leaders[part.partition_index] = (
                part.leader_id if usable else -1,
                part.leader_epoch,
            )
    return view


class Cluster:
    """The brokers and the topics asked for, and when metadata is due.

    Everything is asked for when it has reached its greatest age or when a leader is not where it
    should be; a topic that is new, or that the last answer left incomplete, by itself alone. One
    question is out at a time. What does not help is repeated after ever longer pauses (KIP-580).

    Attributes:
        contacts: whom to ask.
        brokers: address of each, by id; empty until the first answer. News make another table.
        wanted: topics that somebody sends to or asks about, each with the monotonic seconds at
            which somebody did so last.
        unknown_since: monotonic seconds since when a wanted topic does not exist.
        asked: an answer is outstanding.
        complaint: why the one who gave the last answer should not be asked next, if so.
    """

    def __init__(
        self,
        bootstrap: Sequence[HostPort],
        *,
        max_age: float,
        max_idle: float,
        backoff: Backoff,
    ) -> None:
        self.contacts = Contacts(bootstrap)
        self.brokers: dict[int, HostPort] = {}
        self.wanted: dict[str, float] = {}
        self.unknown_since: dict[str, float] = {}
        self.asked = False
        self.complaint = ""
        self._cluster_id: str | None = None
        self._max_age = max_age
        self._max_idle = max_idle
        self._backoff = backoff
        # When to ask about everything, and about what is urgent.
        self._whole_at = 0.0
        self._urgent_at = _NEVER
        self._urgent: dict[str, None] = {}
        # The question that is out, or was last.
        self._asking: dict[str, None] = {}
        self._asking_whole = False
        self._asked_at = -1e9
        self._doubted = False
        self._asked_in_doubt = False
        # Questions in a row without an answer, or with one that left something open.
        self._failures = 0
        # Answers in a row that told nothing new though something had failed.
        self._fruitless = 0
        self._pauses: dict[str, float] = {}

    def due_at(self) -> float:
        """Monotonic seconds at which to ask next."""
        return min(self._whole_at, self._urgent_at)

    def want(self, topic: str, now: float) -> None:
        """Ask about a topic at once, unless just done, and with all others from now on."""
        self.wanted[topic] = now
        if not (self.asked and topic in self._asking):
            self._urgent[topic] = None
            self._urgent_at = min(self._urgent_at, max(now, self._pauses.get(topic, now)))

    def use(self, topic: str, now: float) -> None:
        """Somebody sends to the topic; ask about it where that has been stopped."""
        if topic in self.wanted:
            self.wanted[topic] = now
        else:
            self.want(topic, now)

    def idle(self, now: float) -> list[str]:
        """The topics of the next question that nobody has used for long (KIP-526)."""
        names = self.wanted if self._whole_at <= now else self._urgent
        return [name for name in names if now - self.wanted[name] >= self._max_idle]

    def forget(self, topic: str) -> None:
        """Nobody needs the topic any more."""
        self.wanted.pop(topic, None)
        self.unknown_since.pop(topic, None)
        self._urgent.pop(topic, None)
        if not self._urgent:
            self._urgent_at = _NEVER

    def refresh(self, now: float, *, after_failure: bool = False) -> None:
        """Something is stale: ask at once, or after a pause where the last answer did not help."""
        at = now
        if after_failure:
            self._doubted = True
            useless = max(self._failures, self._fruitless)
            at = max(now, self._asked_at + self._backoff.delay(useless + 1))
        self._whole_at = min(self._whole_at, at)

    def request(self, now: float, *, auto_create: bool) -> MetadataRequest:
        """The question to send now."""
        self.asked = True
        self._asked_at = now
        self._asking_whole = self._whole_at <= now
        self._asking = dict.fromkeys(self.wanted if self._asking_whole else self._urgent)
        self._asked_in_doubt, self._doubted = self._doubted, False
        if self._asking_whole:
            self._whole_at = _NEVER
        self._urgent.clear()
        self._urgent_at = _NEVER
        return MetadataRequest(
            topics=[MetadataRequestTopic(name=name) for name in self._asking],
            allow_auto_topic_creation=auto_create,
        )

    def lost(self, now: float) -> None:
        """The question will not be answered, or not in a way that helps."""
        self.asked = False
        self._doubted = self._doubted or self._asked_in_doubt
        self._failures += 1
        at = now + self._backoff.delay(self._failures)
        self._whole_at = at if self._asking_whole else max(at, self._whole_at)
        self._urgent |= {name: None for name in self._asking if name in self.wanted}
        self._urgent_at = at if self._urgent else _NEVER

    def learn(self, response: MetadataResponse, now: float) -> list[TopicView]:
        """Take over an answer; the topics in it are returned, and :meth:`settle` has to follow."""
        self.complaint = ""
        if response.error_code or not response.brokers:
            # An answer without brokers comes from one that is just starting: it tells nothing.
            self.lost(now)
            if response.error_code == ErrorCode.REBOOTSTRAP_REQUIRED:
                self.contacts.forget_brokers()
            self.complaint = (
                f"it answers {error_name(response.error_code)}"
                if response.error_code
                else "it knows no broker"
            )
            return []
        self.asked = False
        brokers = {broker.node_id: (broker.host, broker.port) for broker in response.brokers}
        if brokers != self.brokers:
            self._fruitless = 0
            self._asked_in_doubt = False
        self.brokers = brokers
        self.contacts.worked(brokers.values())
        self._identify(response.cluster_id)
        views = [view_of(topic, brokers) for topic in response.topics]
        for view in views:
            if view.error == ErrorCode.UNKNOWN_TOPIC_OR_PARTITION:
                self.unknown_since.setdefault(view.name, self._asked_at)
            else:
                self.unknown_since.pop(view.name, None)
        if self._asking_whole:
            self._whole_at = min(self._whole_at, now + self._max_age)
        return views

    def settle(self, incomplete: Collection[str], now: float, *, moved: bool) -> None:
        """Plan the next question, after what an answer told was taken over.

        Args:
            incomplete: topics of the answer that cannot be used, or not all of whose partitions.
            now: monotonic seconds.
            moved: the answer told of a new leader.
        """
        self._fruitless = self._fruitless + 1 if self._asked_in_doubt and not moved else 0
        self._pauses = {name: at for name, at in self._pauses.items() if at > now}
        open_ones = [name for name in incomplete if name in self.wanted]
        self._failures = self._failures + 1 if open_ones else 0
        at = now + self._backoff.delay(max(1, self._failures))
        self._pauses |= dict.fromkeys(incomplete, at)
        if open_ones:
            self._urgent |= dict.fromkeys(open_ones)
            self._urgent_at = min(self._urgent_at, at)
        useless = max(self._failures, self._fruitless)
        if useless >= _PATIENCE and useless & (useless - 1) == 0 and len(self.contacts.all) > 1:
            # It may be the one that knows nothing new: a broker that the others have left behind.
            # Again after twice as many answers, as another may know no better.
            self.complaint = f"{useless} answers in a row did not help"

    def _identify(self, cluster_id: str | None) -> None:
        if cluster_id is None or cluster_id == self._cluster_id:
            return
        if self._cluster_id is not None:
            logger.warning(
                "the brokers belong to another cluster now: %s, not %s",
                cluster_id,
                self._cluster_id,
            )
        self._cluster_id = cluster_id
