"""What is refused at the door: by a typed error that names the place, and without a trace."""

from __future__ import annotations

import asyncio
import functools
import time

import pytest

from pyproducer import (
    AsyncProducer,
    ConfigError,
    RecordTooLarge,
    SerializationError,
    UnknownTopic,
    UsageError,
)


@pytest.fixture(params=["known", "unknown"])
async def at_door(request, broker):
    """A producer that knows topic "one" already, or has not heard of it."""
    async with AsyncProducer(broker.bootstrap_servers) as producer:
        if request.param == "known":
            await producer.partitions_for("one")
        yield producer
        # Whatever was refused left no trace: the next record is the first.
        assert (await producer.send("one", b"good")).offset == 0
        assert producer.metrics().records_accepted == 1


class Text(str):
    __slots__ = ()


@pytest.mark.parametrize("value", [1, 1.5, {"a": 1}, [b"x"], object(), True, b"x".__class__])
async def test_value_that_is_not_bytes(at_door, value):
    """
    Without a serializer a value that is neither bytes nor str is a SerializationError.
    """
    with pytest.raises(SerializationError, match="value_serializer") as caught:
        at_door.enqueue_nowait("one", value)

    error = caught.value
    assert ("one", "value", type(value).__name__) == (error.topic, error.field, error.value_type)


@pytest.mark.parametrize("key", [1, 1.5, (b"x",), True])
async def test_key_that_is_not_bytes(at_door, key):
    """
    The same for keys.
    """
    with pytest.raises(SerializationError, match="key_serializer") as caught:
        await at_door.send("one", b"x", key=key)

    assert caught.value.field == "key"


@pytest.mark.parametrize("text", ["\ud800", "ok \udfff", Text("\ud800")])
async def test_lone_surrogates(at_door, text):
    """
    Text that has no UTF-8 form is a SerializationError, as value, key and header.
    """
    with pytest.raises(SerializationError):
        await at_door.send("one", text)
    with pytest.raises(SerializationError):
        await at_door.enqueue("one", b"x", key=text)
    with pytest.raises(SerializationError):
        at_door.enqueue_nowait("one", b"x", headers={"a": text})
    with pytest.raises(SerializationError):
        at_door.enqueue_nowait("one", b"x", headers={str(text): b""})


@pytest.mark.parametrize(
    "headers",
    [
        "text",
        b"bytes",
        5,
        object(),
        ["a"],
        ["ab"],
        [("a",)],
        [("a", b"1", b"2")],
        [(b"a", b"1")],
        [(1, b"1")],
        [(None, b"1")],
        {"a": 1},
        {"a": 1.5},
        {"a": ["x"]},
        {b"a": b"x"},
        [("a", b"good"), ("b", True)],
        [{"a": b"x"}],
    ],
    ids=lambda headers: repr(headers)[:12],
)
async def test_headers(at_door, headers):
    """
    Headers of a wrong form are a SerializationError about the headers.
    """
    with pytest.raises(SerializationError, match="headers") as caught:
        at_door.enqueue_nowait("one", b"x", headers=headers)

    assert caught.value.field == "headers"


@pytest.mark.parametrize("timestamp", [1.5, True, False, -1, "5", b"5", 1 << 63, float("nan")])
async def test_timestamps(at_door, timestamp):
    """
    A timestamp is an int of 0 or more; floats and bools are refused.
    """
    with pytest.raises(UsageError, match="timestamp_ms"):
        at_door.enqueue_nowait("one", b"x", timestamp_ms=timestamp)


@pytest.mark.parametrize("partition", [0.0, True, False, -1, "0", 1 << 31, 1 << 70])
async def test_partitions(at_door, partition):
    """
    A partition is an int of 0 or more, or None; floats and bools are refused.
    """
    with pytest.raises(UsageError, match="partition"):
        at_door.enqueue_nowait("one", b"x", partition=partition)


async def coroutine_function(delivery):
    raise AssertionError


class AsyncCallable:
    """What may be called, and makes a coroutine of it."""

    async def __call__(self, delivery):
        raise AssertionError


