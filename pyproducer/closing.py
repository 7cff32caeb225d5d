"""What the end of a producer does to records without an outcome, and what it raises."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pyproducer.errors import (
    CloseTimeout,
    DeliveryTimeout,
    ProducerClosed,
    ProducerError,
    UndeliveredError,
    UsageError,
)

if TYPE_CHECKING:
    from pyproducer.core.delivery import Ledger
    from pyproducer.core.engine import Engine

__all__ = ["checked_timeout", "close_verdict", "closed_error", "fail_remaining"]


def checked_timeout(timeout: float | None) -> float | None:
    """The seconds that a caller gives, if they are a time to wait.

    Raises:
        UsageError: they are not.
    """
    if timeout is None:
        return None
    if isinstance(timeout, bool) or not isinstance(timeout, (int, float)) or not timeout >= 0:
        raise UsageError(f"timeout must be seconds, 0 or more, or None; got {timeout!r}")
    return timeout


def closed_error() -> ProducerError:
    """The error of every call after close()."""
    return ProducerClosed("the producer is closed; make a new one to send more")


def fail_remaining(engine: Engine, now: float) -> int:
    """Fail all records that have no outcome; how many those were is returned."""

    def make(
        topic: str, partition: int | None, elapsed: float, maybe: bool, attempts: int
    ) -> Exception:
        where = topic if partition is None else f"{topic}-{partition}"
        return DeliveryTimeout(
            f"the producer was closed before the record to {where} was acknowledged "
            f"({attempts} attempt(s) in {elapsed:.1f} s)",
            topic=topic,
            partition=partition,
            attempts=attempts,
            elapsed=elapsed,
            retriable=True,
            maybe_written=maybe,
        )

    return engine.fail_all(make, now)


def close_verdict(ledger: Ledger, remaining: int, seconds: float) -> ProducerError | None:
    """What close() has to raise, if anything."""
    late = None
    if remaining:
        late = CloseTimeout(
            f"{remaining} records had no outcome after {seconds:g} s and were failed",
            remaining=remaining,
        )
    count = ledger.count
    if not count:
        return late
    by_topic = {topic: missed for topic, missed in ledger.by_topic.items() if missed}
    listed = ", ".join(f"{topic}: {missed}" for topic, missed in sorted(by_topic.items()))
    error = UndeliveredError(
        f"{count} records failed and nobody looked at their outcome ({listed}); the first: "
        f"{ledger.first_error}",
        count=count,
        by_topic=by_topic,
        first_error=ledger.first_error,
    )
    error.__cause__ = late or ledger.first_error
    return error
