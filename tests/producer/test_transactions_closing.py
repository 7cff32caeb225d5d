"""Ends of transactions that nobody waited for, and producers that are closed meanwhile."""

from __future__ import annotations

import asyncio
import time

import pytest

from pyproducer import (
    AsyncProducer,
    ProducerClosed,
    ProducerFenced,
    TransactionAborted,
    TransactionError,
)
from pyproducer.broker import Broker


@pytest.fixture(params=[1, 2], ids=["protocol 1", "protocol 2"])
def broker(request):
    """A broker of the test's own, whose cluster finalized one of the two protocols."""
    with Broker({"one": 1}, transaction_version=request.param) as running:
        yield running


def seen(broker):
    """What a reader of committed data is given."""
    return [record.value for record in broker.records("one", committed=True)]


async def begun(broker, **options):
    """A producer with a transaction open, and a record in it."""
    producer = AsyncProducer(broker.bootstrap_servers, transactional_id="tx", **options)
    await producer.start()
    await producer.begin_transaction()
    await producer.send("one", b"x")
    return producer


async def give_up_commit(producer):
    """Ask for the commit, and do not wait for it."""
    with pytest.raises(TransactionError) as caught:
        await producer.commit_transaction(timeout=0)
    assert caught.value.maybe_committed


async def test_commit_that_was_done_after_its_call_gave_up(broker):
    """
    A commit that its caller did not wait for, and that is done, is no aborted transaction.
    """
    producer = await begun(broker)
    ended = broker.faults.fail("EndTxn", "COORDINATOR_LOAD_IN_PROGRESS", times=2)
    await give_up_commit(producer)
    await asyncio.to_thread(ended.wait, 2)
    while not broker.records("one", committed=True):
        await asyncio.sleep(0.01)
    await producer.close()


async def test_commit_that_nobody_can_tell_of(broker):
    """
    A producer that was fenced before it could learn whether it had committed does not say, when it
    is closed, that it was aborted.
    """
    producer = await begun(broker)
    broker.faults.fail("EndTxn", "REQUEST_TIMED_OUT", when="after")
    fenced = broker.faults.fail("EndTxn", "PRODUCER_FENCED")
    await give_up_commit(producer)
    await asyncio.to_thread(fenced.wait)
    await asyncio.sleep(0.1)
    with pytest.raises(TransactionError, match="nobody can tell") as caught:
        await producer.close()

    assert caught.value.maybe_committed
    assert not isinstance(caught.value, TransactionAborted)
    assert 1 == len(broker.records("one", committed=True))


async def test_commit_that_was_done_before_the_producer_was_fenced():
    """
    Whoever waits again for a commit hears that it is done, also where the producer has been fenced
    since: of an error he would have to think that nothing was committed.
    """
    with Broker({"one": 1}, transaction_version=1) as broker:
        producer = await begun(broker, request_timeout_ms=300)
        fenced = broker.faults.fail("InitProducerId", "PRODUCER_FENCED")
        broker.faults.drop_response("EndTxn")
        await give_up_commit(producer)
        await asyncio.to_thread(fenced.wait)
        await asyncio.sleep(0.1)
        await producer.commit_transaction()
        with pytest.raises(ProducerFenced):
            await producer.commit_transaction()
        with pytest.raises(ProducerFenced):
            await producer.begin_transaction()
        await producer.close()
        assert 1 == len(broker.records("one", committed=True))


async def test_block_whose_producer_another_task_closes(broker):
    """
    A block is not left as if it had committed where the producer was closed meanwhile.
    """
    producer = AsyncProducer(broker.bootstrap_servers, transactional_id="tx")
    await producer.start()
    sent, closed = asyncio.Event(), asyncio.Event()

    async def work():
        async with producer.transaction():
            await producer.send("one", b"x")
            sent.set()
            await closed.wait()

    task = asyncio.create_task(work())
    await sent.wait()
    with pytest.raises(TransactionAborted):
        await producer.close()
    closed.set()
    with pytest.raises(TransactionAborted, match="closed"):
        await task

    assert broker.records("one", committed=True) == []


async def test_close_aborts_what_cannot_be_committed(broker):
    """
    A commit that fails while the producer is being closed is aborted by it, and not left to the
    coordinator's timeout, until which readers would stand still.
    """
    producer = await begun(broker, delivery_timeout_ms=600, request_timeout_ms=300)
    broker.faults.fail("Produce", "NOT_ENOUGH_REPLICAS", times=None)
    await producer.enqueue("one", b"never")
    await give_up_commit(producer)
    with pytest.raises(TransactionAborted, match="it was aborted"):
        await producer.close()


async def test_close_while_the_start_waits_for_a_producer_id(broker):
    """
    close() ends a start at once that waits for its coordinator.
    """
    waits = broker.faults.fail("InitProducerId", "COORDINATOR_NOT_AVAILABLE", times=None)
    producer = AsyncProducer(broker.bootstrap_servers, transactional_id="tx")
    start = asyncio.create_task(producer.start())
    await asyncio.to_thread(waits.wait)
    began = time.monotonic()
    await producer.close()

    assert time.monotonic() - began < 20
    with pytest.raises(ProducerClosed):
        await start


async def test_block_whose_transaction_another_task_aborts(broker):
    """
    A block whose transaction somebody else has aborted does not end as if it were committed, and
    leaves the one that was begun since alone.
    """
    async with AsyncProducer(broker.bootstrap_servers, transactional_id="tx") as producer:
        with pytest.raises(TransactionAborted, match="own abort"):
            async with producer.transaction():
                await producer.send("one", b"theirs")
                await producer.abort_transaction()
                await producer.begin_transaction()
                await producer.send("one", b"half")
        await producer.send("one", b"whole")
        await producer.commit_transaction()

    assert seen(broker) == [b"half", b"whole"]


async def test_block_committed_by_the_producers_own_call(broker):
    """
    A commit by the producer's call is the block's: leaving it then does nothing more.
    """
    async with AsyncProducer(broker.bootstrap_servers, transactional_id="tx") as producer:
        async with producer.transaction():
            await producer.send("one", b"1")
            await producer.commit_transaction()
            await producer.begin_transaction()
            await producer.send("one", b"2")
        await producer.abort_transaction()

    assert seen(broker) == [b"1"]