@pytest.mark.parametrize(
    "callback",
    [
        coroutine_function,
        functools.partial(coroutine_function),
        AsyncCallable(),
        AsyncCallable().__call__,
        functools.partial(AsyncCallable()),
        5,
        "name",
        [],
    ],
)
async def test_callbacks(at_door, callback):
    """
    on_delivery is a plain callable: coroutine functions are refused, since nobody awaits them.
    """
    with pytest.raises(UsageError, match="callback"):
        at_door.enqueue_nowait("one", b"x", on_delivery=callback)


async def test_done_callback_is_checked_too(producer):
    """
    add_done_callback refuses what on_delivery refuses.
    """
    delivery = producer.enqueue_nowait("one", b"x")
    for callback in (coroutine_function, AsyncCallable(), 5):
        with pytest.raises(UsageError, match="callback"):
            delivery.add_done_callback(callback)
    await delivery


@pytest.mark.parametrize("topic", ["", ".", "..", "a b", "a/b", "\xe9", "x" * 250, "a\n", "a\0"])
async def test_illegal_topic_names(at_door, topic):
    """
    A name that no cluster can have is an UnknownTopic at once, in every call.
    """
    for call in (at_door.send, at_door.enqueue):
        with pytest.raises(UnknownTopic, match="legal"):
            await call(topic, b"x")
    with pytest.raises(UnknownTopic):
        at_door.enqueue_nowait(topic, b"x")
    with pytest.raises(UnknownTopic):
        await at_door.enqueue_many(topic, [b"x"])
    with pytest.raises(UnknownTopic):
        at_door.topic(topic)
    with pytest.raises(UnknownTopic):
        await at_door.partitions_for(topic)


@pytest.mark.parametrize("topic", [None, 5, b"one", [], {}, ("one",)])
async def test_topics_that_are_no_names(at_door, topic):
    """
    A topic that is no str is a UsageError, in every call.
    """
    for call in (at_door.send, at_door.enqueue):
        with pytest.raises(UsageError, match="topic"):
            await call(topic, b"x")
    with pytest.raises(UsageError):
        at_door.enqueue_nowait(topic, b"x")
    with pytest.raises(UsageError):
        at_door.topic(topic)
    with pytest.raises(UsageError):
        await at_door.partitions_for(topic)


async def test_value_is_required(producer):
    """
    value has no default: leaving it out is no tombstone.
    """
    with pytest.raises(TypeError):
        await producer.send("one")
    with pytest.raises(TypeError):
        producer.enqueue_nowait("one")
    with pytest.raises(TypeError):
        producer.topic("one").enqueue_nowait()


async def test_record_over_the_limit(at_door):
    """
    A record over max_request_size is a RecordTooLarge with its size and the option's name.
    """
    limit = at_door.config.max_request_size
    with pytest.raises(RecordTooLarge, match="max_request_size") as caught:
        await at_door.send("one", b"x" * limit)

    error = caught.value
    assert error.size > error.limit == limit
    assert ("one", "max_request_size") == (error.topic, error.limit_name)
    with pytest.raises(RecordTooLarge):
        at_door.enqueue_nowait("one", b"x", headers={"a": b"x" * limit})


async def test_largest_record_goes_through(broker):
    """
    A record just below the limit is sent.
    """
    async with AsyncProducer(
        broker.bootstrap_servers, max_request_size=5000, batch_size=5000
    ) as producer:
        for size in range(4700, 5100, 10):
            try:
                await producer.send("one", b"x" * size)
            except RecordTooLarge:
                break
        assert size > 4800


@pytest.mark.parametrize("known", [True, False])
async def test_partition_out_of_range_is_told(producer, known):
    """
    A partition that the topic lacks is an UnknownTopic with the number, whether the topic's
    size is known at the call or not; those around it are sent.
    """
    if known:
        await producer.partitions_for("t")
    first = producer.enqueue_nowait("t", b"a", partition=0)
    with pytest.raises(UnknownTopic, match="no partition 9") as caught:
        await producer.send("t", b"x", partition=9)
    assert ("t", 9) == (caught.value.topic, caught.value.partition)
    await first


