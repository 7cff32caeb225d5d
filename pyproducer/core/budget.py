"""Those who wait for room in the buffer, first come, first served."""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Callable
from typing import Any, Final, TypeAlias

from pyproducer.core.appender import Appender, Delivery, Prepared
from pyproducer.core.links import NEVER

__all__ = ["Place", "WaitLine"]

_Tell: TypeAlias = Callable[[Delivery | Exception], object]

#: Wake-ups between two looks at the clock.
_STRIDE: Final = 16


class Place:
    """A place in the line of one who is told by a call."""

    def __init__(
        self, made: Prepared, tell: _Tell, waits: Callable[[], bool], until: float
    ) -> None:
        self.made = made
        self.until = until
        self._waits = waits
        self.set_result = self.set_exception = tell

    def done(self) -> bool:
        """True once nobody waits here any more."""
        return not self._waits()


class WaitLine:
    """Prepared records that found no room, each with whom to tell.

    A record is appended on behalf of its waiter, so that nobody who comes later can take the
    room between the waiter's turn and his waking up.

    Attributes:
        woken: those who got room and whose tasks are to go on, in order.
    """

    def __init__(self, appender: Appender) -> None:
        self._appender = appender
        # Its head is taken and looked at all the time, which in a plain dict means to pass over
        # all that was taken before.
        self._line: OrderedDict[Any, None] = OrderedDict()
        self.woken: deque[Any] = deque()

    def __len__(self) -> int:
        return len(self._line)

    @property
    def until(self) -> float:
        """When the first in line has waited for long enough; NEVER where nobody stands there."""
        for place in self._line:
            return float(place.until)
        return NEVER

    def join(
        self,
        made: Prepared,
        tell: _Tell,
        waits: Callable[[], bool] = lambda: True,
        until: float = NEVER,
    ) -> Place:
        """Stand at the end; ``tell`` is called once, unless :meth:`leave` comes first.

        Args:
            made: the record.
            tell: takes its delivery, or what keeps it out.
            waits: False once nobody waits any more, although :meth:`leave` is still to come:
                a task learns of its own cancelling one turn of the loop later, and a record
                appended in between would be sent for somebody who is told that it was not.
            until: monotonic seconds at which he is told that there was no room; who comes later
                waits for no shorter than those before him.
        """
        place = Place(made, tell, waits, until)
        self.stand(place)
        return place

    def stand(self, place: Any) -> None:
        """Stand at the end: a :class:`Place`, or a task's own RoomWait."""
        self._line[place] = None
        self._appender.waiting = len(self._line)

    def leave(self, place: Any) -> None:
        """Give up a place; the record is not sent, unless it was appended already."""
        self._line.pop(place, None)
        self._appender.waiting = len(self._line)

    def serve(self) -> None:
        """Append for those at the head for as long as there is room."""
        line, admit = self._line, self._appender.admit
        while line:
            place = next(iter(line))
            if place.done():
                self.leave(place)
                continue
            try:
                delivery = admit(place.made, True)
            except Exception as error:
                self.leave(place)
                place.set_exception(error)
                continue
            if delivery is None:
                return
            self.leave(place)
            place.set_result(delivery)

    def wake(self, clock: Callable[[], float], slice_s: float) -> None:
        """Have tasks that got room go on for about ``slice_s`` seconds, while no task runs."""
        end = clock() + slice_s
        count = 0
        while self.woken:
            # First: one who is woken when a signal's handler raises is not woken again.
            self.woken.popleft().wake()
            count += 1
            if count % _STRIDE == 0 and clock() >= end:
                return

    def scatter(self) -> None:
        """Leave the waking of those who got room to the event loop."""
        while self.woken:
            self.woken.popleft().schedule()

    def expire(self, now: float) -> None:
        """Tell those whose time is up that there was no room for their records."""
        while self._line:
            place = next(iter(self._line))
            if place.until > now:
                return
            self.leave(place)
            if not place.done():
                error = self._appender.full(place.made)
                assert isinstance(error, Exception)
                place.set_exception(error)

    def dismiss(self, error: Callable[[], Exception]) -> None:
        """Tell all that their records are not taken any more."""
        line, self._line = self._line, OrderedDict()
        self._appender.waiting = 0
        for place in line:
            if not place.done():
                place.set_exception(error())
