"""What writers were told of each of their records, and whether the topics agree with it.

    history = History()
    await history.enqueue(producer, "a", "orders", partition=0)     # a value nobody else writes
    await producer.flush()
    verdict = check(history, read_foreign(servers, ["orders"]))
    verdict.assert_clean()

A writer is one task or thread that writes one record after the other; what it writes to one
partition has to be read in that order. The rules are those of Kafka's producer: an acknowledged
record is there (lost), once (doubled), where it was said to be (misplaced), in order (reordered);
one that failed for certain is not there (ghost); one that may have been written is there or not.
Of a transaction's records read_committed readers see all or none, by its outcome (torn).
"""

from __future__ import annotations

import itertools
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, fields
from enum import Enum
from functools import partial
from typing import Any, Final, NamedTuple

from pyproducer.errors import DeliveryError, ProducerError, TransactionError

#: Seconds beyond its delivery timeout in which a record must have its outcome.
GRACE: Final = 1.0

#: Offenders of one kind that a message names.
_NAMED: Final = 8


class Outcome(Enum):
    """What a writer was told of a record, or of a transaction."""

    OPEN = "no outcome"
    OK = "acknowledged"
    FAILED = "failed"
    MAYBE = "maybe written"


class ReadBack(NamedTuple):
    """One record as a reader found it."""

    topic: str
    partition: int
    offset: int
    value: bytes


@dataclass(eq=False, slots=True)
class Transaction:
    """Records that become visible together.

    Attributes:
        name: what messages call it.
        outcome: OK when the commit was acknowledged, FAILED when the abort was or the commit
            cannot have happened, MAYBE when nobody can tell; OPEN counts as MAYBE.
    """

    name: str
    outcome: Outcome = Outcome.OPEN

    def committed(self) -> None:
        """The commit was acknowledged."""
        self.outcome = Outcome.OK

    def aborted(self) -> None:
        """It was aborted, or is sure never to be committed."""
        self.outcome = Outcome.FAILED

    def unknown(self) -> None:
        """The commit was asked for, and nobody can tell what became of it."""
        self.outcome = Outcome.MAYBE


@dataclass(eq=False, slots=True)
class Entry:
    """One record from its invocation to its outcome.

    Attributes:
        accepted: False if it was refused at the door; then it is sure not to be written.
        at: partition and offset it was said to have; offset -1 is unknown.
        told: how many outcomes were reported; more than one is a violation.
        invoked: seconds of a monotonic clock, when it was taken in.
        settled: likewise, when its outcome was told.
    """

    writer: str
    number: int
    topic: str
    value: bytes
    transaction: Transaction | None
    invoked: float
    outcome: Outcome = Outcome.OPEN
    accepted: bool = True
    at: tuple[int, int] | None = None
    error: BaseException | None = None
    told: int = 0
    settled: float | None = None
    delivery: Any = None

    def __str__(self) -> str:
        text = f"{self.writer}:{self.number} to {self.topic} {self.outcome.value}"
        if self.at is not None:
            text += f" at {self.at[0]}@{self.at[1]}"
        if self.transaction is not None:
            text += f" in {self.transaction.name} ({self.transaction.outcome.value})"
        if self.error is not None:
            text += f" ({type(self.error).__name__}: {str(self.error)[:160]})"
        return text


