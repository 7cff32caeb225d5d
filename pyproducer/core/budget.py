"""Those who wait for room in the buffer, first come, first served."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import TypeAlias

from pyproducer.core.appender import Appender, Delivery, Prepared
from pyproducer.core.links import NEVER

__all__ = ["WaitLine"]

_Tell: TypeAlias = Callable[[Delivery | Exception], object]


class WaitLine:
    """Prepared records that found no room, each with whom to tell.

    A record is appended on behalf of its waiter, so that nobody who comes later can take the
    room between the waiter's turn and his waking up.
    """

    def __init__(self, appender: Appender) -> None:
        self._appender = appender
        # Its head is taken and looked at all the time, which in a plain dict means to pass over
        # all that was taken before.
        self._line: OrderedDict[int, tuple[Prepared, _Tell, Callable[[], bool], float]] = (
            OrderedDict()
        )
        self._tickets = 0

    def __len__(self) -> int:
        return len(self._line)

    @property
    def until(self) -> float:
        """When the first in line has waited for long enough; NEVER where nobody stands there."""
        for _, _, _, until in self._line.values():
            return until
        return NEVER

    def join(
        self,
        made: Prepared,
        tell: _Tell,
        waits: Callable[[], bool] = lambda: True,
        until: float = NEVER,
    ) -> int:
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
        self._tickets += 1
        self._line[self._tickets] = (made, tell, waits, until)
        self._appender.waiting = len(self._line)
        return self._tickets

    def leave(self, ticket: int) -> None:
        """Give up a place; the record is not sent, unless it was appended already."""
        self._line.pop(ticket, None)
        self._appender.waiting = len(self._line)

    def serve(self) -> None:
        """Append for those at the head for as long as there is room."""
        while self._line:
            ticket, (made, tell, waits, _) = next(iter(self._line.items()))
            if not waits():
                self.leave(ticket)
                continue
            outcome: Delivery | Exception | None
            try:
                outcome = self._appender.admit(made, True)
            except Exception as error:
                outcome = error
            if outcome is None:
                return
            self.leave(ticket)
            tell(outcome)

    def expire(self, now: float) -> None:
        """Tell those whose time is up that there was no room for their records."""
        while self._line:
            ticket, (made, tell, _, until) = next(iter(self._line.items()))
            if until > now:
                return
            self.leave(ticket)
            error = self._appender.full(made)
            assert isinstance(error, Exception)
            tell(error)

    def dismiss(self, error: Callable[[], Exception]) -> None:
        """Tell all that their records are not taken any more."""
        line, self._line = self._line, OrderedDict()
        self._appender.waiting = 0
        for _, tell, _, _ in line.values():
            tell(error())
