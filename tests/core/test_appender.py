"""The appender's promises, held by both twins."""

from __future__ import annotations

import pytest

from pyproducer.core.appender_rules import BATCH_HELD, CALLBACK_HELD, RECORD_HELD
from pyproducer.errors import (
    BrokerRejected,
    BufferFull,
    NotDone,
    ProducerClosed,
    RecordTooLarge,
    SerializationError,
    UnknownTopic,
    UsageError,
    WrongLoop,
)
from pyproducer.model import RecordMetadata, TimestampType
from tests.helpers.door import Door, coroutine_function, trace
from tests.helpers.engine_rig import WALL_MS


def test_record_is_written_as_it_was_given(twin):
    """
    Key, value, headers and time of a record are read back unchanged.
    """
    door = Door(twin, topics={"t": 1}, batch_size=4000)
    door.put(b"value", key=b"key", headers={"a": b"1", "b": None, "c": "x\u00e9"}, timestamp_ms=5)
    door.put("v\u00e4lue", key="", headers=[("a", b"1"), ("a", bytearray(b"2"))], timestamp_ms=2)
    door.put(None, key=bytearray(b"k"), timestamp_ms=9)
    door.put(memoryview(b"abcd")[::2], headers=())
    door.put(b"")
    [batch] = door.opened()

    assert [
        (b"key", b"value", (("a", b"1"), ("b", None), ("c", b"x\xc3\xa9")), 5),
        (b"", b"v\xc3\xa4lue", (("a", b"1"), ("a", b"2")), 2),
        (b"k", None, (), 9),
        (None, b"ac", (), WALL_MS),
        (None, b"", (), WALL_MS),
    ] == door.records(batch)
    assert 5 == batch.base_timestamp
    assert WALL_MS == batch.max_timestamp


def test_subclasses_of_str_and_bytes_are_taken_for_what_they_are(twin):
    """
    Enumerations of strings and the like are sent as their text.
    """

    class Text(str):
        __slots__ = ()

    class Data(bytes):
        __slots__ = ()

    door = Door(twin, topics={"t": 1})
    door.put(Text("a"), key=Data(b"b"))
    [batch] = door.opened()

    assert [(b"b", b"a", (), WALL_MS)] == door.records(batch)


def test_delivery_names_its_place(twin):
    """
    A handle knows topic and partition at once, and its record's offset once acknowledged.
    """
    door = Door(twin, topics={"t": 3})
    handles = [door.put(b"x", partition=2, timestamp_ms=7 + n) for n in range(3)]
    [batch] = door.opened()
    assert [("t", 2)] * 3 == [(handle.topic, handle.partition) for handle in handles]
    assert not any(handle.done() for handle in handles)
    assert "<Delivery t-2 pending>" == repr(handles[0])
    with pytest.raises(NotDone):
        handles[0].result()
    with pytest.raises(NotDone):
        handles[0].exception()
    door.appender.close_open(batch.home)
    batch.acknowledge(40, -1)

    assert [RecordMetadata("t", 2, 40 + n, 7 + n, TimestampType.CREATE_TIME) for n in range(3)] == [
        handle.result() for handle in handles
    ]
    assert None is handles[0].exception()
    assert "<Delivery t-2 delivered>" == repr(handles[0])


def test_log_append_time_replaces_the_record_time(twin):
    """
    Where the broker stamps records, all of a batch have its time.
    """
    door = Door(twin, topics={"t": 1})
    handles = [door.put(b"x", timestamp_ms=n) for n in range(2)]
    [batch] = door.opened()
    batch.acknowledge(0, 99)

    assert [RecordMetadata("t", 0, n, 99, TimestampType.LOG_APPEND_TIME) for n in range(2)] == [
        handle.result() for handle in handles
    ]


def test_outcome_is_set_once(twin):
    """
    The first outcome of a batch stays, whatever comes later.
    """
    door = Door(twin, topics={"t": 1})
    first = door.put(b"x")
    [batch] = door.opened()
    batch.acknowledge(1, -1)
    assert 0 == batch.fail(ValueError("late"))
    batch.acknowledge(2, -1)
    assert 1 == first.result().offset

    other = Door(twin, topics={"t": 1})
    second = other.put(b"x")
    [batch] = other.opened()
    error = BrokerRejected("no", code=87, topic="t")
    assert 1 == batch.fail(error)
    batch.acknowledge(2, -1)
    assert error is second.exception()
    assert "<Delivery t-0 failed>" == repr(second)


