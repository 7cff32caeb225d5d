"""Who is told what when a batch is settled or split, in both twins."""

from __future__ import annotations

import pytest

from pyproducer.core.delivery import Deliveries
from pyproducer.errors import BrokerRejected, UnknownTopic
from tests.helpers.door import Door
from tests.helpers.engine_rig import Waiter


def rejected(text: str = "no") -> BrokerRejected:
    return BrokerRejected(text, code=87, topic="t")


def drive(delivery):
    """Begin to await a delivery; its waiter and a function that goes on are returned."""
    awaiting = delivery.__await__()
    waiter = next(awaiting)
    assert isinstance(waiter, Waiter)

    def go_on():
        try:
            next(awaiting)
        except StopIteration as end:
            return end.value
        raise AssertionError("still waiting")

    return waiter, go_on


def test_watchers_are_told_in_order(twin):
    """
    Callbacks and awaiters of a batch are served in the order of its records, in slices.
    """
    door = Door(twin, topics={"t": 1})
    told = []
    handles = [door.put(b"x", on_delivery=lambda d: told.append(d._index)) for _ in range(5)]
    waiter, go_on = drive(handles[2])
    [batch] = door.opened()
    batch.acknowledge(10, -1)
    assert 2 == twin.run_watchers(batch, 2)
    assert [0, 1] == told
    assert not waiter.done()
    assert 6 == twin.run_watchers(batch, 100)

    assert [0, 1, 2, 3, 4] == told
    assert waiter.done()
    assert 12 == go_on().offset
    assert batch.watchers is None


def test_cancelled_awaiter_is_passed_over(twin):
    """
    Cancelling who awaits a delivery cancels nothing else.
    """
    door = Door(twin, topics={"t": 1})
    delivery = door.put(b"x")
    waiter, _ = drive(delivery)
    other, go_on = drive(delivery)
    waiter.cancel()
    [batch] = door.opened()
    batch.acknowledge(3, -1)
    twin.run_watchers(batch, 10)

    assert other.done()
    assert 3 == go_on().offset
    assert 3 == delivery.result().offset


def test_unseen_failures_are_counted(twin):
    """
    A failure counts as unseen unless a callback or an awaiter that is still there hears of it.
    """
    door = Door(twin, topics={"t": 1})
    handles = [door.put(b"x") for _ in range(4)]
    door.put(b"x", on_delivery=lambda delivery: None)
    drive(handles[1])
    cancelled, _ = drive(handles[2])
    cancelled.cancel()
    [batch] = door.opened()
    error = rejected()

    assert 3 == batch.fail(error)
    assert [] == door.host.seen
    assert error is handles[0].exception()
    assert error is handles[0].exception()
    with pytest.raises(BrokerRejected):
        handles[2].result()
    handles[1].exception()
    assert ["t", "t"] == door.host.seen
    handles[3].add_done_callback(lambda delivery: None)
    assert 3 == len(door.host.seen)


def test_guilty_records_have_their_own_error(twin):
    """
    Records that the broker names get their own error, the others that of the batch.
    """
    door = Door(twin, topics={"t": 1})
    handles = [door.put(b"x") for _ in range(3)]
    [batch] = door.opened()
    mates, guilty = rejected("mates"), rejected("guilty")
    batch.fail(mates, {1: guilty})

    assert [mates, guilty, mates] == [handle.exception() for handle in handles]


def test_callback_added_late_is_called_soon(twin):
    """
    A callback added after the outcome is left to the host to call, not called at once.
    """
    door = Door(twin, topics={"t": 1})
    delivery = door.put(b"x")
    told = []
    delivery.add_done_callback(told.append)
    [batch] = door.opened()
    batch.acknowledge(0, -1)
    twin.run_watchers(batch, 10)
    assert [delivery] == told
    delivery.add_done_callback(told.append)

    assert [delivery] == told
    assert [(told.append, delivery)] == door.host.later


def test_callback_that_raises_is_logged_and_passed(twin, caplog):
    """
    What a callback raises is logged with the record's place; the others are called.
    """
    door = Door(twin, topics={"t": 1})
    told = []

    def bad(delivery):
        raise ValueError("mine")

    door.put(b"x", on_delivery=bad)
    door.put(b"x", on_delivery=told.append)
    [batch] = door.opened()
    batch.acknowledge(0, -1)
    twin.run_watchers(batch, 10)

    assert 1 == len(told)
    [record] = caplog.records
    assert "failed for a record of t-0" in record.getMessage()
    assert record.exc_info


def test_keyboard_interrupt_in_a_callback_goes_through(twin):
    """
    What must end the program is not swallowed.
    """

    def stop(delivery):
        raise KeyboardInterrupt

    door = Door(twin, topics={"t": 1})
    door.put(b"x", on_delivery=stop)
    [batch] = door.opened()
    batch.acknowledge(0, -1)

    with pytest.raises(KeyboardInterrupt):
        twin.run_watchers(batch, 10)


