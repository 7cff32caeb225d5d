"""When both twins close a batch, what it is charged, and whose its memory is."""

from __future__ import annotations

import pytest

from pyproducer.core.appender_rules import (
    BATCH_HELD,
    CALLBACK_HELD,
    FIRST_SEGMENT,
    RECORD_HELD,
    SHELVED_HELD,
)
from pyproducer.errors import BufferFull, RecordTooLarge
from tests.helpers.door import Door, trace


def test_count_closes_a_batch(twin):
    """
    The record that reaches batch_max_records is the last of its batch.
    """
    door = Door(twin, topics={"t": 1}, batch_max_records=3)
    for _ in range(7):
        door.put(b"x")
    _, closed, _ = door.take()

    assert [3, 3] == [batch.count for batch in closed]
    assert 1 == door.appender.topics["t"].partitions[0].open.count


def test_size_closes_a_batch(twin):
    """
    A batch never exceeds batch_size by more than its first record, and is closed when full.
    """
    door = Door(twin, topics={"t": 1}, batch_size=200)
    for _ in range(10):
        door.put(b"x" * 30)
    _, closed, _ = door.take()
    sizes = {61 + batch.size for batch in closed}
    assert all(size <= 200 for size in sizes)
    assert all(batch.count == 3 for batch in closed)


def test_size_threshold_is_exact(twin):
    """
    A batch is closed by the record that fills it to the byte, and a byte less leaves it open.
    """
    probe = Door(twin, topics={"t": 1}, batch_size=10_000)
    probe.put(b"x" * 40)
    probe.put(b"x" * 40)
    size = 61 + probe.opened()[0].size

    full = Door(twin, topics={"t": 1}, batch_size=size)
    full.put(b"x" * 40)
    full.put(b"x" * 40)
    assert [2] == [batch.count for batch in full.take()[1]]

    short = Door(twin, topics={"t": 1}, batch_size=size - 1)
    short.put(b"x" * 40)
    short.put(b"x" * 40)
    assert [1] == [batch.count for batch in short.take()[1]]

    roomy = Door(twin, topics={"t": 1}, batch_size=size + 1)
    roomy.put(b"x" * 40)
    roomy.put(b"x" * 40)
    assert [] == roomy.take()[1]


def test_record_larger_than_a_batch_has_its_own(twin):
    """
    A record that exceeds batch_size alone is a batch of its own.
    """
    door = Door(twin, topics={"t": 1}, batch_size=200)
    door.put(b"small")
    door.put(b"x" * 1000)
    door.put(b"small")
    door.appender.close_open(door.appender.topics["t"].partitions[0])
    _, closed, _ = door.take()

    assert [1, 1, 1] == [batch.count for batch in closed]


def test_sticky_partition_moves_on_past_full_batches(twin):
    """
    A null-key record that no longer fits goes to the next sticky partition's batch; one that is
    too full as well is closed and passed over.
    """
    door = Door(twin, topics={"t": 4}, batch_size=200)
    for partition in range(4):
        door.put(b"x" * 120, partition=partition)
    last = door.put(b"y" * 60)
    closed = [batch.partition for batch in door.take()[1]]

    # The choices of this test's appender go 3, 2, 1, 0, 3: all four are passed over.
    assert [3, 2, 1, 0] == closed
    assert (3, 0) == (last.partition, last._index)


def test_buffer_is_charged_exactly_at_its_end(twin):
    """
    The last byte of the buffer can be used, and not one more.
    """
    beside = BATCH_HELD + 2 * RECORD_HELD
    limit = 2000 + beside
    door = Door(twin, topics={"t": 1}, batch_size=100_000, buffer_memory=limit)
    door.put(b"x" * 900)
    used = door.appender.used
    assert FIRST_SEGMENT + BATCH_HELD + RECORD_HELD == used
    door.put(b"x" * (2000 - door.opened()[0].size - 9))
    assert limit == door.appender.used
    before = trace(door)
    with pytest.raises(BufferFull) as caught:
        door.put(b"")
    assert before == trace(door)
    assert 31 + 1 + RECORD_HELD + BATCH_HELD == caught.value.needed
    assert (limit, limit) == (caught.value.used, caught.value.limit)
    assert door.appender.starved

    batch = door.opened()[0]
    assert (limit, beside) == (batch.charged, batch.beside)
    door.appender.recharge(batch, 500)
    assert 500 + beside == door.appender.used
    door.appender.recharge(batch, 0)
    assert 0 == door.appender.used