def test_refused_calls_leave_no_trace(twin):
    """
    Whatever keeps a record out leaves counts, bytes and batches as they were.
    """

    def fail(value):
        raise KeyError("mine")

    door = Door(twin, topics={"t": 2}, largest_record=300)
    door.put(b"there", partition=0)
    entry = door.entry(door.appender.topic("t"), None, fail)
    wrong = door.entry(door.appender.topic("t"), None, lambda value: 7)
    mean = Door(twin, topics={"t": 2}, partitioner=lambda key, count: 5)
    before, before_mean = trace(door), trace(mean)
    for kind, call in (
        (RecordTooLarge, lambda: door.put(b"x" * 300)),
        (SerializationError, lambda: door.put(1)),
        (SerializationError, lambda: door.put(b"x", key=1.5)),
        (SerializationError, lambda: door.put("\ud800")),
        (SerializationError, lambda: entry.enqueue_nowait(1)),
        (SerializationError, lambda: wrong.enqueue_nowait(1)),
        (SerializationError, lambda: door.put(b"x", headers="text")),
        (SerializationError, lambda: door.put(b"x", headers=[("a", 1)])),
        (SerializationError, lambda: door.put(b"x", headers=[(b"a", b"1")])),
        (SerializationError, lambda: door.put(b"x", headers=[("a",)])),
        (SerializationError, lambda: door.put(b"x", headers=3)),
        (SerializationError, lambda: door.put(b"x", headers={"\ud800": b""})),
        (UsageError, lambda: door.put(b"x", timestamp_ms=1.5)),
        (UsageError, lambda: door.put(b"x", timestamp_ms=True)),
        (UsageError, lambda: door.put(b"x", timestamp_ms=-1)),
        (UsageError, lambda: door.put(b"x", timestamp_ms=1 << 63)),
        (UsageError, lambda: door.put(b"x", partition=True)),
        (UsageError, lambda: door.put(b"x", partition=0.0)),
        (UsageError, lambda: door.put(b"x", partition=-1)),
        (UsageError, lambda: door.put(b"x", partition=1 << 31)),
        (UsageError, lambda: door.put(b"x", on_delivery=7)),
        (UsageError, lambda: door.put(b"x", on_delivery=coroutine_function)),
        (UnknownTopic, lambda: door.put(b"x", partition=2)),
        (UnknownTopic, lambda: door.put(b"x", topic="no such/topic")),
        (UsageError, lambda: mean.put(b"x")),
    ):
        with pytest.raises(kind):
            call()
    before_mean_after = trace(mean)

    assert before[0:3] + before[4:] == (trace(door))[0:3] + (trace(door))[4:]
    assert before_mean == before_mean_after


def test_serializers_are_asked_as_they_want(twin):
    """
    A serializer of one parameter gets the value; of two, also topic, field and headers.
    """
    seen = []

    def two(value, context):
        seen.append((value, context.topic, context.field, context.headers))
        return b"%d" % value

    door = Door(twin, topics={"t": 1})
    entry = door.entry(door.appender.topic("t"), two, two, arity=2)
    headers = {"a": b"1"}
    entry.enqueue_nowait(1, key=2, headers=headers)
    entry.enqueue_nowait(3)
    entry.enqueue_nowait(None)
    [batch] = door.opened()

    assert [
        (2, "t", "key", headers),
        (1, "t", "value", headers),
        (3, "t", "value", None),
    ] == seen
    assert [b"1", b"3", None] == [record[1] for record in door.records(batch)]


def test_what_a_serializer_raises_is_the_cause(twin):
    """
    A serializer's own exception is chained, and named with topic, field and type.
    """
    cause = KeyError("mine")

    def fail(value):
        raise cause

    door = Door(twin, topics={"t": 1})
    with pytest.raises(SerializationError) as caught:
        door.entry(door.appender.topic("t"), None, fail).enqueue_nowait([1])

    assert cause is caught.value.__cause__
    assert ("t", "value", "list") == (
        caught.value.topic,
        caught.value.field,
        caught.value.value_type,
    )


def test_format_is_bound_at_the_first_record(twin):
    """
    A topic's format is bound by its first record, not by making the handle; a refusal stays open.
    """
    calls = []

    def bind():
        calls.append(len(calls))
        if len(calls) == 1:
            raise UsageError("conflict")

    door = Door(twin, topics={"t": 1})
    entry = door.entry(door.appender.topic("t"), bind=bind)
    assert [] == calls
    with pytest.raises(UsageError):
        entry.enqueue_nowait(b"x")
    entry.enqueue_nowait(b"x")
    entry.enqueue_nowait(b"x")

    assert [0, 1] == calls


def test_closed_producer_takes_nothing(twin):
    """
    Once a refusal is set every call raises it.
    """
    door = Door(twin, topics={"t": 1})
    door.appender.refusal = lambda: ProducerClosed("closed")

    for call in (lambda: door.put(b"x"), lambda: door.accept(b"x")):
        with pytest.raises(ProducerClosed):
            call()


def test_other_threads_are_refused(twin):
    """
    An asyncio producer may be called on its loop's thread alone.
    """
    door = Door(twin, topics={"t": 1})
    door.appender.owner = 987654321
    with pytest.raises(WrongLoop):
        door.put(b"x")
    door.appender.owner = 0
    door.put(b"x")


