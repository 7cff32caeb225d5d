"""Topics by the word of the cluster: partitions adopted, leaders followed, strangers refused."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Final
from uuid import UUID

from pyproducer.core.accumulator import NO_LEADER, PartitionQueue
from pyproducer.core.appender import Appender, TopicState
from pyproducer.core.intake import Intake
from pyproducer.core.links import Links
from pyproducer.core.metadata import Cluster, TopicView
from pyproducer.core.settler import Settler
from pyproducer.errors import ProducerError, TopicAuthorizationFailed, UnknownTopic
from pyproducer.protocol.error_codes import ErrorCode, error_name
from pyproducer.protocol.messages.metadata import MetadataRequest, MetadataResponse
from pyproducer.protocol.messages.produce import ProduceResponse

__all__ = ["UNKNOWN_TOPIC_GRACE", "Topics"]

logger = logging.getLogger("pyproducer.engine")

#: Seconds for which a topic may be unknown to the brokers before its records fail: news of a
#: topic just created takes a moment to reach every broker.
UNKNOWN_TOPIC_GRACE: Final = 3.0

#: Codes for a topic as a whole that asking again does not mend.
_REFUSED: Final = {
    ErrorCode.INVALID_TOPIC_EXCEPTION,
    ErrorCode.TOPIC_AUTHORIZATION_FAILED,
}


class Topics:
    """What metadata does to the topics that the producer uses."""

    def __init__(
        self,
        cluster: Cluster,
        links: Links,
        appender: Appender,
        settler: Settler,
        *,
        auto_create: bool,
        intake: Intake,
        ready: Callable[[PartitionQueue], None],
    ) -> None:
        self._cluster = cluster
        self._links = links
        self._appender = appender
        self._settler = settler
        self._auto_create = auto_create
        self._intake = intake
        self._ready = ready
        self._refused: set[str] = set()
        self._ids: dict[str, UUID] = {}
        self._moves = 0

    def is_refused(self, topic: str) -> bool:
        """True where the brokers' last word is that the topic cannot be used."""
        return topic in self._refused

    def learn(self, response: MetadataResponse, now: float) -> None:
        """Metadata came."""
        # A shelf that was begun in this very turn has no time yet, and what leaves it takes over
        # its time: with none, it would be long expired.
        self._intake.absorb(now)
        views = self._cluster.learn(response, now)
        if self._cluster.complaint:
            return
        moves = self._moves
        incomplete = []
        for view in views:
            state = self._appender.topics.get(view.name)
            if state is None:
                continue
            if view.leaders:
                self._adopt(state, view, now)
            elif view.error in _REFUSED or self._is_missing(view, now):
                self._refuse(state, view.error, now)
            if self._is_incomplete(view, state):
                incomplete.append(view.name)
        self._cluster.settle(incomplete, now, moved=self._moves > moves)

    def question(self, now: float) -> MetadataRequest:
        """What to ask the cluster now.

        Topics that nobody has used for long are not asked about any more (KIP-526); what is
        known of them stays, and the next record for one has it asked about anew.
        """
        idle = self._cluster.idle(now)
        if idle:
            busy = {batch.topic for batch in self._settler.live.values()}
            for name in idle:
                if name not in busy:
                    self._cluster.forget(name)
        return self._cluster.request(now, auto_create=self._auto_create)

    def hint(
        self, queue: PartitionQueue, response: ProduceResponse, leader: int, epoch: int
    ) -> None:
        """A broker says who leads the partition now (KIP-951)."""
        if response.node_endpoints:
            # Another table: whoever has compared an address with the old one looks again.
            self._cluster.brokers = self._cluster.brokers | {
                endpoint.node_id: (endpoint.host, endpoint.port)
                for endpoint in response.node_endpoints
            }
        # Only newer news: two brokers that each name the other would have us run between them.
        if leader in self._cluster.brokers and epoch > queue.leader_epoch:
            self._lead(queue, leader, epoch)

    def _is_missing(self, view: TopicView, now: float) -> bool:
        return (
            view.error == ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
            and not self._auto_create
            and now - self._cluster.unknown_since[view.name] >= UNKNOWN_TOPIC_GRACE
        )

    @staticmethod
    def _is_incomplete(view: TopicView, state: TopicState) -> bool:
        # The view alone does not tell: it may name leaders that are known to be gone, and
        # nothing would ask again for the age of metadata.
        return not view.complete or any(
            part.queue.leader == NO_LEADER for part in state.partitions or ()
        )

    def _adopt(self, state: TopicState, view: TopicView, now: float) -> None:
        known = 0 if state.partitions is None else len(state.partitions)
        recreated = False
        if view.topic_id.int:
            recreated = self._ids.setdefault(state.name, view.topic_id) != view.topic_id
            self._ids[state.name] = view.topic_id
        # Fewer partitions than before are an old answer, unless it is another topic.
        count = len(view.leaders) if recreated else max(known, len(view.leaders))
        if (
            state.partitions is None
            or count != known
            or (state.available != view.available and view.available)
        ):
            gone = (state.partitions or [])[count:]
            moved = self._appender.adopt(state, count, view.available)
            for part in (state.partitions or [])[known:]:
                part.queue = PartitionQueue(part)
            for part in gone:
                # What is left for it waits, as for a topic that is gone, until its time is up.
                self._detach(part.queue)
            if moved is not None:
                shelf, homes = moved
                self._settler.replace(shelf, homes)
                self._intake.absorb(now, shelf)
        self._refused.discard(state.name)
        if recreated:
            logger.warning("topic %r was deleted and created anew", state.name)
            for part in state.partitions or []:
                # Its leaders' epochs begin anew, and its logs know nothing of this producer.
                part.queue.leader_epoch = -1
                part.queue.proven = False
        for part, (leader, epoch) in zip(state.partitions or [], view.leaders, strict=False):
            self._lead(part.queue, leader, epoch)
        self._intake.absorb(now)

    def _lead(self, queue: PartitionQueue, leader: int, epoch: int) -> None:
        if 0 <= epoch < queue.leader_epoch:
            # Older news than what a broker told since.
            return
        is_news = epoch < 0 or epoch > queue.leader_epoch
        queue.leader_epoch = max(queue.leader_epoch, epoch)
        if leader >= 0 and leader not in self._cluster.brokers:
            leader = NO_LEADER
        if leader == queue.leader:
            return
        self._moves += 1
        self._detach(queue)
        queue.leader = leader
        if leader != NO_LEADER:
            self._links.node(leader)
            if is_news:
                # The pause was for the old leader's sake. Without news it may be the same one,
                # which an answer in between left out.
                queue.muted_until = 0.0
            self._ready(queue)

    def _detach(self, queue: PartitionQueue) -> None:
        if queue.leader != NO_LEADER and queue.line:
            self._links.node(queue.leader).line.remove(queue)
            queue.line = False
        queue.leader = NO_LEADER

    def _refuse(self, state: TopicState, code: int, now: float) -> None:
        if state.partitions is not None:
            # It was there once, and its records wait for it to come back until their time is up.
            return
        shelf = self._appender.refuse_shelf(state)
        self._cluster.forget(state.name)
        self._refused.add(state.name)
        if shelf is None:
            return
        error: ProducerError
        if code == ErrorCode.TOPIC_AUTHORIZATION_FAILED:
            error = TopicAuthorizationFailed(
                f"{error_name(code)}: the broker does not let this client use topic "
                f"{state.name!r}; grant it Describe and Write",
                resource=state.name,
                code=code,
                topic=state.name,
                elapsed=now - shelf.created,
                broker_error="TOPIC_AUTHORIZATION_FAILED",
            )
        elif code == ErrorCode.INVALID_TOPIC_EXCEPTION:
            error = UnknownTopic(
                f"the broker does not accept {state.name!r} as the name of a topic",
                topic=state.name,
            )
        else:
            error = UnknownTopic(
                f"topic {state.name!r} does not exist; create it, or set "
                "allow_auto_create_topics where the broker may create topics by itself",
                topic=state.name,
            )
        self._settler.fail(shelf, error, now)
