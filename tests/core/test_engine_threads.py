"""What other threads append in the midst of a poll."""

from __future__ import annotations

import threading
from collections.abc import Callable

from tests.helpers.engine_rig import Rig


class Overtaken:
    """A lock that another thread takes first, now and then.

    Attributes:
        by: what the other thread does, once; None for nothing.
    """

    def __init__(self) -> None:
        self.by: Callable[[], bool] | None = None
        self._lock = threading.RLock()

    def acquire(self) -> None:
        by, self.by = self.by, None
        if by is not None and not by():
            self.by = by
        self._lock.acquire()

    def release(self) -> None:
        self._lock.release()

    def __enter__(self) -> None:
        self.acquire()

    def __exit__(self, *_: object) -> None:
        self.release()


def test_a_request_has_one_batch_of_a_partition():
    """
    A batch that another thread fills while the request is put together waits for the next one,
    where one of its partition is in this: a broker keeps one of the two, and answers once.
    """
    lock = Overtaken()
    rig = Rig({"t": [1, 1]}, lock=lock, linger=0.005, batch_max_records=2)
    rig.prove()
    first, second = (part.queue for part in rig.appender.topics["t"].partitions)
    deliveries = [rig.send(b"due", partition=1)]
    rig.turn()
    deliveries += [rig.send(b"%d" % n, partition=0) for n in range(2)]

    def other_thread() -> bool:
        if not first.in_flight or second.in_flight:
            return False
        deliveries.extend(rig.send(b"%d" % n, partition=0) for n in range(2, 4))
        return True

    rig.now += 0.01
    lock.by = other_thread
    rig.turn()
    rig.advance(0.01)
    assert lock.by is None
    for sent in list(rig.sent):
        rig.answer(sent)

    assert [[b"0", b"1"], [b"2", b"3"]] == [
        [record.value for record in batch.records()]
        for one in rig.sent
        for place, batch in one.batches.items()
        if place == ("t", 0)
    ]
    assert [0, 0, 1, 2, 3] == [delivery.result().offset for delivery in deliveries]
