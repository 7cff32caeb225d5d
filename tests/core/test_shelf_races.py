"""The moment at which a topic's shelf is emptied, and those who come in that very moment."""

from __future__ import annotations

import sys
import threading

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


def test_no_record_stays_on_a_shelf_that_was_emptied():
    """
    A thread that appends while another takes over the partitions leaves its record in a batch.
    """
    switch = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        for _ in range(300):
            rig = Rig(lock=threading.RLock())
            state = rig.appender.topic("t")
            start = threading.Barrier(2)

            def append(rig=rig, start=start):
                start.wait()
                for _ in range(3):
                    rig.send(b"v")

            thread = threading.Thread(target=append)
            thread.start()
            start.wait()
            rig.appender.adopt(state, 1, [0])
            thread.join()

            assert state.shelf is None
            assert [part.open.count for part in state.partitions] == [3]
    finally:
        sys.setswitchinterval(switch)
