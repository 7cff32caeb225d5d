"""Every error code that Kafka has, given by librdkafka's mock cluster to a Produce request and to
the request for a producer id, while our producer writes.

The mock refuses a batch before it appends it, whatever the code says, and takes the batches of an
idempotent producer in any order. So what it refused is never in the log, and here one batch at a
time is under way; the embedded broker and the model have those behind a refused one refused too.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator, Sequence
from contextlib import asynccontextmanager, nullcontext, suppress
from typing import Any

import pytest

from pyproducer import AsyncProducer
from pyproducer.core.identity_verdict import IdentityAction, judge_identity
from pyproducer.errors import (
    BrokerRejected,
    DeliveryTimeout,
    UndeliveredError,
)
from pyproducer.protocol.api import ApiKey
from pyproducer.protocol.error_codes import ErrorCode
from tests.helpers.expected_verdicts import (
    ACKNOWLEDGED,
    FAILED,
    HALVES,
    STOPPED,
    case_id,
    expected,
)
from tests.helpers.history import Counts, Entry, History, Outcome, Verdict, check, table
from tests.helpers.mock_cluster import MockCluster
from tests.helpers.read_back import read_foreign
from tests.helpers.scoreboard import Scoreboard

pytestmark = pytest.mark.needs("mock")

E = ErrorCode

#: And two that no Kafka has.
CODES = [*map(int, E), -2, 32000]

OPTIONS: dict[str, Any] = {
    "delivery_timeout_ms": 2000,
    "request_timeout_ms": 1500,
    "max_block_ms": 2000,
    "linger_ms": 2,
    "retry_backoff_ms": 10,
    "retry_backoff_max_ms": 50,
    "max_in_flight_requests_per_connection": 1,
    "batch_max_records": 4,
}
KINDS: dict[str, dict[str, Any]] = {
    "idempotent": {"acks": "all"},
    "acks=1": {"acks": "1"},
}

#: Producers at work at a time.
AT_ONCE = 12

#: Codes that a batch gets over and over: more than it can have attempts.
FOREVER = 300


@pytest.fixture(scope="module")
def mock() -> Iterator[MockCluster]:
    """A mock cluster with one broker, for this file alone."""
    with MockCluster() as cluster:
        yield cluster


@pytest.fixture(scope="module")
def counts(scoreboard: Scoreboard) -> Iterator[dict[str, Counts]]:
    """What was counted, by test, shown after the last one."""
    rows: dict[str, Counts] = {}
    yield rows
    scoreboard.note("\n".join(["every error code, from librdkafka's mock cluster", *table(rows)]))


def new_history() -> History:
    """A history that is held to the producers' delivery timeout."""
    return History(delivery_timeout=OPTIONS["delivery_timeout_ms"] / 1000)


@asynccontextmanager
async def producing(mock: MockCluster, **options: Any) -> AsyncIterator[AsyncProducer]:
    """A producer that is closed at the end, whatever became of its records."""
    producer = AsyncProducer(mock.bootstrap_servers, **(OPTIONS | options))
    await producer.start()
    try:
        yield producer
    finally:
        try:
            await producer.close()
        except UndeliveredError as error:
            pytest.fail(f"an outcome was told to nobody: {error}")


async def refuse(mock: MockCluster, topic: str, *codes: int) -> None:
    """Have the next batches answered with the codes; the mock can take a while to obey."""
    await asyncio.to_thread(mock.refuse, topic, 0, *codes)


async def write(
    history: History, producer: AsyncProducer, topic: str, count: int, *, writer: str = "w"
) -> list[Entry]:
    """So many records to partition 0, enqueued and settled."""
    entries = [
        history.enqueue_nowait(producer, writer, topic, size=40, partition=0) for _ in range(count)
    ]
    with contextlib.suppress(BrokerRejected):
        # So says a producer that was stopped.
        await producer.flush()
    return entries


async def each(job: Callable[[int], Awaitable[object]], arguments: Iterable[int]) -> None:
    """Call for each argument, a few at a time; the first error ends it."""
    gate = asyncio.Semaphore(AT_ONCE)

    async def one(argument: int) -> None:
        async with gate:
            await job(argument)

    async with asyncio.TaskGroup() as group:
        for argument in arguments:
            group.create_task(one(argument))


def judge_all(
    mock: MockCluster,
    history: History,
    topics: Sequence[str],
    *,
    faults: int,
    falsely: Sequence[Entry] = (),
) -> Verdict:
    """Compare what was told with what the mock's logs hold.

    Args:
        mock: the cluster.
        history: what was told.
        topics: where it was written to.
        faults: how many errors were given.
        falsely: records that the mock said to have already, and has not.
    """
    read = read_foreign(mock.bootstrap_servers, topics, isolation="read_uncommitted")
    for entry in falsely:
        assert (entry.outcome, entry.at) == (Outcome.OK, (0, -1))
        assert entry.value not in {record.value for record in read}
        entry.outcome = Outcome.MAYBE
    verdict = check(history, read, faults=faults)
    verdict.assert_clean()
    return verdict


