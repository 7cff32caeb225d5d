"""When the engine closes a batch, and what wakes and rests it."""

from __future__ import annotations

import gc

import pytest

from pyproducer.core.appender import Delivery, Prepared
from pyproducer.errors import BufferFull
from pyproducer.records.codec import Codec
from tests.helpers.engine_rig import Rig


def started(**options) -> Rig:
    """A rig whose topic, broker and producer id are known."""
    rig = Rig(**options)
    rig.send(b"first")
    [sent] = rig.advance(1)
    rig.answer(sent)
    rig.assert_idle()
    return rig


def test_batch_lingers_for_company():
    """
    A batch leaves linger seconds after its first record, with all that came meanwhile.
    """
    rig = started(linger=0.005)
    rig.send(b"a")

    assert [] == rig.advance(0.004)
    rig.send(b"b")
    assert [] == rig.advance(0.0005)
    [sent] = rig.advance(0.0006)
    assert [b"a", b"b"] == sent.values


def test_linger_zero_sends_at_the_next_poll():
    """
    Without linger a record leaves when the loop gets to it.
    """
    rig = started(linger=0.0)
    rig.send(b"a")
    [sent] = rig.turn()

    assert [b"a"] == sent.values


def test_linger_off_waits_for_the_other_thresholds():
    """
    With linger switched off, time alone never closes a batch.
    """
    rig = started(linger=None, batch_max_records=2)
    rig.send(b"a")
    assert [] == rig.advance(30)
    rig.send(b"b")

    [sent] = rig.turn()
    assert [b"a", b"b"] == sent.values


def test_flush_ends_linger():
    """
    A flush closes lingering batches at once instead of waiting for their timer.
    """
    rig = started(linger=60.0)
    rig.send(b"a")
    assert [] == rig.turn()
    done = []
    rig.engine.flush(rig.now, lambda: done.append(True))
    [sent] = rig.turn()

    assert [b"a"] == sent.values
    assert [] == done
    rig.answer(sent)
    assert [True] == done


def test_flush_waits_for_what_came_before_it_alone():
    """
    Records accepted after a flush began neither delay it nor count in its report.
    """
    rig = started(linger=60.0)
    rig.send(b"a")
    rig.turn()
    flush = rig.engine.flush(rig.now, lambda: None)
    rig.send(b"b")
    [sent] = rig.turn()
    assert 1 == flush.remaining
    rig.answer(sent)

    assert (1, 0) == (flush.report.delivered, flush.report.failed)
    assert 0 == flush.remaining
    assert 1 == len(rig.engine.settler.live)


def test_flush_without_anything_is_done_at_once():
    """
    Where nothing is accepted, a flush is done before it returns.
    """
    rig = started()
    done = []
    flush = rig.engine.flush(rig.now, lambda: done.append(True))

    assert [True] == done
    assert (0, 0) == (flush.report.delivered, flush.report.failed)


def test_flush_reports_failures():
    """
    A flush report counts what was delivered and what failed, also across a split.
    """
    rig = started(linger=60.0)
    for number in range(4):
        rig.send(b"%d" % number)
    rig.turn()
    flush = rig.engine.flush(rig.now, lambda: None)
    [sent] = rig.turn()
    halves = rig.answer(sent, 10)
    assert [[b"0", b"1"], [b"2", b"3"]] == [half.values for half in halves]
    rig.answer(halves[0])
    rig.answer(halves[1], 87)

    assert (2, 2) == (flush.report.delivered, flush.report.failed)


def test_flush_covers_the_shelf():
    """
    Records that wait for metadata belong to a flush, and leave without lingering once it came.
    """
    rig = Rig(linger=60.0)
    rig.hold_metadata = True
    rig.send(b"a")
    rig.turn()
    flush = rig.engine.flush(rig.now, lambda: None)
    rig.turn()
    rig.hold_metadata = False
    rig.release()
    [sent] = rig.turn()
    assert 1 == flush.remaining
    rig.answer(sent)

    assert (1, 0) == (flush.report.delivered, flush.report.failed)


