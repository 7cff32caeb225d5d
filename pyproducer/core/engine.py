# cython: annotation_typing=False, nonecheck=True, binding=False, freethreading_compatible=True
"""The engine: everything a producer decides, with no socket, clock or chance of its own.

Whoever runs it does four things, over and over: tells it news (``on_connected``, ``on_answer``,
``on_disconnected``, ``on_compressed``; appends come by themselves, through the appender), calls
``poll(now)``, performs the effects that this returns, in order, and comes back at ``deadline()``
or when there is news. ``now`` is always monotonic seconds.

Who keeps what: the appender the open batches, :class:`Intake` their times, :class:`Settler`
everything without an outcome, :class:`PartitionQueue` the closed batches of a partition,
:class:`Node` the partitions of a broker that are ready, :class:`Links` the connections,
:class:`Sender` requests and verdicts, :class:`Cluster` and :class:`Topics` leaders,
:class:`Transactions` what coordinators have to know, and this class the order of it all.
"""

from __future__ import annotations

import heapq
import logging
from collections.abc import Callable, Mapping, Sequence
from copy import copy
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from pyproducer.core.accumulator import NO_LEADER, Node, PartitionQueue
from pyproducer.core.appender import CLOSED, Appender
from pyproducer.core.appender_rules import BUSY_TURN_BYTES
from pyproducer.core.backoff import Backoff
from pyproducer.core.batch import SealedBatch
from pyproducer.core.budget import WaitLine
from pyproducer.core.delivery import Flush, Ledger
from pyproducer.core.effects import Compress, Effect
from pyproducer.core.endings import MakeError, dropped_with, stopped_by, transaction_refused
from pyproducer.core.enrolment import Enrolment
from pyproducer.core.gate import Gate
from pyproducer.core.identity import Identity
from pyproducer.core.intake import Intake
from pyproducer.core.links import NEVER, Links, Loss
from pyproducer.core.metadata import Cluster
from pyproducer.core.sender import MOST_BATCHES, Sender
from pyproducer.core.sessions import Sessions
from pyproducer.core.settler import Settler
from pyproducer.core.stats import Stats
from pyproducer.core.topics import Topics
from pyproducer.errors import BrokerRejected, ProducerError, ProducerFenced, TransactionError
from pyproducer.protocol.error_codes import ErrorCode
from pyproducer.protocol.messages.init_producer_id import InitProducerIdResponse
from pyproducer.protocol.messages.metadata import MetadataResponse
from pyproducer.protocol.messages.produce import ProduceResponse
from pyproducer.protocol.schema import Message
from pyproducer.records.codec import Codec

if TYPE_CHECKING:
    from pyproducer.core.transactions import Transactions

__all__ = ["Engine", "EngineOptions"]

logger = logging.getLogger("pyproducer.engine")

_NONE: Final[Mapping[str, int]] = {}
_NOT_COMPRESSED: Final = Codec.NONE


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
    max_in_flight: int | None
    retries: int | None
    retry_backoff: tuple[float, float]
    reconnect_backoff: tuple[float, float]
    metadata_max_age: float
    auto_create: bool
    metadata_max_idle: float = 300.0
    setup_timeout: tuple[float, float] = (10.0, 30.0)
    connections_max_idle: float = NEVER
    transactional_id: str | None = None
    transaction_timeout_ms: int = 60_000


