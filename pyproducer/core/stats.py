# cython: annotation_typing=False, nonecheck=True, binding=False, freethreading_compatible=True
"""What the engine counts as it goes; ``metrics.py`` makes the public snapshot of it."""

from __future__ import annotations

__all__ = ["Stats"]


class Stats:
    """Totals since the producer was made; averages move with the last few requests."""

    __slots__ = (
        "batch_records",
        "batches",
        "bytes_plain",
        "bytes_sent",
        "connections_lost",
        "delivered",
        "epoch_bumps",
        "failed",
        "requests",
        "retries",
        "round_trip_s",
        "splits",
        "throttled_s",
    )

    def __init__(self) -> None:
        self.delivered = 0
        self.failed = 0
        self.batches = 0
        self.batch_records = 0
        self.bytes_plain = 0
        self.bytes_sent = 0
        self.requests = 0
        self.retries = 0
        self.splits = 0
        self.epoch_bumps = 0
        self.connections_lost = 0
        self.throttled_s = 0.0
        self.round_trip_s = 0.0

    def round_trip(self, seconds: float) -> None:
        """Take one more round trip into the moving average (weight 1/8, as TCP's)."""
        self.round_trip_s += (seconds - self.round_trip_s) / 8 if self.round_trip_s else seconds
