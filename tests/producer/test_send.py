"""send(): one await, acknowledged."""

from __future__ import annotations

import asyncio
import enum
import statistics
import time

import pytest

from pyproducer import AsyncProducer, RecordMetadata, TimestampType
from pyproducer.broker import Broker, TopicSpec


async def test_one_await(producer, broker):
    """
    One await returns where the record is, and the log has it as it was given.
    """
    before = time.time_ns() // 1_000_000
    meta = await producer.send("one", b"tea", key="table-7", headers={"a": "b"})

    assert isinstance(meta, RecordMetadata)
    assert ("one", 0, 0) == (meta.topic, meta.partition, meta.offset)
    assert before <= meta.timestamp_ms <= time.time_ns() // 1_000_000
    assert meta.timestamp_type is TimestampType.CREATE_TIME
    [record] = broker.records("one")
    assert (b"table-7", b"tea", (("a", b"b"),)) == (record.key, record.value, record.headers)
    assert record.timestamp_ms == meta.timestamp_ms


async def test_metadata_is_frozen(producer):
    """
    What a send returns cannot be changed.
    """
    meta = await producer.send("one", b"x")

    with pytest.raises(AttributeError):
        meta.offset = 5


async def test_offsets_go_on(producer):
    """
    Sends one after another have offsets one after another.
    """
    offsets = [(await producer.send("one", str(n))).offset for n in range(5)]

    assert offsets == [0, 1, 2, 3, 4]


async def test_leaves_without_lingering(broker):
    """
    A lone send does not wait for linger_ms, however long that is.
    """
    async with AsyncProducer(broker.bootstrap_servers, linger_ms=60_000) as producer:
        took = []
        for _ in range(20):
            start = time.monotonic()
            await producer.send("one", b"x")
            took.append(time.monotonic() - start)

    assert statistics.median(took) < 1


async def test_sends_of_one_turn_share_a_batch(broker):
    """
    A send leaves at the end of the loop's turn: those of the same turn go with it.
    """
    async with AsyncProducer(broker.bootstrap_servers, linger_ms=60_000) as producer:
        await producer.partitions_for("one")
        async with asyncio.timeout(20):
            metas = await asyncio.gather(*(producer.send("one", str(n)) for n in range(50)))

        assert [meta.offset for meta in metas] == list(range(50))
        assert producer.metrics().batches_sent <= 2


async def test_lingers_while_something_is_in_flight(broker):
    """
    Sends that come while a batch of the partition is under way gather into few batches.
    """
    async with AsyncProducer(broker.bootstrap_servers, linger_ms=60_000) as producer:

        async def caller(n):
            for _ in range(n % 7):
                await asyncio.sleep(0)
            return await producer.send("one", str(n))

        async with asyncio.timeout(20):
            await asyncio.gather(*(caller(n) for n in range(300)))

        assert producer.metrics().batches_sent < 100


async def test_takes_enqueued_records_along(broker):
    """
    A send closes the batch that enqueued records linger in.
    """
    async with AsyncProducer(broker.bootstrap_servers, linger_ms=60_000) as producer:
        delivery = producer.enqueue_nowait("one", b"first")
        async with asyncio.timeout(20):
            meta = await producer.send("one", b"second")

        assert delivery.done()
        assert (delivery.result().offset, meta.offset) == (0, 1)


@pytest.mark.parametrize("linger_ms", [None, 0, 5, 60_000])
@pytest.mark.parametrize("batch_size", [None, 1, 1_000_000])
@pytest.mark.parametrize("batch_max_records", [None, 1, 10])
async def test_any_threshold_may_be_off(shared_broker, linger_ms, batch_size, batch_max_records):
    """
    With every combination of thresholds a send is acknowledged.
    """
    async with AsyncProducer(
        shared_broker.bootstrap_servers,
        linger_ms=linger_ms,
        batch_size=batch_size,
        batch_max_records=batch_max_records,
    ) as producer:
        async with asyncio.timeout(20):
            metas = await asyncio.gather(*(producer.send("t", str(n)) for n in range(25)))

    assert len({(meta.partition, meta.offset) for meta in metas}) == 25


async def test_no_linger_waits_for_flush(broker):
    """
    With linger_ms=None an enqueued record stays until a flush or a full batch.
    """
    async with AsyncProducer(broker.bootstrap_servers, linger_ms=None) as producer:
        await producer.send("one", b"0")
        delivery = producer.enqueue_nowait("one", b"1")
        await asyncio.sleep(0.05)
        assert not delivery.done()
        await producer.flush()

        assert delivery.result().offset == 1


