# cython: annotation_typing=False, nonecheck=True, binding=False, freethreading_compatible=True
"""From closed batches to Produce requests, and from their answers to outcomes.

``fill`` is stations 6 and 7 of a record's path, ``on_answer`` station 8. What an error code means
stands in ``verdict.py``; what a partition may send next stands in ``accumulator.py``.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, Final, Protocol

from pyproducer.core.accumulator import MAX_UNRESOLVED, NO_LEADER, Node, PartitionQueue
from pyproducer.core.appender import ACKED, CLOSED, Appender
from pyproducer.core.backoff import Backoff
from pyproducer.core.batch import SealedBatch, halve
from pyproducer.core.endings import advice, rejected
from pyproducer.core.identity import Identity
from pyproducer.core.settler import Settler
from pyproducer.core.stats import Stats
from pyproducer.core.verdict import TABLE, Action, Verdict, in_words, judge, may_pass
from pyproducer.errors import BrokerRejected, DeliveryError, DeliveryTimeout
from pyproducer.model import Buffer
from pyproducer.protocol.error_codes import ErrorCode, code_name, error_name
from pyproducer.protocol.messages.produce import (
    PartitionProduceResponse,
    ProduceRequest,
    ProduceResponse,
)
from pyproducer.protocol.produce_shortcut import request_of
from pyproducer.records.batch import HEADER_SIZE
from pyproducer.records.compression import decompress

if TYPE_CHECKING:
    from pyproducer.core.transactions import Transactions

__all__ = ["MOST_BATCHES", "Sender", "SenderHost"]

logger = logging.getLogger("pyproducer.sender")

#: Codes that leave no log for the partition, or another under its name.
_NO_TOPIC: Final = {
    ErrorCode.UNKNOWN_TOPIC_OR_PARTITION,
    ErrorCode.UNKNOWN_TOPIC_ID,
    ErrorCode.INCONSISTENT_TOPIC_ID,
}

#: The row of what is no error: known by itself, for most answers have no other.
_TAKEN: Final = TABLE[ErrorCode.NONE]

#: Batches in one request. Those of thousands of partitions would keep the event loop for tens of
#: milliseconds, when the request is made and again when its answer comes.
MOST_BATCHES: Final = 256

#: Bytes that a request, a topic and a partition take around their batches, at most.
_REQUEST_OVERHEAD: Final = 512


class SenderHost(Protocol):
    """What the sender asks of the engine around it."""

    def seal_open(self, queue: PartitionQueue, now: float) -> None:
        """Close the partition's open batch and put it behind those waiting."""

    def compress(self, sealed: SealedBatch) -> None:
        """Have a batch's body compressed, where its topic wants that."""

    def again_at(self, queue: PartitionQueue, at: float) -> None:
        """Look at the partition again at this time."""

    def ready(self, queue: PartitionQueue) -> None:
        """The partition may have something to send."""

    def stale(self, now: float) -> None:
        """A leader is not where metadata says."""

    def hint(
        self, queue: PartitionQueue, response: ProduceResponse, leader: int, epoch: int
    ) -> None:
        """A broker says who leads the partition now (KIP-951)."""

    def fatal(self, error: BrokerRejected, now: float) -> None:
        """The producer as a whole is refused."""

    def trouble(self, node_id: int) -> str:
        """Why there is no connection to a broker; "" if there is one."""


