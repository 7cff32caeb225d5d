"""send_many and enqueue_many: columns in, a group of deliveries out."""

from __future__ import annotations

import asyncio
import contextlib

import pytest

from pyproducer import (
    AsyncProducer,
    BulkError,
    DeliveryGroup,
    NotDone,
    ProducerClosed,
    RecordMetadata,
    RecordTooLarge,
    SerializationError,
    SyncProducer,
    UndeliveredError,
    UnknownTopic,
    UsageError,
    WrongLoop,
)


async def test_columns(producer, broker):
    """
    Each record takes its value, key, partition, time and headers from the columns.
    """
    metas = await producer.send_many(
        "t",
        ["a", b"b", None],
        keys=["k", None, b"l"],
        partitions=[0, 1, 2],
        timestamps_ms=[1, 2, 3],
        headers_each=[{"h": "1"}, None, [("x", b"y")]],
    )

    assert [(0, 0, 1), (1, 0, 2), (2, 0, 3)] == [
        (m.partition, m.offset, m.timestamp_ms) for m in metas
    ]
    assert [
        (b"k", b"a", (("h", b"1"),)),
        (None, b"b", ()),
        (b"l", None, (("x", b"y"),)),
    ] == [(r.key, r.value, r.headers) for r in broker.records("t")]


async def test_one_set_of_headers(producer, broker):
    """
    ``headers`` goes with every record.
    """
    await producer.send_many("one", ["a", "b"], headers={"trace": "1"})

    assert [(("trace", b"1"),)] * 2 == [r.headers for r in broker.records("one")]


async def test_any_iterable_of_values(producer, broker):
    """
    Values may come from a generator, a tuple or a range of what serializes.
    """
    await producer.send_many("one", (str(n) for n in range(3)))
    await producer.send_many("one", ("3", "4"))

    assert [b"0", b"1", b"2", b"3", b"4"] == [r.value for r in broker.records("one")]


async def test_no_values(producer):
    """
    Nothing to send is no error.
    """
    group = await producer.enqueue_many("one", [])

    assert (len(group), list(group), await group, group.results(), group.done()) == (
        0, [], [], [], True,
    )  # fmt: skip
    assert await producer.send_many("one", []) == []


@pytest.mark.parametrize("column", ["keys", "partitions", "timestamps_ms", "headers_each"])
@pytest.mark.parametrize("length", [0, 1, 3])
async def test_columns_of_other_length(producer, column, length):
    """
    Columns of unequal length are refused before anything is queued, by name.
    """
    with pytest.raises(UsageError, match=column):
        await producer.enqueue_many("one", ["a", "b"], **{column: [None] * length})

    assert producer.metrics().records_accepted == 0


@pytest.mark.parametrize("values", ["text", b"bytes", bytearray(b"x"), memoryview(b"x"), {"a": 1}])
async def test_one_value_is_not_many(producer, values):
    """
    A str, bytes or dict instead of many values is a TypeError.
    """
    for call in (producer.send_many, producer.enqueue_many, producer.topic("one").send_many):
        args = ("one", values) if call.__self__ is producer else (values,)
        with pytest.raises(TypeError, match="values"):
            await call(*args)
    assert producer.metrics().records_accepted == 0


@pytest.mark.parametrize("column", ["keys", "partitions", "timestamps_ms", "headers_each"])
@pytest.mark.parametrize("given", ["ab", b"ab", {"a": 1, "b": 2}, iter("ab")])
async def test_one_entry_is_no_column(producer, column, given):
    """
    The same goes for the other columns: "ab" as keys is not two keys.
    """
    with pytest.raises(TypeError, match=column):
        await producer.enqueue_many("one", ["a", "b"], **{column: given})


async def test_headers_in_both_ways(producer):
    """
    headers and headers_each exclude each other.
    """
    with pytest.raises(UsageError, match="headers_each"):
        await producer.enqueue_many("one", ["a"], headers={}, headers_each=[None])


async def test_group(producer):
    """
    A group has length, index and iteration over its deliveries, in order.
    """
    group = await producer.enqueue_many("one", ["a", "b", "c"])

    assert isinstance(group, DeliveryGroup)
    assert len(group) == 3
    assert [group[0], group[1], group[2]] == list(group)
    assert group[-1] is group[2]
    with pytest.raises(IndexError):
        group[3]
    with pytest.raises(NotDone):
        group.results()
    metas = await group
    assert [0, 1, 2] == [meta.offset for meta in metas]
    assert group.done()
    assert group.results() == metas == await group


async def test_refused_record_stops_no_sibling(producer, broker):
    """
    A record that is refused at the door is a failed entry; the others are delivered.
    """
    group = await producer.enqueue_many(
        "t",
        ["a", 5, "c", "d", "x" * 2_000_000, "f", "g"],
        partitions=[0, 0, 0, 9, 0, 1.5, 0],
        timestamps_ms=[None, None, None, None, None, None, -1],
    )
    with pytest.raises(BulkError) as caught:
        await group

    error = caught.value
    assert [1, 3, 4, 5, 6] == [index for index, _ in error.failures]
    assert [SerializationError, UnknownTopic, RecordTooLarge, UsageError, UsageError] == [
        type(one) for _, one in error.failures
    ]
    assert len(error.results) == 7
    assert isinstance(error.results[0], RecordMetadata)
    assert [error.results[index] for index, _ in error.failures] == [e for _, e in error.failures]
    assert "5 of 7" in str(error)
    assert "index 1" in str(error)
    assert group.results() == error.results
    assert [b"a", b"c"] == [r.value for r in broker.records("t", 0)]