class History:
    """All records of all writers. Writers may be tasks and threads at once.

    Args:
        delivery_timeout: seconds in which every record must have an outcome, `GRACE` more being
            allowed; None for no such limit.
    """

    def __init__(self, *, delivery_timeout: float | None = None) -> None:
        self.entries: list[Entry] = []
        self.transactions: list[Transaction] = []
        self.delivery_timeout = delivery_timeout
        self._numbers: defaultdict[str, itertools.count[int]] = defaultdict(itertools.count)

    # Any client: begin a record, then say what became of it.

    def invoke(
        self, writer: str, topic: str, *, size: int = 0, transaction: Transaction | None = None
    ) -> Entry:
        """The writer's next record, with a value of at least ``size`` bytes that is its own."""
        number = next(self._numbers[writer])
        value = f"{topic}/{writer}:{number:08d}".encode()
        entry = Entry(writer, number, topic, value.ljust(size, b"."), transaction, time.monotonic())
        self.entries.append(entry)
        return entry

    def ok(self, entry: Entry, partition: int, offset: int) -> None:
        """It was acknowledged, at an offset or -1."""
        self._settle(entry, Outcome.OK)
        entry.at = (partition, offset)

    def fail(self, entry: Entry, error: BaseException | None = None) -> None:
        """It failed, and is sure not to be written."""
        self._settle(entry, Outcome.FAILED)
        entry.error = error

    def maybe(self, entry: Entry, error: BaseException | None = None) -> None:
        """Nobody can tell whether it was written."""
        self._settle(entry, Outcome.MAYBE)
        entry.error = error

    def refuse(self, entry: Entry, error: BaseException | None = None) -> None:
        """It was not even accepted."""
        self.fail(entry, error)
        entry.accepted = False

    def begin(self, name: str | None = None) -> Transaction:
        """A transaction to put records in."""
        transaction = Transaction(name or f"transaction {len(self.transactions)}")
        self.transactions.append(transaction)
        return transaction

    def _settle(self, entry: Entry, outcome: Outcome) -> None:
        entry.told += 1
        entry.settled = time.monotonic()
        entry.outcome = outcome

    # Our producers.

    async def enqueue(
        self,
        producer: Any,
        writer: str,
        topic: str,
        *,
        size: int = 0,
        transaction: Transaction | None = None,
        **where: Any,
    ) -> Entry:
        """Enqueue with an AsyncProducer; ``where`` is partition, key and the like."""
        entry = self.invoke(writer, topic, size=size, transaction=transaction)
        try:
            entry.delivery = await producer.enqueue(
                topic, entry.value, on_delivery=partial(self.take, entry), **where
            )
        except ProducerError as error:
            self.refuse(entry, error)
        except BaseException:
            # Cancelled while it waited for room, or just after it had been taken in.
            if not entry.told:
                self.maybe(entry)
                entry.told = 0
            raise
        # Its time begins when it is taken in, not when it begins to wait for room.
        entry.invoked = time.monotonic()
        return entry

    def enqueue_nowait(
        self,
        producer: Any,
        writer: str,
        topic: str,
        *,
        size: int = 0,
        transaction: Transaction | None = None,
        **where: Any,
    ) -> Entry:
        """Enqueue with either producer, at once."""
        return self._plain(producer.enqueue_nowait, writer, topic, size, transaction, where)

    def enqueue_blocking(
        self,
        producer: Any,
        writer: str,
        topic: str,
        *,
        size: int = 0,
        transaction: Transaction | None = None,
        **where: Any,
    ) -> Entry:
        """Enqueue with a SyncProducer, which waits for room."""
        return self._plain(producer.enqueue, writer, topic, size, transaction, where)

    def _plain(
        self,
        call: Callable[..., Any],
        writer: str,
        topic: str,
        size: int,
        transaction: Transaction | None,
        where: dict[str, Any],
    ) -> Entry:
        entry = self.invoke(writer, topic, size=size, transaction=transaction)
        try:
            entry.delivery = call(
                topic, entry.value, on_delivery=partial(self.take, entry), **where
            )
        except ProducerError as error:
            self.refuse(entry, error)
        return entry

    async def send(
        self,
        producer: Any,
        writer: str,
        topic: str,
        *,
        size: int = 0,
        transaction: Transaction | None = None,
        **where: Any,
    ) -> Entry:
        """Send with an AsyncProducer and wait for the outcome."""
        entry = self.invoke(writer, topic, size=size, transaction=transaction)
        try:
            meta = await producer.send(topic, entry.value, **where)
        except ProducerError as error:
            self._failed(entry, error)
        except BaseException:
            self.maybe(entry)
            raise
        else:
            self.ok(entry, meta.partition, meta.offset)
        return entry

    def take(self, entry: Entry, delivery: Any) -> None:
        """Take the outcome from a settled Delivery; made for ``on_delivery``."""
        error = delivery.exception()
        if error is None:
            meta = delivery.result()
            self.ok(entry, meta.partition, meta.offset)
        else:
            self._failed(entry, error)

    def _failed(self, entry: Entry, error: BaseException) -> None:
        if isinstance(error, DeliveryError) and error.maybe_written:
            self.maybe(entry, error)
        elif isinstance(error, DeliveryError | TransactionError):
            self.fail(entry, error)
        else:
            self.refuse(entry, error)

    @property
    def acknowledged(self) -> int:
        """How many records are acknowledged so far."""
        return sum(entry.outcome is Outcome.OK for entry in self.entries)

    @property
    def errors(self) -> list[DeliveryError]:
        """What delivery errors there are, in the order of the records."""
        return [entry.error for entry in self.entries if isinstance(entry.error, DeliveryError)]


