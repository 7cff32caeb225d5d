"""Topic handles: serializers, formats and codecs of one topic."""

from __future__ import annotations

import json
import time

import pytest

from pyproducer import (
    AsyncProducer,
    BulkError,
    ConfigError,
    Delivery,
    FormatConflict,
    SerializationError,
    SyncProducer,
    Topic,
)
from pyproducer.formats import SerializerContext
from pyproducer.records.codec import Codec
from pyproducer.records.reader import iter_batches
from serializers import BytesSerializer, CsvSerializer, JsonSerializer, StringSerializer


class Named:
    """A serializer with a format."""

    def __init__(self, name):
        self.format = name

    def __call__(self, value, context):
        return str(value).encode()


async def test_same_methods_without_topic(producer, broker):
    """
    A handle has the producer's methods, less the topic.
    """
    one = producer.topic("one", value_serializer=JsonSerializer())
    assert isinstance(one, Topic)
    assert (one.name, repr(one)) == ("one", "<Topic one>")
    meta = await one.send({"id": 1}, key="1", headers={"h": "x"}, timestamp_ms=5, partition=0)
    delivery = await one.enqueue({"id": 2})
    plain = one.enqueue_nowait({"id": 3}, on_delivery=lambda d: None)
    group = await one.enqueue_many([{"id": 4}, {"id": 5}], keys=["a", "b"])
    metas = await one.send_many([{"id": 6}])

    assert isinstance(delivery, Delivery)
    assert isinstance(plain, Delivery)
    offsets = [meta, await delivery, await plain, *await group, *metas]
    assert [one.offset for one in offsets] == list(range(6))
    assert [{"id": n} for n in range(1, 7)] == [json.loads(r.value) for r in broker.records("one")]


async def test_producers_own_serializers(broker):
    """
    A handle without serializers of its own uses the producer's; one may replace either.
    """
    async with AsyncProducer(
        broker.bootstrap_servers, key_serializer=str.upper, value_serializer=JsonSerializer()
    ) as producer:
        await producer.send("one", {"a": 1}, key="k")
        await producer.topic("one").send({"a": 2}, key="k")
        await producer.topic("one", key_serializer=str.lower).send({"a": 3}, key="K")
        await producer.topic("t", value_serializer=BytesSerializer()).send(b"raw", key="k")

    assert [(b"K", 1), (b"K", 2), (b"k", 3)] == [
        (r.key, json.loads(r.value)["a"]) for r in broker.records("one")
    ]
    assert [(b"K", b"raw")] == [(r.key, r.value) for r in broker.records("t")]


async def test_none_never_reaches_a_serializer(producer, broker):
    """
    None is a null key and a tombstone, whatever the serializers.
    """

    def refuse(value):
        raise AssertionError(value)

    one = producer.topic("one", key_serializer=refuse, value_serializer=refuse)
    await one.send(None)
    await one.send(None, key=None)

    assert [(None, None)] * 2 == [(r.key, r.value) for r in broker.records("one")]


async def test_context(producer):
    """
    A serializer of two parameters is told topic, field and headers; one of one is not.
    """
    seen = []

    def two(value, context):
        seen.append(context)
        return b"x"

    class Method:
        def serialize(self, value, context):
            seen.append(context)
            return b"x"

    await producer.topic("t", key_serializer=two, value_serializer=Method().serialize).send(
        1, key=2, headers={"h": "1"}
    )
    await producer.topic("t", value_serializer=two).send(1)
    await producer.topic("t", value_serializer=lambda value: b"one").send(1)
    await producer.topic("t", value_serializer=lambda *args: b"any").send(1)

    assert [
        SerializerContext("t", "key", {"h": "1"}),
        SerializerContext("t", "value", {"h": "1"}),
        SerializerContext("t", "value", None),
    ] == seen


@pytest.mark.parametrize(
    ("made", "expected"),
    [
        ("text \xe9", "text \xe9".encode()),
        (b"bytes", b"bytes"),
        (bytearray(b"array"), b"array"),
        (memoryview(b"view"), b"view"),
        ("", b""),
    ],
)
async def test_what_a_serializer_may_return(producer, broker, made, expected):
    """
    bytes, any buffer, or text.
    """
    await producer.topic("one", value_serializer=lambda value: made).send(object())

    assert broker.records("one")[0].value == expected