def test_shelf_keeps_order_and_is_adopted(twin):
    """
    Records that came before metadata are placed in their order, with their times and callbacks.
    """
    door = Door(twin)
    told = []
    handles = [
        door.put(
            b"%d" % n,
            key=b"k%d" % n if n % 2 else None,
            partition=1 if n == 4 else None,
            timestamp_ms=n,
            on_delivery=lambda delivery: told.append(delivery.partition),
        )
        for n in range(6)
    ]
    [shelf] = door.take()[0]
    assert [None] * 6 == [handle.partition for handle in handles]
    assert shelf.charged == door.appender.used
    assert 6 == door.appender.records

    taken, homes = door.adopt("t", 2)
    assert shelf is taken
    assert None is door.appender.topics["t"].shelf
    found = {}
    for batch in homes:
        for index, record in enumerate(door.records(batch)):
            found[record[1]] = (batch.partition, index, record[3])
    assert {
        b"%d" % n: (handle.partition, handle._index, n) for n, handle in enumerate(handles)
    } == found
    assert 1 == handles[4].partition
    for batch in homes:
        values = [int(record[1]) for record in door.records(batch)]
        assert sorted(values) == values
        batch.acknowledge(0, -1)
        door.twin.run_watchers(batch, 100)
    assert 6 == len(told)
    assert 6 == door.appender.records
    assert sum(batch.charged for batch in homes) == door.appender.used


def test_partitions_without_leader_are_avoided_by_sticky_records(twin):
    """
    Records with nothing to hash go only to partitions that have a leader; keys go where they hash.
    """
    door = Door(twin, batch_max_records=1)
    door.adopt("t", 4, [2])

    assert {2} == {door.put(b"x").partition for _ in range(8)}
    assert {0, 1, 2, 3} == {door.put(b"x", key=b"%d" % n).partition for n in range(40)}
    door.adopt("t", 4, [0])
    assert {0} == {door.put(b"x").partition for _ in range(8)}


def test_partitions_that_were_added_are_used(twin):
    """
    A topic that grew keeps its partitions, open batches included, and gets new ones.
    """
    door = Door(twin, topics={"t": 1})
    door.put(b"x")
    first = door.appender.topics["t"].partitions[0]
    door.adopt("t", 3)

    assert first is door.appender.topics["t"].partitions[0]
    assert 1 == first.open.count
    assert 2 == door.put(b"y", partition=2).partition


def test_urgent_record_hurries_its_batch_once(twin):
    """
    A caller that waits makes the host look at the batch, once for each batch.
    """
    door = Door(twin, topics={"t": 1})
    door.put(b"x")
    door.take()
    door.accept(b"y", urgent=True)
    door.accept(b"z", urgent=True)
    _, _, hurried = door.take()

    assert [door.appender.topics["t"].partitions[0].open] == hurried
    assert hurried[0].urgent
    assert 2 == door.host.woken


def test_turn_is_due_after_bytes_or_time(twin):
    """
    A caller that never sleeps owes the loop a turn after 256 KiB or 2 ms.
    """
    door = Door(twin, topics={"t": 1}, batch_size=1 << 20, largest_record=1 << 20)
    appender = door.appender
    appender.limit = 1 << 30
    door.put(b"x" * 200_000)
    assert not appender.turn_due
    door.put(b"x" * 70_000)
    assert appender.turn_due
    assert not appender.turn_due
    door.put(b"x")
    door.ms += 1
    door.put(b"x")
    assert not appender.turn_due
    door.ms += 1
    door.put(b"x")
    assert appender.turn_due
    assert not appender.turn_due


def test_callers_stand_behind_those_who_wait(twin):
    """
    While somebody waits for room, nobody else is served, however small his record.
    """
    door = Door(twin, topics={"t": 1})
    door.appender.waiting = 1
    with pytest.raises(BufferFull):
        door.put(b"")
    made = door.accept(b"")
    assert isinstance(made, twin.Prepared)
    with pytest.raises(BufferFull):
        door.put(b"", topic="unknown")

    assert isinstance(door.appender.admit(made, True), twin.Delivery)


def test_waiting_records_are_told_by_their_bound(twin):
    """
    A prepared record says how many bytes it may take at most, and its refusal how many of the
    buffer.
    """
    door = Door(twin, topics={"t": 1})
    door.appender.waiting = 1
    made = door.accept("v\u00e9", key=b"key", headers={"h": b"1"})

    assert 3 + 3 + 5 + 31 == made.size_bound
    assert f"up to {42 + RECORD_HELD + BATCH_HELD} bytes" in str(door.appender.full(made))
    made.on_delivery = print
    assert door.appender.full(made).needed == 42 + RECORD_HELD + BATCH_HELD + CALLBACK_HELD
