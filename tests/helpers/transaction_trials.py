"""A transaction on a `KafkaCluster` that is struck at one step, and what became of it.

A trial is three transactions of one producer: the first is struck while a certain request is
under way, the second is aborted on purpose, the third is committed in peace. Every one writes to
several partitions and commits an offset of a group, and the history knows what was told of it.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

from pyproducer import AsyncProducer, SyncProducer
from pyproducer.errors import CloseTimeout, ProducerFenced, TransactionError
from pyproducer.protocol.api import ApiKey
from pyproducer.protocol.messages.offset_fetch import (
    OffsetFetchRequest,
    OffsetFetchRequestGroup,
)
from tests.helpers.history import History, Outcome, Transaction
from tests.helpers.kafka_cluster import KafkaCluster
from tests.helpers.processes import PeerFailed
from tests.helpers.request_trap import Strike, When

Harm = Literal["cut", "kill", "pause", "hole", "kill other", "fence", "give up"]

#: The requests of a transaction's life. The last is asked for a commit or for an abort.
STEPS_V2 = (
    ApiKey.FIND_COORDINATOR,
    ApiKey.INIT_PRODUCER_ID,
    ApiKey.PRODUCE,
    ApiKey.TXN_OFFSET_COMMIT,
    ApiKey.END_TXN,
)
#: Before transaction.version 2 partitions and groups are added by requests of their own. How a
#: producer begins is the same in both.
STEPS_V0 = (ApiKey.ADD_PARTITIONS_TO_TXN, ApiKey.ADD_OFFSETS_TO_TXN, *STEPS_V2[2:])
_BEGINNING = STEPS_V2[:2]

#: Each harm, and when it may strike: what stands for both is not worth a trial more.
HARMS: dict[Harm, tuple[When, ...]] = {
    "cut": ("before", "after"),
    "kill": ("before", "after"),
    "pause": ("before",),
    "hole": ("after",),
    "kill other": ("before",),
    # Another producer takes over the transactional id.
    "fence": ("before",),
    # Nothing reaches any broker, and the program gives up; what was held arrives late, when the
    # next producer of that id begins.
    "give up": ("before", "after"),
}

#: Seconds for each call that waits for a transaction's end.
_PATIENCE = (3.0, 3.0, 60.0)
_GIVES_UP = (0.7,)

GROUP = "trial-group"
_INPUT = "input"


class Trial(NamedTuple):
    """One step of a transaction, and what strikes there."""

    step: ApiKey
    when: When
    harm: Harm
    commits: bool = True

    def __str__(self) -> str:
        end = "" if self.step is not ApiKey.END_TXN else " commit" if self.commits else " abort"
        return f"{self.harm} {self.when} {self.step.name}{end}"


def all_trials(steps: tuple[ApiKey, ...]) -> Iterator[Trial]:
    """Every step with every harm; the last step once for a commit and once for an abort."""
    for step, (harm, moments) in itertools.product(steps, HARMS.items()):
        if step in _BEGINNING and harm in {"fence", "give up"}:
            continue
        for when in moments:
            yield Trial(step, when, harm)
            if step is ApiKey.END_TXN:
                yield Trial(step, when, harm, commits=False)


@dataclass
class Trials:
    """Runs trials one after the other.

    Attributes:
        history: what was told of every record and transaction.
        faults: how often each harm struck.
        log: what each trial came to.
        offsets: what each transaction wanted to commit for the group.

    Args:
        cluster: trapped.
        topics: exist, with so many partitions each.
        make: makes a producer with the transactional id, not started yet.
    """

    cluster: KafkaCluster
    topics: dict[str, int]
    make: Callable[[str], AsyncProducer]
    history: History = field(default_factory=History)
    faults: Counter[str] = field(default_factory=Counter)
    log: list[str] = field(default_factory=list)
    offsets: list[tuple[int, Transaction]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._producer: AsyncProducer | None = None
        self._error: TransactionError | None = None
        self._next_offset = itertools.count(1)
        self._transactional_id = "trials"

    async def prepare(self) -> None:
        """The topics exist, and so do those that Kafka keeps transactions and offsets in."""
        topics = {**self.topics, _INPUT: 1}
        await asyncio.to_thread(self.cluster.create_topics, topics)
        await asyncio.to_thread(self.cluster.transaction_coordinator, self._transactional_id)
        await asyncio.to_thread(self.cluster.group_coordinator, GROUP)
        await asyncio.to_thread(self.cluster.wait_healthy)

    async def run(self, trial: Trial) -> None:
        """The trial is over and the cluster healthy again; what was told is in the history.

        Raises:
            AssertionError: the step was not met, or the group's offset is not what it should be.
        """
        if trial.step in {ApiKey.FIND_COORDINATOR, ApiKey.INIT_PRODUCER_ID}:
            await self.close()
        else:
            await self._ready()
        async with self._struck(trial):
            first = await self._transaction(
                f"{trial}, struck", commits=trial.commits, gives_up=trial.harm == "give up"
            )
        if trial.harm == "fence":
            assert isinstance(self._error, ProducerFenced), self.log[-1]
        second = await self._transaction(f"{trial}, aborted", commits=False)
        third = await self._transaction(f"{trial}, in peace", commits=True)
        ends = [one.outcome.value for one in (first, second, third)]
        self.log.append(f"{trial}: {', '.join(ends)}")
        assert second.outcome is Outcome.FAILED, self.log[-1]
        assert third.outcome is Outcome.OK, self.log[-1]
        await self._check_offset()

    async def close(self, timeout: float = 20) -> None:
        """The producer is closed, if there is one."""
        producer, self._producer = self._producer, None
        if producer is not None:
            # What a close says of an open transaction is in the history already.
            with contextlib.suppress(TransactionError, CloseTimeout):
                await producer.close(timeout=timeout)

    async def _ready(self) -> AsyncProducer:
        if self._producer is None:
            self._producer = self.make(self._transactional_id)
            await self._producer.start()
        return self._producer

    async def _transaction(
        self, name: str, *, commits: bool, gives_up: bool = False
    ) -> Transaction:
        """Records in every topic and an offset, then the end. Errors go where they belong."""
        producer, transaction = await self._ready(), self.history.begin(name)
        offset = next(self._next_offset)
        self.offsets.append((offset, transaction))
        self._error = None
        patience = _GIVES_UP if gives_up else _PATIENCE
        committing = False
        try:
            await producer.begin_transaction()
            await self._write(producer, transaction)
            await producer.send_offsets_to_transaction(
                {(_INPUT, 0): offset}, GROUP, timeout=sum(patience)
            )
            await self._write(producer, transaction)
            committing = commits
            if commits:
                await _certain(producer.commit_transaction, patience)
                transaction.committed()
            else:
                await _certain(producer.abort_transaction, patience)
                transaction.aborted()
        except TransactionError as error:
            (transaction.unknown if error.maybe_committed else transaction.aborted)()
            self.log.append(f"{name}, {'commit' if committing else 'not yet'}: {error!r}")
            if error.maybe_committed and not committing:
                raise AssertionError(self.log[-1]) from error
            if error.abort_required and not gives_up:
                error = await self._abort(producer, error)
            if error.fatal or gives_up:
                # A producer that starts with the same id ends what this one left.
                await self.close(timeout=0.3 if gives_up else 20)
            elif not error.abort_required:
                raise AssertionError(self.log[-1]) from error
            self._error = error
        return transaction

    async def _abort(self, producer: AsyncProducer, error: TransactionError) -> TransactionError:
        """Abort as the error asks for; return it, or what the abort says that is worse."""
        try:
            await _certain(producer.abort_transaction, _PATIENCE)
        except TransactionError as worse:
            # A leader that knows a newer epoch does not say whose it is; the coordinator does.
            return worse
        return error

    async def _write(self, producer: AsyncProducer, transaction: Transaction) -> None:
        for topic, partitions in self.topics.items():
            for partition in range(partitions):
                for _ in range(3):
                    await self.history.enqueue(
                        producer, "trials", topic, partition=partition, transaction=transaction
                    )

    @asynccontextmanager
    async def _struck(self, trial: Trial) -> AsyncIterator[None]:
        """While the body runs the harm strikes, once, and is healed."""
        strike = self.cluster.trap.arm(
            trial.step, trial.when, self._action(trial), deliver=_delivers(trial)
        )
        healing = asyncio.create_task(self._heal(trial, strike))
        try:
            yield
        finally:
            if strike.broker is None:
                self.cluster.trap.disarm()
                healing.cancel()
            await asyncio.gather(healing, return_exceptions=not strike.over.is_set())
        assert strike.broker is not None, f"no {trial.step.name} passed"

    def _action(self, trial: Trial) -> Callable[[int], object]:
        cluster = self.cluster
        match trial.harm:
            case "cut":
                return lambda _: None
            case "kill":
                return cluster.kill
            case "pause":
                return cluster.pause
            case "hole":
                return cluster.hole
            case "kill other":
                return lambda seen: cluster.kill(self._other(seen))
            case "fence":
                return lambda _: self._take_over()
            case "give up":
                return lambda _: [cluster.hole(number) for number in cluster.proxies]
        raise AssertionError(trial.harm)

    def _take_over(self) -> None:
        with SyncProducer(
            self.cluster.bootstrap_servers, transactional_id=self._transactional_id
        ) as other:
            other.start()

    def _other(self, seen: int) -> int:
        """A broker that has a part in the transaction but is not the one that was asked."""
        coordinator = self.cluster.transaction_coordinator(self._transactional_id)
        return coordinator if coordinator != seen else seen % len(self.cluster.proxies) + 1

    async def _heal(self, trial: Trial, strike: Strike) -> None:
        while not strike.over.is_set():
            await asyncio.sleep(0.02)
        self.faults[trial.harm] += 1
        # Long enough for leaders and coordinators to have moved.
        await asyncio.sleep(0.1 if trial.harm in {"cut", "fence"} else 2.5)
        await asyncio.to_thread(self.cluster.heal_all)

    async def _check_offset(self) -> None:
        found = await asyncio.to_thread(self._committed_offset)
        possible = _possible(self.offsets)
        assert found in possible, f"the group is at {found}, not {possible}: {self.log[-1]}"

    def _committed_offset(self) -> int:
        groups = [OffsetFetchRequestGroup(group_id=GROUP, topics=None)]
        request = OffsetFetchRequest(groups=groups, require_stable=True)
        for _ in range(300):
            coordinator = self.cluster.group_coordinator(GROUP)
            (group,) = self.cluster.ask(coordinator, request, 8).groups
            parts = [part for topic in group.topics for part in topic.partitions]
            if not group.error_code and parts and not parts[0].error_code:
                return parts[0].committed_offset
            self.cluster.wait_healthy()
        raise PeerFailed("the group's offset does not become stable")


async def _certain(end: Callable[..., Awaitable[None]], patience: Sequence[float]) -> None:
    """Wait on where the end is not certain in time; the last error is raised."""
    *first, last = patience
    for seconds in first:
        try:
            return await end(timeout=seconds)
        except TransactionError as error:
            if not error.retriable:
                raise
    return await end(timeout=last)


def _delivers(trial: Trial) -> bool:
    """Whether what sprang the trap goes on: into a pause or a hole, past another's harm."""
    return trial.harm not in {"cut", "kill"}


def _possible(offsets: list[tuple[int, Transaction]]) -> set[int]:
    """Where the group may stand: at the last commit, or at a later one that nobody can tell."""
    possible = set()
    for offset, transaction in reversed(offsets):
        if transaction.outcome is Outcome.FAILED:
            continue
        possible.add(offset)
        if transaction.outcome is Outcome.OK:
            break
    return possible