@dataclass
class Counts:
    """The numbers of one check, or of many added up.

    What the settings in use allow is no violation and has names of its own: a record that is there
    twice without idempotence is ``repeated``, not ``doubled``; one that is not there although the
    leader alone had acknowledged it, or nobody, is ``forfeited``, not ``lost``.
    """

    sent: int = 0
    acknowledged: int = 0
    failed: int = 0
    maybe_written: int = 0
    read_back: int = 0
    lost: int = 0
    doubled: int = 0
    reordered: int = 0
    ghost: int = 0
    misplaced: int = 0
    foreign: int = 0
    unsettled: int = 0
    told_twice: int = 0
    late: int = 0
    torn: int = 0
    repeated: int = 0
    forfeited: int = 0
    committed: int = 0
    aborted: int = 0
    unknown: int = 0
    faults: int = 0

    def __add__(self, other: Counts) -> Counts:
        return Counts(
            **{one.name: getattr(self, one.name) + getattr(other, one.name) for one in fields(self)}
        )


#: What has to be zero.
_VIOLATIONS: Final = (
    *("lost", "doubled", "reordered", "ghost", "misplaced", "foreign"),
    *("unsettled", "told_twice", "late", "torn"),
)
#: What is counted and allowed.
_ALLOWED: Final = ("repeated", "forfeited")


@dataclass
class Verdict:
    """What `check` found.

    Attributes:
        counts: the numbers.
        offenders: for each kind of violation what was wrong, in words.
        lost: acknowledged records that are not there.
    """

    counts: Counts
    offenders: dict[str, list[str]]
    lost: list[Entry]

    def assert_clean(self, *, idempotent: bool = True, durable: bool = True) -> None:
        """Nothing is wrong, by the settings that were given to `check`.

        Args:
            idempotent: False allows doubles even where `check` did not.
            durable: False allows losses likewise.
        """
        allowed = {"doubled"} if not idempotent else set()
        allowed |= {"lost"} if not durable else set()
        found = [
            f"{kind} {len(self.offenders[kind])}: " + "; ".join(self.offenders[kind][:_NAMED])
            for kind in _VIOLATIONS
            if self.offenders.get(kind) and kind not in allowed
        ]
        assert not found, "\n".join([*found, str(self.counts)])


def check(
    history: History,
    read_back: Iterable[ReadBack],
    *,
    faults: int = 0,
    idempotent: bool = True,
    durable: bool = True,
) -> Verdict:
    """Compare what the writers were told with what a reader found.

    Args:
        history: every record that was written to the topics.
        read_back: all that the topics hold, each partition in the order of its offsets; where
            there are transactions, as a read_committed consumer sees it.
        faults: how many faults struck, for the table.
        idempotent: without idempotence a record that may have been written can arrive after
            those that were sent later, and every record twice; order is then judged by the
            first readings of acknowledged records.
        durable: False where an acknowledgement is no promise, as with acks=0, or after a topic
            was deleted.
    """
    offenders: defaultdict[str, list[str]] = defaultdict(list)
    by_value = {entry.value: entry for entry in history.entries}
    places: defaultdict[Entry, list[ReadBack]] = defaultdict(list)
    newest: dict[tuple[str, str, int], Entry] = {}
    read = 0
    for record in read_back:
        read += 1
        entry = by_value.get(record.value)
        if entry is None or entry.topic != record.topic:
            offenders["foreign"].append(f"nobody wrote {record.value[:40]!r} to {record.topic}")
            continue
        again = bool(places[entry])
        places[entry].append(record)
        if again:
            kind = "doubled" if idempotent else "repeated"
            offenders[kind].append(f"{entry}, read at {_where(places[entry])}")
            continue
        if not idempotent and entry.outcome is not Outcome.OK:
            continue
        lane = (record.topic, entry.writer, record.partition)
        before = newest.get(lane)
        if before is not None and before.number > entry.number:
            offenders["reordered"].append(
                f"{entry}, read at {_where([record])}, after {before.writer}:{before.number}"
            )
        else:
            newest[lane] = entry

    lost: list[Entry] = []
    for entry in history.entries:
        found = places.get(entry, [])
        if not found and _is_due(entry):
            lost.append(entry)
            offenders["lost" if durable else "forfeited"].append(str(entry))
        if found and _is_banned(entry):
            offenders["ghost"].append(f"{entry}, read at {_where(found)}")
        if found and entry.at is not None and not any(_agrees(entry, one) for one in found):
            offenders["misplaced"].append(f"{entry}, read at {_where(found)}")
        if entry.outcome is Outcome.OPEN:
            offenders["unsettled"].append(str(entry))
        if entry.told > 1:
            offenders["told_twice"].append(f"{entry}, told {entry.told} times")
        if history.delivery_timeout is not None and entry.settled is not None:
            took = entry.settled - entry.invoked
            if took > history.delivery_timeout + GRACE:
                offenders["late"].append(f"{entry}, after {took:.2f} s")
    offenders["torn"] += _torn(history, places)
    return Verdict(_count(history, read, faults, offenders), dict(offenders), lost)


