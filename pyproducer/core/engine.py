"""The engine: everything a producer decides, with no socket, clock or chance of its own.

Whoever runs it does four things, over and over: tells it news (``on_connected``, ``on_answer``,
``on_disconnected``, ``on_compressed``; appends come by themselves, through the appender), calls
``poll(now)``, performs the effects that this returns, in order, and comes back at ``deadline()``
or when there is news. ``now`` is always monotonic seconds.

Who keeps what: the appender the open batches, :class:`Settler` everything without an outcome,
:class:`PartitionQueue` the closed batches of a partition, :class:`Node` the partitions of a
broker that are ready, :class:`Sender` requests and verdicts, :class:`Cluster` leaders, and this
class the timers and connections.
"""

from __future__ import annotations

import heapq
import logging
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from pyproducer.core.accumulator import NO_LEADER, Node, PartitionQueue
from pyproducer.core.appender import CLOSED, OPEN, Appender, Batch, TopicState
from pyproducer.core.backoff import Backoff
from pyproducer.core.batch import SealedBatch
from pyproducer.core.budget import WaitLine
from pyproducer.core.delivery import Flush, Ledger
from pyproducer.core.effects import (
    METADATA_NODE,
    Compress,
    Connect,
    Disconnect,
    Effect,
    Send,
)
from pyproducer.core.identity import Identity
from pyproducer.core.metadata import Cluster, TopicView
from pyproducer.core.sender import NEWEST_PRODUCE, Sender
from pyproducer.core.settler import Settler
from pyproducer.core.stats import Stats
from pyproducer.errors import (
    BrokerRejected,
    DeliveryTimeout,
    ProducerError,
    UnknownTopic,
)
from pyproducer.protocol.api import ApiKey
from pyproducer.protocol.error_codes import ErrorCode, error_name
from pyproducer.protocol.messages.init_producer_id import (
    InitProducerIdRequest,
    InitProducerIdResponse,
)
from pyproducer.protocol.messages.metadata import MetadataResponse
from pyproducer.protocol.messages.produce import ProduceResponse
from pyproducer.protocol.schema import Message
from pyproducer.records.codec import Codec

__all__ = ["Engine", "EngineOptions"]

logger = logging.getLogger("pyproducer.engine")

#: Seconds for which a topic may be unknown to the brokers before its records fail: news of a
#: topic just created takes a moment to reach every broker.
UNKNOWN_TOPIC_GRACE: Final = 3.0

#: Codes for a topic as a whole that asking again does not mend.
_TOPIC_REFUSED: Final = {
    ErrorCode.INVALID_TOPIC_EXCEPTION,
    ErrorCode.TOPIC_AUTHORIZATION_FAILED,
}

#: Batch bodies below this many bytes are compressed where they are: a thread costs more.
_NEVER: Final = float("inf")


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineOptions:
    """The part of a producer's configuration that the engine obeys; durations in seconds."""

    bootstrap: Sequence[tuple[str, int]]
    acks: int
    idempotent: bool
    linger: float | None
    codec: Codec
    delivery_timeout: float
    request_timeout: float
    max_request_size: int
    max_in_flight: int
    retries: int | None
    retry_backoff: tuple[float, float]
    reconnect_backoff: tuple[float, float]
    metadata_max_age: float
    auto_create: bool


