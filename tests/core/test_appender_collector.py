"""Code that the garbage collector runs in the midst of a call: up to Python 3.11 any allocation may."""

from __future__ import annotations

import gc
from collections import Counter

import pytest

from tests.helpers.door import Door


@pytest.mark.parametrize("known", [True, False])
def test_collector_that_runs_code_in_the_middle_of_a_call(twin, known):
    """
    Where the garbage collector runs somebody's code within a call, and that queues records of its
    own, every record is in a batch once, and every callback is told once. So it is where the topic
    is not known yet.
    """
    topics = {"t": 2} if known else {}
    door = Door(twin, topics=topics, batch_max_records=3, buffer_memory=1 << 30)
    told, made = [], []
    busy = False
    # Of each call only so often: where every allocation queues a record, none comes to an end.
    left = 0

    def put():
        number = len(made)
        made.append(None)
        made[number] = door.put(
            b"%d" % number,
            partition=number % 2,
            on_delivery=(lambda delivery: told.append(delivery)) if number % 3 else None,
        )

    def collected(phase, info):
        nonlocal busy, left
        if not busy and left:
            left -= 1
            busy = True
            put()
            busy = False

    before = gc.get_threshold()
    gc.callbacks.append(collected)
    gc.set_threshold(1)
    try:
        for _ in range(1000):
            left = 3
            put()
        left = 0
    finally:
        gc.set_threshold(*before)
        gc.callbacks.remove(collected)
    inside = len(made) - 1000
    if not known:
        door.adopt("t", 2)
    for state in door.appender.topics["t"].partitions:
        door.appender.close_open(state)
    batches = door.opened()
    written = Counter()
    for batch in batches:
        assert batch.state == twin.CLOSED
        values = [int(value) for _, value, _, _ in door.records(batch)]
        written.update(values)
        for index, number in enumerate(values):
            handle = made[number]
            assert handle._batch is batch, number
            assert handle._index == index, number
        batch.acknowledge(0, -1)
        twin.run_watchers(batch, 1 << 30)

    assert inside > 100
    assert Counter(range(len(made))) == written
    assert {id(one) for one in told} == {id(one) for n, one in enumerate(made) if n % 3}
    assert len(told) == len({id(one) for one in told})