def test_callbacks_are_charged(twin):
    """
    A record with a callback is charged for it: in its batch, on the shelf, when it leaves the
    shelf, and in the halves of a split.
    """
    door = Door(twin, topics={"t": 1})
    door.put(b"x", on_delivery=print)
    each = RECORD_HELD + CALLBACK_HELD
    assert FIRST_SEGMENT + BATCH_HELD + each == door.appender.used
    door.put(b"x")
    [batch] = door.opened()
    door.appender.close_open(batch.home)
    halves = door.split(batch)
    door.appender.recharge(batch, 0)
    for half in halves:
        door.appender.recharge(half, half.size)

    sizes = sum(half.size for half in halves)
    assert sizes + 2 * (BATCH_HELD + RECORD_HELD) + CALLBACK_HELD == door.appender.used

    door = Door(twin)
    for _ in range(3):
        door.put(b"x", on_delivery=print)
    assert BATCH_HELD + 3 * (31 + 2 + SHELVED_HELD + each) == door.appender.used
    door.adopt("t", 1)
    assert FIRST_SEGMENT + BATCH_HELD + 3 * each == door.appender.used


@pytest.mark.parametrize("topics", [{"t": 1}, {}], ids=["batch", "shelf"])
def test_empty_buffer_takes_any_record(twin, topics):
    """
    A record that is not too large finds room in an empty buffer, whatever is charged beside it:
    nothing could ever make more.
    """
    door = Door(twin, topics=topics, batch_size=400, largest_record=400, buffer_memory=400)
    door.put(b"x" * 300, on_delivery=print)
    with pytest.raises(BufferFull):
        door.put(b"")
    [batch] = door.take()[0]
    door.appender.recharge(batch, 0)

    assert 0 == door.appender.used


def test_take_wakes_once_between_calls(twin):
    """
    The host is woken by the first append that matters, and not again before it took the news.
    """
    door = Door(twin, topics={"t": 2}, batch_max_records=2)
    door.take()
    for _ in range(6):
        door.put(b"x", partition=0)
    assert 1 == door.host.woken
    opened, closed, hurried = door.take()
    assert (3, 3, 0) == (len(opened), len(closed), len(hurried))
    assert opened == closed
    door.put(b"x", partition=0)
    assert 2 == door.host.woken
    door.take()
    door.put(b"x", partition=0)
    assert 3 == door.host.woken


def test_bytes_outlive_their_batch(twin):
    """
    What a transport still holds is readable after the batch was settled and let go.
    """
    door = Door(twin, topics={"t": 1})
    door.put(b"kept" * 10)
    batch = door.opened()[0]
    door.appender.close_open(batch.home)
    body = batch.body()
    expected = bytes(body)
    view = memoryview(body)
    del body
    batch.acknowledge(0, -1)
    batch.drop_body()
    del batch
    door.batches.clear()
    for _ in range(100):
        door.put(b"other" * 10)

    assert view.readonly
    assert expected == bytes(view)
    with pytest.raises(TypeError):
        view[0] = 0
    with pytest.raises(TypeError):
        hash(bytearray(view))


def test_largest_record_is_exact(twin):
    """
    A record whose bound reaches the limit is taken; a byte more is refused, and told its size.
    """
    door = Door(twin, topics={"t": 1}, largest_record=300)
    door.put(b"x" * (300 - 61 - 31 - 1))
    with pytest.raises(RecordTooLarge) as caught:
        door.put(b"x" * (300 - 61 - 31))

    assert (301, 300, "max_request_size") == (
        caught.value.size,
        caught.value.limit,
        caught.value.limit_name,
    )


def test_waiter_without_room_does_not_wake_the_host(twin):
    """
    Who waits already and finds no room again is no news.
    """
    door = Door(twin, topics={"t": 1}, batch_size=10_000, buffer_memory=2000)
    door.put(b"x" * 1500)
    made = door.accept(b"y" * 1000)
    assert isinstance(made, twin.Prepared)
    assert door.appender.starved
    door.take()
    door.appender.starved = False
    door.appender.waiting = 1
    woken = door.host.woken
    assert None is door.appender.admit(made, True)

    assert door.appender.starved
    assert woken == door.host.woken


def test_memory_of_large_batches_is_used_again_only_when_nobody_reads_it(twin):
    """
    Batches that grow large may take over memory of earlier ones, never while it is being read.
    """
    door = Door(
        twin, topics={"t": 1}, batch_size=600_000, largest_record=100_000, buffer_memory=1 << 26
    )
    reading: list[tuple[memoryview, bytes]] = []
    for turn in range(40):
        values = [b"%d-%d." % (turn, n) + bytes([turn]) * (997 * (n % 7)) for n in range(190)]
        for value in values:
            door.put(value, timestamp_ms=turn)
        door.appender.close_open(door.appender.topics["t"].partitions[0])
        _, closed, _ = door.take()
        door.batches.clear()
        assert values == [record[1] for batch in closed for record in door.records(batch)]
        for batch in closed:
            if turn % 3 == 0:
                view = memoryview(batch.body())
                reading.append((view, bytes(view)))
            door.appender.recharge(batch, 0)
            batch.acknowledge(0, -1)
        if turn % 9 == 8:
            del reading[:2]
        del closed, batch

        assert all(view == copy for view, copy in reading)
    assert 0 == door.appender.used
