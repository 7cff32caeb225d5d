# cython: annotation_typing=False, nonecheck=True, binding=False, freethreading_compatible=True
"""How many requests may be under way on one connection, where nobody has set their number."""

from __future__ import annotations

from typing import Final

__all__ = ["Window"]

#: As many as Kafka's own clients have under way.
_FIRST: Final = 5

#: A broker takes one request of a connection after the other: more than these fill no line.
_MOST: Final = 100

#: Seconds. One that takes longer is not waited for because of the distance.
_QUICK: Final = 1.0


class Window:
    """Five requests at first, and more for as long as it is the distance that is waited for.

    Five requests of 1 MiB and 50 ms to the broker and back are 100 MB/s, whatever the line could
    carry. So another one may be under way with each answer that comes while all are in use, unless
    that answer took twice as long as the quickest one: then requests wait for each other, at the
    broker or on the line, and more of them would only wait longer. (The same thought governs TCP
    Vegas.) Four times as long takes one away again.

    Attributes:
        size: requests that may be under way.
    """

    __slots__ = ("_quickest", "size")

    def __init__(self) -> None:
        self.size = _FIRST
        self._quickest = _QUICK

    def answered(self, seconds: float, full: bool) -> None:
        """An answer came, so long after its request; ``full`` where none could be added to it."""
        quickest = self._quickest = min(self._quickest, seconds)
        if seconds > 4 * quickest:
            self.size = max(_FIRST, self.size - 1)
        elif full and seconds < min(2 * quickest, _QUICK):
            self.size = min(_MOST, self.size + 1)
