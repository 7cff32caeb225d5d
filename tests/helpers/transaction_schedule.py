"""One run of a transactional producer in the model cluster, and what must hold of it.

Its caller does what programs do: begins, sends, commits offsets, commits or aborts, and aborts
where he is told to. What he was told of each transaction is compared with what a reader of
committed data sees.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Generator
from dataclasses import dataclass, field
from typing import Any

from pyproducer.core.transaction import State
from pyproducer.core.transaction_requests import OffsetCommit, Outcome
from pyproducer.errors import DeliveryTimeout, ProducerError, TransactionError
from pyproducer.model import GroupMetadata, OffsetAndMetadata, TopicPartition
from tests.helpers.model_coordinator import ModelCoordinator
from tests.helpers.schedule import BY_CHANCE, BY_TIME, SENDING, Schedule, Told
from tests.helpers.schedule_judge import Violation, judge

__all__ = ["Transaction", "TransactionSchedule", "judge_transactions"]

#: What the caller of a schedule waits for.
Wait = Generator[Callable[[], bool], None, None]

#: Faults that no transaction outlives, and those of a producer without.
_UNWANTED = {"expired", "strict", "lenient", "fatal", "identity", "deleted", "last_sequence"}

GROUP = GroupMetadata("readers")
PLACE = TopicPartition("read", 0)


@dataclass(eq=False)
class Transaction:
    """One transaction as its caller knows it.

    Attributes:
        number: which.
        records: those that were accepted.
        offset: of the group that was made part of it, if one was.
        told: "committed", "aborted", "unknown", or nothing yet.
    """

    number: int
    records: list[Told] = field(default_factory=list)
    offset: int | None = None
    told: str = "open"


class TransactionSchedule(Schedule):
    """See the module."""

    by_chance = {kind: share for kind, share in BY_CHANCE.items() if kind not in _UNWANTED} | {
        "coordinator": 0.5,
        "coordinator_doubt": 0.4,
        "slow_markers": 0.4,
    }
    by_time = {kind: share for kind, share in BY_TIME.items() if kind not in _UNWANTED} | {
        "coordinator_moves": 0.4,
        "usurped": 0.06,
    }

    def __init__(self, seed: int, **how: Any) -> None:
        super().__init__(seed, **how)
        cluster = self.cluster
        two = seed % 2 == 0
        cluster.features = {"transaction.version": 2 if two else 1}
        cluster.world.coordinator = ModelCoordinator(
            cluster,
            cluster.world,
            two=two,
            timeout=self.options["transaction_timeout_ms"] / 1000,
        )
        cluster.caller = self._go_on
        self.transactions: list[Transaction] = []
        self.finished = False
        self._steps = self._call()
        self._until: Callable[[], bool] = lambda: True

    def draw_options(self, draw: random.Random) -> dict[str, Any]:
        """Options of the engine."""
        return super().draw_options(draw) | {
            "acks": -1,
            "idempotent": True,
            "linger": draw.choice([0.0, 0.005, 0.05]),
            "transactional_id": "mover",
            "transaction_timeout_ms": draw.choice([1500, 8000, 60_000]),
        }

    @property
    def coordinator(self) -> ModelCoordinator:
        """The model's."""
        made = self.cluster.world.coordinator
        assert made is not None
        return made

    @property
    def may_refuse(self) -> bool:
        """New records are refused for good reason, such as that the transaction failed."""
        return True

    # The caller.

    def work(self) -> None:
        """The caller acts by himself, as soon as he can."""

    def flush(self) -> None:
        """Nothing more: an end of a transaction flushes."""

    def _go_on(self) -> bool:
        done = False
        while not self.finished and self._until():
            done = True
            try:
                self._until = next(self._steps)
            except StopIteration:
                self.finished = True
        return done

    def _pause(self, longest: float) -> Wait:
        at = self.cluster.now + self.cluster.random.uniform(0, longest)
        self.cluster.at(at - self.cluster.now, lambda: None, client=True)
        yield lambda: self.cluster.now >= at or self.closed

    def _call(self) -> Wait:
        engine, rand = self.cluster.engine, self.cluster.random
        transactions = engine.transactions
        assert transactions is not None
        started = transactions.initialise()
        yield lambda: started.done
        while not started.error and self.cluster.now < 100 + SENDING and not self.closed:
            yield from self._pause(0.4)
            if not (yield from self._transact(commit=rand.random() < 0.75)):
                return

    def _transact(
        self, *, commit: bool, probe: bool = False
    ) -> Generator[Callable[[], bool], None, bool]:
        """One transaction; False where the producer is of no use any more."""
        cluster = self.cluster
        transactions = cluster.engine.transactions
        assert transactions is not None
        made = Transaction(len(self.transactions))
        try:
            transactions.begin(cluster.now)
        except TransactionError as error:
            if not (error.fatal or self.closed):
                raise
            return False
        self.transactions.append(made)
        cluster.note("begin", made.number)
        whole = yield from self._fill(made, probe=probe)
        if commit and whole:
            try:
                outcome = transactions.commit(cluster.now)
            except TransactionError as error:
                if error.fatal:
                    made.told = "unknown" if error.maybe_committed else "aborted"
                    return False
            else:
                cluster.note("commit", made.number)
                made.told = "unknown"
                yield lambda: outcome.done
                outcome.told = True
                cluster.note("commit", made.number, "has come to", outcome.error or "success")
                if outcome.error is None:
                    made.told = "committed"
                    return True
                made.told = "unknown" if outcome.error.maybe_committed else "aborted"
                if outcome.error.fatal:
                    return False
        return (yield from self._abort(made))

    def _abort(self, made: Transaction) -> Generator[Callable[[], bool], None, bool]:
        cluster = self.cluster
        transactions = cluster.engine.transactions
        assert transactions is not None
        if made.told != "unknown":
            made.told = "aborted"
        try:
            outcome: Outcome = transactions.abort(cluster.now)
        except TransactionError as error:
            if not error.fatal:
                raise
            return False
        cluster.note("abort", made.number)
        yield lambda: outcome.done
        outcome.told = True
        cluster.note("abort", made.number, "has come to", outcome.error or "success")
        return outcome.error is None

    def _fill(self, made: Transaction, *, probe: bool) -> Generator[Callable[[], bool], None, bool]:
        """Send what belongs to the transaction; False where it cannot be whole any more."""
        rand = self.cluster.random
        places: list[tuple[str, int | None]] = [
            (rand.choice(list(self.topics)), None) for _ in range(rand.choice([0, 1, 2, 3, 5, 8]))
        ]
        if probe:
            places = [(topic, n) for topic, count in self.topics.items() for n in range(count)]
        for topic, number in places:
            if rand.random() < 0.4 and not probe:
                yield from self._pause(0.3)
            self.sent += 1
            value = b"%d:%d" % (made.number, self.sent) + b"." * rand.choice(
                [0, 0, 100, 600] if not probe else [0]
            )
            key = rand.choice([None, b"k%d" % rand.randrange(3)])
            told = self._put(value, topic, number, key=key, urgent=rand.random() < 0.3)
            if told is None:
                return False
            yield lambda told=told: told.delivery is not None or told.value not in self.waiting
            if told.delivery is None:
                return False
            made.records.append(told)
        if rand.random() < 0.3 or probe:
            return (yield from self._send_offsets(made))
        return True

    def _send_offsets(self, made: Transaction) -> Generator[Callable[[], bool], None, bool]:
        transactions = self.cluster.engine.transactions
        assert transactions is not None
        offset = made.number + 1
        offsets = OffsetCommit({PLACE: OffsetAndMetadata(offset)}, GROUP)
        try:
            transactions.send_offsets(offsets)
        except ProducerError:
            return False
        yield lambda: offsets.done
        if offsets.error is None:
            made.offset = offset
        return offsets.error is None

    # The world.

    def _event(self, kind: str) -> Any:
        made = super()._event(kind)
        match kind:
            case "coordinator_moves":
                return lambda: self.coordinator.move()
            case "usurped":
                return lambda: self.coordinator.usurp()
            case "break":
                node = self.cluster.random.choice([-3, -2, -1, 1, 2, 3])
                return lambda: self.cluster.break_link(node)
        return made

    def close(self, seconds: float) -> None:
        """The producer is closed: what is open is aborted first, for so many seconds."""
        if self.closed:
            return
        self.cluster.note("the producer is closed, with", f"{seconds:.2f} s")
        engine = self.cluster.engine
        assert engine.transactions is not None
        self.closed = True
        engine.gate.close(lambda: DeliveryTimeout("closed", topic=""))
        engine.waiters.dismiss(lambda: DeliveryTimeout("closed", topic=""))
        if engine.transactions.state in {State.OPEN, State.DOOMED}:
            engine.transactions.abort(self.cluster.now)
        self.cluster.at(seconds, self.end, client=True)

    def end(self) -> None:
        """What is left has failed, and nobody waits any more."""
        super().end()
        self.finished = True

    def is_idle(self) -> bool:
        """Nothing is left to wait for."""
        return (self.finished or self.fatal) and super().is_idle()

    def probe(self) -> list[Told]:
        """Commit a transaction with a record for each partition."""
        if self.closed or self.fatal:
            return []
        if not self.finished:
            raise Violation("V11: the caller waits for ever")

        def call() -> Wait:
            if not (yield from self._transact(commit=True, probe=True)) and not self.fatal:
                raise Violation("V11: in peace an abort failed")

        self.finished = False
        self._until = lambda: True
        self._steps = call()
        self.cluster.run(self.patience, lambda: self.finished or self.fatal)
        if not self.finished and not self.fatal:
            raise Violation("V11: in peace a transaction does not end")
        return self.transactions[-1].records if not self.fatal else []