def test_full_batch_leaves_at_once():
    """
    A batch closed by its record count or its size does not linger.
    """
    rig = started(linger=60.0, batch_max_records=3)
    for number in range(4):
        rig.send(b"%d" % number)
    [sent] = rig.turn()
    assert [b"0", b"1", b"2"] == sent.values

    rig = started(linger=60.0, batch_size=300)
    rig.send(b"a" * 100)
    rig.send(b"b" * 100)
    rig.send(b"c" * 100)
    [sent] = rig.turn()
    assert [b"a" * 100, b"b" * 100] == sent.values


def test_due_batch_goes_on_filling_until_it_can_be_sent():
    """
    A batch whose linger is over takes more records as long as nothing can be sent.
    """
    rig = started(max_in_flight=1)
    rig.send(b"a")
    [first] = rig.advance(0.01)
    rig.send(b"b")
    assert [] == rig.advance(0.01)
    rig.send(b"c")
    [second] = rig.answer(first)

    assert [b"b", b"c"] == second.values


def test_urgent_send_does_not_linger_when_nothing_is_in_flight():
    """
    A caller that waits is not kept lingering if his partition is idle.
    """
    rig = started(linger=60.0)
    rig.send(b"a", urgent=True)
    [sent] = rig.turn()

    assert [b"a"] == sent.values


def test_urgent_send_joins_the_open_batch():
    """
    An urgent record takes along what lingers ahead of it, in order.
    """
    rig = started(linger=60.0)
    rig.send(b"a")
    rig.turn()
    rig.send(b"b", urgent=True)
    [sent] = rig.turn()

    assert [b"a", b"b"] == sent.values


def test_urgent_send_lingers_while_something_is_in_flight():
    """
    Behind a request in flight urgent records gather until it is answered.
    """
    rig = started(linger=60.0)
    rig.send(b"a", urgent=True)
    [first] = rig.turn()
    rig.send(b"b", urgent=True)
    assert [] == rig.turn()
    rig.send(b"c", urgent=True)
    assert [] == rig.advance(1)
    [second] = rig.answer(first)

    assert [b"b", b"c"] == second.values


def test_sticky_records_move_on_with_each_batch():
    """
    Null keys fill one partition's batch before they go to the next partition.
    """
    rig = Rig({"t": [1, 1]}, batch_max_records=2, linger=60.0)
    rig.send(b"warm", partition=0)
    rig.turn()
    rig.answer(rig.sent[0])
    for number in range(4):
        rig.send(b"%d" % number)
    [sent] = rig.turn()
    found = {key: [r.value for r in batch.records()] for key, batch in sent.batches.items()}

    assert sorted([[b"0", b"1"], [b"2", b"3"]]) == sorted(found.values())


def test_full_buffer_ends_lingering():
    """
    A record that found no room makes what lingers leave: only that makes room.
    """
    rig = started(linger=60.0, buffer_memory=5500, batch_size=9000)
    for _ in range(3):
        rig.send(b"x" * 1000)
    assert [] == rig.turn()
    with pytest.raises(BufferFull):
        rig.appender.enqueue_nowait("t", b"y" * 2000)
    [sent] = rig.turn()

    assert 3 == len(sent.values)


def test_waiting_for_room_does_not_keep_the_engine_busy():
    """
    While somebody waits for room and nothing happens, the engine does not ask to be polled.
    """
    rig = started(linger=60.0, buffer_memory=5500, batch_size=4000)
    for _ in range(3):
        rig.send(b"x" * 1000)
    made = rig.accept(b"y" * 2000)
    assert isinstance(made, Prepared)
    told = []
    rig.engine.waiters.join(made, told.append)
    [sent] = rig.turn()
    rig.turn()
    assert 0 == rig.host.woken
    assert [] == told

    rig.answer(sent)
    [delivery] = told
    [sent] = rig.advance(60)
    rig.answer(sent)
    assert 1 == len(sent.values)
    assert 4 == delivery.result().offset
    rig.assert_idle()