def refused(entries: Iterable[Entry], code: int, *, maybe: bool, attempts: int, topic: str) -> None:
    """The records failed by this code, and the error says so."""
    for entry in entries:
        error = entry.error
        assert isinstance(error, BrokerRejected), entry
        assert (error.code, error.broker_error) == (code, code_name(code)), entry
        assert (error.maybe_written, error.attempts) == (maybe, attempts), entry
        assert (error.topic, error.partition) == (topic, 0), entry


def code_name(code: int) -> str:
    return E(code).name if code in set(E) else f"unknown error code {code}"


# Produce.


async def refuse_once(
    mock: MockCluster, history: History, code: int, kind: str, falsely: list[Entry]
) -> None:
    """One batch of four gets the code once, with records before, behind and after it."""
    topic = topic_of(code, kind)
    row = expected(code, idempotent=kind == "idempotent")
    async with producing(mock, **KINDS[kind]) as producer:
        before = await write(history, producer, topic, 4)
        await refuse(mock, topic, code)
        # Two batches at least: the code is for the first.
        records = await write(history, producer, topic, 8)
        struck, behind = records[:4], records[4:]
        after = await write(history, producer, topic, 4)
        settled = {entry.outcome for entry in before}
        assert settled == {Outcome.OK}
        if row.fate in {FAILED, STOPPED}:
            refused(struck, code, maybe=row.doubt, attempts=1, topic=topic)
        else:
            assert {entry.outcome for entry in struck} == {Outcome.OK}
        if code == E.DUPLICATE_SEQUENCE_NUMBER and row.fate == ACKNOWLEDGED:
            falsely += struck
        if row.fate == STOPPED:
            # Behind it they were never sent; after it they are refused at the door.
            for entry in [*behind, *after]:
                assert isinstance(entry.error, BrokerRejected), entry
                assert (entry.error.code, entry.error.maybe_written) == (code, False), entry
        else:
            assert {entry.outcome for entry in [*behind, *after]} == {Outcome.OK}


def topic_of(code: int, kind: str) -> str:
    return f"{kind.replace('=', '-')}.{code}"


@pytest.mark.parametrize("kind", KINDS)
async def test_every_code_once(mock: MockCluster, counts: dict[str, Counts], kind: str):
    """
    A batch that gets any code there is has one outcome, the one that the table says, in time;
    those before and behind it are delivered, in order, unless the producer stops.
    """
    history, falsely = new_history(), list[Entry]()
    topics = [topic_of(code, kind) for code in CODES]
    mock.create_topics(dict.fromkeys(topics, 1))
    await each(lambda code: refuse_once(mock, history, code, kind, falsely), CODES)
    verdict = judge_all(mock, history, topics, faults=len(CODES) - 1, falsely=falsely)
    counts[f"Produce, {kind}, {len(CODES)} codes once"] = verdict.counts

    assert verdict.counts.sent == 16 * len(CODES)


async def refuse_forever(mock: MockCluster, history: History, code: int, kind: str) -> None:
    """A batch of four gets the code until its time is up."""
    topic = f"forever.{topic_of(code, kind)}"
    row = expected(code, idempotent=kind == "idempotent")
    async with producing(mock, **KINDS[kind]) as producer:
        before = await write(history, producer, topic, 4)
        await refuse(mock, topic, *[code] * FOREVER)
        struck = await write(history, producer, topic, 4)
        assert {entry.outcome for entry in before} == {Outcome.OK}
        if row.fate == HALVES:
            # Down to single records, each too large by itself.
            refused(struck, code, maybe=False, attempts=3, topic=topic)
            return
        for entry in struck:
            error = entry.error
            assert isinstance(error, DeliveryTimeout), entry
            assert (error.broker_error, error.topic, error.partition) == (
                code_name(code),
                topic,
                0,
            ), entry
            assert error.attempts > 5, entry
            assert error.elapsed >= OPTIONS["delivery_timeout_ms"] / 1000, entry
            # The last attempt may have gone unanswered.
            assert error.maybe_written >= row.doubt, entry


@pytest.mark.parametrize("kind", KINDS)
async def test_every_passing_code_forever(mock: MockCluster, counts: dict[str, Counts], kind: str):
    """
    A batch that is refused for a passing reason over and over fails when its time is up, and the
    error names the reason; one that is too large is split until each record is refused alone.
    """
    history = new_history()
    codes = [
        code
        for code in CODES
        if expected(code, idempotent=kind == "idempotent").fate
        not in {ACKNOWLEDGED, FAILED, STOPPED}
    ]
    topics = [f"forever.{topic_of(code, kind)}" for code in codes]
    mock.create_topics(dict.fromkeys(topics, 1))
    await each(lambda code: refuse_forever(mock, history, code, kind), codes)
    # One error for each attempt of a batch of four.
    faults = sum(error.attempts for error in history.errors[::4])
    verdict = judge_all(mock, history, topics, faults=faults)
    counts[f"Produce, {kind}, {len(codes)} codes until the time is up"] = verdict.counts

    assert verdict.counts.acknowledged == 4 * len(codes)


