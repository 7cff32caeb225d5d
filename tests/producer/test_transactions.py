"""Transactions of both producers, in both protocols, on the embedded broker."""

from __future__ import annotations

import asyncio
import time

import pytest

from pyproducer import (
    AsyncProducer,
    BrokerRejected,
    GroupMetadata,
    OffsetAndMetadata,
    ProducerClosed,
    ProducerError,
    ProducerFenced,
    SyncProducer,
    TopicPartition,
    TransactionAborted,
    TransactionError,
    UsageError,
)
from pyproducer.broker import Broker, TopicSpec
from tests.helpers.transactional_client import committed_offset, fetch, values_read
from tests.helpers.wire_client import WireClient

PLACE = TopicPartition("one", 0)


@pytest.fixture(params=[1, 2], ids=["protocol 1", "protocol 2"])
def broker(request):
    """A broker of the test's own, whose cluster finalized one of the two protocols."""
    topics = [
        TopicSpec("t", 3),
        TopicSpec("one", 1),
        TopicSpec("small", 1, {"max.message.bytes": "300"}),
    ]
    with Broker(topics, transaction_version=request.param) as running:
        yield running


@pytest.fixture
async def producer(broker):
    """A transactional producer."""
    async with AsyncProducer(broker.bootstrap_servers, transactional_id="tx") as running:
        yield running


def seen(broker, place=PLACE):
    """What a reader of committed data is given of a partition."""
    with WireClient(broker.bootstrap_servers) as client:
        return values_read(fetch(client, place))


def progress(broker, group, place=PLACE):
    """Where a group is to go on reading; -1 where it never committed."""
    with WireClient(broker.bootstrap_servers) as client:
        error, offset = committed_offset(client, group, place)
        assert error == 0
        return offset


async def test_block_commits(broker, producer):
    """
    What is sent in a block is read once the block is left, and not before.
    """
    async with producer.transaction():
        deliveries = [await producer.enqueue("one", b"%d" % n) for n in range(3)]
        await producer.flush()
        assert seen(broker) == []

    assert seen(broker) == [b"0", b"1", b"2"]
    assert [0, 1, 2] == [delivery.result().offset for delivery in deliveries]


async def test_many_blocks(broker, producer):
    """
    One transaction follows another on all partitions, whatever became of the one before.
    """
    for number in range(12):
        try:
            async with producer.transaction():
                for partition in range(3):
                    await producer.enqueue("t", b"%d" % number, partition=partition)
                if number % 3 == 1:
                    raise KeyError(number)
                if number % 3 == 2:
                    await producer.flush()
                    raise KeyError(number)
        except KeyError:
            pass

    for partition in range(3):
        assert [b"0", b"3", b"6", b"9"] == seen(broker, TopicPartition("t", partition))


async def test_block_that_raises(broker, producer):
    """
    A block that raises is aborted: nothing of it is read, what was not sent fails as aborted, and
    the caller sees its own exception.
    """
    with pytest.raises(KeyError):
        async with producer.transaction():
            written = await producer.enqueue("one", b"written")
            await producer.flush()
            unsent = await producer.enqueue("one", b"unsent")
            raise KeyError("mine")
    async with producer.transaction():
        await producer.enqueue("one", b"after")

    assert seen(broker) == [b"after"]
    assert written.exception() is None
    error = unsent.exception()
    assert isinstance(error, TransactionAborted)
    assert (error.topic, error.partition, error.maybe_written) == ("one", 0, False)


async def test_failed_record_dooms(broker, producer):
    """
    With a record that failed the transaction cannot be committed; the next one can.
    """
    with pytest.raises(TransactionAborted, match="MESSAGE_TOO_LARGE") as caught:
        async with producer.transaction():
            await producer.enqueue("one", b"good")
            bad = await producer.enqueue("small", b"x" * 1000)
            await producer.flush()
            with pytest.raises(TransactionError, match="cannot be committed") as refused:
                await producer.enqueue("one", b"late")
            assert refused.value.abort_required
    async with producer.transaction():
        await producer.enqueue("one", b"after")

    # The same record is too large again.
    assert not caught.value.retriable
    assert isinstance(bad.exception(), BrokerRejected)
    assert seen(broker) == [b"after"]


