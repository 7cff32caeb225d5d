"""What a broker promises of records beyond Kafka's own settings."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal, get_args

from pyproducer.errors import ConfigError

__all__ = ["FLUSH_INTERVAL_MS", "Durability", "ExpiryClock", "FlushMode", "checked_durability"]

FlushMode = Literal["always", "interval", "os"]
ExpiryClock = Literal["append", "record"]
#: `log.flush.interval.ms` where the flush mode is `interval` and it is not set.
FLUSH_INTERVAL_MS: Final = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Durability:
    """How records and the memory of their producers are kept.

    Attributes:
        flush: `always` forces records to disk before they are acknowledged or read, `interval`
            at intervals, `os` leaves it to the operating system.
        producer_expiry_clock: What a producer's idle time is counted from: its last `append`, or
            its last `record`'s timestamp, as in Kafka.
        strict_unknown_producer: A producer that is not known on a partition begins with sequence
            0, or is refused.
    """

    flush: FlushMode = "os"
    producer_expiry_clock: ExpiryClock = "append"
    strict_unknown_producer: bool = False


def _checked_flush(mode: str) -> FlushMode:
    """The flush mode.

    Raises:
        ConfigError: There is none of that name.
    """
    for known in get_args(FlushMode):
        if mode == known:
            found: FlushMode = known
            return found
    raise ConfigError(
        f"flush={mode!r} is no flush mode: give 'always', 'interval' or 'os'", option="flush"
    )


def checked_durability(
    flush: str, producer_expiry_clock: str, *, strict_unknown_producer: bool
) -> Durability:
    """The arguments together.

    Raises:
        ConfigError: One of them is not possible.
    """
    mode = _checked_flush(flush)
    for known in get_args(ExpiryClock):
        if producer_expiry_clock == known:
            return Durability(
                flush=mode,
                producer_expiry_clock=known,
                strict_unknown_producer=bool(strict_unknown_producer),
            )
    raise ConfigError(
        f"producer_expiry_clock={producer_expiry_clock!r} is no clock: give 'append' or 'record'",
        option="producer_expiry_clock",
    )
