"""One fault that a test has set: how often it struck, and how to end it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from types import TracebackType


class Fault:
    """What every method of `Faults` returns; made by them alone. All threads may use it.

    `with broker.faults.leaderless("orders"):` ends the fault with the block.

    Args:
        number: Its `id`.
        kind: The name of the method that made it.
        settings: The method's arguments.
        times: How often it may strike; None is until cancelled.
        ended: Called once, when it will not strike any more.

    Attributes:
        id: Counts the faults of a broker from 1.
        kind: The name of the method that made it.
        settings: The method's arguments.
    """

    def __init__(
        self,
        number: int,
        kind: str,
        settings: Mapping[str, Any],
        *,
        times: int | None = None,
        ended: Callable[[Fault], None],
    ) -> None:
        self.id = number
        self.kind = kind
        self.settings: Mapping[str, Any] = MappingProxyType(dict(settings))
        self._ended = ended
        # Guards the three below; whoever waits for a hit waits on it.
        self._news = threading.Condition()
        self._left = times
        self._over = False
        self._hits = 0

    def __repr__(self) -> str:
        arguments = ", ".join(f"{name}={value!r}" for name, value in self.settings.items())
        state = "active" if self.active else "over"
        return f"<Fault {self.id} {self.kind}({arguments}), {state}, {self.hits} hits>"

    @property
    def hits(self) -> int:
        """How often it struck; what counts as once is said by the method that made it."""
        return self._hits

    @property
    def active(self) -> bool:
        """Whether it may still strike."""
        return not self._over

    def cancel(self) -> None:
        """It does not strike any more; what it did stays done. Twice is harmless."""
        self._end(None)

    def wait(self, hits: int = 1, timeout: float = 10.0) -> None:
        """Blocks until it has struck so often; on an event loop: `asyncio.to_thread(fault.wait)`.

        Args:
            hits: How often.
            timeout: Seconds to wait.

        Raises:
            TimeoutError: It has not; says how often it did.
        """
        with self._news:
            if not self._news.wait_for(lambda: self._hits >= hits, timeout):
                raise TimeoutError(f"{self!r} did not strike {hits} times within {timeout:g} s")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.cancel()

    def describe(self) -> dict[str, Any]:
        """All of it as JSON has it, errors and APIs by their Kafka names."""
        return {
            "id": self.id,
            "kind": self.kind,
            "active": self.active,
            "hits": self.hits,
            **self.settings,
        }

    def claim(self) -> bool:
        """Takes one of its strikes, if there is one left; the strike itself may come later."""
        with self._news:
            if self._over:
                return False
            if self._left is None:
                return True
            self._left -= 1
            if self._left:
                return True
        self._end(0)
        return True

    def strike(self, count: int = 1) -> None:
        """Counts what it has just done and tells those who wait."""
        with self._news:
            self._hits += count
            self._news.notify_all()

    def _end(self, left: int | None) -> None:
        with self._news:
            if self._over:
                return
            self._over, self._left = True, left
        # Not under the lock: it takes that of the list it is in.
        self._ended(self)