async def test_block_that_meets_its_own_failure(broker, producer):
    """
    A block that passes on what the failed transaction told it raises that it was aborted, as one
    that did not notice does; an error of its own it raises as it is.
    """
    with pytest.raises(TransactionAborted, match=r"aborted: .*ILLEGAL_GENERATION.*anew") as caught:
        async with producer.transaction() as tx:
            await tx.send_offsets({PLACE: 7}, GroupMetadata("g", 3, "zombie"))
    assert caught.value.retriable
    assert isinstance(caught.value.__cause__, TransactionError)
    with pytest.raises(TransactionAborted, match=r"commit of offsets is not certain .*anew"):
        async with producer.transaction() as tx:
            await tx.send_offsets({("nowhere", 0): 7}, "g", timeout=0.05)
    with pytest.raises(BrokerRejected, match="MESSAGE_TOO_LARGE"):
        async with producer.transaction():
            await producer.send("small", b"x" * 1000)
    async with producer.transaction():
        await producer.enqueue("one", b"after")

    assert seen(broker) == [b"after"]


async def test_explicit_calls(broker, producer):
    """
    Begun, committed and aborted by calls of their own; a failed commit asks for an abort.
    """
    await producer.begin_transaction()
    await producer.enqueue("one", b"1")
    await producer.commit_transaction()
    await producer.begin_transaction()
    await producer.enqueue("one", b"2")
    await producer.abort_transaction()
    await producer.begin_transaction()
    await producer.enqueue("small", b"x" * 1000)
    with pytest.raises(TransactionError) as caught:
        await producer.commit_transaction()
    assert caught.value.abort_required
    assert not caught.value.maybe_committed
    with pytest.raises(TransactionError):
        await producer.begin_transaction()
    await producer.abort_transaction()
    async with producer.transaction():
        await producer.enqueue("one", b"3")

    assert seen(broker) == [b"1", b"3"]


async def test_end_inside_the_block(broker, producer):
    """
    A block may commit or abort before its end; leaving it then does nothing more.
    """
    async with producer.transaction() as tx:
        await producer.enqueue("one", b"1")
        await tx.commit()
    async with producer.transaction() as tx:
        await producer.enqueue("one", b"2")
        await tx.abort()

    assert seen(broker) == [b"1"]


async def test_empty_transactions(broker, producer):
    """
    A transaction without a record is committed and aborted without a word to the broker.
    """
    async with producer.transaction():
        pass
    await producer.begin_transaction()
    await producer.abort_transaction()

    assert seen(broker) == []


async def test_out_of_place(broker, producer):
    """
    A call that does not fit is refused with the way out, and harms nothing.
    """
    for call in (producer.commit_transaction, producer.abort_transaction):
        with pytest.raises(UsageError, match="begin one"):
            await call()
    with pytest.raises(UsageError, match="in a transaction only"):
        await producer.send("one", b"x")
    with pytest.raises(UsageError, match="in a transaction only"):
        producer.enqueue_nowait("one", b"x")
    async with producer.transaction() as tx:
        with pytest.raises(UsageError, match="commit or abort it first"):
            await producer.begin_transaction()
        with pytest.raises(UsageError, match="offset"):
            await tx.send_offsets({("t", 0): -1}, "g")
        await producer.send("one", b"inside")
    assert await producer.partitions_for("t") == 3
    assert (await producer.flush()).delivered == 0

    assert seen(broker) == [b"inside"]


async def test_without_transactional_id(broker):
    """
    A producer without a transactional id says what is missing.
    """
    async with AsyncProducer(broker.bootstrap_servers) as producer:
        with pytest.raises(UsageError, match="transactional_id"):
            async with producer.transaction():
                pass


async def test_offsets(broker, producer):
    """
    A group's offsets become visible with the commit, and never with an abort.
    """
    async with producer.transaction() as tx:
        await producer.enqueue("t", b"made of it")
        await tx.send_offsets({("one", 0): 7}, "g")
    with pytest.raises(KeyError):
        async with producer.transaction() as tx:
            await tx.send_offsets({PLACE: OffsetAndMetadata(9, "note", 0)}, GroupMetadata("g"))
            raise KeyError(1)
    assert progress(broker, "g") == 7
    async with producer.transaction() as tx:
        await tx.send_offsets({PLACE: 8}, "g")
        await tx.send_offsets({PLACE: 5}, "other")
        await tx.send_offsets({}, "nobody")

    assert (progress(broker, "g"), progress(broker, "other")) == (8, 5)


async def test_offsets_of_a_replaced_member(broker, producer):
    """
    Offsets of a member that its group does not know doom the transaction (KIP-447).
    """
    with pytest.raises(TransactionAborted, match=r"ILLEGAL_GENERATION|UNKNOWN_MEMBER_ID"):
        async with producer.transaction() as tx:
            await producer.enqueue("one", b"x")
            with pytest.raises(TransactionError) as caught:
                await tx.send_offsets({PLACE: 7}, GroupMetadata("g", 3, "zombie"))
            assert caught.value.abort_required

    assert (progress(broker, "g"), seen(broker)) == (-1, [])


