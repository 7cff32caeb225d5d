"""Times of batches: kept in order, and no longer than they matter."""

from __future__ import annotations

import random

from pyproducer.core.appender import ACKED, CLOSED, FAILED, OPEN, SPLIT
from pyproducer.core.links import NEVER
from pyproducer.core.timers import BatchTimers
from tests.helpers.door import Door
from tests.helpers.engine_rig import Rig


def batches(count):
    """Closed batches of a real appender, by serial, each opened a second after the one before."""
    from pyproducer.core import appender

    door = Door(appender, topics={"t": 1}, batch_max_records=1, buffer_memory=1 << 30)
    for _ in range(count):
        door.put(b"x")
    made = door.opened()
    for number, batch in enumerate(made):
        batch.created = float(number)
    return made


def test_due_in_order_and_once():
    """
    Batches come due in the order of their times, each once, and none before its time.
    """
    made = batches(50)
    mixed = list(made)
    random.Random(1).shuffle(mixed)
    timers = BatchTimers(CLOSED, 5.0)
    for batch in mixed:
        timers.add(batch)
    assert timers.next == 5.0
    assert not timers.stirs(4.5)
    found = []
    for now in (9.5, 30.0, 100.0):
        assert timers.stirs(now)
        while (batch := timers.due(now)) is not None:
            found.append(batch)
            assert batch.created <= now - 5.0
        assert timers.next > now

    assert found == made
    assert timers.next == NEVER


def test_settled_batches_are_not_due():
    """
    A batch that has moved on is not due any more; the halves of a split one are.
    """
    made = batches(6)
    timers = BatchTimers(CLOSED, 0.0)
    for batch in made[:4]:
        timers.add(batch)
    made[0].state, made[1].state = ACKED, FAILED
    made[4].created = made[5].created = made[2].created
    made[2].split([(0, made[4]), (1, made[5])])
    assert made[2].state == SPLIT

    found = [timers.due(9.0) for _ in range(4)]
    assert found == [made[4], made[5], made[3], None]
    timers = BatchTimers(OPEN, 0.0)
    timers.add(made[3])
    assert timers.due(9.0) is None


def test_one_that_stays_keeps_no_others():
    """
    Behind a batch without an outcome thousands may come and go; what is kept of them is bounded.
    """
    made = batches(5000)
    timers = BatchTimers(CLOSED, 0.0)
    for number, batch in enumerate(made):
        timers.add(batch)
        if number:
            batch.state = ACKED

    assert len(timers) < 200
    assert made[0] in list(timers)
    assert timers.due(1e9) is made[0]
    assert timers.due(1e9) is None


def test_engine_keeps_nothing_behind_a_partition_without_leader():
    """
    While one partition has no leader, another's records come and go without a trace.
    """
    rig = Rig({"t": [1, -1]})
    rig.send(b"stays", partition=1)
    rig.turn()
    for _ in range(1000):
        rig.send(b"goes", partition=0)
        for sent in rig.advance(0.01):
            rig.answer(sent)
    engine = rig.engine

    assert len(engine.settler.live) == 1
    assert len(engine._intake.expiring) + len(engine._intake.lingering) < 300