async def test_partition_out_of_range_among_good_ones(producer):
    """
    Of records that wait for metadata, only the one with a wrong partition fails.
    """
    deliveries = [producer.enqueue_nowait("t", str(n), partition=n) for n in range(5)]
    assert [None] * 5 == [one.partition for one in deliveries]
    await producer.flush()

    assert [None, None, None, UnknownTopic, UnknownTopic] == [
        error and type(error) for error in (one.exception() for one in deliveries)
    ]


async def test_unknown_topic_in_three_seconds(producer):
    """
    A topic that does not exist fails its records within some 3 seconds, by its name; other
    topics go on meanwhile.
    """
    start = time.monotonic()
    waiting = asyncio.create_task(producer.send("missing", b"x"))
    await producer.send("one", b"x")
    with pytest.raises(UnknownTopic, match="missing") as caught:
        await waiting
    assert caught.value.topic == "missing"
    assert time.monotonic() - start < 10


async def test_partitions_for(producer):
    """
    partitions_for tells the number, and refuses what does not exist.
    """
    assert (await producer.partitions_for("t"), await producer.partitions_for("one")) == (3, 1)
    with pytest.raises(UnknownTopic, match="missing"):
        async with asyncio.timeout(10):
            await producer.partitions_for("missing")


async def test_topic_created_while_records_wait(broker):
    """
    Records for a topic that is created a moment later are delivered.
    """
    async with AsyncProducer(broker.bootstrap_servers) as producer:
        sending = asyncio.create_task(producer.send("later", b"x"))
        await asyncio.sleep(0.3)
        await asyncio.to_thread(broker.create_topic, "later", 2)

        assert (await sending).topic == "later"


async def test_auto_create():
    """
    With allow_auto_create_topics a broker that may create topics does.
    """
    from pyproducer.broker import Broker

    with Broker(auto_create_topics=True) as broker:
        async with AsyncProducer(
            broker.bootstrap_servers, allow_auto_create_topics=True
        ) as producer:
            assert (await producer.send("fresh", b"x")).offset == 0


def failing_partitioner(key, count):
    raise LookupError("no map")


@pytest.mark.parametrize(
    "partitioner",
    [
        failing_partitioner,
        lambda key, count: count,
        lambda key, count: -1,
        lambda key, count: 0.0,
        lambda key, count: True,
        lambda key, count: None,
    ],
)
@pytest.mark.parametrize("known", [True, False])
async def test_partitioner_errors(broker, partitioner, known):
    """
    What a partitioner does wrong is its record's UsageError, and stops no other record.
    """
    async with AsyncProducer(broker.bootstrap_servers, partitioner=partitioner) as producer:
        if known:
            await producer.partitions_for("t")
        with pytest.raises(UsageError, match="partitioner"):
            await producer.send("t", b"x")
        group = await producer.enqueue_many("t", [b"a", b"b"], partitions=[None, 1])
        bad, good = [one.exception() for one in group] if not await waited(group) else (1, 1)
        assert isinstance(bad, UsageError)
        assert good is None


async def waited(group):
    await asyncio.gather(*group, return_exceptions=True)
    return False


def test_config_errors():
    """
    What cannot be used at construction is a ConfigError that names the option.
    """

    async def made(value):
        return b""

    class Awaitable:
        async def __call__(self, value, context):
            return b""

    wrong = {
        "value_serializer": [
            made,
            Awaitable(),
            5,
            lambda: b"",
            lambda a, b, c: b"",
            lambda *, k: b"",
        ],
        "key_serializer": [made, "json"],
        "on_delivery_failure": [made, 5],
        "interceptors": [[5], [object()], [AsyncProducer]],
    }
    for option, values in wrong.items():
        for value in values:
            with pytest.raises(ConfigError) as caught:
                AsyncProducer("localhost:1", **{option: value})
            assert caught.value.option == option
    with pytest.raises(ConfigError, match="bootstrap_servers"):
        AsyncProducer()
    with pytest.raises(ConfigError, match="linger_ms"):
        AsyncProducer("localhost:1", linger=5)
