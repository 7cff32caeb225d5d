"""Memory of large frames, used again for the frames that follow.

The first touch of fresh memory is a page fault for each 4 KiB of it, which costs more than
everything else that is done to the bytes of a large frame. Memory that was touched before has none.
"""

from __future__ import annotations

from typing import Final

__all__ = ["LARGE", "FramePool"]

#: Bytes from which on a frame has memory that is worth keeping.
LARGE = 32 * 1024
#: Readers that receive at the same time; on one thread it is one at a time.
_MOST_STAGES: Final = 4


class FramePool:
    """Memory that large frames left behind, for readers of one thread.

    Args:
        limit: Bytes that are kept at most.
    """

    def __init__(self, limit: int = 8 << 20) -> None:
        self._limit = limit
        self._kept: list[bytearray] = []
        self._size = 0
        self._stages: list[bytearray] = []
        self._lent = 0

    @property
    def size(self) -> int:
        """Bytes that are kept."""
        return self._size

    def take(self, size: int) -> bytearray | None:
        """The smallest memory kept that holds ``size`` bytes, no longer kept; None without any.

        It is longer than asked for, and holds what the last frame left there. Until `settle` is
        called for it, it counts as lent, and no more is lent than is kept at most: whoever
        announces large frames and never sends them cannot have more.
        """
        room = self._limit - self._lent
        fitting = [memory for memory in self._kept if size <= len(memory) <= room]
        if not fitting:
            return None
        best = min(fitting, key=len)
        # By identity: equal contents are no reason to forget another one.
        self._kept = [memory for memory in self._kept if memory is not best]
        self._size -= len(best)
        self._lent += len(best)
        return best

    def settle(self, size: int) -> None:
        """A frame in memory of that size, which was lent, has come to its end."""
        self._lent -= size

    def take_stage(self) -> bytearray:
        """Memory of `LARGE` bytes, for what a reader receives next."""
        return self._stages.pop() if self._stages else bytearray(LARGE)

    def give_stage(self, stage: bytearray) -> None:
        """The reader that took it has nothing in it any more."""
        if len(self._stages) < _MOST_STAGES:
            self._stages.append(stage)

    def give(self, frame: memoryview) -> None:
        """The frame is over; its memory is kept if it is large and nobody else looks at it."""
        memory = frame.obj
        frame.release()
        if not isinstance(memory, bytearray) or not LARGE <= len(memory) <= self._limit:
            return
        try:
            # Only this refuses while a view is alive, whoever holds it.
            memory.append(memory.pop())
        except BufferError:
            return
        self._kept.append(memory)
        self._size += len(memory)
        while self._size > self._limit:
            smallest = min(self._kept, key=len)
            self._kept = [kept for kept in self._kept if kept is not smallest]
            self._size -= len(smallest)