def test_waiters_are_served_first_come_first_served():
    """
    A small record that would fit stands behind a large one that waits.
    """
    rig = started(linger=0.0, buffer_memory=5500, batch_size=4000)
    rig.send(b"x" * 3000)
    told = []
    for name, size in (("large", 3000), ("small", 10)):
        made = rig.accept(name[:1].encode() * size)
        assert isinstance(made, Prepared)
        rig.engine.waiters.join(made, lambda outcome, name=name: told.append((name, outcome)))
    [sent] = rig.turn()
    assert [] == told
    with pytest.raises(BufferFull):
        rig.appender.enqueue_nowait("t", b"")

    rig.answer(sent)
    rig.advance(1)
    assert ["large", "small"] == [name for name, _ in told]


def test_waiter_that_leaves_makes_way():
    """
    Those behind a waiter who gave up are served without him.
    """
    rig = started(linger=0.0, buffer_memory=5500, batch_size=4000)
    rig.send(b"x" * 3000)
    told = []
    large = rig.engine.waiters.join(rig.accept(b"l" * 3000), told.append)
    rig.engine.waiters.join(rig.accept(b"s"), told.append)
    rig.turn()
    assert [] == told
    rig.engine.waiters.leave(large)
    rig.turn()

    assert 1 == len(told)


def test_settled_batch_lets_its_bytes_go():
    """
    A handle that is kept holds neither the records' bytes nor what sent them.
    """
    gc.collect()
    gc.disable()
    try:
        for codec in (Codec.NONE, Codec.GZIP):
            rig = started(codec=codec, linger=0.0)
            delivery = rig.send(b"kept" * 50)
            [sent] = rig.turn()
            batch = delivery._batch
            rig.answer(sent)
            assert batch.sealed is None
            assert 0 == len(batch.body())
            assert delivery.result().offset == 1
    finally:
        gc.enable()


def test_batches_go_without_the_garbage_collector():
    """
    A settled batch is in no cycle: it is freed when the last handle goes.
    """
    rig = started(linger=0.0)
    kind = type(rig.send(b"a")._batch)
    [sent] = rig.turn()
    rig.answer(sent)
    rig.sent.clear()
    rig.effects.clear()
    del sent
    gc.collect()
    gc.disable()
    try:
        before = sum(type(one) is kind for one in gc.get_objects())
        for _ in range(10):
            rig.send(b"a")
            [sent] = rig.turn()
            rig.answer(sent)
            rig.sent.clear()
            rig.effects.clear()
            del sent
        after = sum(type(one) is kind for one in gc.get_objects())
    finally:
        gc.enable()

    assert before == after


def test_waiters_are_told_when_their_time_is_up():
    """
    Who has waited for long enough is told that there was no room, in the order of the line; those
    who came later wait on, and get the room.
    """
    rig = started(linger=0.0, buffer_memory=5500, batch_size=4000)
    rig.send(b"x" * 3000)
    told = []
    for name, seconds in (("first", 0.5), ("second", 0.5), ("third", 0.7)):
        made = rig.accept(name.encode() * 600)
        assert isinstance(made, Prepared)
        rig.engine.waiters.join(
            made,
            lambda outcome, name=name: told.append((name, outcome)),
            until=rig.now + seconds,
        )
    [sent] = rig.turn()
    rig.advance(0.4)
    assert [] == told
    rig.advance(0.2)
    assert [("first", BufferFull), ("second", BufferFull)] == [
        (name, type(outcome)) for name, outcome in told
    ]
    rig.answer(sent)

    assert ["first", "second", "third"] == [name for name, _ in told]
    assert isinstance(told[-1][1], Delivery)
