"""A producer's transactions: what is asked of the coordinators, in what order, and what follows.

One request is under way at a time, on a connection that carries nothing else. The states are in
``transaction.py``, the meaning of error codes in ``coordination.py``, the requests themselves in
``transaction_requests.py``.

Protocol 1 tells the coordinator of each partition before its first batch. Protocol 2 (KIP-890)
leaves that to the partition's leader, and every end of a transaction brings a new epoch, so that
nothing late can reach into the next one. The cluster says which: ``transaction.version`` among
its finalized features, looked at when a transaction begins.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Sequence
from copy import copy
from typing import Final

from pyproducer.core.accumulator import Node, PartitionQueue
from pyproducer.core.backoff import Backoff
from pyproducer.core.coordination import ADVICE, NOT_DONE, Remedy, remedy, worst
from pyproducer.core.endings import transaction_refused
from pyproducer.core.gate import Gate
from pyproducer.core.identity import Identity
from pyproducer.core.links import NEVER, Links
from pyproducer.core.settler import Settler
from pyproducer.core.transaction import TRANSITIONS, WAY_OUT, Event, State, TransactionHost
from pyproducer.core.transaction_requests import Kind, OffsetCommit, Outcome, Question, Requests
from pyproducer.errors import ProducerError, ProducerFenced, TransactionError, UsageError
from pyproducer.protocol.error_codes import ErrorCode, error_name
from pyproducer.protocol.schema import Message

__all__ = ["Transactions"]

logger = logging.getLogger("pyproducer.transactions")

_FEATURE: Final = "transaction.version"

#: The newest Produce version of each protocol (KIP-890).
_NEWEST_PRODUCE: Final = {False: 11, True: 12}

#: Seconds before asking again where the transaction before this one is still being completed,
#: which takes a coordinator a few milliseconds.
_CONCURRENT_PAUSE: Final = 0.02


class Transactions:
    """The transactions of one producer, one after the other.

    Attributes:
        state: where it stands.
        error: why the open transaction must be aborted, or the producer is dead.
        reason: the same in words, without what to do; empty where it need not be aborted.
        complaint: the last thing that went wrong, in words; empty if nothing did.
        two: True where the open transaction uses protocol 2.
        owed: a transaction was begun whose end no call has told yet.
        doubtful: the last one begun failed after an attempt to commit that went unanswered.
        finish: how its end goes, or went; None before it is asked for, and where it failed.
        fate: of the last one begun: done once it is over, and whether as a commit.
    """

    def __init__(
        self,
        transactional_id: str,
        timeout_ms: int,
        *,
        identity: Identity,
        links: Links,
        settler: Settler,
        gate: Gate,
        backoff: Backoff,
        host: TransactionHost,
    ) -> None:
        self.state = State.UNREADY
        self.error: TransactionError | None = None
        self.reason = ""
        self.two = False
        self.owed = self.doubtful = False
        self.finish: Outcome | None = None
        self.fate = Outcome()
        self._timeout_ms = timeout_ms
        self._identity = identity
        self._links = links
        self._settler = settler
        self._gate = gate
        self._backoff = backoff
        self._host = host
        self._requests = Requests(transactional_id, timeout_ms, identity)
        self._asked: Question | None = None
        self._again_at = 0.0
        self._failures = 0
        self.complaint = ""
        self._initialising = Outcome()
        # Of the open transaction.
        self._partitions: set[PartitionQueue] = set()
        self._pending: dict[PartitionQueue, None] = {}
        self._groups: set[str] = set()
        self._offsets: deque[OffsetCommit] = deque()
        self._expires_at = NEVER
        self._timed_out = self._in_doubt = False
        self._started = self._maybe_started = self._renew = False
        self._late = self._fence_late = False
        self._ending: bool | None = None
        gate.hold(self._refusal)
        settler.on_failure = self._record_failed

    @property
    def transactional_id(self) -> str:
        """The name under which the coordinator knows this producer."""
        return self._requests.transactional_id

    # The caller's side.

    def initialise(self) -> Outcome:
        """Ask for a producer id, which ends what an earlier holder of the id left open."""
        if self.state is State.UNREADY:
            self._move(Event.INITIALISE)
            self._initialising = Outcome()
        return self._initialising

    def begin(self, now: float) -> None:
        """Open a transaction; records are taken from now on.

        Raises:
            UsageError: one is open already.
            TransactionError: the one before has to be aborted, or its outcome is not known yet.
        """
        if self.state is State.DOOMED:
            raise self._told()
        self._check(Event.BEGIN)
        self.finish = self.error = None
        self.fate = Outcome()
        self.complaint = ""
        # Protocol 2 sends at once, and a new epoch that is still to come would cut in.
        self.two = self._links.features.get(_FEATURE, 0) >= 2 and not self._fence_late
        self._links.newest_produce = _NEWEST_PRODUCE[self.two]
        self._expires_at = now + self._timeout_ms / 1000
        self.owed, self.doubtful = True, False
        self._move(Event.BEGIN)

    def commit(self, now: float) -> Outcome:
        """Send what is queued, and commit once all of it is written.

        A second call while the first is under way waits for the same outcome.

        Raises:
            UsageError: no transaction is open.
            TransactionError: it has to be aborted.
        """
        return self._end(Event.COMMIT, now)

    def abort(self, now: float) -> Outcome:
        """Drop what is queued, and have what is written ignored by readers of committed data.

        Raises:
            UsageError: no transaction is open, or it is being committed.
        """
        return self._end(Event.ABORT, now)

    def send_offsets(self, offsets: OffsetCommit) -> OffsetCommit:
        """Make a consumer's offsets part of the transaction (KIP-447).

        Raises:
            UsageError: no transaction is open.
            TransactionError: it has to be aborted.
        """
        if self.state is not State.OPEN:
            raise self._refusal()
        self._offsets.append(offsets)
        return offsets

    # The sender's side.

    def admits(self, queue: PartitionQueue) -> bool:
        """True where the partition is part of the transaction; else it will be ready later."""
        if queue in self._partitions:
            return True
        if self.state not in {State.OPEN, State.COMMITTING}:
            return False
        if self.two:
            self._partitions.add(queue)
            self._started = True
            return True
        self._pending.setdefault(queue)
        return False

    # The engine's side.

    def drop(self, now: float) -> None:
        """Drop what cannot be committed any more."""
        if self.state is State.OPEN and now >= self._expires_at:
            self._fail(
                f"it was open for longer than transaction_timeout_ms={self._timeout_ms}", None, now
            )
        if self.state in {State.DOOMED, State.ABORTING}:
            self._host.drop_unsent(self.reason or "abort was called", now)

    def poll(self, now: float) -> None:
        """Do what is due."""
        while self._asked is None and self._again_at <= now:
            kind = self._due()
            if kind is None:
                return
            if kind is Kind.NOTHING:
                self._ended()
            elif not self._ask(kind, now):
                return

    def deadline(self) -> float:
        """When to poll again though nothing happened, in monotonic seconds; NEVER for never."""
        at = self._expires_at if self.state is State.OPEN else NEVER
        if self._asked is not None:
            return at
        kind = self._due()
        if kind is None:
            return at
        node = self._route(kind)
        if node.connecting:
            return at
        due = self._again_at if node.connected else max(self._again_at, node.retry_at)
        return min(at, due)

    def on_answer(self, response: Message, now: float) -> None:
        """A coordinator, or the broker that knows where it is, has answered."""
        question, self._asked = self._asked, None
        assert question is not None
        throttle: int = getattr(response, "throttle_time_ms", 0)
        codes = self._requests.codes(question, response)
        self._judge(question, worst(question.kind.api_key, codes), codes, response, now)
        if throttle > 0:
            self._again_at = max(self._again_at, now + throttle / 1000)

    def on_lost(self, node: Node, reason: str, now: float) -> None:
        """A connection is gone, or was never made."""
        if node in {self._links.coordinator, self._links.group}:
            # It may have moved: whoever knows where it is now is asked first.
            node.host = ""
        question = self._asked
        if question is None or question.node is not node:
            if self._due() is not None:
                self.complaint = reason
            return
        self._asked = None
        self._late = self._late or (not self.two and question.kind.binds)
        self._doubt(question)
        self._pause(reason, now)

    # Deciding.

    def _due(self) -> Kind | None:
        """What to ask next; None for nothing now."""
        state = self.state
        if state is State.READYING:
            return Kind.INIT
        if self._fence_late and state not in {State.UNREADY, State.DEAD}:
            return Kind.INIT
        if state in {State.OPEN, State.COMMITTING}:
            if self._pending:
                return Kind.ADD_PARTITIONS
            if self._offsets:
                known = self.two or self._offsets[0].group.group_id in self._groups
                return Kind.COMMIT_OFFSETS if known else Kind.ADD_OFFSETS
        if state in {State.OPEN, State.READY, State.UNREADY, State.DEAD} or self._busy:
            return None
        if self._started:
            return Kind.END
        if state is State.COMMITTING:
            return Kind.NOTHING
        if self._renew or any(queue.recovering for queue in self._partitions):
            return Kind.INIT
        return Kind.NOTHING if state is State.ABORTING else None

    @property
    def _busy(self) -> bool:
        """True while a record has no outcome, or a batch may still arrive at a broker.

        One that arrived after the end of its transaction would be in the log and never be ended.
        """
        return bool(self._settler.live) or self._links.in_flight > 0

    def _route(self, kind: Kind) -> Node:
        """Whom to ask: the coordinator, or who knows where it is."""
        links = self._links
        if kind is Kind.COMMIT_OFFSETS:
            node = links.group
            if node.host and self._requests.group_found != self._offsets[0].group.group_id:
                node.host = ""
        else:
            node = links.coordinator
        return node if node.host else links.meta

    def _ask(self, kind: Kind, now: float) -> bool:
        node = self._route(kind)
        if not node.connected:
            self._links.connect(node, now)
            return False
        if node is self._links.meta:
            kind = Kind.FIND_GROUP if kind is Kind.COMMIT_OFFSETS else Kind.FIND
        commit = self.state is State.COMMITTING
        if kind is Kind.END:
            self._ending = commit
        if kind is Kind.COMMIT_OFFSETS and self.two:
            self._started = True
        question = self._requests.make(
            kind,
            node,
            partitions=list(self._pending),
            offsets=self._offsets[0] if self._offsets else None,
            commit=commit,
            two=self.two,
        )
        self._asked = question
        self._links.send(node, question.message, [], now, max_version=question.max_version)
        return True

    # Judging.

    def _judge(
        self, question: Question, code: int, codes: Sequence[int], response: Message, now: float
    ) -> None:
        kind = question.kind
        action = remedy(kind.api_key, code)
        if action is Remedy.DONE:
            self._failures = 0
            self._again_at = 0.0
            self.complaint = ""
            self._done(question, response)
            return
        name = error_name(code)
        where = f"{kind.words}: {name}"
        logger.debug("transactional id %r: %s, %s", self.transactional_id, where, action.value)
        if kind is Kind.END and not self._ending and self._aborted_already(code, now):
            # There is nothing to abort at the coordinator.
            self._started = False
            self._renew = True
            return
        match action:
            case Remedy.RETRY | Remedy.FIND:
                if code not in NOT_DONE:
                    self._doubt(question)
                if action is Remedy.FIND and question.node is not self._links.meta:
                    question.node.host = ""
                if kind is Kind.ADD_PARTITIONS:
                    self._take_added(question, codes)
                self._pause(where, now, quick=code == ErrorCode.CONCURRENT_TRANSACTIONS)
            case Remedy.ABORT | Remedy.RENEW if self.state is not State.READYING:
                self._renew = self._renew or action is Remedy.RENEW
                if self.state in {State.DOOMED, State.ABORTING}:
                    self._pause(where, now)
                self._fail(where + ADVICE.get(code, ""), None, now, code)
            case Remedy.DENIED if self.state is State.READYING:
                self._move(Event.FAIL)
                self._initialising.settle(self._refused(where, code, "then start again"))
            case Remedy.FENCED if (
                self.state in {State.OPEN, State.COMMITTING}
                and now >= self._expires_at
                and not self._in_doubt
            ):
                # The coordinator has ended it, unless another producer did: the next epoch, which
                # is asked for after the abort, will tell.
                self._fail(where, None, now)
            case Remedy.FENCED:
                self._die(
                    ProducerFenced(
                        f"{where}: another producer uses transactional_id="
                        f"{self.transactional_id!r}, or a transaction took longer than "
                        f"transaction_timeout_ms={self._timeout_ms}{self._doubts()}; make a new "
                        "producer, and only one for each id",
                        fatal=True,
                        maybe_committed=self._in_doubt,
                    ),
                    now,
                )
            case _:
                self._die(self._refused(where, code, "make a new producer", fatal=True), now)

    def _aborted_already(self, code: int, now: float) -> bool:
        """True where the coordinator knows of no transaction that the producer wants aborted."""
        if code in {ErrorCode.UNKNOWN_PRODUCER_ID, ErrorCode.INVALID_PRODUCER_ID_MAPPING}:
            return True
        if code in {ErrorCode.PRODUCER_FENCED, ErrorCode.INVALID_PRODUCER_EPOCH}:
            # It may have been the coordinator that ended it, for having been open too long: then
            # the producer may go on with a new epoch. If it was another producer, then asking
            # for that epoch says so.
            return self._timed_out or now >= self._expires_at
        # In protocol 2 the epoch is the transaction's own: no other can have been ended instead.
        return code == ErrorCode.INVALID_TXN_STATE and (self._maybe_started or self.two)

    def _done(self, question: Question, response: Message) -> None:
        match question.kind:
            case Kind.FIND | Kind.FIND_GROUP:
                group = question.kind is Kind.FIND_GROUP
                node = self._links.group if group else self._links.coordinator
                host, port = self._requests.address(response)
                if group:
                    assert question.offsets is not None
                    self._requests.group_found = question.offsets.group.group_id
                self._links.point(node, host, port)
            case Kind.INIT:
                self._take_identity(*self._requests.identity(response))
                if self.state is State.READYING:
                    self._move(Event.END)
                    self._initialising.settle(None)
            case Kind.ADD_PARTITIONS:
                self._take_added(question, [0] * len(question.partitions))
            case Kind.ADD_OFFSETS:
                assert question.offsets is not None
                self._groups.add(question.offsets.group.group_id)
                self._started = True
                self._maybe_started = False
            case Kind.COMMIT_OFFSETS:
                assert question.offsets is not None
                if self._offsets and self._offsets[0] is question.offsets:
                    self._offsets.popleft()
                question.offsets.settle(None)
            case Kind.END:
                self._started = self._maybe_started = self._in_doubt = False
                self._ending = None
                producer_id, epoch = self._requests.identity(response)
                if producer_id >= 0:
                    self._take_identity(producer_id, epoch)

    def _take_identity(self, producer_id: int, epoch: int) -> None:
        """Each partition begins the new epoch with its next batch."""
        self._identity.assign(producer_id, epoch)
        self._renew = self._late = self._fence_late = False
        for queue in self._partitions:
            queue.recovering = False

    def _take_added(self, question: Question, codes: Sequence[int]) -> None:
        """Partitions that the coordinator has taken may be sent to."""
        for queue, code in zip(question.partitions, codes, strict=False):
            if code == ErrorCode.NONE:
                # Also where the transaction has failed meanwhile: the coordinator has begun it.
                self._started, self._maybe_started = True, False
            if code == ErrorCode.NONE and queue in self._pending:
                del self._pending[queue]
                self._partitions.add(queue)
                self._host.ready(queue)

    def _doubt(self, question: Question) -> None:
        """Nobody knows whether the coordinator has done what was asked."""
        self._in_doubt = self._in_doubt or (question.kind is Kind.END and bool(self._ending))
        if question.kind in {Kind.ADD_PARTITIONS, Kind.ADD_OFFSETS} and not self._started:
            self._started = self._maybe_started = True

    def _pause(self, complaint: str, now: float, *, quick: bool = False) -> None:
        self.complaint = complaint
        self._failures += 1
        delay = self._backoff.delay(self._failures)
        self._again_at = now + (min(delay, _CONCURRENT_PAUSE * self._failures) if quick else delay)

    # Ending.

    def _end(self, event: Event, now: float) -> Outcome:
        target = State.COMMITTING if event is Event.COMMIT else State.ABORTING
        finish = self.finish
        if self.state is target or (
            # It was decided while nobody waited for it.
            self.state is State.READY
            and finish is not None
            and not finish.told
            and finish.commit is (event is Event.COMMIT)
        ):
            assert finish is not None
            return finish
        if event is Event.COMMIT and self.state is State.DOOMED:
            raise self._told()
        self._check(event)
        self.finish = Outcome(commit=event is Event.COMMIT)
        self._move(event)
        self._host.dismiss()
        if event is Event.COMMIT:
            self._host.close_open(now)
        else:
            self._forget_offsets("the transaction is aborted")
        return self.finish

    def _ended(self) -> None:
        self._move(Event.END)
        self._partitions.clear()
        self._pending.clear()
        self._groups.clear()
        self._started = self._maybe_started = self._renew = False
        self._timed_out = self._in_doubt = False
        self._fence_late, self._late = self._fence_late or self._late, False
        self._ending = None
        self._expires_at = NEVER
        self.reason = ""
        self.error = None
        if self.finish is not None:
            self.finish.settle(None)
            self.fate.commit = self.finish.commit
            self.fate.settle(None)

    def _fail(self, reason: str, cause: Exception | None, now: float, code: int = 0) -> None:
        """The transaction cannot be committed any more."""
        if self.state not in {State.OPEN, State.COMMITTING}:
            return
        self._timed_out = now >= self._expires_at
        self.reason = reason
        error = transaction_refused(
            f"the transaction cannot be committed: {reason}{self._doubts()}; abort it, then its "
            "work may be done anew in another",
            code,
            self._offsets[0].resource(code) if self._offsets else "",
            abort_required=True,
            maybe_committed=self._in_doubt,
        )
        error.__cause__ = cause
        self.error = error
        self.doubtful = self._in_doubt
        self.complaint = reason
        self._move(Event.FAIL)
        self._pending.clear()
        self._failures = 0
        self._again_at = now
        self._forget_offsets(reason, error)
        if self.finish is not None:
            self.finish.settle(error)
        self.finish = None
        self._host.dismiss()

    def _forget_offsets(self, reason: str, error: TransactionError | None = None) -> None:
        offsets, self._offsets = self._offsets, deque()
        for commit in offsets:
            commit.settle(error or TransactionError(reason, abort_required=True))

    def _record_failed(self, error: Exception, now: float) -> None:
        """A record has failed: a transaction is whole or not at all."""
        self._fail(f"a record failed: {error}", error, now)

    def _die(self, error: TransactionError, now: float) -> None:
        self.end_for_good(error)
        self._host.die(error, now)

    def end_for_good(self, error: TransactionError) -> None:
        """Nothing can be done any more, and everyone who waits is told."""
        if self.state is State.DEAD:
            return
        self._move(Event.DIE)
        self.error = error
        self.doubtful = self.doubtful or error.maybe_committed
        self._initialising.settle(error)
        self._forget_offsets(str(error), error)
        if self.finish is not None:
            self.finish.settle(error)

    # Words.

    def _refused(
        self, where: str, code: int, way_out: str, *, fatal: bool = False
    ) -> TransactionError:
        name = self.transactional_id
        text = f"{where} for transactional_id={name!r}{ADVICE.get(code, '')}{self._doubts()}"
        return transaction_refused(
            f"{text}; {way_out}", code, name, fatal=fatal, maybe_committed=self._in_doubt
        )

    def _doubts(self) -> str:
        if not self._in_doubt:
            return ""
        return (
            " (an attempt to commit went unanswered, so that nobody can tell whether the "
            "transaction was committed)"
        )

    def _move(self, event: Event) -> None:
        self.state = TRANSITIONS[self.state, event]
        self._gate.hold(None if self.state is State.OPEN else self._refusal)

    def _check(self, event: Event) -> None:
        if (self.state, event) not in TRANSITIONS:
            if self.state is State.DEAD:
                raise self._told()
            way_out = WAY_OUT.get(self.state, "")
            raise UsageError(
                f"cannot {event.value} now: the transaction is {self.state.value}{way_out}"
            )

    def _refusal(self) -> ProducerError:
        """The error of a call that needs an open transaction."""
        if self.state in {State.DOOMED, State.DEAD}:
            return self._told()
        return UsageError(
            "a transactional producer takes records in a transaction only, and it is "
            f"{self.state.value}{WAY_OUT.get(self.state, '')}"
        )

    def _told(self) -> TransactionError:
        """The error that stands, one of its own for each raise, so that tracebacks do not grow."""
        assert self.error is not None
        self.owed = False
        made: TransactionError = copy(self.error)
        made.__cause__ = self.error.__cause__
        return made