class Engine:
    """One producer's engine.

    Attributes:
        cluster: brokers and topics as last told.
        settler: what has no outcome yet.
        gate: what keeps new records out.
        transactions: None without a transactional id.
        waiters: those who wait for buffer room.
        stats: totals.
        has_more: the last poll() has left work for another in the next turn of the event loop.
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
        self._identity = Identity(transactional=options.transactional_id is not None)
        self.gate = Gate(appender)
        self._effects: list[Effect] = []
        # A partition has something to send since the answer that is being looked at came.
        self._stirred = False
        self.has_more = False
        retry = Backoff(*options.retry_backoff, random)
        self._again: list[tuple[float, int, PartitionQueue]] = []
        self._again_count = 0
        self._fatal: BrokerRejected | TransactionError | None = None
        self.stats = Stats()
        self.settler = Settler(appender, ledger, self.stats)
        self._enrolment = (
            Enrolment(self._identity, self.settler, retry, self)
            if options.idempotent and options.transactional_id is None
            else None
        )
        self.waiters = WaitLine(appender)
        self.cluster = Cluster(
            options.bootstrap,
            max_age=options.metadata_max_age,
            max_idle=options.metadata_max_idle,
            backoff=retry,
        )
        self._links = Links(
            self.cluster,
            self._effects,
            self.stats,
            backoff=Backoff(*options.reconnect_backoff, random),
            setup_timeout=Backoff(*options.setup_timeout, random),
            max_idle=options.connections_max_idle,
            request_timeout=options.request_timeout,
            max_in_flight=options.max_in_flight,
            expect_acks=options.acks != 0,
            sessions=Sessions(self._effects, options.request_timeout, random),
        )
        self._intake = Intake(
            appender=appender,
            settler=self.settler,
            cluster=self.cluster,
            links=self._links,
            linger=options.linger,
            delivery_timeout=options.delivery_timeout,
            host=self,
        )
        self._topics = Topics(
            self.cluster,
            self._links,
            appender,
            self.settler,
            auto_create=options.auto_create,
            intake=self._intake,
            ready=self.ready,
        )
        # What a failed record means there, the end of its transaction tells.
        ledger.quiet = options.transactional_id is not None
        self.transactions: Transactions | None = None
        if options.transactional_id is not None:
            # Late: most producers have none, and are imported faster without.
            from pyproducer.core.transactions import Transactions

            self.transactions = Transactions(
                options.transactional_id,
                options.transaction_timeout_ms,
                identity=self._identity,
                links=self._links,
                settler=self.settler,
                gate=self.gate,
                backoff=retry,
                host=self,
            )
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
            transactions=self.transactions,
        )

    # The runner's side.

    def poll(self, now: float) -> list[Effect]:
        """Do all that is due, and return what the world has to do."""
        intake, brokers = self._intake, self._links.brokers
        intake.absorb(now)
        if intake.expiring.stirs(now):
            intake.expire(now)
        if intake.lingering.stirs(now):
            intake.linger(now)
        while self._again and self._again[0][0] <= now:
            self.ready(heapq.heappop(self._again)[2])
        for node in brokers:
            self._time_out(node, now)
        if self.transactions is not None:
            self.transactions.drop(now)
        self.has_more = False
        for node in brokers:
            if node.line:
                self._serve(node, now)
                if len(node.line) >= MOST_BATCHES:
                    self._appender.since_turn = -BUSY_TURN_BYTES
        self._ask(now)
        if self.transactions is not None:
            self._time_out(self._links.coordinator, now)
            self._time_out(self._links.group, now)
            self.transactions.poll(now)
        if self.waiters:
            self.waiters.serve()
            self.waiters.expire(now)
        if not self._effects:
            return []
        effects = self._effects.copy()
        self._effects.clear()
        return effects

    def begin_turn(self) -> None:
        """The event loop has a turn: callers may go on for a while before they owe the next."""
        self._appender.since_turn = 0
        self._appender.turn_ms = 0

    def deadline(self) -> float | None:
        """When to poll again though nothing happened, in monotonic seconds; None for never."""
        links = self._links
        at = min(self._intake.deadline(), self._asking_at())
        for node in (links.meta, *links.brokers):
            if (other := links.deadline(node)) < at:
                at = other
        if self._again:
            at = min(at, self._again[0][0])
        if self.waiters:
            at = min(at, self.waiters.until)
        if self.transactions is not None:
            at = min(
                at,
                self.transactions.deadline(),
                links.deadline(links.coordinator),
                links.deadline(links.group),
            )
        return None if at == NEVER else at

    def on_connected(
        self,
        node_id: int,
        features: Mapping[str, int] = _NONE,
        features_epoch: int = -1,
        session: float = 0.0,
        now: float = 0.0,
    ) -> None:
        """A connection is up and ready; it told the cluster's finalized features.

        ``session`` is for how long the broker believes who we are, in seconds; 0 for good.
        """
        self._links.connected(node_id, features, features_epoch, session, now)

    def on_authenticated(self, node_id: int, session: float, now: float) -> None:
        """The broker has accepted anew who we are, for so many seconds."""
        self._links.sessions.begun(self._links.node(node_id), session, now)

    def on_unproven(self, node_id: int, reason: str, now: float) -> None:
        """Nothing could be had to prove anew who we are; the connection is as it was."""
        self._links.sessions.failed(self._links.node(node_id), reason, now)

    def on_disconnected(
        self, node_id: int, reason: str, now: float, error: ProducerError | None = None
    ) -> None:
        """A connection is gone, or was never made; what it owed is not answered any more.

        With an ``error`` it was security that failed: TLS, or who we are.
        """
        self._lose(self._links.lost(node_id, reason, now, error), now)

    def on_answer(self, node_id: int, tag: int, response: Message | None, now: float) -> bool:
        """A request was answered, or (response None) written where none is expected.

        Returns:
            True where there is something to do now, so that poll() has to follow; False where
            nothing has changed but that batches were acknowledged.
        """
        node, batches = self._links.answered(node_id, tag, now)
        if response is None or isinstance(response, ProduceResponse):
            self._stirred = False
            plain = self._sender.on_answer(node, batches, response, now)
            appender = self._appender
            return bool(
                not plain
                or self.transactions is not None
                or self._stirred
                or node.line
                or self.waiters
                or appender.starved
                or not appender.asleep
                # With nothing under way it may be unused for too long before anything else is due.
                or (not node.in_flight and node.idle_at < now + self._options.request_timeout)
            )
        if isinstance(response, MetadataResponse):
            self._topics.learn(response, now)
        elif self.transactions is not None:
            self.transactions.on_answer(response, now)
        elif self._enrolment is not None and isinstance(response, InitProducerIdResponse):
            self._enrolment.on_answer(response, now)
        return True

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

    def start_over(self, now: float) -> None:
        """Nothing was reached so far: the start was given up, and another may follow."""
        self._links.start_over()
        # So that the next one has something to ask.
        self.cluster.refresh(now)

    def want(self, topic: str, now: float) -> None:
        """Somebody needs to know the topic."""
        state = self._appender.topic(topic)
        if state.partitions is None:
            self.cluster.want(topic, now)

    def is_unknown(self, topic: str) -> bool:
        """True where the cluster says that there is no such topic, or that we may not use it."""
        return self._topics.is_refused(topic) and topic not in self.cluster.wanted

    def flush(self, now: float, done: Callable[[], object]) -> Flush:
        """Close what is open, and have ``done`` called when all that is accepted is settled."""
        self._intake.close_open(now)
        return self.settler.flush(done)

    def fail_all(self, make: MakeError, now: float, *, spare_sent: bool = False) -> int:
        """Settle everything that is left; how many records that were is returned.

        Args:
            make: makes the error of each batch's records.
            now: monotonic seconds.
            spare_sent: leave those that an answer may still settle.
        """
        self._intake.absorb(now)
        count = 0
        for batch in list(self.settler.live.values()):
            sealed = batch.sealed
            if spare_sent and sealed is not None and sealed in sealed.queue.in_flight:
                continue
            self._intake.close_one(batch, now)
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
    def contacted(self) -> bool:
        """True once a broker told its versions."""
        return self._links.contacted

    @property
    def heard(self) -> bool:
        """True once a broker answered more than that."""
        return self._links.heard

    @property
    def failed_addresses(self) -> list[tuple[str, str]]:
        """Address and reason of each failed attempt to reach any broker since the last success."""
        return self._links.failed_addresses

    @property
    def refusals(self) -> dict[str, ProducerError]:
        """Of those, what security failed by, by address."""
        return self._links.refusals

    @property
    def in_flight(self) -> int:
        """Produce requests without an answer."""
        return self._links.in_flight

    # The intake's side.

    def expire(self, sealed: SealedBatch, now: float) -> None:
        """The records of a closed batch have waited for as long as they may."""
        self._sender.expire(sealed, now)

    # The sender's side.

    def seal_open(self, queue: PartitionQueue, now: float) -> None:
        """Close the partition's open batch and put it behind those waiting."""
        self._appender.close_open(queue.state)
        self._intake.absorb(now)

    def trouble(self, node_id: int) -> str:
        """Why there is no connection to a broker; "" if there is one."""
        return self._links.trouble(node_id)

    def compress(self, sealed: SealedBatch) -> None:
        """Have a batch's body compressed, where its topic wants that."""
        codec = sealed.batch.codec
        if codec is None:
            codec = sealed.batch.home.topic.codec
        sealed.codec = self._options.codec if codec is None else codec
        if sealed.codec is _NOT_COMPRESSED:
            self.ready(sealed.queue)
            return
        sealed.body = None
        self._effects.append(Compress(sealed))

    # The transactions' side.

    def close_open(self, now: float) -> None:
        """Close every batch that still fills: it leaves without lingering."""
        self._intake.close_open(now)

    def drop_unsent(self, reason: str, now: float) -> None:
        """Fail everything that is not on the wire as part of an aborted transaction."""
        self.fail_all(dropped_with(reason), now, spare_sent=True)

    def dismiss(self) -> None:
        """Tell those who wait for buffer room that their records are not taken now."""
        refusal = self.gate.refusal or self.gate.held
        if refusal is not None:
            self.waiters.dismiss(refusal)

    def die(self, error: TransactionError, now: float) -> None:
        """The producer is of no use any more."""
        self._stop(error, now)

    def again_at(self, queue: PartitionQueue, at: float) -> None:
        """Look at the partition again at this time."""
        self._again_count += 1
        heapq.heappush(self._again, (at, self._again_count, queue))

    def ready(self, queue: PartitionQueue) -> None:
        """The partition may have something to send."""
        if queue.line or queue.leader == NO_LEADER:
            return
        if queue.has_work():
            queue.line = self._stirred = True
            self._links.node(queue.leader).line.append(queue)

    def stale(self, now: float) -> None:
        """A leader is not where metadata says."""
        self.cluster.refresh(now, after_failure=True)

    def hint(
        self, queue: PartitionQueue, response: ProduceResponse, leader: int, epoch: int
    ) -> None:
        """A broker says who leads the partition now (KIP-951)."""
        self._topics.hint(queue, response, leader, epoch)

    def fatal(self, error: BrokerRejected, now: float) -> None:
        """The producer as a whole is refused: everything fails, and it takes no more."""
        if self.transactions is None:
            self._stop(error, now)
            return
        fenced = error.code == ErrorCode.PRODUCER_FENCED
        text, name = str(error), self.transactions.transactional_id
        refused = transaction_refused(text, error.code, name, fatal=True)
        dead = ProducerFenced(text, fatal=True) if fenced else refused
        self.transactions.end_for_good(dead)
        self._stop(dead, now)

    def _stop(self, error: BrokerRejected | TransactionError, now: float) -> None:
        if self._fatal is not None:
            return
        self._fatal = error
        self._enrolment = None
        logger.error("the producer stops: %s", error)

        def refuse() -> ProducerError:
            # One of its own for each call: raising one object again and again would make its
            # traceback longer and longer.
            return copy(error)

        self.gate.stop(refuse)
        self.fail_all(stopped_by(error), now)
        self.waiters.dismiss(refuse)

    # Metadata, the producer id, and the brokers.

    def _ask(self, now: float) -> None:
        """Metadata and the producer id, on their own connection."""
        meta, cluster = self._links.meta, self.cluster
        self._time_out(meta, now)
        if cluster.complaint:
            complaint, cluster.complaint = cluster.complaint, ""
            if meta.connected:
                self._lose(self._links.move_on(complaint, now), now)
        want_metadata = not cluster.asked and cluster.due_at() <= now
        enrolment = self._enrolment
        want_identity = (
            enrolment is not None and self._identity.producer_id < 0 and enrolment.due() <= now
        )
        if not (want_identity or want_metadata):
            return
        if not meta.connected:
            self._links.connect(meta, now)
            return
        if want_metadata:
            self._links.send(meta, self._topics.question(now), [], now)
        if want_identity and enrolment is not None:
            self._links.send(meta, enrolment.question(), [], now)

    def _asking_at(self) -> float:
        meta = self._links.meta
        if meta.connecting:
            return NEVER
        at = NEVER if self.cluster.asked else self.cluster.due_at()
        if self._enrolment is not None and self._identity.producer_id < 0:
            at = min(at, self._enrolment.due())
        return at if meta.connected else max(at, meta.retry_at)

    def _serve(self, node: Node, now: float) -> None:
        if not node.connected:
            self._links.connect(node, now)
            return
        count = 0
        while node.line and self._links.may_send(node, now):
            if count >= MOST_BATCHES:
                self.has_more = True
                return
            made = self._sender.fill(node, now)
            if made is None:
                return
            request, batches = made
            count += len(batches)
            self._links.send(node, request, batches, now)

    def _time_out(self, node: Node, now: float) -> None:
        loss = self._links.look_after(node, now)
        if loss is not None:
            self._lose(loss, now)

    def _lose(self, loss: Loss, now: float) -> None:
        for batches in loss.owed:
            self._sender.on_lost(loss.node, batches, loss.reason, now)
        if loss.node is self._links.meta:
            if self.cluster.asked:
                self.cluster.lost(now)
            if self._enrolment is not None:
                self._enrolment.lost()
        elif loss.node.node_id >= 0 and (loss.owed or loss.node.line):
            self.stale(now)
        if self.transactions is not None and loss.node.node_id < 0:
            self.transactions.on_lost(loss.node, loss.reason, now)
