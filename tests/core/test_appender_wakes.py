"""A wake-up that fails, as by Ctrl-C in the midst of it, leaves nothing half done."""

from __future__ import annotations

import pytest

from tests.helpers.door import Door, trace


class Interrupted(Door):
    """A door whose host cannot be woken for a number of times."""

    def fail(self, times: int) -> None:
        host, wake = self.host, type(self.host).wake

        def interrupted() -> None:
            nonlocal times
            if times:
                times -= 1
                raise KeyboardInterrupt
            wake(host)

        host.wake = interrupted  # type: ignore[method-assign]


@pytest.mark.parametrize("topic", ["t", "shelf"])
@pytest.mark.parametrize("times", [1, 3])
def test_wake_that_fails_queues_nothing(twin, topic, times):
    """
    Where the host cannot be told of a new batch the call raises and leaves no trace; the next
    call tells it.
    """
    door = Interrupted(twin, topics={"t": 1})
    door.appender.topic(topic)
    before = trace(door)
    door.host.woken = 0
    door.fail(times)
    for _ in range(times):
        with pytest.raises(KeyboardInterrupt):
            door.put(b"x", topic=topic)
        assert before == trace(door)
    delivery = door.put(b"x", topic=topic)

    assert (0, 1, 1) == (delivery._index, door.host.woken, door.appender.records)
    assert not door.appender.asleep
    opened, _, _ = door.take()
    assert [1] == [batch.count for batch in opened]


def test_wake_that_fails_at_the_end_of_a_batch(twin):
    """
    Where it fails as a batch is closed, that batch is told of with the next wake-up.
    """
    door = Interrupted(twin, topics={"t": 1}, batch_max_records=2)
    door.put(b"0")
    door.take()
    door.host.woken = 0
    door.fail(1)
    with pytest.raises(KeyboardInterrupt):
        door.put(b"1")
    door.put(b"2")
    opened, closed, _ = door.take()

    assert 1 == door.host.woken
    assert [[1], [2]] == [[batch.count for batch in news] for news in (opened, closed)]


def test_host_is_told_of_batches_that_are_full(twin):
    """
    An append that fills a batch tells the host of it, after waking it; a batch that is closed by
    the engine is known there.
    """
    door = Door(twin, topics={"t": 1}, batch_max_records=2)
    for value in (b"0", b"1", b"2"):
        door.put(value)
    opened, [full], _ = door.take()
    door.appender.close_open(full.home)

    assert [full.serial] == door.host.full
    assert [2, 1] == [batch.count for batch in opened]
