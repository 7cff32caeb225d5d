"""Every error code in the middle of a transaction, given by librdkafka's mock cluster.

A producer commits one transaction in peace, is struck in the second, and goes on with a third
unless the code is its end. The mock shows its readers everything, aborted or not: what is judged is
that committed transactions are there, whole, once and in order.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from pyproducer import AsyncProducer
from pyproducer.core.coordination import TABLE, Remedy, remedy
from pyproducer.errors import BrokerRejected, ProducerError, ProducerFenced, TransactionError
from pyproducer.protocol.api import ApiKey
from pyproducer.protocol.error_codes import ErrorCode
from tests.helpers.expected_verdicts import (
    ACKNOWLEDGED,
    FAILED,
    STOPPED,
    TRANSACTIONAL,
    case_id,
    expected,
)
from tests.helpers.history import Counts, Entry, History, Outcome, Transaction, check, table
from tests.helpers.mock_cluster import MockCluster
from tests.helpers.read_back import read_foreign
from tests.helpers.scoreboard import Scoreboard

pytestmark = pytest.mark.needs("mock")

E = ErrorCode
CODES = [*map(int, E), -2, 32000]

OPTIONS: dict[str, Any] = {
    "delivery_timeout_ms": 4000,
    "request_timeout_ms": 2000,
    "max_block_ms": 4000,
    "linger_ms": 2,
    "retry_backoff_ms": 10,
    "retry_backoff_max_ms": 50,
    "max_in_flight_requests_per_connection": 1,
    "batch_max_records": 4,
}

#: Producers at work at a time.
AT_ONCE = 12


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
    title = "every error code in transactions, from librdkafka's mock cluster"
    scoreboard.note("\n".join([title, *table(rows)]))


@asynccontextmanager
async def producing(mock: MockCluster, name: str) -> AsyncIterator[AsyncProducer]:
    """A started transactional producer; one that is dead says so once more at the end."""
    producer = AsyncProducer(mock.bootstrap_servers, transactional_id=name, **OPTIONS)
    try:
        yield producer
    finally:
        with contextlib.suppress(ProducerError):
            await producer.close()


async def transact(
    history: History, producer: AsyncProducer, topic: str, count: int
) -> tuple[Transaction, list[Entry], ProducerError | None]:
    """One transaction, and how it ended."""
    transaction, entries = history.begin(), list[Entry]()
    try:
        async with producer.transaction():
            for _ in range(count):
                entry = history.enqueue_nowait(
                    producer, "w", topic, transaction=transaction, partition=0
                )
                entries.append(entry)
    except TransactionError as error:
        if error.maybe_committed:
            transaction.unknown()
        else:
            transaction.aborted()
        return transaction, entries, error
    except ProducerError as error:
        # A dead producer begins nothing.
        transaction.aborted()
        return transaction, entries, error
    transaction.committed()
    return transaction, entries, None


def judge(mock: MockCluster, history: History, topics: list[str], *, faults: int) -> Counts:
    """Compare what was told with what is there of the transactions that were committed."""
    read = read_foreign(mock.bootstrap_servers, topics, checksums=False)
    hidden = {
        entry.value
        for entry in history.entries
        if entry.transaction is not None and entry.transaction.outcome is Outcome.FAILED
    }
    visible = [record for record in read if record.value not in hidden]
    verdict = check(history, visible, faults=faults)
    verdict.assert_clean()
    return verdict.counts


async def each(job: Callable[[int], Awaitable[object]]) -> None:
    """Call for each code, a few at a time; the first error ends it."""
    gate = asyncio.Semaphore(AT_ONCE)

    async def one(code: int) -> None:
        async with gate:
            await job(code)

    async with asyncio.TaskGroup() as group:
        for code in CODES:
            group.create_task(one(code))


async def test_produce(mock: MockCluster, counts: dict[str, Counts]):
    """
    A batch that gets any code there is either comes through with its transaction, or has it
    aborted and the next one commits, or the producer is dead; by the table.
    """
    history = History(delivery_timeout=OPTIONS["delivery_timeout_ms"] / 1000)
    topics = {code: f"produce.{code}" for code in CODES}
    mock.create_topics(dict.fromkeys(topics.values(), 1))

    async def strike(code: int) -> None:
        topic, row = topics[code], TRANSACTIONAL.get(case_id(code), expected(code))
        async with producing(mock, topic) as producer:
            await producer.start()
            assert (await transact(history, producer, topic, 4))[2] is None
            await asyncio.to_thread(mock.refuse, topic, 0, code)
            if code == E.DUPLICATE_SEQUENCE_NUMBER:
                # What the mock says to have, and has not, nobody can find.
                return
            _, entries, error = await transact(history, producer, topic, 8)
            _, _, after = await transact(history, producer, topic, 4)
            if row.fate not in {FAILED, STOPPED}:
                assert (error, after) == (None, None)
                return
            assert isinstance(error, TransactionError)
            for entry in entries[:4]:
                assert isinstance(entry.error, BrokerRejected), entry
                assert (entry.error.code, entry.error.maybe_written) == (code, row.doubt), entry
            assert (after is not None) == (row.fate == STOPPED)
            if row.fate == STOPPED:
                assert isinstance(after, TransactionError)
                assert after.fatal

    await each(strike)
    found = judge(mock, history, list(topics.values()), faults=len(CODES) - 2)
    counts[f"Produce, {len(CODES)} codes once"] = found

    assert expected(E.DUPLICATE_SEQUENCE_NUMBER).fate == ACKNOWLEDGED
    assert found.committed > 2 * found.aborted


async def test_init_producer_id(mock: MockCluster, counts: dict[str, Counts]):
    """
    A producer that gets any code there is when it starts asks again and commits, or does not
    start, and tells why; where a right is missing, another start may follow.
    """
    history, topic = History(), "init"
    mock.create_topics({topic: 1})
    refused: dict[int, TransactionError] = {}
    for code in CODES:
        mock.push_errors(ApiKey.INIT_PRODUCER_ID, code)
        async with producing(mock, f"init.{code}") as producer:
            try:
                await producer.start()
            except TransactionError as error:
                refused[code] = error
            else:
                assert (await transact(history, producer, topic, 2))[2] is None
        mock.clear_errors(ApiKey.INIT_PRODUCER_ID)
    counts[f"InitProducerId, {len(CODES)} codes once"] = judge(
        mock, history, [topic], faults=len(CODES) - 1
    )

    for code, error in refused.items():
        assert error.fatal is (remedy(ApiKey.INIT_PRODUCER_ID, code) is not Remedy.DENIED)
        assert case_id(code) in str(error)
    ends = {Remedy.FENCED, Remedy.FATAL, Remedy.DENIED}
    assert set(refused) == {code for code in CODES if remedy(ApiKey.INIT_PRODUCER_ID, code) in ends}


@pytest.mark.parametrize("api", [ApiKey.ADD_PARTITIONS_TO_TXN, ApiKey.END_TXN])
async def test_coordinator(mock: MockCluster, counts: dict[str, Counts], api: ApiKey):
    """
    Each code of a coordinator's table is got over, or has the transaction aborted, or is the
    producer's end; what was told is what is there.
    """
    history, topic = History(), f"coordinator.{int(api)}"
    mock.create_topics({topic: 1})
    ends = dict.fromkeys(("committed", "aborted", "dead"), 0)
    for code in TABLE[api]:
        async with producing(mock, f"{topic}.{code}") as producer:
            await producer.start()
            assert (await transact(history, producer, topic, 2))[2] is None
            mock.push_errors(api, code)
            _, _, error = await transact(history, producer, topic, 4)
            mock.clear_errors(api)
            _, _, after = await transact(history, producer, topic, 2)
        if error is None:
            ends["committed"] += 1
            assert after is None
        elif after is None:
            ends["aborted"] += 1
        else:
            ends["dead"] += 1
            assert isinstance(after, TransactionError)
            assert after.fatal
            fenced = {E.PRODUCER_FENCED, E.INVALID_PRODUCER_EPOCH}
            assert isinstance(after, ProducerFenced) == (code in fenced)
    counts[f"{api.name}, {len(TABLE[api])} codes once"] = judge(
        mock, history, [topic], faults=len(TABLE[api]) - 1
    )

    assert all(ends.values()), ends