def _is_due(entry: Entry) -> bool:
    if entry.transaction is None:
        return entry.outcome is Outcome.OK
    return entry.transaction.outcome is Outcome.OK and entry.accepted


def _is_banned(entry: Entry) -> bool:
    if entry.outcome is Outcome.FAILED:
        return True
    return entry.transaction is not None and entry.transaction.outcome is Outcome.FAILED


def _agrees(entry: Entry, record: ReadBack) -> bool:
    assert entry.at is not None
    partition, offset = entry.at
    return record.partition == partition and offset in {-1, record.offset}


def _torn(history: History, places: dict[Entry, list[ReadBack]]) -> list[str]:
    """Transactions of which a part is visible; a record missing of a committed one is also lost."""
    members: defaultdict[Transaction, list[Entry]] = defaultdict(list)
    for entry in history.entries:
        if entry.transaction is not None and entry.accepted:
            members[entry.transaction].append(entry)
    torn = []
    for transaction, entries in members.items():
        missing = [entry for entry in entries if not places.get(entry)]
        if missing and len(missing) < len(entries):
            torn.append(
                f"{transaction.name} ({transaction.outcome.value}): "
                f"{len(missing)} of {len(entries)} missing, such as {missing[0]}"
            )
    return torn


def _where(records: Iterable[ReadBack]) -> str:
    return ", ".join(f"{one.topic}-{one.partition}@{one.offset}" for one in records)


def _count(history: History, read: int, faults: int, offenders: dict[str, list[str]]) -> Counts:
    outcomes = Counter(entry.outcome for entry in history.entries)
    ends = Counter(transaction.outcome for transaction in history.transactions)
    return Counts(
        sent=len(history.entries),
        acknowledged=outcomes[Outcome.OK],
        failed=outcomes[Outcome.FAILED],
        maybe_written=outcomes[Outcome.MAYBE],
        read_back=read,
        committed=ends[Outcome.OK],
        aborted=ends[Outcome.FAILED],
        unknown=ends[Outcome.MAYBE] + ends[Outcome.OPEN],
        faults=faults,
        **{kind: len(offenders.get(kind, [])) for kind in (*_VIOLATIONS, *_ALLOWED)},
    )


def table(rows: dict[str, Counts]) -> list[str]:
    """One line for each row, and their sum; columns that are zero throughout are left out, but
    never those of lost, doubled and reordered records."""
    total = sum(rows.values(), Counts())
    kept = {"sent", "acknowledged", "failed", "maybe_written", "read_back", "faults"}
    kept |= {"lost", "doubled", "reordered"}
    names = [one.name for one in fields(Counts) if one.name in kept or getattr(total, one.name)]
    lines = [("", *names)]
    for title, counts in {**rows, "total": total}.items():
        lines.append((title, *(f"{getattr(counts, name):,}" for name in names)))
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return [
        "  ".join([line[0].ljust(widths[0]), *map(str.rjust, line[1:], widths[1:])]).rstrip()
        for line in lines
    ]
