"""What is known of the cluster, and when to ask again."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from pyproducer.core.backoff import Backoff
from pyproducer.protocol.error_codes import ErrorCode
from pyproducer.protocol.messages.metadata import (
    MetadataRequest,
    MetadataRequestTopic,
    MetadataResponse,
    MetadataResponseTopic,
)

if TYPE_CHECKING:
    from collections.abc import Container, Sequence
    from uuid import UUID

__all__ = ["Cluster", "TopicView", "view_of"]


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

    Attributes:
        brokers: address of each, by id; empty until the first answer.
        wanted: topics that somebody sends to or asks about.
        unknown_since: monotonic seconds since when a wanted topic does not exist.
        asked: an answer is outstanding.
        due_at: monotonic seconds at which to ask next.
    """

    def __init__(
        self, bootstrap: Sequence[tuple[str, int]], *, max_age: float, backoff: Backoff
    ) -> None:
        self.bootstrap = list(bootstrap)
        self.brokers: dict[int, tuple[str, int]] = {}
        self.wanted: dict[str, None] = {}
        self.unknown_since: dict[str, float] = {}
        self.asked = False
        self.due_at = 0.0
        self._max_age = max_age
        self._backoff = backoff
        self._failures = 0
        self._failures_before = 0
        self._turn = 0
        self._asked_at = -1e9
        self._again = False

    def want(self, topic: str, now: float) -> None:
        """Ask about a topic at once, and about it among others from now on."""
        if topic not in self.wanted:
            self.wanted[topic] = None
        self.refresh(now)

    def refresh(self, now: float, *, after_failure: bool = False) -> None:
        """Something is stale: ask at once, or after a pause where the last answer did not help."""
        if self.asked:
            self._again = True
            return
        at = max(now, self._pause_end()) if after_failure else now
        self.due_at = min(self.due_at, at)

    def request(self, now: float, *, auto_create: bool) -> MetadataRequest:
        """The question to send now."""
        self.asked = True
        self._again = False
        self._asked_at = now
        return MetadataRequest(
            topics=[MetadataRequestTopic(name=name) for name in self.wanted],
            allow_auto_topic_creation=auto_create,
        )

    def lost(self, now: float) -> None:
        """The question will not be answered."""
        self.asked = False
        self._failures += 1
        self.due_at = now + self._backoff.delay(self._failures)

    def learn(self, response: MetadataResponse, now: float) -> list[TopicView]:
        """Take over an answer; the topics in it are returned."""
        self.asked = False
        if response.brokers:
            self.brokers = {
                broker.node_id: (broker.host, broker.port) for broker in response.brokers
            }
        views = [view_of(topic, self.brokers) for topic in response.topics]
        incomplete = False
        for view in views:
            if view.error == ErrorCode.UNKNOWN_TOPIC_OR_PARTITION:
                self.unknown_since.setdefault(view.name, self._asked_at)
            else:
                self.unknown_since.pop(view.name, None)
            incomplete = incomplete or not view.complete
        self._failures_before = self._failures
        self._failures = self._failures + 1 if incomplete else 0
        if incomplete:
            self.due_at = now + self._backoff.delay(self._failures)
        elif self._again:
            self.due_at = now
        else:
            self.due_at = now + self._max_age
        return views

    def distrust(self, now: float) -> None:
        """The last answer names leaders that are known to be gone: ask again after a pause."""
        self._failures = self._failures_before + 1
        self.due_at = min(self.due_at, now + self._backoff.delay(self._failures))

    def _pause_end(self) -> float:
        return self._asked_at + self._backoff.delay(self._failures + 1)

    def forget(self, topic: str) -> None:
        """Nobody needs the topic any more."""
        self.wanted.pop(topic, None)

    def next_address(self) -> tuple[str, int]:
        """Where to try next: the known brokers in turn, then the bootstrap servers again."""
        # Bootstrap servers stay in the round: after all brokers changed their addresses they
        # are the way back (KIP-899).
        known = list(dict.fromkeys((*self.brokers.values(), *self.bootstrap)))
        address = known[self._turn % len(known)]
        self._turn += 1
        return address