def judge_transactions(run: TransactionSchedule) -> None:
    """Hold a schedule that has run to every promise, those of transactions too.

    Raises:
        Violation: one is broken.
    """
    judge(run)
    visible: dict[bytes, int] = {}
    for part in run.cluster.world.partitions:
        for value in part.committed_values():
            visible[value] = visible.get(value, 0) + 1
    # Offsets share the fate of the records in their transaction.
    group_at = {0}
    for made in run.transactions:
        seen = [visible.get(told.value, 0) for told in made.records]
        name = f"transaction {made.number}, told {made.told},"
        if any(times > 1 for times in seen):
            raise Violation(f"V9: {name} has a record twice")
        if made.told == "committed" and not all(seen):
            raise Violation(f"V9: {name} is not whole: {seen}")
        if made.told in {"aborted", "open"} and any(seen):
            raise Violation(f"V9: {name} is seen: {seen}")
        if made.told == "unknown" and any(seen) and not all(seen):
            raise Violation(f"V9: {name} is torn: {seen}")
        if made.offset is None or made.told in {"aborted", "open"}:
            continue
        if made.told == "committed" or any(seen):
            group_at = {made.offset}
        elif not seen:
            group_at.add(made.offset)
    if run.coordinator.offset not in group_at:
        raise Violation(f"V9: the group is at {run.coordinator.offset}, and not at {group_at}")
    if run.fatal and not run.cluster.injected["usurped"]:
        error = run.cluster.engine.fatal_error
        # The coordinator ends a transaction in a way that the first protocol cannot tell from
        # another producer's coming; so it is with a request that comes late and begins one.
        struck = run.cluster.injected
        if not struck["timed_out"] and not struck["late"]:
            raise Violation(f"V11: the producer is dead: {error}")
    if not (run.closed or run.fatal):
        if run.transactions[-1].told != "committed":
            raise Violation("V11: in peace a transaction cannot be committed")
        if any(part.open for part in run.cluster.world.partitions):
            raise Violation("V9: a transaction is open for ever")
