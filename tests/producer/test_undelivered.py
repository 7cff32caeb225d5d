"""No silent loss: a failure that nobody looked at is logged, counted and raised at the end."""

from __future__ import annotations

import asyncio
import gc
import logging

import pytest

from pyproducer import (
    AsyncProducer,
    BulkError,
    DeliveryFailure,
    Interceptor,
    SyncProducer,
    UndeliveredError,
    UnknownTopic,
)

WRONG = 9  # a partition that topic "t" lacks


async def test_unseen_failure_is_raised(broker):
    """
    A failed record that nobody looked at is raised on leaving the block, with count and cause.
    """
    with pytest.raises(UndeliveredError) as caught:
        async with AsyncProducer(broker.bootstrap_servers) as producer:
            await producer.send("one", b"x")
            producer.enqueue_nowait("t", b"x", partition=WRONG)
            await producer.flush()

    error = caught.value
    assert (error.count, error.by_topic) == (1, {"t": 1})
    assert isinstance(error.first_error, UnknownTopic)
    assert error.__cause__ is error.first_error
    assert "t: 1" in str(error)
    assert "no partition 9" in str(error)


async def test_counts_by_topic(broker):
    """
    The error counts by topic, and the close raises it as leaving the block does; a second
    close is silent.
    """
    producer = AsyncProducer(broker.bootstrap_servers)
    await producer.start()
    for _ in range(2):
        producer.enqueue_nowait("t", b"x", partition=WRONG)
    producer.enqueue_nowait("one", b"x", partition=WRONG)
    with pytest.raises(UndeliveredError) as caught:
        await producer.close()
    await producer.close()

    assert caught.value.by_topic == {"t": 2, "one": 1}


async def awaited(delivery):
    with pytest.raises(UnknownTopic):
        await delivery


async def asked(delivery):
    assert delivery.exception() is not None


async def result(delivery):
    with pytest.raises(UnknownTopic):
        delivery.result()


async def called_back(delivery):
    delivery.add_done_callback(lambda _: None)


async def gathered(delivery):
    await asyncio.gather(delivery, return_exceptions=True)


@pytest.mark.parametrize("look", [awaited, asked, result, called_back, gathered])
@pytest.mark.parametrize("when", ["before", "after"])
async def test_whoever_looks_has_seen(broker, look, when):
    """
    Awaiting, asking or a callback, before or after the failure: then the close is silent.
    """
    async with AsyncProducer(broker.bootstrap_servers) as producer:
        delivery = producer.enqueue_nowait("t", b"x", partition=WRONG)
        if when == "after" or look in {asked, result}:
            await producer.flush()
        await look(delivery)


async def test_done_is_not_looking(broker):
    """
    done() tells nothing about the outcome: the failure stays unseen.
    """
    with pytest.raises(UndeliveredError):
        async with AsyncProducer(broker.bootstrap_servers) as producer:
            delivery = producer.enqueue_nowait("t", b"x", partition=WRONG)
            await producer.flush()
            assert delivery.done()


async def test_callback_is_looking(broker, caplog):
    """
    A record with on_delivery is its callback's to handle: nothing is logged or raised.
    """
    async with AsyncProducer(broker.bootstrap_servers) as producer:
        producer.enqueue_nowait("t", b"x", partition=WRONG, on_delivery=lambda _: None)
        await producer.flush()

    assert caplog.records == []


async def test_looking_twice_counts_once(broker):
    """
    Looking many times at one failure hides no other.
    """
    with pytest.raises(UndeliveredError) as caught:
        async with AsyncProducer(broker.bootstrap_servers) as producer:
            seen = producer.enqueue_nowait("t", b"x", partition=WRONG)
            producer.enqueue_nowait("t", b"x", partition=WRONG)
            await producer.flush()
            for _ in range(5):
                assert seen.exception()

    assert caught.value.count == 1