@pytest.mark.parametrize("codec", ["none", "gzip", "snappy", "lz4", "zstd"])
@pytest.mark.parametrize("size", [10, 100_000])
async def test_codecs(shared_broker, codec, size):
    """
    With every codec, small and large, the log gives back what was sent.
    """
    value = (b"abcdefghij" * (size // 10))[:size]
    async with AsyncProducer(shared_broker.bootstrap_servers, compression_type=codec) as producer:
        metas = [await producer.send("t", value, partition=1) for _ in range(2)]

    found = {r.offset: r.value for r in shared_broker.records("t", 1)}
    assert [found[meta.offset] for meta in metas] == [value, value]


@pytest.mark.parametrize("acks", [0, 1, "all", -1])
async def test_acks(broker, acks):
    """
    With any acks the record arrives once; without an answer its offset is -1.
    """
    async with AsyncProducer(broker.bootstrap_servers, acks=acks) as producer:
        metas = [await producer.send("one", str(n)) for n in range(3)]

    assert [meta.offset for meta in metas] == ([-1] * 3 if acks == 0 else [0, 1, 2])
    broker.wait_for("one", 3)
    assert [r.value for r in broker.records("one")] == [b"0", b"1", b"2"]


@pytest.mark.parametrize(
    "value", [None, b"", "", b"x", "\xe9", bytearray(b"ba"), memoryview(b"mv")]
)
@pytest.mark.parametrize("key", [None, b"", "", "k"])
async def test_forms_of_bytes(producer, broker, value, key):
    """
    None, empty, bytes, buffers and text are sent as they are, text as UTF-8.
    """

    def plain(given):
        return given.encode() if isinstance(given, str) else None if given is None else bytes(given)

    await producer.send("one", value, key=key)

    [record] = broker.records("one")
    assert (plain(key), plain(value)) == (record.key, record.value)


async def test_changed_buffer_is_not_sent(producer, broker):
    """
    A mutable buffer is copied at the call: changing it later changes nothing.
    """
    value = bytearray(b"before")
    delivery = producer.enqueue_nowait("one", value)
    value[:] = b"after!"
    await delivery

    assert broker.records("one")[0].value == b"before"


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        (None, ()),
        ({}, ()),
        ([], ()),
        ((), ()),
        (
            {"a": b"1", "b": "2", "c": None, "": b""},
            (("a", b"1"), ("b", b"2"), ("c", None), ("", b"")),
        ),
        ([("a", b"1"), ("a", "2")], (("a", b"1"), ("a", b"2"))),
        ((("\xe9", "\xe9"),), (("\xe9", "\xe9".encode()),)),
        ([["a", bytearray(b"x")]], (("a", b"x"),)),
        ([("a", memoryview(b"x"))], (("a", b"x"),)),
        ((pair for pair in [("a", "1")]), (("a", b"1"),)),
    ],
)
async def test_headers(producer, broker, headers, expected):
    """
    Headers in every form that is allowed arrive in order, repeated names included.
    """
    await producer.send("one", b"x", headers=headers)

    assert broker.records("one")[0].headers == expected


async def test_timestamp_and_partition(producer, broker):
    """
    A record goes to the partition and has the time that it was given.
    """
    meta = await producer.send("t", b"x", partition=2, timestamp_ms=0)

    assert (2, 0) == (meta.partition, meta.timestamp_ms)
    assert [r.timestamp_ms for r in broker.records("t", 2)] == [0]


async def test_log_append_time():
    """
    Where the topic stamps records itself, the metadata says so and has the broker's time.
    """
    spec = TopicSpec("stamped", 1, {"message.timestamp.type": "LogAppendTime"})
    with Broker([spec]) as broker:
        async with AsyncProducer(broker.bootstrap_servers) as producer:
            meta = await producer.send("stamped", b"x", timestamp_ms=5)

    assert meta.timestamp_type is TimestampType.LOG_APPEND_TIME
    assert meta.timestamp_ms > 5


async def test_client_id_as_enum(broker):
    """
    A member of a str enumeration names a client, as what it stands for.
    """

    class Names(enum.StrEnum):
        TILL = "till-7"

    async with AsyncProducer(broker.bootstrap_servers, client_id=Names.TILL) as producer:
        assert 0 == (await producer.send("one", b"x")).offset

    assert {"till-7"} == {request.client_id for request in broker.journal.requests("Produce")}


async def test_topic_as_enum(producer):
    """
    A member of a str enumeration names a topic, whichever way it prints.
    """

    class Old(str, enum.Enum):  # noqa: UP042
        T = "t"

    class New(enum.StrEnum):
        ONE = "one"

    assert (await producer.send(Old.T, b"x")).topic == "t"
    assert (await producer.send(New.ONE, b"x")).topic == "one"


async def test_keys_stay_together(producer):
    """
    Equal keys go to one partition, as str or as bytes.
    """
    metas = [await producer.send("t", b"x", key=key) for key in ("k", b"k", bytearray(b"k"))]

    assert len({meta.partition for meta in metas}) == 1


async def test_partitioner_callable(broker):
    """
    A callable chooses for every record without a partition, null keys included.
    """
    asked = []

    def last(key, count):
        asked.append((key, count))
        return count - 1

    async with AsyncProducer(broker.bootstrap_servers, partitioner=last) as producer:
        metas = [await producer.send("t", b"x", key=key) for key in (None, "a", b"b")]
        await producer.send("t", b"x", key="c", partition=0)

    assert [2, 2, 2] == [meta.partition for meta in metas]
    assert [(None, 3), (b"a", 3), (b"b", 3)] == asked


async def test_under_uvloop(broker):
    """
    The producer works on uvloop as on asyncio's own loop.
    """
    uvloop = pytest.importorskip("uvloop")

    async def main():
        async with AsyncProducer(broker.bootstrap_servers, compression_type="zstd") as producer:
            meta = await producer.send("one", b"x" * 200_000)
            group = await producer.enqueue_many("one", [str(n) for n in range(1000)])
            assert meta.offset == 0
            assert [one.offset for one in await group] == list(range(1, 1001))
            await producer.flush()

    def run():
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(main())

    await asyncio.to_thread(run)
