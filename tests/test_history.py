"""The checker of histories: what is right passes, and every kind of wrong is found and named."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

from pyproducer import AsyncProducer, BrokerRejected, DeliveryTimeout, SyncProducer
from pyproducer.broker import Broker
from pyproducer.errors import RecordTooLarge, TransactionAborted
from tests.helpers.history import Counts, Entry, History, Outcome, ReadBack, check, table
from tests.helpers.read_back import read_broker, read_foreign


def written(count: int) -> tuple[History, list[Entry], list[ReadBack]]:
    """A history of acknowledged records of one writer, and a reader that found just these."""
    history = History(delivery_timeout=60)
    entries = [history.invoke("a", "t") for _ in range(count)]
    for offset, entry in enumerate(entries):
        history.ok(entry, 0, offset)
    return history, entries, [ReadBack("t", 0, n, entry.value) for n, entry in enumerate(entries)]


def kinds(history: History, read: list[ReadBack], **options) -> set[str]:
    """The kinds of violations found."""
    return {kind for kind, found in check(history, read, **options).offenders.items() if found}


def test_what_is_right_passes():
    """
    Acknowledged records once and in order, failed ones absent, doubtful ones either way.
    """
    history, _, read = written(3)
    present, absent, failed, refused = (history.invoke("a", "t") for _ in range(4))
    history.maybe(present)
    history.maybe(absent)
    history.fail(failed)
    history.refuse(refused)
    read.append(ReadBack("t", 0, 3, present.value))
    verdict = check(history, read, faults=2)

    verdict.assert_clean()
    assert (
        Counts(sent=7, acknowledged=3, failed=2, maybe_written=2, read_back=4, faults=2)
        == verdict.counts
    )


def test_lost():
    """
    An acknowledged record that nobody reads is named.
    """
    history, entries, read = written(3)
    verdict = check(history, [read[0], read[2]])

    assert [entries[1]] == verdict.lost
    with pytest.raises(AssertionError, match=r"lost 1: a:1 to t acknowledged at 0@1"):
        verdict.assert_clean()
    verdict.assert_clean(durable=False)
    allowed = check(history, [read[0], read[2]], durable=False)
    allowed.assert_clean()
    assert (0, 1) == (allowed.counts.lost, allowed.counts.forfeited)


def test_doubled():
    """
    A record read twice is named with both places, unless doubles are allowed.
    """
    history, _, read = written(2)
    verdict = check(history, [*read, read[0]._replace(offset=2)])

    with pytest.raises(AssertionError, match=r"doubled 1: a:0 .* read at t-0@0, t-0@2"):
        verdict.assert_clean()
    verdict.assert_clean(idempotent=False)
    allowed = check(history, [*read, read[0]._replace(offset=2)], idempotent=False)
    allowed.assert_clean()
    assert (0, 1) == (allowed.counts.doubled, allowed.counts.repeated)


def test_reordered():
    """
    A record read behind one that its writer wrote later is found, in each partition by itself.
    """
    history = History()
    first, second = history.invoke("a", "t"), history.invoke("a", "t")
    history.ok(first, 0, -1)
    history.ok(second, 0, -1)
    read = [ReadBack("t", 0, 0, second.value), ReadBack("t", 0, 1, first.value)]

    assert {"reordered"} == kinds(history, read)
    history, (first, second), _ = written(2)
    first.at, second.at = (1, 0), (0, 0)
    assert set() == kinds(
        history, [ReadBack("t", 0, 0, second.value), ReadBack("t", 1, 0, first.value)]
    )


def test_writers_do_not_wait_for_each_other():
    """
    Records of different writers may be in any order.
    """
    history = History()
    late, early = history.invoke("a", "t"), history.invoke("b", "t")
    history.ok(late, 0, 1)
    history.ok(early, 0, 0)

    assert set() == kinds(
        history, [ReadBack("t", 0, 0, early.value), ReadBack("t", 0, 1, late.value)]
    )


@pytest.mark.parametrize("idempotent", [True, False])
def test_doubtful_record_arrives_late(idempotent: bool):
    """
    A record whose fate was unknown may follow later ones only where there are no sequences.
    """
    history = History()
    first, second = history.invoke("a", "t"), history.invoke("a", "t")
    history.maybe(first)
    history.ok(second, 0, 0)
    read = [ReadBack("t", 0, 0, second.value), ReadBack("t", 0, 1, first.value)]

    assert ({"reordered"} if idempotent else set()) == kinds(history, read, idempotent=idempotent)


@pytest.mark.parametrize("end", [History.fail, History.refuse])
def test_ghost(end: Callable[[History, Entry], None]):
    """
    A record that failed for certain, or was not accepted, must not be read.
    """
    history = History()
    entry = history.invoke("a", "t")
    end(history, entry)

    assert {"ghost"} == kinds(history, [ReadBack("t", 0, 0, entry.value)])


@pytest.mark.parametrize("place", [(0, 1), (1, 0), (1, -1)])
def test_misplaced(place: tuple[int, int]):
    """
    A record must be at the partition and offset that its writer was told.
    """
    history = History()
    entry = history.invoke("a", "t")
    history.ok(entry, *place)

    assert {"misplaced"} == kinds(history, [ReadBack("t", 0, 0, entry.value)])


def test_unknown_offset_is_no_lie():
    """
    Offset -1 is what a producer is told of a duplicate.
    """
    history = History()
    entry = history.invoke("a", "t")
    history.ok(entry, 0, -1)

    assert set() == kinds(history, [ReadBack("t", 0, 7, entry.value)])


def test_one_of_the_doubles_has_the_told_offset():
    """
    Without idempotence the offset told may be that of the second copy.
    """
    history = History()
    entry = history.invoke("a", "t")
    history.ok(entry, 0, 1)

    read = [ReadBack("t", 0, 0, entry.value), ReadBack("t", 0, 1, entry.value)]
    assert {"doubled"} == kinds(history, read)


@pytest.mark.parametrize("record", [("t", b"t/a:0000000"), ("u", b"t/a:00000000")])
def test_foreign(record: tuple[str, bytes]):
    """
    A value that nobody wrote, or not to this topic, is found.
    """
    history, _, read = written(1)

    assert {"foreign"} == kinds(history, [*read, ReadBack(record[0], 0, 1, record[1])])


def test_unsettled_and_told_twice():
    """
    Each record has one outcome: not none, not two.
    """
    history, entries, read = written(1)
    history.invoke("a", "t")
    history.ok(entries[0], 0, 0)

    assert {"unsettled", "told_twice"} == kinds(history, read)


def test_late():
    """
    An outcome that came later than the delivery timeout and the grace allow is found.
    """
    history, entries, read = written(2)
    entries[1].invoked = time.monotonic() - 61.5

    assert {"late"} == kinds(history, read)
    history.delivery_timeout = None
    assert set() == kinds(history, read)


def transacted(outcome: Outcome) -> tuple[History, list[ReadBack]]:
    """Two acknowledged records of one transaction, and both as they would be read."""
    history = History()
    transaction = history.begin()
    entries = [history.invoke("a", "t", transaction=transaction) for _ in range(2)]
    for offset, entry in enumerate(entries):
        history.ok(entry, 0, offset)
    transaction.outcome = outcome
    return history, [ReadBack("t", 0, n, entry.value) for n, entry in enumerate(entries)]


@pytest.mark.parametrize(
    ("outcome", "readings"),
    [
        (Outcome.OK, [{"lost"}, {"lost", "torn"}, set()]),
        (Outcome.FAILED, [set(), {"ghost", "torn"}, {"ghost"}]),
        (Outcome.MAYBE, [set(), {"torn"}, set()]),
        (Outcome.OPEN, [set(), {"torn"}, set()]),
    ],
)
def test_transactions(outcome: Outcome, readings: list[set[str]]):
    """
    Committed is all, aborted is nothing, doubtful is one of the two.
    """
    for count, expected in enumerate(readings):
        history, read = transacted(outcome)

        assert expected == kinds(history, read[:count])


def test_records_of_transactions_are_counted_by_its_end():
    """
    A record of a committed transaction has to be there although its own outcome was doubtful.
    """
    history = History()
    transaction = history.begin("payment")
    history.maybe(history.invoke("a", "t", transaction=transaction))
    transaction.committed()
    verdict = check(history, [])

    assert (1, 0, 0) == (
        verdict.counts.committed,
        verdict.counts.aborted,
        verdict.counts.unknown,
    )
    with pytest.raises(AssertionError, match=r"lost 1: .* in payment \(acknowledged\)"):
        verdict.assert_clean()


def test_record_that_failed_in_a_transaction_is_never_read():
    """
    A definite failure holds whatever became of the transaction.
    """
    history = History()
    transaction = history.begin()
    entry = history.invoke("a", "t", transaction=transaction)
    history.fail(entry)
    transaction.unknown()

    assert {"ghost"} == kinds(history, [ReadBack("t", 0, 0, entry.value)])


def test_table_adds_up():
    """
    Rows are summed; columns of violations that nobody has are left out.
    """
    lines = table({"first": Counts(sent=1000, acknowledged=999, late=1), "x": Counts(sent=5)})

    assert lines[0].split() == [
        *("sent", "acknowledged", "failed", "maybe_written", "read_back"),
        *("lost", "doubled", "reordered", "late", "faults"),
    ]
    assert lines[-1].split() == ["total", "1,005", "999", "0", "0", "0", "0", "0", "0", "1", "0"]


class Settled:
    """What a Delivery says once it is settled."""

    def __init__(self, error: BaseException) -> None:
        self.error = error

    def exception(self) -> BaseException:
        return self.error


@pytest.mark.parametrize(
    ("error", "outcome", "accepted"),
    [
        (DeliveryTimeout("late", topic="t", maybe_written=True), Outcome.MAYBE, True),
        (DeliveryTimeout("late", topic="t"), Outcome.FAILED, True),
        (BrokerRejected("no", code=17, topic="t"), Outcome.FAILED, True),
        (TransactionAborted("aborted"), Outcome.FAILED, True),
        (
            RecordTooLarge("big", topic="t", size=2, limit=1, limit_name="x"),
            Outcome.FAILED,
            False,
        ),
    ],
)
def test_outcomes_of_deliveries(error: BaseException, outcome: Outcome, accepted: bool):
    """
    A producer's error says whether the record failed for certain.
    """
    history = History()
    entry = history.invoke("a", "t")
    history.take(entry, Settled(error))

    assert (outcome, accepted, error) == (entry.outcome, entry.accepted, entry.error)


async def test_history_of_a_producer_read_by_two_readers():
    """
    Records of our producers are recorded with their places, and both readers find them there.
    """
    history = History(delivery_timeout=120)
    with Broker({"t": 2, "u": 1}) as broker:
        servers = broker.bootstrap_servers
        async with AsyncProducer(servers) as producer:
            for number in range(10):
                await history.enqueue(producer, "a", "t", partition=number % 2)
                history.enqueue_nowait(producer, "b", "u")
            await history.send(producer, "a", "t", size=2000, key="k")
            too_large = await history.send(producer, "a", "t", size=2_000_000)
            no_partition = await history.enqueue(producer, "a", "t", partition=9)
            await producer.flush()
        for read in (
            read_broker(broker, ["t", "u"]),
            read_foreign(servers, ["t", "u"]),
            read_foreign(servers, ["t", "u"], isolation="read_uncommitted"),
        ):
            verdict = check(history, read)
            verdict.assert_clean()
            assert (23, 21, 21) == (
                verdict.counts.sent,
                verdict.counts.acknowledged,
                verdict.counts.read_back,
            )
    assert not too_large.accepted
    assert not no_partition.accepted
    assert history.acknowledged == 21
    assert history.errors == []


def test_history_of_a_blocking_producer():
    """
    A SyncProducer's outcomes come from its own thread.
    """
    history = History(delivery_timeout=120)
    with Broker({"t": 1}) as broker:
        with SyncProducer(broker.bootstrap_servers) as producer:
            for _ in range(10):
                history.enqueue_blocking(producer, "a", "t")
        verdict = check(history, read_broker(broker, ["t"]))
    verdict.assert_clean()
    assert 10 == verdict.counts.acknowledged