async def test_newer_producer_takes_over(broker, producer):
    """
    A second producer of the same id aborts what the first has open, and fences it for good.
    """
    await producer.begin_transaction()
    await producer.send("one", b"old")
    async with AsyncProducer(broker.bootstrap_servers, transactional_id="tx") as newer:
        async with newer.transaction():
            await newer.enqueue("one", b"new")
        with pytest.raises(ProducerFenced) as caught:
            await producer.commit_transaction()
        assert caught.value.fatal
        assert not caught.value.maybe_committed
        with pytest.raises(ProducerFenced):
            await producer.begin_transaction()
        with pytest.raises(ProducerFenced):
            await producer.send("one", b"zombie")
        async with newer.transaction():
            await newer.enqueue("one", b"newer")

    assert seen(broker) == [b"new", b"newer"]


async def test_open_for_too_long(broker):
    """
    After transaction_timeout_ms the producer aborts by itself, says so, and goes on.
    """
    async with AsyncProducer(
        broker.bootstrap_servers, transactional_id="tx", transaction_timeout_ms=300
    ) as producer:
        with pytest.raises(TransactionAborted, match="transaction_timeout_ms=300"):
            async with producer.transaction():
                await producer.send("one", b"slow")
                await asyncio.sleep(0.5)
        async with producer.transaction():
            await producer.send("one", b"quick")

    assert seen(broker) == [b"quick"]


async def test_cancelled_block(broker, producer):
    """
    A task that is cancelled in a block has its transaction aborted.
    """
    sent = asyncio.Event()

    async def work():
        async with producer.transaction():
            await producer.send("one", b"x")
            sent.set()
            await asyncio.sleep(60)

    task = asyncio.create_task(work())
    await sent.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    async with producer.transaction():
        await producer.enqueue("one", b"after")

    assert seen(broker) == [b"after"]


@pytest.mark.parametrize("ending", ["commit_transaction", "abort_transaction"])
async def test_end_that_takes_long(broker, producer, ending):
    """
    An end that is not certain in time goes on: the same call again waits for it.
    """
    await producer.begin_transaction()
    await producer.send("one", b"x")
    with broker.faults.delay("EndTxn", 0.5, times=1):
        with pytest.raises(TransactionError, match=rf"not certain .*{ending}\(\)") as caught:
            await getattr(producer, ending)(timeout=0.05)
        assert caught.value.retriable
        assert caught.value.maybe_committed is (ending == "commit_transaction")
        await getattr(producer, ending)()
    async with producer.transaction():
        await producer.send("one", b"next")

    assert seen(broker) == [b"x", b"next"] if ending == "commit_transaction" else [b"next"]


async def test_trouble_that_is_over_is_no_excuse(broker, producer):
    """
    What an end is said to wait for is what it waits for, not what was got over before.
    """
    await producer.begin_transaction()
    await producer.send("one", b"x")
    with broker.faults.fail("TxnOffsetCommit", "COORDINATOR_LOAD_IN_PROGRESS", times=1):
        await producer.send_offsets_to_transaction({PLACE: 7}, "readers")
    with broker.faults.delay("EndTxn", 0.3, times=1):
        with pytest.raises(TransactionError, match="no answer yet"):
            await producer.commit_transaction(timeout=0.05)
        await producer.commit_transaction()

    assert progress(broker, "readers") == 7


async def test_begin_waits_for_an_abort_under_way(broker, producer):
    """
    An abort whose caller has left is finished before the next transaction begins.
    """
    await producer.begin_transaction()
    await producer.send("one", b"x")
    with broker.faults.delay("EndTxn", 0.3, times=1):
        with pytest.raises(TransactionError):
            await producer.abort_transaction(timeout=0.01)
        async with producer.transaction():
            await producer.send("one", b"next")

    assert seen(broker) == [b"next"]


async def test_closed_with_an_open_transaction(broker):
    """
    close() aborts what is open, and says so: it may be that a commit was forgotten.
    """
    producer = AsyncProducer(broker.bootstrap_servers, transactional_id="tx")
    await producer.start()
    await producer.begin_transaction()
    await producer.send("one", b"x")
    with pytest.raises(TransactionAborted, match="was aborted"):
        await producer.close()
    with pytest.raises(ProducerClosed):
        await producer.begin_transaction()

    assert seen(broker) == []