@pytest.mark.parametrize("made", [None, 5, 1.5, ["x"], object(), "\ud800"])
async def test_what_it_may_not_return(producer, made):
    """
    Anything else is a SerializationError with topic, field and type of the value.
    """
    topic = producer.topic("one", value_serializer=lambda value: made)
    with pytest.raises(SerializationError, match="one") as caught:
        await topic.send({"a": 1})

    assert ("one", "value", "dict") == (
        caught.value.topic,
        caught.value.field,
        caught.value.value_type,
    )


async def test_raising_serializer(producer):
    """
    What a serializer raises is the cause of a SerializationError, in every call; group
    entries alone fail.
    """

    def picky(value):
        if value == "bad":
            raise LookupError("no such thing")
        return value

    topic = producer.topic("one", value_serializer=picky, key_serializer=picky)
    for call in (topic.send, topic.enqueue):
        with pytest.raises(SerializationError, match="no such thing") as caught:
            await call("bad")
        assert isinstance(caught.value.__cause__, LookupError)
    with pytest.raises(SerializationError) as caught:
        topic.enqueue_nowait("good", key="bad")
    assert caught.value.field == "key"
    with pytest.raises(BulkError) as bulk:
        await topic.send_many(["good", "bad", "good"])
    assert [1] == [index for index, _ in bulk.value.failures]


async def test_interrupt_in_a_serializer(producer):
    """
    What is no Exception is not swallowed, and the record is not sent.
    """

    class Stop(BaseException):
        pass

    def stop(value):
        raise Stop

    with pytest.raises(Stop):
        producer.topic("one", value_serializer=stop).enqueue_nowait(1)
    assert producer.metrics().records_accepted == 0


async def test_format_conflict(producer):
    """
    The first use binds a topic's format; another is refused in every call, by topic, old and
    new; nothing is queued.
    """
    await producer.topic("one", value_serializer=JsonSerializer()).send({})
    other = producer.topic("one", value_serializer=CsvSerializer(columns=["id", "name"]))
    for _ in range(2):
        with pytest.raises(FormatConflict) as caught:
            await other.send([1, "x"])
        error = caught.value
        assert ("one", "json", "csv:id,name") == (error.topic, error.old, error.new)
    with pytest.raises(FormatConflict):
        producer.enqueue_nowait("one", b"raw")
    with pytest.raises(BulkError) as bulk:
        await other.send_many([[1, "x"]])
    assert isinstance(bulk.value.failures[0][1], FormatConflict)
    # The topic of another name is free, and the first format goes on.
    await producer.topic("t", value_serializer=CsvSerializer(columns=["id"])).send([1])
    await producer.topic("one", value_serializer=JsonSerializer()).send({})


async def test_making_a_handle_binds_nothing(producer):
    """
    A handle that is not used does not bind its topic.
    """
    producer.topic("one", value_serializer=JsonSerializer())
    await producer.topic("one", value_serializer=Named("avro:1")).send(1)


async def test_refused_use_binds_nothing(producer):
    """
    A use that is refused for its value's format does not bind the keys' either.
    """
    await producer.topic("one", value_serializer=Named("json")).send(1)
    with pytest.raises(FormatConflict):
        await producer.topic(
            "one", key_serializer=Named("int"), value_serializer=Named("csv")
        ).send(1)
    await producer.topic("one", key_serializer=Named("long"), value_serializer=Named("json")).send(
        1, key=1
    )


async def test_key_formats(producer):
    """
    Keys are bound as values are.
    """
    await producer.topic("one", key_serializer=Named("int")).send(b"x", key=1)
    with pytest.raises(FormatConflict, match="keys"):
        await producer.topic("one", key_serializer=Named("uuid")).send(b"x", key=1)


async def test_allow_formats(producer):
    """
    allow_formats permits several formats side by side, and no others.
    """
    both = {"avro:1", "avro:2"}
    await producer.topic("one", value_serializer=Named("avro:1")).send(1)
    await producer.topic("one", value_serializer=Named("avro:2"), allow_formats=both).send(2)
    await producer.topic("one", value_serializer=Named("avro:1")).send(3)
    with pytest.raises(FormatConflict, match="avro:1, avro:2"):
        await producer.topic("one", value_serializer=Named("avro:3")).send(4)
    with pytest.raises(ConfigError, match="allow_formats"):
        producer.topic("one", allow_formats="avro:1")