class Sender:
    """Produce requests of one producer, whichever broker they go to."""

    def __init__(
        self,
        *,
        acks: int,
        idempotent: bool,
        request_timeout: float,
        delivery_timeout_ms: int,
        max_request_size: int,
        retries: int | None,
        backoff: Backoff,
        appender: Appender,
        settler: Settler,
        identity: Identity,
        stats: Stats,
        host: SenderHost,
        transactions: Transactions | None,
    ) -> None:
        self._acks = acks
        self._idempotent = idempotent
        self._timeout_ms = int(request_timeout * 1000)
        self._delivery_timeout_ms = delivery_timeout_ms
        self._max_request_size = max_request_size
        self._retries = retries
        self._backoff = backoff
        self._appender = appender
        self._settler = settler
        self._identity = identity
        self._stats = stats
        self._host = host
        self._transactions = transactions
        self._transactional_id = None if transactions is None else transactions.transactional_id

    # Out.

    def fill(self, node: Node, now: float) -> tuple[ProduceRequest, list[SealedBatch]] | None:
        """The next request for a broker, from the head of its line, or None."""
        chosen: list[SealedBatch] = []
        room = self._max_request_size - _REQUEST_OVERHEAD
        passed: list[PartitionQueue] = []
        taken: set[PartitionQueue] = set()
        while node.line and len(chosen) < MOST_BATCHES:
            queue = node.line.popleft()
            if queue in taken:
                # One batch of a partition per request; the next one goes with the next request.
                passed.append(queue)
                break
            sealed = self._choose(queue, now)
            if sealed is None:
                queue.line = False
                continue
            if self._transactions is not None and not self._transactions.admits(queue):
                queue.line = False
                continue
            size = sealed.size()
            if chosen and size > room:
                passed.append(queue)
                break
            if not sealed.stamped and self._idempotent and not self._stamp(queue, sealed):
                queue.line = False
                continue
            room -= size
            queue.waiting.remove(sealed)
            # What is under way is ahead of it, but where the fate of doubtful ones is asked for.
            sealed.behind = bool(queue.in_flight) and not queue.recovering
            queue.in_flight.append(sealed)
            chosen.append(sealed)
            # Also where it has nothing more: another thread may bring it something before the
            # request is full, and of two batches of one partition the broker keeps one.
            taken.add(queue)
            if queue.has_work():
                node.line.append(queue)
            else:
                queue.line = False
        if passed:
            node.line.extendleft(reversed(passed))
        if not chosen:
            return None
        self._count(chosen, self._max_request_size - _REQUEST_OVERHEAD - room)
        return self._request(chosen), chosen

    def _request(self, chosen: list[SealedBatch]) -> ProduceRequest:
        batches: list[tuple[str, int, list[Buffer]]] = []
        for sealed in chosen:
            queue = sealed.queue
            batches.append((queue.topic, queue.number, sealed.wire()))
        return request_of(self._transactional_id, self._acks, self._timeout_ms, batches)

    def _count(self, chosen: list[SealedBatch], size: int) -> None:
        """Another attempt for each of the batches, which have ``size`` bytes together."""
        records = plain = retries = 0
        for sealed in chosen:
            batch = sealed.batch
            records += batch.count
            plain += batch.size
            if sealed.attempts:
                retries += 1
            sealed.attempts += 1
        stats = self._stats
        stats.requests += 1
        stats.batches += len(chosen)
        stats.batch_records += records
        stats.bytes_plain += HEADER_SIZE * len(chosen) + plain
        stats.bytes_sent += size
        stats.retries += retries

    def _stamp(self, queue: PartitionQueue, sealed: SealedBatch) -> bool:
        """Give a batch the partition's next sequence numbers; False where no id is at hand."""
        if queue.producer_id < 0 or self._transactions is not None:
            return self._identity.stamp(queue, sealed)
        # Nearly always, and then it is no question of who this producer is.
        queue.next_sequence = sealed.stamp(queue.producer_id, queue.epoch, queue.next_sequence)
        queue.stamped += 1
        return True

    def _choose(self, queue: PartitionQueue, now: float) -> SealedBatch | None:
        if queue.recovering and self._identity.recovered(queue):
            self._stats.epoch_bumps += 1
        if len(queue.in_flight) >= MAX_UNRESOLVED and self._idempotent:
            return None
        if now < queue.muted_until:
            return None
        if not queue.waiting and queue.open_is_due() and queue.takes_new(self._idempotent):
            # Not before it can be sent: until then it goes on filling.
            self._host.seal_open(queue, now)
        return queue.next(now, self._idempotent)

    # Back.

    def on_answer(
        self, node: Node, batches: list[SealedBatch], response: ProduceResponse | None, now: float
    ) -> bool:
        """A request was answered; with None it was written and wants no answer (acks=0).

        Returns:
            True where it acknowledged all and told nothing else.
        """
        if response is None:
            for sealed in batches:
                self._leave(sealed)
                if sealed.batch.state <= CLOSED:
                    self._settler.acknowledge(sealed.batch, -1, -1)
                self._host.ready(sealed.queue)
            return True
        if len(batches) == 1 and self._acknowledged(batches[0], response):
            return True
        plain = True
        if response.throttle_time_ms > 0:
            pause = response.throttle_time_ms / 1000
            node.throttled_until = max(node.throttled_until, now + pause)
            self._stats.throttled_s += pause
            plain = False
        topics: dict[str, dict[int, PartitionProduceResponse]] = {}
        for topic in response.responses:
            parts = topics.setdefault(topic.name, {})
            for part in topic.partition_responses:
                parts[part.index] = part
        fatal: BrokerRejected | None = None
        for sealed in batches:
            queue = sealed.queue
            found = topics.get(queue.topic)
            answer = None if found is None else found.get(queue.number)
            if answer is None:
                reason = "the broker's answer leaves the partition out"
                self._back(node, sealed, reason, None, now)
                self._host.stale(now)
                plain = False
            else:
                fatal = self._judge(node, sealed, answer, response, now) or fatal
                plain = plain and answer.error_code == 0 and sealed.batch.state == ACKED
            self._host.ready(queue)
        if fatal is not None:
            # Not before the answer is read to its end: other partitions may have taken theirs.
            self._host.fatal(fatal, now)
        return plain

    def _acknowledged(self, sealed: SealedBatch, response: ProduceResponse) -> bool:
        """Settle the only batch of a request if the answer is that all is well; True if so."""
        topics = response.responses
        if response.throttle_time_ms > 0 or len(topics) != 1 or sealed.batch.state > CLOSED:
            return False
        parts, queue = topics[0].partition_responses, sealed.queue
        if len(parts) != 1 or topics[0].name != queue.topic:
            return False
        [part] = parts
        if part.index != queue.number or TABLE.get(part.error_code) is not _TAKEN:
            return False
        self._accept(sealed, part.base_offset, part.log_append_time_ms)
        self._host.ready(queue)
        return True

    def _accept(self, sealed: SealedBatch, base_offset: int, log_append_time_ms: int) -> None:
        """The broker has the batch; -1 where it does not say at which offset."""
        self._leave(sealed)
        sealed.queue.proven = True
        self._settler.acknowledge(sealed.batch, base_offset, log_append_time_ms)

    def on_lost(self, node: Node, batches: list[SealedBatch], reason: str, now: float) -> None:
        """A connection went before the request was answered: the log may have the batches."""
        for sealed in batches:
            self._back(node, sealed, reason, None, now)
            self._host.ready(sealed.queue)

    def expire(self, sealed: SealedBatch, now: float) -> None:
        """The records have waited for as long as they may."""
        queue = sealed.queue
        under_way = sealed in queue.in_flight
        error = DeliveryTimeout(
            f"not acknowledged within delivery_timeout_ms={self._delivery_timeout_ms}: "
            f"{self._history(sealed, now)}",
            **self._details(sealed, now, maybe=under_way or sealed.in_doubt),
        )
        self.give_up(sealed, error, now)

    def give_up(self, sealed: SealedBatch, error: Exception, now: float) -> None:
        """Fail a batch wherever it stands; an answer that still comes for it is ignored."""
        queue = sealed.queue
        if sealed in queue.in_flight:
            # It stays there until its connection says what became of it.
            queue.recovering = queue.recovering or sealed.stamped
        elif sealed in queue.waiting:
            queue.waiting.remove(sealed)
            self._gap(sealed)
        self._settler.fail(sealed.batch, error, now)
        self._host.ready(queue)

    # Judging.

    def _judge(
        self,
        node: Node,
        sealed: SealedBatch,
        part: PartitionProduceResponse,
        response: ProduceResponse,
        now: float,
    ) -> BrokerRejected | None:
        """Do what an answer says; what refuses the producer as a whole is returned."""
        queue = sealed.queue
        if sealed.batch.state > CLOSED:
            self._leave(sealed)
            return None
        code = part.error_code
        if TABLE.get(code) is _TAKEN:
            self._accept(sealed, part.base_offset, part.log_append_time_ms)
            return None
        verdict = judge(code, transactional=self._transactions is not None)
        if verdict.action is Action.ACK and sealed.stamped:
            self._accept(sealed, -1, -1)
            return None
        text = part.error_message
        reason = f"{error_name(code)}: {text}" if text else in_words(code)
        logger.debug("%s-%s: %s, %s", queue.topic, queue.number, reason, verdict.action.value)
        leader = part.current_leader
        if leader is not None and leader.leader_id >= 0:
            self._host.hint(queue, response, leader.leader_id, leader.leader_epoch)
        match verdict.action:
            case Action.RETRY | Action.REFRESH:
                self._back(node, sealed, reason, code, now, maybe=verdict.maybe_written)
                if verdict.action is Action.REFRESH:
                    self._host.stale(now)
                if code in _NO_TOPIC:
                    # The topic that comes knows nothing of this producer.
                    queue.proven = False
            case Action.RECOVER if sealed.stamped:
                self._recover(sealed, code, reason, now)
            case Action.SPLIT if sealed.batch.count > 1:
                self._split(sealed)
            case Action.FATAL:
                error = self._rejected(sealed, verdict, part, reason, now)
                self._fail(sealed, verdict, part, reason, now)
                return error
            case _:
                self._fail(sealed, verdict, part, reason, now)
        return None

    def _back(
        self,
        node: Node,
        sealed: SealedBatch,
        reason: str,
        code: int | None,
        now: float,
        *,
        maybe: bool = True,
    ) -> None:
        """Send the batch again after a pause, if it may have another attempt."""
        queue = sealed.queue
        if sealed.batch.state > CLOSED:
            self._leave(sealed)
            return
        queue.in_flight.remove(sealed)
        queue.put_back(sealed)
        sealed.last_error, sealed.last_code = reason, code
        sealed.in_doubt = sealed.in_doubt or maybe
        if self._retries is not None and sealed.attempts > self._retries:
            text = f"retries={self._retries} used up: {self._history(sealed, now)}"
            details = self._details(sealed, now, maybe=sealed.in_doubt)
            if code is None:
                self.give_up(sealed, DeliveryError(text, **details), now)
            else:
                self.give_up(sealed, BrokerRejected(text, code=code, **details), now)
            return
        if queue.leader in {node.node_id, NO_LEADER}:
            # A new leader has refused nothing yet; none at all may be the same one again.
            self._pause(sealed, now)

    def _pause(self, sealed: SealedBatch, now: float) -> None:
        queue = sealed.queue
        if queue.muted_until <= now:
            queue.muted_until = now + self._backoff.delay(sealed.attempts)
            self._host.again_at(queue, queue.muted_until)

    def _recover(self, sealed: SealedBatch, code: int, reason: str, now: float) -> None:
        queue = sealed.queue
        sealed.last_error, sealed.last_code = reason, code
        # While the partition waits for its next epoch only what is in doubt is sent: a batch
        # that was refused for good reason stays, and waiting for it would be for ever.
        ahead = any(other.precedes(sealed) for other in queue.in_flight) or any(
            other.stamped and other.precedes(sealed) and (other.in_doubt or not queue.recovering)
            for other in queue.waiting
        )
        queue.in_flight.remove(sealed)
        queue.put_back(sealed)
        if code == ErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER and (ahead or sealed.behind):
            # One ahead of it was not in that log, so this one could not be appended: it waits. If
            # that one is acknowledged by now, another broker has done it: leaders change.
            self._pause(sealed, now)
            return
        queue.recovering = True
        if self._transactions is not None:
            # Only the coordinator gives the next epoch, once the transaction is aborted.
            what = "the broker refused it"
        elif sealed.in_doubt:
            # An earlier attempt may be in the log under the old numbers. Under new ones it
            # could be there twice.
            what = f"{reason} after an attempt whose fate nobody can tell"
        else:
            self._pause(sealed, now)
            return
        error = BrokerRejected(
            f"{what}: {self._history(sealed, now)}",
            code=code,
            **self._details(sealed, now, maybe=sealed.in_doubt),
        )
        self.give_up(sealed, error, now)

    def _split(self, sealed: SealedBatch) -> None:
        queue, batch = sealed.queue, sealed.batch
        queue.in_flight.remove(sealed)
        body = sealed.body
        assert body is not None
        plain = decompress(sealed.codec, body, limit=batch.size) if sealed.codec else body
        parts = halve(self._appender, sealed, plain)
        following = sealed.sequence
        for _, half in parts:
            self._appender.recharge(half.batch, half.batch.size)
            half.batch.sealed = half
            half.attempts = sealed.attempts
            half.in_doubt = sealed.in_doubt
            half.last_error, half.last_code = sealed.last_error, sealed.last_code
            if sealed.stamped:
                # The numbers were never used, and followers under way go on from them.
                following = half.stamp(
                    sealed.producer_id,
                    sealed.epoch,
                    following,
                    sealed.transactional,
                )
                queue.stamped += 1
            queue.put_back(half)
        if sealed.stamped:
            queue.stamped -= 1
        self._settler.replace(batch, [half.batch for _, half in parts])
        self._stats.splits += 1
        for _, half in parts:
            self._host.compress(half)

    def _fail(
        self,
        sealed: SealedBatch,
        verdict: Verdict,
        part: PartitionProduceResponse,
        reason: str,
        now: float,
    ) -> None:
        queue = sealed.queue
        queue.in_flight.remove(sealed)
        sealed.in_doubt = sealed.in_doubt or verdict.maybe_written
        self._gap(sealed)
        error = self._rejected(sealed, verdict, part, reason, now)
        guilty: dict[int, BaseException] = {}
        for found in part.record_errors:
            if 0 <= found.batch_index < sealed.batch.count:
                text = found.batch_index_error_message
                guilty[found.batch_index] = BrokerRejected(
                    f"{error_name(part.error_code)}: the broker refused this record"
                    f"{': ' + text if text else ''} ({queue.topic}-{queue.number})",
                    code=part.error_code,
                    reason=text,
                    **self._details(sealed, now, maybe=sealed.in_doubt),
                )
        if guilty:
            error = BrokerRejected(
                f"{error_name(part.error_code)}: the broker refused the batch because of "
                f"{len(guilty)} other record(s) in it; sending this one again may succeed "
                f"({queue.topic}-{queue.number})",
                code=part.error_code,
                reason=part.error_message,
                **(self._details(sealed, now, maybe=sealed.in_doubt) | {"retriable": True}),
            )
        self._settler.fail(sealed.batch, error, now, guilty or None)

    def _gap(self, sealed: SealedBatch) -> None:
        """A batch goes for good; its sequence numbers must not be missing."""
        queue = sealed.queue
        if not sealed.stamped:
            return
        queue.stamped -= 1
        if queue.stamped or sealed.in_doubt:
            queue.recovering = True
        elif not queue.recovering:
            # It was the last, and no log has it: the next batch takes its numbers.
            queue.next_sequence = sealed.sequence

    def _leave(self, sealed: SealedBatch) -> None:
        """A written batch is resolved: its place among the unresolved is free."""
        queue = sealed.queue
        queue.in_flight.remove(sealed)
        if sealed.stamped:
            queue.stamped -= 1

    # Words.

    def _rejected(
        self,
        sealed: SealedBatch,
        verdict: Verdict,
        part: PartitionProduceResponse,
        reason: str,
        now: float,
    ) -> BrokerRejected:
        sealed.last_error, sealed.last_code = reason, part.error_code
        return rejected(
            f"the broker refused it: {self._history(sealed, now)}{advice(part.error_code)}",
            code=part.error_code,
            reason=part.error_message,
            **self._details(sealed, now, maybe=sealed.in_doubt or verdict.maybe_written),
        )

    def _details(self, sealed: SealedBatch, now: float, *, maybe: bool) -> dict[str, Any]:
        code = sealed.last_code
        retriable = code is None or may_pass(code, idempotent=self._idempotent)
        if not sealed.attempts and self._lacks_identity(sealed.queue):
            # It waited for what is asked for again and again.
            code, retriable = self._identity.refusal, True
        return {
            "topic": sealed.queue.topic,
            "partition": sealed.queue.number,
            "attempts": sealed.attempts,
            "elapsed": now - sealed.batch.created,
            "broker_error": None if code is None else code_name(code),
            "retriable": retriable,
            "maybe_written": maybe,
        }

    def _history(self, sealed: SealedBatch, now: float) -> str:
        queue = sealed.queue
        where = f"{queue.topic}-{queue.number}"
        seconds = now - sealed.batch.created
        trouble = self._host.trouble(queue.leader)
        if not sealed.attempts:
            why = sealed.last_error or trouble or self._obstacle(queue)
            return f"{where}, never sent in {seconds:.1f} s ({why})"
        last = f"last: {sealed.last_error}" if sealed.last_error else "unanswered"
        now_too = f"; now: {trouble}" if trouble and trouble not in last else ""
        return f"{where}, {sealed.attempts} attempt(s) in {seconds:.1f} s, {last}{now_too}"

    def _lacks_identity(self, queue: PartitionQueue) -> bool:
        return self._idempotent and queue.producer_id < 0 and not self._identity.known

    def _obstacle(self, queue: PartitionQueue) -> str:
        """Why nothing of the partition was ever sent."""
        if queue.leader < 0:
            return "no leader is known"
        if self._lacks_identity(queue):
            code = self._identity.refusal
            return "no producer id yet" if code is None else f"no producer id: {in_words(code)}"
        return f"broker {queue.leader} not ready"
