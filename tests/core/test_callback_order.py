"""Callbacks of one partition come in the order of its records, also where batches overtake."""

from __future__ import annotations

import pytest

from pyproducer.protocol.error_codes import ErrorCode
from tests.helpers.engine_rig import Rig


def two_under_way(**options):
    """Two batches of one partition, both written; what their callbacks see goes into a list."""
    rig = Rig(batch_max_records=2, **options).prove()
    told: list[bytes] = []
    for value in (b"a", b"b", b"c", b"d"):
        rig.send(value, on_delivery=lambda _, value=value: told.append(value))
    first, second = rig.turn()
    return rig, told, first, second


def test_callbacks_wait_for_the_batch_ahead():
    """
    A batch acknowledged while the one ahead of it is retried keeps its callbacks for after it.
    """
    rig, told, first, second = two_under_way()
    rig.answer(first, ErrorCode.REQUEST_TIMED_OUT)
    rig.answer(second)
    rig.turn()
    assert [] == told

    [again] = rig.advance(2)
    rig.answer(again)
    rig.turn()

    assert [b"a", b"b", b"c", b"d"] == told
    rig.assert_idle()


def test_whoever_awaits_does_not_wait_for_others():
    """
    An awaiter of the batch that was acknowledged first is woken at once.
    """
    rig = Rig(batch_max_records=1).prove()
    rig.send(b"a", on_delivery=lambda _: None)
    awaited = rig.send(b"b")
    steps = awaited.__await__()
    waiter = next(steps)
    first, second = rig.turn()
    rig.answer(first, ErrorCode.REQUEST_TIMED_OUT)
    rig.answer(second)
    rig.turn()

    assert waiter.done()
    with pytest.raises(StopIteration) as ended:
        next(steps)
    assert ended.value.value.offset >= 0


def test_failures_are_told_in_order_too():
    """
    A batch that fails late is told before the one behind it that was acknowledged long ago.
    """
    rig, told, first, second = two_under_way(delivery_timeout=31.0, request_timeout=30.0)
    rig.answer(first, ErrorCode.REQUEST_TIMED_OUT)
    rig.answer(second)
    rig.advance(1)
    rig.advance(31)

    assert [b"a", b"b", b"c", b"d"] == told
    assert rig.engine.stats.failed == 2


def test_closing_tells_what_was_held():
    """
    What is failed by the end of the producer releases the callbacks behind it.
    """
    rig, told, first, second = two_under_way()
    rig.answer(first, ErrorCode.REQUEST_TIMED_OUT)
    rig.answer(second)
    rig.turn()
    rig.engine.fail_all(lambda *_: RuntimeError("closed"), rig.now)
    rig.tell()

    assert [b"a", b"b", b"c", b"d"] == told
