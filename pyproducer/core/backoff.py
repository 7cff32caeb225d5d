"""How long to wait before the next try: longer after each failure, never in step with others."""

from __future__ import annotations

from collections.abc import Callable

__all__ = ["Backoff"]

_JITTER = 0.2


class Backoff:
    """Pauses that double from ``first`` to ``longest`` seconds, each varied by 20 % (KIP-580)."""

    __slots__ = ("_first", "_longest", "_random")

    def __init__(self, first: float, longest: float, random: Callable[[], float]) -> None:
        self._first = first
        self._longest = max(first, longest)
        self._random = random

    def delay(self, failures: int) -> float:
        """Seconds to wait after ``failures`` failures in a row, 1 or more."""
        pause = min(self._longest, self._first * float(2 ** min(failures - 1, 30)))
        return pause * (1 - _JITTER + 2 * _JITTER * self._random())

    def after(self, failures: int) -> float:
        """Seconds for the try after ``failures`` failures: ``first`` itself after none."""
        return self.delay(failures + 1) if failures else self._first
