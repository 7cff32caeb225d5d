"""The memory that the requests of all connections take together: `queued.max.request.bytes`.

What has come of a request counts from its first byte until it is answered. Whoever is read when
that makes the limit full is read no further, and stands in line. As soon as there is room all of
the line are read again. Until then one at a time may be read beyond the limit, until its request is
complete or its turn is over: so a request larger than the limit is served, those that wait are
served in the order in which they came, and one who sends a byte now and then keeps nobody waiting.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Final, Protocol

if TYPE_CHECKING:
    from pyproducer.broker.timers import AskedCall, Timers

__all__ = ["Holder", "RequestMemory"]

#: Seconds for which a connection may be read while there is no room.
TURN: Final = 1.0


class Holder(Protocol):
    """A connection, as far as it concerns the memory of its requests.

    Attributes:
        held: Bytes that it holds; for `RequestMemory` alone.
    """

    held: int

    @property
    def waits_for_answer(self) -> bool:
        """Whether a request of it is complete, and it need not be read for that to be done."""

    def stop_for_memory(self) -> None:
        """It is not read."""

    def go_on(self) -> None:
        """It is read again."""


class RequestMemory:
    """Counts what the requests of all connections take, and says who may be read.

    Args:
        limit: Bytes.
        timers: Ends turns.
    """

    def __init__(self, limit: int, timers: Timers) -> None:
        self._limit = limit
        self._timers = timers
        self._line: deque[Holder] = deque()
        self._turn: Holder | None = None
        self._end: AskedCall | None = None
        self.held = 0

    def took(self, holder: Holder, count: int, *, complete: bool) -> None:
        """So many bytes have come on a connection.

        Args:
            holder: The connection.
            count: How many.
            complete: Whether they ended a request.
        """
        holder.held += count
        self.held += count
        if holder is self._turn:
            if not complete:
                return
            self._end_turn()
        if self.held >= self._limit and holder not in self._line:
            holder.stop_for_memory()
            self._line.append(holder)
        self._serve()

    def gave(self, holder: Holder, count: int) -> None:
        """A request is over, of so many bytes."""
        holder.held -= count
        self.held -= count
        self._serve()

    def left(self, holder: Holder) -> None:
        """A connection is gone with all it holds."""
        self.held -= holder.held
        holder.held = 0
        if holder is self._turn:
            self._end_turn()
        elif holder in self._line:
            self._line.remove(holder)
        self._serve()

    def _serve(self) -> None:
        while self._line and self.held < self._limit:
            self._line.popleft().go_on()
        if self._turn is not None:
            return
        for holder in self._line:
            # The others have something that will be done, and gives room.
            if not holder.waits_for_answer:
                self._line.remove(holder)
                self._turn = holder
                when = self._timers.now() + TURN
                self._end = self._timers.call_at(when, self._pass_on, moment=False)
                holder.go_on()
                return

    def _pass_on(self) -> None:
        holder = self._turn
        self._end_turn()
        if holder is not None:
            holder.stop_for_memory()
            self._line.append(holder)
        self._serve()

    def _end_turn(self) -> None:
        self._turn = None
        if self._end is not None:
            self._end.cancel()
            self._end = None
