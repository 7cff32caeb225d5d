"""What the log cleaner of a broker obeys, whatever the topic."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["CleanerSettings"]

# Hash and offset of a key, and a share of the map that stays free, as in Kafka.
_ENTRY_BYTES = 24
_LOAD = 0.9


@dataclass(frozen=True, slots=True, kw_only=True)
class CleanerSettings:
    """Broker settings under Kafka's names without ``log.cleaner.``.

    Attributes:
        enable: Whether anything is cleaned.
        backoff_ms: Rest after a look at all logs.
        dedupe_buffer_size: Bytes for the map of keys.
        io_buffer_size: Bytes for reading and writing, half of them for reading.
    """

    enable: bool = True
    backoff_ms: int = 15_000
    dedupe_buffer_size: int = 128 << 20
    io_buffer_size: int = 512 << 10

    @property
    def keys(self) -> int:
        """Keys that the map may hold."""
        return max(1, int(self.dedupe_buffer_size / _ENTRY_BYTES * _LOAD))

    @property
    def read_size(self) -> int:
        """Bytes that are read at a time; a larger batch is read alone."""
        return max(1, self.io_buffer_size // 2)