async def test_scope_is_the_producer(broker):
    """
    Another producer may bind the same topic to another format.
    """
    for name in ("json", "csv"):
        async with AsyncProducer(broker.bootstrap_servers) as producer:
            await producer.topic("one", value_serializer=Named(name)).send(1)


async def test_callables_without_format(producer):
    """
    A plain function has no format: it is let through beside any other.
    """
    await producer.topic("one", value_serializer=JsonSerializer()).send({})
    await producer.topic("one", value_serializer=lambda value: b"x").send(1)
    await producer.topic("one", value_serializer=str).send(1)


@pytest.mark.parametrize("codec", ["gzip", "snappy", "lz4", "zstd"])
async def test_codec_of_a_topic(broker, codec):
    """
    A topic's compression_type compresses it alone.
    """
    async with AsyncProducer(broker.bootstrap_servers) as producer:
        await producer.topic("one", compression_type=codec).send(b"x" * 10_000)
        await producer.send("one", b"x" * 10_000)
        await producer.send("t", b"x" * 10_000, partition=0)

    def codecs(topic):
        [log] = [one.log for one in broker._node().partitions(topic) if one.index == 0]
        data = b"".join(bytes(part) for part in [log.read(0, 1 << 20)])
        return {batch.header.codec for batch in iter_batches(data)}

    assert codecs("one") == {Codec[codec.upper()]}
    assert codecs("t") == {Codec.NONE}


@pytest.mark.parametrize("later", ["none", "zstd"])
async def test_codec_of_a_topic_that_comes_late(broker, later):
    """
    A batch that was full before its topic was given a codec keeps the producer's, and is sent as
    what it is; what comes after it has the topic's.
    """
    values = [b"%d " % number * 5_000 for number in range(8)]
    async with AsyncProducer(
        broker.bootstrap_servers, compression_type="gzip", batch_max_records=2
    ) as producer:
        await producer.send("one", values[0], partition=0)
        topic = producer.topic("one")
        for value in values[:4]:
            topic.enqueue_nowait(value, partition=0)
        # So long that two of them are compressed before anybody has asked for them.
        time.sleep(0.2)
        producer.topic("one", compression_type=later)
        for value in values[4:]:
            topic.enqueue_nowait(value, partition=0)

    [log] = [one.log for one in broker._node().partitions("one") if one.index == 0]
    batches = list(iter_batches(b"".join(bytes(part) for part in [log.read(0, 1 << 20)])))
    records = [record.value for batch in batches for record in batch.records()]
    assert [values[0], *values] == [bytes(value) for value in records]
    codecs = [batch.header.codec for batch in batches]
    assert [Codec.GZIP, Codec.GZIP, Codec.GZIP] == codecs[:3]
    assert {Codec[later.upper()]} == set(codecs[3:])


async def test_codec_conflicts(producer):
    """
    One topic has one codec; a codec that nobody knows is refused.
    """
    producer.topic("one", compression_type="gzip")
    producer.topic("one", compression_type="gzip")
    producer.topic("one")
    with pytest.raises(ConfigError, match="gzip"):
        producer.topic("one", compression_type="lz4")
    for unknown in ("brotli", 5, ["gzip"], "GZIP"):
        with pytest.raises(ConfigError, match="compression_type"):
            producer.topic("t", compression_type=unknown)
    producer.topic("t", compression_type="zstd")


async def test_handle_before_start(broker):
    """
    A handle may be made before its producer is started, and used afterwards.
    """
    producer = AsyncProducer(broker.bootstrap_servers)
    topic = producer.topic("one", value_serializer=StringSerializer())
    async with producer:
        assert (await topic.send("x")).offset == 0


def test_blocking_handle(broker):
    """
    A blocking producer's handle has the same methods, without await, and starts it.
    """
    producer = SyncProducer(broker.bootstrap_servers)
    one = producer.topic("one", value_serializer=JsonSerializer())
    assert (one.name, repr(one)) == ("one", "<SyncTopic one>")
    try:
        offsets = [
            one.enqueue_nowait({"id": 0}).result(10).offset,
            one.send({"id": 1}).offset,
            one.enqueue({"id": 2}).result(10).offset,
            *[meta.offset for meta in one.send_many([{"id": 3}, {"id": 4}])],
            *[d.result(10).offset for d in one.enqueue_many([{"id": 5}])],
        ]
    finally:
        producer.close()

    assert offsets == list(range(6))
    assert [{"id": n} for n in range(6)] == [json.loads(r.value) for r in broker.records("one")]