class Engine:
    """One producer's engine.

    Attributes:
        cluster: brokers and topics as last told.
        settler: what has no outcome yet.
        waiters: those who wait for buffer room.
        stats: totals.
        contacted: True once a broker answered.
        failed_addresses: address and reason of each failed attempt to reach any broker since
            the last success.
    """

    def __init__(
        self,
        options: EngineOptions,
        appender: Appender,
        ledger: Ledger,
        random: Callable[[], float],
    ) -> None:
        self._options = options
        self._appender = appender
        self._identity = Identity()
        self._effects: list[Effect] = []
        self._tags = 0
        self._nodes: dict[int, Node] = {}
        self._meta = Node(METADATA_NODE, "", 0)
        self._reconnect = Backoff(*options.reconnect_backoff, random)
        retry = Backoff(*options.retry_backoff, random)
        self._lingering: deque[tuple[float, Batch]] = deque()
        self._expiring: list[tuple[float, int, Batch]] = []
        self._again: list[tuple[float, int, PartitionQueue]] = []
        self._again_count = 0
        self._identity_asked = False
        self._identity_at = 0.0
        self._identity_failures = 0
        self._identity_backoff = retry
        self._sent_at: dict[int, float] = {}
        self._fatal: Exception | None = None
        self._closing = False
        self.stats = Stats()
        self.settler = Settler(appender, ledger, self.stats)
        self.waiters = WaitLine(appender)
        self.cluster = Cluster(options.bootstrap, max_age=options.metadata_max_age, backoff=retry)
        self.contacted = False
        self.failed_addresses: list[tuple[str, str]] = []
        self._sender = Sender(
            acks=options.acks,
            idempotent=options.idempotent,
            request_timeout=options.request_timeout,
            delivery_timeout_ms=round(options.delivery_timeout * 1000),
            max_request_size=options.max_request_size,
            retries=options.retries,
            backoff=retry,
            appender=appender,
            settler=self.settler,
            identity=self._identity,
            stats=self.stats,
            host=self,
        )

    # The runner's side.

    def poll(self, now: float) -> list[Effect]:
        """Do all that is due, and return what the world has to do."""
        self._absorb(now)
        self._expire(now)
        self._linger(now)
        while self._again and self._again[0][0] <= now:
            self.ready(heapq.heappop(self._again)[2])
        self._ask(now)
        for node in list(self._nodes.values()):
            self._serve(node, now)
        self.waiters.serve()
        effects, self._effects = self._effects, []
        return effects

    def begin_turn(self) -> None:
        """The event loop has a turn: callers may go on for a while before they owe the next."""
        self._appender.since_turn = 0
        self._appender.turn_ms = 0

    def deadline(self) -> float | None:
        """When to poll again though nothing happened, in monotonic seconds; None for never."""
        at = min(
            self._lingering[0][0] if self._lingering else _NEVER,
            self._expiring[0][0] if self._expiring else _NEVER,
            self._again[0][0] if self._again else _NEVER,
            self._asking_at(),
            min((self._node_at(node) for node in self._nodes.values()), default=_NEVER),
            self._node_at(self._meta),
        )
        return None if at == _NEVER else at

    def on_connected(self, node_id: int, versions: Mapping[int, tuple[int, int]]) -> None:
        """A connection is up and ready, and the broker told its API versions."""
        node = self._node(node_id)
        node.connected, node.connecting = True, False
        if node.failures:
            logger.info("connected to %s again", node.address)
        node.failures = 0
        node.last_error = ""
        node.produce_version = min(
            NEWEST_PRODUCE, versions.get(ApiKey.PRODUCE, (0, NEWEST_PRODUCE))[1]
        )
        self.contacted = True
        self.failed_addresses.clear()

    def on_disconnected(self, node_id: int, reason: str, now: float) -> None:
        """A connection is gone, or was never made; what it owed is not answered any more."""
        node = self._node(node_id)
        used = node.connected
        node.connected = node.connecting = False
        node.failures = 1 if used else node.failures + 1
        node.retry_at = now + self._reconnect.delay(node.failures)
        self.failed_addresses.append((node.address, reason))
        if len(self.failed_addresses) > 64:
            del self.failed_addresses[0]
        if node.last_error != reason:
            # One line for each change of the reason; a broker that stays down says no more.
            level = logging.INFO if used and not node.in_flight else logging.WARNING
            logger.log(level, "no connection to %s: %s", node.address, reason)
            node.last_error = reason
        if used:
            self.stats.connections_lost += 1
        owed = list(node.in_flight.items())
        node.in_flight.clear()
        for tag, (_, batches) in owed:
            del self._sent_at[tag]
            self._sender.on_lost(
                batches, f"no answer from broker {node_id} ({node.address}): {reason}", now
            )
        if node is self._meta:
            if self.cluster.asked:
                self.cluster.lost(now)
            self._identity_asked = False
        elif owed or node.line:
            self.stale(now)

    def on_answer(self, node_id: int, tag: int, response: Message | None, now: float) -> None:
        """A request was answered, or (response None) written where none is expected."""
        node = self._node(node_id)
        _, batches = node.in_flight.pop(tag)
        self.stats.round_trip(now - self._sent_at.pop(tag))
        if response is None or isinstance(response, ProduceResponse):
            self._sender.on_answer(node, batches, response, now)
        elif isinstance(response, MetadataResponse):
            self._learn(response, now)
        elif isinstance(response, InitProducerIdResponse):
            self._identify(response, now)

    def on_compressed(self, sealed: SealedBatch, body: bytes | None) -> None:
        """A batch's body was compressed; None where that did not make it smaller."""
        if sealed.batch.state > CLOSED:
            return
        if body is None:
            sealed.body, sealed.codec = sealed.batch.body(), Codec.NONE
        else:
            sealed.body = body
            sealed.batch.drop_body()
            self._appender.recharge(sealed.batch, len(body))
        self.ready(sealed.queue)

    # The producer's side.

    def want(self, topic: str, now: float) -> None:
        """Somebody needs to know the topic."""
        state = self._appender.topic(topic)
        if state.partitions is None:
            self.cluster.want(topic, now)

    def is_unknown(self, topic: str) -> bool:
        """True where the cluster says that there is no such topic, or that we may not use it."""
        return topic in self.cluster.unknown_since and topic not in self.cluster.wanted

    def flush(self, now: float, done: Callable[[], object]) -> Flush:
        """Close what is open, and have ``done`` called when all that is accepted is settled."""
        self._absorb(now)
        for batch in list(self.settler.live.values()):
            if batch.state == OPEN and batch.home.number >= 0:
                self._appender.close_open(batch.home)
        self._absorb(now)
        return self.settler.flush(done)

    def fail_all(
        self, make: Callable[[str, int | None, float, bool, int], Exception], now: float
    ) -> int:
        """Settle everything that is left; how many records that were is returned.

        Args:
            make: makes the error for records of (topic, partition), after so many seconds,
                being maybe written or not, after so many attempts.
            now: monotonic seconds.
        """
        self._absorb(now)
        count = 0
        for batch in list(self.settler.live.values()):
            self._close_one(batch, now)
            sealed = batch.sealed
            count += batch.count
            partition = batch.partition if batch.partition >= 0 else None
            maybe = sealed is not None and (sealed.in_doubt or sealed in sealed.queue.in_flight)
            attempts = 0 if sealed is None else sealed.attempts
            error = make(batch.topic, partition, now - batch.created, maybe, attempts)
            if sealed is None:
                self.settler.fail(batch, error, now)
            else:
                self._sender.give_up(sealed, error, now)
        return count

    @property
    def fatal_error(self) -> Exception | None:
        """Why the producer takes no more, if a broker refused it as a whole."""
        return self._fatal

    @property
    def in_flight(self) -> int:
        """Produce requests without an answer."""
        return sum(len(node.in_flight) for node in self._nodes.values())

    # The sender's side.

    def seal_open(self, queue: PartitionQueue, now: float) -> None:
        """Close the partition's open batch and put it behind those waiting."""
        self._appender.close_open(queue.state)
        self._absorb(now)

    def compress(self, sealed: SealedBatch) -> None:
        """Have a batch's body compressed, where its topic wants that."""
        codec = sealed.batch.home.topic.codec
        sealed.codec = self._options.codec if codec is None else codec
        if sealed.codec is Codec.NONE:
            self.ready(sealed.queue)
            return
        sealed.body = None
        self._effects.append(Compress(sealed))

    def again_at(self, queue: PartitionQueue, at: float) -> None:
        """Look at the partition again at this time."""
        self._again_count += 1
        heapq.heappush(self._again, (at, self._again_count, queue))

    def ready(self, queue: PartitionQueue) -> None:
        """The partition may have something to send."""
        if queue.leader != NO_LEADER and (queue.waiting or queue.open_is_due):
            self._nodes[queue.leader].join(queue)

    def stale(self, now: float) -> None:
        """A leader is not where metadata says."""
        self.cluster.refresh(now, after_failure=True)

    def hint(
        self, queue: PartitionQueue, response: ProduceResponse, leader: int, epoch: int
    ) -> None:
        """A broker says who leads the partition now (KIP-951)."""
        for endpoint in response.node_endpoints:
            self.cluster.brokers[endpoint.node_id] = (endpoint.host, endpoint.port)
        if leader in self.cluster.brokers:
            self._lead(queue, leader, epoch)

    def fatal(self, error: Exception, now: float) -> None:
        """The producer as a whole is refused: everything fails, and it takes no more."""
        if self._fatal is not None:
            return
        self._fatal = error
        logger.error("the producer stops: %s", error)

        def refuse() -> BaseException:
            return error

        self._appender.refusal = refuse
        self.fail_all(lambda *_: error, now)
        self.waiters.dismiss(lambda: error)

    # Batches.

    def _absorb(self, now: float, *, shelf: Batch | None = None) -> None:
        """Take note of what the appender opened, closed and hurried.

        Args:
            now: monotonic seconds.
            shelf: where the records come from that were appended just now, if from a shelf:
                they keep the time they came in, and have lingered enough.
        """
        opened, closed, hurried = self._appender.take()
        created = now if shelf is None else shelf.created
        for batch in opened:
            batch.created = created
            self.settler.add(batch)
            heapq.heappush(
                self._expiring, (created + self._options.delivery_timeout, batch.serial, batch)
            )
            if batch.home.number < 0:
                self.cluster.want(batch.topic, now)
            elif batch.state == OPEN and shelf is not None:
                self._make_due(batch)
            elif batch.state == OPEN and self._options.linger is not None:
                self._lingering.append((now + self._options.linger, batch))
        for batch in closed:
            if batch.error is not None:
                # A record that could not leave the shelf: refused alone, by name.
                self.settler.fail(batch, _as_exception(batch.error), now)
            else:
                self._seal(batch)
        for batch in hurried:
            if batch.state == OPEN:
                self.ready(self._queue(batch))
        if self._appender.starved:
            # Nothing makes room but sending what is there.
            self._appender.starved = False
            for batch in list(self.settler.live.values()):
                if batch.state == OPEN and batch.home.number >= 0:
                    self._make_due(batch)

    def _queue(self, batch: Batch) -> PartitionQueue:
        queue: PartitionQueue = batch.home.queue
        return queue

    def _seal(self, batch: Batch) -> None:
        queue = self._queue(batch)
        deadline = batch.created + self._options.delivery_timeout
        sealed = batch.sealed = SealedBatch(batch, queue, queue.place(), deadline)
        queue.waiting.append(sealed)
        self.compress(sealed)

    def _make_due(self, batch: Batch) -> None:
        queue = self._queue(batch)
        queue.due = batch.serial
        self.ready(queue)

    def _linger(self, now: float) -> None:
        while self._lingering and (
            self._lingering[0][0] <= now or self._lingering[0][1].state != OPEN
        ):
            _, batch = self._lingering.popleft()
            if batch.state == OPEN:
                self._make_due(batch)

    def _expire(self, now: float) -> None:
        while self._expiring and (
            self._expiring[0][0] <= now or self._expiring[0][2].state > CLOSED
        ):
            _, _, batch = heapq.heappop(self._expiring)
            if batch.state > CLOSED:
                continue
            self._close_one(batch, now)
            if batch.sealed is not None:
                self._sender.expire(batch.sealed, now)
            elif batch.state <= CLOSED:
                self.settler.fail(batch, self._shelf_expired(batch, now), now)

    def _close_one(self, batch: Batch, now: float) -> None:
        """Leave a batch or shelf no way to take another record."""
        if batch.state != OPEN:
            return
        if batch.home.number < 0:
            self._appender.refuse_shelf(batch.home.topic)
        else:
            self._appender.close_open(batch.home)
            self._absorb(now)

    def _shelf_expired(self, batch: Batch, now: float) -> Exception:
        where = self.failed_addresses[-1] if self.failed_addresses else None
        why = (
            f"no broker answers; last tried {where[0]}: {where[1]}"
            if where
            else "the cluster did not say where its partitions are"
        )
        return DeliveryTimeout(
            f"nothing is known of topic {batch.topic!r} after {now - batch.created:.1f} s: {why}",
            topic=batch.topic,
            elapsed=now - batch.created,
            retriable=True,
        )

    # Cluster.

    def _learn(self, response: MetadataResponse, now: float) -> None:
        views = self.cluster.learn(response, now)
        for view in views:
            state = self._appender.topics.get(view.name)
            if state is None:
                continue
            if view.leaders:
                self._adopt(state, view, now)
            elif view.error in _TOPIC_REFUSED:
                self._refuse(state, view.error, now)
            elif view.error == ErrorCode.UNKNOWN_TOPIC_OR_PARTITION and (
                not self._options.auto_create
                and now - self.cluster.unknown_since[view.name] >= UNKNOWN_TOPIC_GRACE
            ):
                self._refuse(state, view.error, now)

    def _adopt(self, state: TopicState, view: TopicView, now: float) -> None:
        known = 0 if state.partitions is None else len(state.partitions)
        if (
            state.partitions is None
            or len(view.leaders) > known
            or (state.available != view.available and view.available)
        ):
            moved = self._appender.adopt(state, max(known, len(view.leaders)), view.available)
            assert state.partitions is not None
            for part in state.partitions[known:]:
                part.queue = PartitionQueue(part)
            if moved is not None:
                shelf, homes = moved
                self.settler.replace(shelf, homes)
                self._absorb(now, shelf=shelf)
        assert state.partitions is not None
        for part, (leader, epoch) in zip(state.partitions, view.leaders, strict=False):
            self._lead(part.queue, leader, epoch)
        self._absorb(now)

    def _lead(self, queue: PartitionQueue, leader: int, epoch: int) -> None:
        if 0 <= epoch < queue.leader_epoch:
            # Older news than what a broker told since.
            return
        queue.leader_epoch = max(queue.leader_epoch, epoch)
        if leader >= 0 and leader not in self.cluster.brokers:
            leader = NO_LEADER
        if leader == queue.leader:
            return
        if queue.leader != NO_LEADER and queue.line:
            self._nodes[queue.leader].line.remove(queue)
            queue.line = False
        queue.leader = leader
        if leader != NO_LEADER:
            self._node(leader)
            # The pause was for the old leader's sake.
            queue.muted_until = 0.0
            self.ready(queue)

    def _refuse(self, state: TopicState, code: int, now: float) -> None:
        shelf = self._appender.refuse_shelf(state)
        self.cluster.forget(state.name)
        if shelf is None:
            return
        error: ProducerError
        if code == ErrorCode.TOPIC_AUTHORIZATION_FAILED:
            error = BrokerRejected(
                f"{error_name(code)}: the broker does not let this client use topic "
                f"{state.name!r}; grant it Describe and Write",
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
        self.settler.fail(shelf, error, now)

    def _ask(self, now: float) -> None:
        """Metadata and the producer id, on their own connection."""
        want_identity = (
            self._options.idempotent
            and not self._identity.known
            and not self._identity_asked
            and self._identity_at <= now
            and self._fatal is None
        )
        want_metadata = not self.cluster.asked and self.cluster.due_at <= now
        meta = self._meta
        self._time_out(meta, now)
        if not (want_identity or want_metadata):
            return
        if not meta.connected:
            if not meta.connecting and meta.retry_at <= now:
                meta.host, meta.port = self.cluster.next_address()
                meta.connecting = True
                self._effects.append(Connect(METADATA_NODE, meta.host, meta.port))
            return
        if want_metadata:
            self._send(
                meta, self.cluster.request(now, auto_create=self._options.auto_create), [], now
            )
        if want_identity:
            self._identity_asked = True
            self._send(meta, InitProducerIdRequest(transactional_id=None), [], now)

    def _asking_at(self) -> float:
        at = _NEVER if self.cluster.asked else self.cluster.due_at
        if self._options.idempotent and not self._identity.known and not self._identity_asked:
            at = min(at, self._identity_at)
        meta = self._meta
        if meta.connecting:
            return _NEVER
        return at if meta.connected else max(at, meta.retry_at)

    def _identify(self, response: InitProducerIdResponse, now: float) -> None:
        self._identity_asked = False
        code = response.error_code
        if code == ErrorCode.NONE:
            self._identity_failures = 0
            self._identity.assign(response.producer_id, response.producer_epoch)
            for batch in list(self.settler.live.values()):
                if batch.home.queue is not None:
                    self.ready(batch.home.queue)
            return
        try:
            retriable = ErrorCode(code).retriable
        except ValueError:
            retriable = False
        if retriable:
            self._identity_failures += 1
            self._identity_at = now + self._identity_backoff.delay(self._identity_failures)
            return
        self.fatal(
            BrokerRejected(
                f"the broker gives this client no producer id: {error_name(code)}; allow it "
                "IdempotentWrite, or set enable_idempotence=False",
                code=code,
                topic="",
                broker_error=error_name(code),
            ),
            now,
        )

    # Nodes.

    def _node(self, node_id: int) -> Node:
        if node_id == METADATA_NODE:
            return self._meta
        node = self._nodes.get(node_id)
        if node is None:
            host, port = self.cluster.brokers[node_id]
            node = self._nodes[node_id] = Node(node_id, host, port)
        return node

    def _serve(self, node: Node, now: float) -> None:
        self._time_out(node, now)
        if not node.line:
            return
        if not node.connected:
            if not node.connecting and node.retry_at <= now:
                # An address may have changed since the node was first seen.
                node.host, node.port = self.cluster.brokers.get(
                    node.node_id, (node.host, node.port)
                )
                node.connecting = True
                self._effects.append(Connect(node.node_id, node.host, node.port))
            return
        if now < node.throttled_until:
            return
        while node.line and len(node.in_flight) < self._options.max_in_flight:
            made = self._sender.fill(node, now)
            if made is None:
                return
            request, batches = made
            self._send(node, request, batches, now)

    def _send(self, node: Node, message: Message, batches: list[SealedBatch], now: float) -> None:
        self._tags += 1
        tag = self._tags
        node.in_flight[tag] = (now + self._options.request_timeout, batches)
        self._sent_at[tag] = now
        produce = bool(batches)
        self._effects.append(
            Send(
                node.node_id,
                message,
                tag,
                expect_response=not produce or self._options.acks != 0,
                max_version=NEWEST_PRODUCE if produce else None,
            )
        )

    def _time_out(self, node: Node, now: float) -> None:
        for at, _ in node.in_flight.values():
            if at <= now:
                reason = f"a request stayed unanswered for {self._options.request_timeout:g} s"
                self._effects.append(Disconnect(node.node_id, reason))
                self.on_disconnected(node.node_id, reason, now)
            # Requests are in the order of writing: the first is the oldest.
            return

    def _node_at(self, node: Node) -> float:
        at = _NEVER
        for timeout, _ in node.in_flight.values():
            at = timeout
            break
        if node.line:
            if not node.connected and not node.connecting:
                at = min(at, node.retry_at)
            elif node.throttled_until and len(node.in_flight) < self._options.max_in_flight:
                at = min(at, max(node.throttled_until, 0.0))
        return at


def _as_exception(error: BaseException) -> Exception:
    return error if isinstance(error, Exception) else RuntimeError(repr(error))
