"""The settings that transactions obey."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class TransactionConfig:
    """Broker settings of the transaction coordinator; every default is Kafka's.

    Attributes:
        max_timeout_ms: `transaction.max.timeout.ms`, the longest timeout a producer may ask for.
        abort_interval_ms: `transaction.abort.timed.out.transaction.cleanup.interval.ms`.
        id_expiration_ms: `transactional.id.expiration.ms`, after which an unused id is forgotten.
        id_expiration_interval_ms:
            `transaction.remove.expired.transaction.cleanup.interval.ms`.
        topic_partitions: `transaction.state.log.num.partitions`. Fixed once the topic exists: the
            partition of an id is a hash modulo this.
        segment_bytes: `transaction.state.log.segment.bytes`.
    """

    max_timeout_ms: int = 900_000
    abort_interval_ms: int = 10_000
    id_expiration_ms: int = 604_800_000
    id_expiration_interval_ms: int = 3_600_000
    topic_partitions: int = 50
    segment_bytes: int = 104_857_600

    @classmethod
    def read(cls, setting: Callable[[str], int]) -> TransactionConfig:
        """Return the settings that `setting` gives for Kafka's property names."""
        return cls(
            max_timeout_ms=setting("transaction.max.timeout.ms"),
            abort_interval_ms=setting(
                "transaction.abort.timed.out.transaction.cleanup.interval.ms"
            ),
            id_expiration_ms=setting("transactional.id.expiration.ms"),
            id_expiration_interval_ms=setting(
                "transaction.remove.expired.transaction.cleanup.interval.ms"
            ),
            topic_partitions=setting("transaction.state.log.num.partitions"),
            segment_bytes=setting("transaction.state.log.segment.bytes"),
        )
