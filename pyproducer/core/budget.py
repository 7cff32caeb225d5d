"""Those who wait for room in the buffer, first come, first served."""

from __future__ import annotations

from collections.abc import Callable

from pyproducer.core.appender import Appender, Delivery, Prepared

__all__ = ["WaitLine"]


class WaitLine:
    """Prepared records that found no room, each with whom to tell.

    A record is appended on behalf of its waiter, so that nobody who comes later can take the
    room between the waiter's turn and his waking up.
    """

    def __init__(self, appender: Appender) -> None:
        self._appender = appender
        self._line: dict[int, tuple[Prepared, Callable[[Delivery | Exception], object]]] = {}
        self._tickets = 0

    def __len__(self) -> int:
        return len(self._line)

    def join(self, made: Prepared, tell: Callable[[Delivery | Exception], object]) -> int:
        """Stand at the end; ``tell`` is called once, unless :meth:`leave` comes first."""
        self._tickets += 1
        self._line[self._tickets] = (made, tell)
        self._appender.waiting = len(self._line)
        return self._tickets

    def leave(self, ticket: int) -> None:
        """Give up a place; the record is not sent, unless it was appended already."""
        self._line.pop(ticket, None)
        self._appender.waiting = len(self._line)

    def serve(self) -> None:
        """Append for those at the head for as long as there is room."""
        while self._line:
            ticket, (made, tell) = next(iter(self._line.items()))
            outcome: Delivery | Exception | None
            try:
                outcome = self._appender.admit(made, True)
            except Exception as error:  # noqa: BLE001 - it is the waiter's, not ours
                outcome = error
            if outcome is None:
                return
            self.leave(ticket)
            tell(outcome)

    def dismiss(self, error: Callable[[], Exception]) -> None:
        """Tell all that their records are not taken any more."""
        line, self._line = self._line, {}
        self._appender.waiting = 0
        for _, tell in line.values():
            tell(error())