async def mixed(mock: MockCluster, history: History, seed: int) -> int:
    """Writers write while batches get codes at random; how many is returned."""
    chance = random.Random(seed)
    harmless = [
        code
        for code in CODES
        if expected(code).fate not in {ACKNOWLEDGED, STOPPED} and code != E.NONE
    ]
    topic = f"mixed.{seed}"
    async with producing(mock, acks="all", delivery_timeout_ms=20_000) as producer:
        await write(history, producer, topic, 4)
        codes = [chance.choice((0, 0, *chance.choices(harmless, k=2))) for _ in range(60)]
        await refuse(mock, topic, *codes)
        for _ in range(15):
            for writer in ("a", "b"):
                for _ in range(chance.randint(1, 9)):
                    history.enqueue_nowait(producer, writer, topic, size=40, partition=0)
            await asyncio.sleep(chance.choice((0, 0.01, 0.05)))
        await producer.flush()
        for _ in range(60):
            # What is left of the codes strikes too.
            await write(history, producer, topic, 1)
        last = await write(history, producer, topic, 4)
        assert {entry.outcome for entry in last} == {Outcome.OK}
    return sum(map(bool, codes))


async def test_codes_in_disorder(mock: MockCluster, counts: dict[str, Counts]):
    """
    Whatever codes come one after the other, every record has one outcome, and the log agrees.
    """
    history = History(delivery_timeout=20)
    seeds = range(16)
    topics = [f"mixed.{seed}" for seed in seeds]
    mock.create_topics(dict.fromkeys(topics, 1))
    faults = 0

    async def run(seed: int) -> None:
        nonlocal faults
        given = await mixed(mock, history, seed)
        faults += given

    await each(run, seeds)
    verdict = judge_all(mock, history, topics, faults=faults)
    counts[f"Produce, {len(seeds)} producers, codes in disorder"] = verdict.counts

    assert verdict.counts.failed
    assert verdict.counts.acknowledged > verdict.counts.failed + verdict.counts.maybe_written


# InitProducerId.


@pytest.mark.parametrize("records", ["waiting", "later"])
async def test_every_code_instead_of_a_producer_id(
    mock: MockCluster, counts: dict[str, Counts], records: str
):
    """
    A producer that gets any code there is instead of an id asks again and delivers everything,
    or tells every caller that it stops, by the table.
    """
    history = new_history()
    topic = f"no-id.{records}"
    mock.create_topics({topic: 1})
    for code in CODES:
        # The broker has one stack of errors for this request: one producer at a time.
        mock.push_errors(ApiKey.INIT_PRODUCER_ID, code)
        stops = judge_identity(code) is IdentityAction.STOP
        async with producing(mock) as producer:
            if records == "later":
                # By then it may have stopped, and says so to whoever asks.
                with suppress(BrokerRejected) if stops else nullcontext():
                    await producer.partitions_for(topic)
            entries = await write(history, producer, topic, 6, writer=case_id(code))
        assert stops == any(entry.outcome is not Outcome.OK for entry in entries)
        for entry in entries if stops else ():
            error = entry.error
            assert isinstance(error, BrokerRejected), entry
            assert (error.code, error.broker_error) == (code, code_name(code)), entry
            assert (error.maybe_written, error.attempts) == (False, 0), entry
    verdict = judge_all(mock, history, [topic], faults=len(CODES) - 1)
    counts[f"InitProducerId, {len(CODES)} codes once, records {records}"] = verdict.counts

    stopping = sum(judge_identity(code) is IdentityAction.STOP for code in CODES)
    assert verdict.counts.failed == 6 * stopping


@pytest.mark.parametrize(
    "code",
    [E.COORDINATOR_LOAD_IN_PROGRESS, E.COORDINATOR_NOT_AVAILABLE, E.UNKNOWN_SERVER_ERROR, -2],
    ids=case_id,
)
async def test_no_producer_id_for_too_long(mock: MockCluster, counts: dict[str, Counts], code: int):
    """
    Records that never got a producer id fail in time, in no log, told why; later ones go.
    """
    history = new_history()
    topic = f"no-id-for-long.{code}"
    mock.create_topics({topic: 1})
    mock.push_errors(ApiKey.INIT_PRODUCER_ID, *[code] * FOREVER)
    try:
        async with producing(mock) as producer:
            entries = await write(history, producer, topic, 6)
            mock.clear_errors(ApiKey.INIT_PRODUCER_ID)
            later = await write(history, producer, topic, 6)
    finally:
        mock.clear_errors(ApiKey.INIT_PRODUCER_ID)
    for entry in entries:
        error = entry.error
        assert isinstance(error, DeliveryTimeout), entry
        assert (error.broker_error, error.attempts) == (code_name(code), 0), entry
        assert not error.maybe_written, entry
    assert {entry.outcome for entry in later} == {Outcome.OK}
    verdict = judge_all(mock, history, [topic], faults=1)
    total = counts.get("InitProducerId, 4 codes until the time is up", Counts())
    counts["InitProducerId, 4 codes until the time is up"] = total + verdict.counts
