"""What the engine counts as it goes; ``metrics.py`` makes the public snapshot of it."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Stats"]


@dataclass(slots=True)
class Stats:
    """Totals since the producer was made; averages move with the last few requests."""

    delivered: int = 0
    failed: int = 0
    batches: int = 0
    batch_records: int = 0
    bytes_plain: int = 0
    bytes_sent: int = 0
    requests: int = 0
    retries: int = 0
    splits: int = 0
    epoch_bumps: int = 0
    connections_lost: int = 0
    throttled_s: float = 0.0
    round_trip_s: float = 0.0

    def round_trip(self, seconds: float) -> None:
        """Take one more round trip into the moving average (weight 1/8, as TCP's)."""
        self.round_trip_s += (seconds - self.round_trip_s) / 8 if self.round_trip_s else seconds