def test_split_keeps_order_handles_and_watchers(twin):
    """
    After a split each record's handle, callback and awaiter follow it into its half.
    """
    door = Door(twin, topics={"t": 1}, batch_size=4000)
    told = []
    handles = [
        door.put(b"%d" % n, timestamp_ms=100 - n, on_delivery=lambda d, n=n: told.append(n))
        for n in range(7)
    ]
    waiter, go_on = drive(handles[5])
    [batch] = door.opened()
    records = door.records(batch)
    door.appender.close_open(batch.home)
    first, second = door.split(batch)
    assert records == door.records(first) + door.records(second)
    assert (3, 4) == (first.count, second.count)
    assert not any(handle.done() for handle in handles)
    third, fourth = door.split(second)

    first.acknowledge(100, -1)
    third.acknowledge(200, -1)
    error = rejected()
    assert 0 == fourth.fail(error)
    for part in (first, third, fourth):
        twin.run_watchers(part, 100)

    assert [100, 101, 102, 200, 201] == [handle.result().offset for handle in handles[:5]]
    assert [error, error] == [handle.exception() for handle in handles[5:]]
    assert [100 - n for n in range(5)] == [h.result().timestamp_ms for h in handles[:5]]
    assert [0, 1, 2, 3, 4, 5, 6] == told
    assert waiter.done()
    with pytest.raises(BrokerRejected):
        go_on()


def test_split_before_anybody_looked(twin):
    """
    A handle that nobody touched before the split finds its half afterwards.
    """
    door = Door(twin, topics={"t": 1})
    handles = [door.put(b"%d" % n) for n in range(4)]
    [batch] = door.opened()
    door.appender.close_open(batch.home)
    halves = door.split(batch)
    told = []
    handles[3].add_done_callback(told.append)
    for number, half in enumerate(halves):
        half.acknowledge(number * 10, -1)
        twin.run_watchers(half, 10)

    assert [0, 1, 10, 11] == [handle.result().offset for handle in handles]
    assert [handles[3]] == told


def test_refused_record_has_a_failed_handle(twin):
    """
    A record refused in a bulk call is a handle that fails, comes with the news, and is counted.
    """
    door = Door(twin, topics={"t": 1})
    error = UnknownTopic("no", topic="t")
    delivery = door.appender.reject(door.appender.topic("t"), error)
    _, [batch], _ = door.take()
    assert not delivery.done()
    assert error is batch.error
    batch.fail(error)

    assert error is delivery.exception()
    assert None is delivery.partition


def test_group_expects_its_failures(twin):
    """
    A batch that somebody waits for as a whole says so, also through shelf and split.
    """
    door = Door(twin)
    delivery = door.put(b"x")
    door.put(b"y")
    delivery.expect()
    _, [batch] = door.adopt("t", 1)
    assert batch.expected
    door.take()
    door.appender.close_open(batch.home)

    assert [True, True] == [half.expected for half in door.split(batch)]


def test_refused_shelf_takes_no_more(twin):
    """
    A shelf that is taken off fails as a whole; the next record begins another.
    """
    door = Door(twin)
    first = door.put(b"x")
    shelf = door.appender.refuse_shelf(door.appender.topic("t"))
    second = door.put(b"y")
    error = rejected()
    shelf.fail(error)

    assert error is first.exception()
    assert not second.done()
    assert None is door.appender.refuse_shelf(door.appender.topic("u"))
    assert [1, 1] == [batch.count for batch in door.take()[0]]


@pytest.mark.parametrize("struck", [0, 3, 31, 32])
def test_callback_that_a_signal_breaks_off_is_called_once(twin, struck, monkeypatch):
    """
    A handler of a signal that raises in a callback: those before it are not told twice, and those
    after it are told by the next run, also of the batches behind.
    """
    door = Door(twin, topics={"t": 1}, batch_max_records=40)
    told = []

    def tell(delivery):
        told.append(delivery)
        if len(told) == struck + 1:
            raise SystemExit

    monkeypatch.setattr("pyproducer.core.delivery.run_watchers", twin.run_watchers)
    made = [door.put(b"x", on_delivery=tell) for _ in range(80)]
    deliveries = Deliveries()
    for batch in door.opened():
        batch.acknowledge(0, -1)
        deliveries.add(batch)
    with pytest.raises(SystemExit):
        deliveries.run(lambda: 0.0, 1.0)
    deliveries.run(lambda: 0.0, 1.0)

    assert [id(one) for one in made] == [id(one) for one in told]
    assert not deliveries