async def test_send_many_raises_bulk_error(producer, broker):
    """
    send_many waits for all, delivers what can be, and raises BulkError for the rest.
    """
    with pytest.raises(BulkError) as caught:
        await producer.send_many("one", ["a", object(), "c"])

    assert [1] == [index for index, _ in caught.value.failures]
    assert [b"a", b"c"] == [r.value for r in broker.records("one")]


async def test_metrics_add_up(producer):
    """
    Entries that were refused count as taken and failed: nothing seems queued afterwards.
    """
    with pytest.raises(BulkError):
        await producer.send_many("one", ["a", 5, "c"])
    metrics = producer.metrics()

    assert (3, 2, 1, 0) == (
        metrics.records_accepted,
        metrics.records_delivered,
        metrics.records_failed,
        metrics.records_queued,
    )


async def test_unread_group_is_reported(broker):
    """
    Failed entries of a group that nobody reads are raised when the producer closes.
    """
    with pytest.raises(UndeliveredError) as caught:
        async with AsyncProducer(broker.bootstrap_servers) as producer:
            await producer.enqueue_many("one", ["a", 5, 6])

    assert (caught.value.count, caught.value.by_topic) == (2, {"one": 2})


async def test_read_group_is_not_reported(broker):
    """
    Once the group's outcome was looked at nobody complains at the close.
    """
    async with AsyncProducer(broker.bootstrap_servers) as producer:
        group = await producer.enqueue_many("one", ["a", 5, 6])
        with pytest.raises(BulkError):
            await group


async def test_waits_for_room(broker):
    """
    More records than the buffer holds go through one call, in order.
    """
    async with AsyncProducer(
        broker.bootstrap_servers, buffer_memory=20_000, max_request_size=10_000, batch_size=4_000
    ) as producer:
        metas = await producer.send_many("one", [f"{n:0500}" for n in range(400)])

    assert [meta.offset for meta in metas] == list(range(400))
    assert [f"{n:0500}".encode() for n in range(400)] == [r.value for r in broker.records("one")]


async def test_gives_the_loop_turns(producer):
    """
    A large bulk call lets other tasks run.
    """
    ticks = 0

    async def ticker():
        nonlocal ticks
        while True:
            ticks += 1
            await asyncio.sleep(0)

    ticking = asyncio.create_task(ticker())
    await asyncio.sleep(0)
    group = await producer.enqueue_many("one", [b"x" * 100] * 50_000)
    during = ticks
    ticking.cancel()
    await group

    assert during > 10


async def test_cancelled_half_way(broker):
    """
    A bulk call that is cancelled while it waits for room has queued a prefix of its records,
    each once.
    """
    async with AsyncProducer(
        broker.bootstrap_servers, buffer_memory=20_000, max_request_size=10_000, batch_size=4_000
    ) as producer:
        calling = asyncio.create_task(
            producer.enqueue_many("one", [f"{n:0500}" for n in range(1000)])
        )
        while producer.metrics().records_accepted < 100:
            await asyncio.sleep(0)
        calling.cancel()
        with pytest.raises(asyncio.CancelledError):
            await calling

    found = [r.value for r in broker.records("one")]
    assert 100 <= len(found) < 1000
    assert [f"{n:0500}".encode() for n in range(len(found))] == found


async def test_closed_half_way(broker):
    """
    A bulk call that the close meets returns its group: each entry is delivered or has failed.
    """
    producer = AsyncProducer(
        broker.bootstrap_servers, buffer_memory=20_000, max_request_size=10_000, batch_size=4_000
    )
    await producer.start()
    calling = asyncio.create_task(producer.enqueue_many("one", [f"{n:0500}" for n in range(1000)]))
    while producer.metrics().records_accepted < 100:
        await asyncio.sleep(0)
    with contextlib.suppress(UndeliveredError):
        # It counts the refused entries, which nobody has looked at so far.
        await producer.close()
    async with asyncio.timeout(5):
        group = await calling
        with pytest.raises(BulkError) as caught:
            await group

    results = caught.value.results
    delivered = [one.offset for one in results if isinstance(one, RecordMetadata)]
    assert delivered == list(range(len(broker.records("one"))))
    assert {ProducerClosed} == {type(one) for _, one in caught.value.failures}
    assert len(delivered) + len(caught.value.failures) == 1000


async def test_group_over_many_batches(broker):
    """
    Awaiting a group of many batches and partitions returns all in order.
    """
    async with AsyncProducer(broker.bootstrap_servers, batch_max_records=10) as producer:
        metas = await producer.send_many(
            "t", [str(n) for n in range(3000)], keys=[str(n % 50) for n in range(3000)]
        )

    values = {(r.partition, r.offset): r.value for r in broker.records("t")}
    assert [str(n).encode() for n in range(3000)] == [
        values[meta.partition, meta.offset] for meta in metas
    ]


def test_group_awaited_on_a_foreign_loop(broker):
    """
    Whoever awaits a group on a loop that is not its producer's is told so, once, and at once.
    """

    async def wait(group):
        await group

    with SyncProducer(broker.bootstrap_servers, linger_ms=60_000) as producer:
        group = producer.enqueue_many("one", [b"a", b"b"])
        with pytest.raises(WrongLoop):
            asyncio.run(wait(group))
        producer.flush()

    assert [0, 1] == [metadata.offset for metadata in group.results()]