async def test_error_of_the_producers_block_is_not_masked(broker):
    """
    A program that fails in the middle of a transaction sees its own error.
    """
    with pytest.raises(KeyError):
        async with AsyncProducer(broker.bootstrap_servers, transactional_id="tx") as producer:
            await producer.begin_transaction()
            await producer.send("one", b"x")
            raise KeyError("mine")

    assert seen(broker) == []


async def test_start_ends_what_a_dead_one_left(broker):
    """
    A producer that comes back under its id ends what it left open when it died.
    """
    dead = AsyncProducer(broker.bootstrap_servers, transactional_id="tx")
    await dead.start()
    await dead.begin_transaction()
    await dead.send("one", b"lost")
    async with AsyncProducer(broker.bootstrap_servers, transactional_id="tx") as producer:
        async with producer.transaction():
            await producer.send("one", b"back")
        assert seen(broker) == [b"back"]
    with pytest.raises(ProducerError):
        await dead.close()


async def test_start_without_permission(broker):
    """
    A start that can get no producer id leaves nothing, and says why.
    """
    with pytest.raises(TransactionError, match="brokers' transaction"):
        await AsyncProducer(
            broker.bootstrap_servers, transactional_id="tx", transaction_timeout_ms=2**31 - 1
        ).start()


async def test_many_tasks_in_one_transaction(broker, producer):
    """
    All tasks that use the producer send into the transaction that is open.
    """

    async def work(number):
        for part in range(20):
            await producer.enqueue("t", b"%d" % part, partition=number % 3)

    async with producer.transaction():
        await asyncio.gather(*(work(number) for number in range(30)))

    assert 600 == sum(len(seen(broker, TopicPartition("t", number))) for number in range(3))


async def test_waiters_for_room_do_not_slip_into_the_next(broker):
    """
    Whoever waits for buffer room when the transaction ends is refused: nobody chose another
    transaction for his record.
    """
    async with AsyncProducer(
        broker.bootstrap_servers,
        transactional_id="tx",
        buffer_memory=8192,
        max_request_size=4096,
        batch_size=4096,
    ) as producer:
        await producer.begin_transaction()
        broker.faults.delay("Produce", 0.3, times=1)
        kept = [await producer.enqueue("one", b"x" * 1500) for _ in range(2)]
        tasks = [
            asyncio.create_task(producer.enqueue("one", b"waiter" + b"x" * 2000)) for _ in range(4)
        ]
        await asyncio.sleep(0.05)
        await producer.commit_transaction()
        outcomes = await asyncio.gather(*tasks, return_exceptions=True)
        refused = [one for one in outcomes if isinstance(one, UsageError)]
        taken = [one for one in outcomes if not isinstance(one, BaseException)]

    assert refused
    assert len(refused) + len(taken) == 4
    assert len(kept) + len(taken) == len(seen(broker))


def test_blocking_producer(broker):
    """
    The blocking producer has the same calls, and the same outcomes.
    """
    with SyncProducer(broker.bootstrap_servers, transactional_id="tx") as producer:
        with producer.transaction() as tx:
            producer.enqueue("one", b"1")
            tx.send_offsets({PLACE: 3}, "g")
        with pytest.raises(KeyError), producer.transaction():
            producer.send("one", b"2")
            raise KeyError(1)
        producer.begin_transaction()
        producer.send("one", b"3")
        producer.send_offsets_to_transaction({PLACE: 4}, "g")
        producer.commit_transaction()
        producer.begin_transaction()
        producer.send("one", b"4")
        producer.abort_transaction()
        with producer.transaction() as tx:
            producer.send("one", b"5")
            tx.abort()
        with pytest.raises(UsageError):
            producer.send("one", b"outside")

    assert (seen(broker), progress(broker, "g")) == ([b"1", b"3"], 4)


def test_blocking_producer_starts_by_itself(broker):
    """
    The first transaction starts a blocking producer.
    """
    producer = SyncProducer(broker.bootstrap_servers, transactional_id="tx")
    with producer.transaction():
        producer.enqueue("one", b"1")
    producer.close()

    assert seen(broker) == [b"1"]


async def test_transactions_cost_no_lingering(broker):
    """
    A commit does not wait for linger_ms, however long that is.
    """
    async with AsyncProducer(
        broker.bootstrap_servers, transactional_id="tx", linger_ms=60_000
    ) as producer:
        began = time.monotonic()
        async with producer.transaction():
            await producer.enqueue("one", b"1")

    assert time.monotonic() - began < 30
    assert seen(broker) == [b"1"]
