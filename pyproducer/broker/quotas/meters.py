"""What a quota is held against: the rate over a sliding window, or a bucket of tokens.

Both are Kafka's, sample by sample, so that a client is throttled here for as long as it would be
there. Times are whole milliseconds of one clock, which never goes back by much.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

__all__ = ["Rate", "TokenBucket", "Window"]


#: What sums of fractions may be off by.
_ROUNDING: Final = 1e-6


@dataclass(frozen=True, slots=True)
class Window:
    """The time over which a quota is an average.

    Attributes:
        samples: How many samples it has, the one under way included.
        sample_ms: The length of one.
    """

    samples: int
    sample_ms: int

    @property
    def seconds(self) -> float:
        """All of it."""
        return self.samples * self.sample_ms / 1000


class _Sample:
    __slots__ = ("last_ms", "start_ms", "value")

    def __init__(self, now_ms: int) -> None:
        self.clear(now_ms)

    def clear(self, now_ms: int) -> None:
        self.start_ms = self.last_ms = now_ms
        self.value = 0.0


class Rate:
    """What was recorded, per second, over the window.

    Args:
        window: The window.
    """

    __slots__ = ("_at", "_samples", "_window")

    def __init__(self, window: Window) -> None:
        self._window = window
        self._samples: list[_Sample] = []
        self._at = 0

    def record(self, value: float, now_ms: int) -> None:
        """So much more has happened; a value below 0 takes back what was recorded just now."""
        if not self._samples:
            self._samples.append(_Sample(now_ms))
        sample = self._samples[self._at]
        if now_ms - sample.start_ms >= self._window.sample_ms:
            sample = self._next(now_ms)
        sample.value += value
        sample.last_ms = now_ms

    def idle(self, now_ms: int) -> bool:
        """Whether nothing of what was recorded counts any more."""
        return all(not one.value or self._is_over(one, now_ms) for one in self._samples)

    def per_second(self, now_ms: int) -> float:
        """The rate."""
        span = self._span_ms(now_ms)
        return sum(one.value for one in self._samples) / (span / 1000)

    def throttle_ms(self, limit: float, now_ms: int) -> int:
        """For how long nothing may happen until the rate is the limit; 0 if it is not above."""
        # With a rate R above the limit L over a window W, R * W / (W + X) = L has to become true.
        rate = self.per_second(now_ms)
        if rate <= limit:
            return 0
        if limit <= 0:
            return math.floor(self._window.seconds * 1000)
        return math.floor((rate - limit) / limit * self._span_ms(now_ms) + 0.5)

    def _next(self, now_ms: int) -> _Sample:
        # One more than the window has: the oldest may still reach into it.
        self._at = (self._at + 1) % (self._window.samples + 1)
        if self._at == len(self._samples):
            self._samples.append(_Sample(now_ms))
        else:
            self._samples[self._at].clear(now_ms)
        return self._samples[self._at]

    def _span_ms(self, now_ms: int) -> int:
        """The time that the samples are of, taken for at least all full samples of the window."""
        for one in self._samples:
            if self._is_over(one, now_ms):
                one.clear(now_ms)
        span = now_ms - min((one.start_ms for one in self._samples), default=now_ms)
        missing = self._window.samples - 1 - span // self._window.sample_ms
        if missing > 0:
            span += missing * self._window.sample_ms
        return max(span, 1)

    def _is_over(self, sample: _Sample, now_ms: int) -> bool:
        return now_ms - sample.last_ms >= self._window.samples * self._window.sample_ms


class TokenBucket:
    """Tokens that come at a rate, up to what comes in one window, and are spent.

    It may be overdrawn by what is spent at once, and has to be full enough again before the next.

    Args:
        window: The window.
    """

    __slots__ = ("_tokens", "_updated_ms", "_window")

    def __init__(self, window: Window) -> None:
        self._window = window
        self._tokens = math.inf
        self._updated_ms = 0

    def spend(self, count: float, rate: float, now_ms: int) -> None:
        """So many tokens are gone."""
        self._fill(rate, now_ms)
        self._tokens -= count

    def idle(self, rate: float, now_ms: int) -> bool:
        """Whether it is full, as a new one."""
        self._fill(rate, now_ms)
        return self._tokens >= rate * self._window.seconds - _ROUNDING

    def throttle_ms(self, rate: float, now_ms: int) -> int:
        """For how long it has to fill until it is not overdrawn any more; 0 if it is not."""
        self._fill(rate, now_ms)
        return 0 if self._tokens >= 0 else math.floor(-self._tokens / rate * 1000 + 0.5)

    def _fill(self, rate: float, now_ms: int) -> None:
        come = rate * (now_ms - self._updated_ms) / 1000
        self._tokens = min(rate * self._window.seconds, self._tokens + come)
        self._updated_ms = now_ms
