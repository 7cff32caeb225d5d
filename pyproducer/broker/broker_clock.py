"""The broker's own clock: the one that was injected, moved ahead by ticks.

Everything that the broker does by time reads it: age of records, sessions, timeouts, waits. Only
what belongs to a client's connection, which lives outside, is measured with `outside`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import timedelta
from typing import Any, Final

from pyproducer.clock import Clock
from pyproducer.errors import ConfigError

#: Most that one tick may pass: a thousand years, which timestamps have room for.
_LONGEST: Final = timedelta(days=365_250)
_PARTS: Final = ("days", "hours", "minutes", "seconds", "milliseconds")


class BrokerClock:
    """A clock that can be moved ahead, never back.

    Args:
        outside: Gives the time that passes anyway.

    Attributes:
        outside: That clock: what a client waits for, and how long it was silent.
        ahead: Seconds by which this one was moved; only ever set to more.
    """

    __slots__ = ("ahead", "outside")

    def __init__(self, outside: Clock) -> None:
        self.outside = outside
        self.ahead = 0.0

    def monotonic(self) -> float:
        """Seconds that never go back, for deadlines and durations."""
        return self.outside.monotonic() + self.ahead

    def wall_ms(self) -> int:
        """Milliseconds since the epoch, for what is written into records and logs."""
        ahead = self.ahead
        return self.outside.wall_ms() + round(ahead * 1000) if ahead else self.outside.wall_ms()


def checked_span(delta: timedelta | None, parts: Mapping[str, Any]) -> float:
    """The seconds that a tick passes.

    Args:
        delta: A span, or None.
        parts: Arguments of `timedelta`, which count besides.

    Raises:
        ConfigError: It is no span of time, or one that goes back.
    """
    if delta is not None and not isinstance(delta, timedelta):
        raise ConfigError(
            f"tick takes a timedelta, or {', '.join(_PARTS)} by name, not {delta!r}",
            option="tick",
        )
    for name, value in parts.items():
        if name not in _PARTS:
            raise ConfigError(f"tick takes {', '.join(_PARTS)}, not {name}", option="tick")
        number = isinstance(value, int | float) and not isinstance(value, bool)
        # A whole number may have more digits than a float takes.
        if not number or (isinstance(value, float) and not math.isfinite(value)):
            raise ConfigError(f"tick: {name}={value!r} is no number of {name}", option="tick")
    try:
        span = timedelta(**parts) + (delta or timedelta())
    except OverflowError:
        span = _LONGEST * 2
    if not timedelta() <= span <= _LONGEST:
        raise ConfigError(
            f"tick: time passes forwards, by at most {_LONGEST.days} days, not by {span}",
            option="tick",
        )
    return span.total_seconds()