async def test_dropped_handle(broker):
    """
    A handle that is dropped unread is an unseen failure like any other.
    """
    with pytest.raises(UndeliveredError):
        async with AsyncProducer(broker.bootstrap_servers) as producer:
            delivery = producer.enqueue_nowait("t", b"x", partition=WRONG)
            await producer.flush()
            del delivery
            gc.collect()


async def test_on_delivery_failure(broker, caplog):
    """
    on_delivery_failure sees each failure that nobody else does; then nothing is logged or raised.
    """
    told: list[DeliveryFailure] = []
    async with AsyncProducer(broker.bootstrap_servers, on_delivery_failure=told.append) as producer:
        producer.enqueue_nowait("t", b"x", partition=WRONG)
        producer.enqueue_nowait("t", b"x", partition=WRONG, on_delivery=lambda _: None)
        await producer.flush()

    assert [("t", WRONG, 1)] == [(one.topic, one.partition, one.count) for one in told]
    assert isinstance(told[0].error, UnknownTopic)
    assert caplog.records == []


async def test_on_delivery_failure_that_raises(broker, caplog):
    """
    on_delivery_failure that raises is logged, and harms nothing.
    """

    def bad(failure):
        raise ZeroDivisionError("in the hook")

    async with AsyncProducer(broker.bootstrap_servers, on_delivery_failure=bad) as producer:
        producer.enqueue_nowait("t", b"x", partition=WRONG)
        await producer.send("t", b"x", partition=0)

    assert "in the hook" in caplog.text


async def test_log_is_rate_limited(broker, caplog):
    """
    By default unseen failures are logged: at ERROR, with topic and reason, a line or two for
    however many.
    """
    with caplog.at_level(logging.ERROR), pytest.raises(UndeliveredError) as caught:
        async with AsyncProducer(broker.bootstrap_servers) as producer:
            await producer.partitions_for("t")
            for _ in range(500):
                await producer.enqueue_many("t", [1])
            await producer.flush()
            for _ in range(50):
                producer.topic("t")

    assert caught.value.count == 500
    lines = [r for r in caplog.records if r.name == "pyproducer.delivery"]
    # Entries of a group are its reader's first; the close tells of them.
    assert len(lines) <= 3


async def test_log_line(broker, caplog):
    """
    The line of an unseen failure has topic, partition and reason.
    """
    with pytest.raises(UndeliveredError):
        async with AsyncProducer(broker.bootstrap_servers) as producer:
            for _ in range(300):
                producer.enqueue_nowait("t", b"x", partition=WRONG)

    lines = [r.getMessage() for r in caplog.records if r.levelno == logging.ERROR]
    assert 1 <= len(lines) <= 3
    assert "t-9" in lines[0]
    assert "no partition 9" in lines[0]


async def test_interceptor_is_nobody(broker):
    """
    An interceptor that hears of a failure is no caller who saw it.
    """
    with pytest.raises(UndeliveredError) as caught:
        async with AsyncProducer(
            broker.bootstrap_servers, interceptors=[Interceptor()]
        ) as producer:
            producer.enqueue_nowait("t", b"x", partition=WRONG)
            producer.enqueue_nowait("t", b"x", partition=WRONG, on_delivery=lambda _: None)

    assert caught.value.count == 1


async def test_awaited_group(broker, caplog):
    """
    Failures of a group that is awaited are its awaiter's alone.
    """
    async with AsyncProducer(broker.bootstrap_servers) as producer:
        with pytest.raises(BulkError):
            await producer.send_many("t", [b"x"] * 3, partitions=[WRONG] * 3)

    assert caplog.records == []


def test_blocking_producer(shared_broker):
    """
    The blocking producer raises in the same way.
    """
    with (
        pytest.raises(UndeliveredError) as caught,
        SyncProducer(shared_broker.bootstrap_servers) as producer,
    ):
        producer.enqueue_nowait("t", b"x", partition=WRONG)

    assert caught.value.count == 1
    with (
        pytest.raises(ZeroDivisionError),
        SyncProducer(shared_broker.bootstrap_servers) as producer,
    ):
        producer.enqueue_nowait("t", b"x", partition=WRONG)
        raise ZeroDivisionError
