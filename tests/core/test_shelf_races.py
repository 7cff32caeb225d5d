"""The moment at which a topic's shelf is emptied, and those who come in that very moment."""

from __future__ import annotations

import threading
from collections.abc import Callable

from tests.helpers.engine_rig import Rig


def test_shelf_begun_in_the_turn_of_its_metadata():
    """
    A record whose shelf the engine has not seen yet when metadata comes is sent, not expired.
    """
    rig = Rig()
    rig.hold_metadata = True
    rig.engine.want("t", rig.now)
    rig.turn()
    delivery = rig.send(b"late")
    rig.release()
    [sent] = rig.turn()
    rig.answer(sent)
    rig.turn()

    assert [b"late"] == sent.values
    assert delivery.result().offset == 0
    rig.assert_idle()


class OvertakingLock:
    """A lock that somebody else gets first, once: what he does is done before it is ours."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self.first: Callable[[], object] | None = None

    def acquire(self) -> bool:
        first, self.first = self.first, None
        if first is not None:
            first()
        return self._lock.acquire()

    def release(self) -> None:
        self._lock.release()

    def __enter__(self) -> bool:
        return self.acquire()

    def __exit__(self, *_: object) -> None:
        self.release()


def test_no_record_stays_on_a_shelf_that_was_emptied():
    """
    A record whose thread waits for the lock while another takes over the partitions gets into a
    batch, not onto a new shelf that nobody would look at.
    """
    lock = OvertakingLock()
    rig = Rig(lock=lock)
    state = rig.appender.topic("t")
    rig.appender.entry("t")
    lock.first = lambda: rig.appender.adopt(state, 1, [0])
    rig.send(b"v")

    assert state.shelf is None
    assert [part.open.count for part in state.partitions] == [1]
