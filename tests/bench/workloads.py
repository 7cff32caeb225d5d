"""What is sent, and with which settings: the same words for every client."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class Settings:
    """The settings of a producer, in Kafka's words. Every driver turns them into its client's.

    Attributes:
        acks: 0, 1, or -1 for all.
        in_flight: requests without an answer on one connection; None is what the client chooses.
        level: of the codec; None for the codec's fast default. Clients without the option
            (aiokafka, kafka-python) use their own.
        buffer_bytes: more than any round holds, so that no client waits for room.
    """

    acks: int = 1
    idempotence: bool = False
    linger_ms: int = 5
    batch_size: int = 1_000_000
    batch_max_records: int = 10_000
    max_request_size: int = 1_048_576
    in_flight: int | None = 5
    codec: str = "none"
    level: int | None = None
    buffer_bytes: int = 1 << 30


#: Levels of the codecs that have any which all clients agree on.
LEVELS = {"zstd": 3, "gzip": 6}


def compressed(codec: str, **settings: Any) -> Settings:
    """Settings with a codec at the level that every client can be given."""
    return Settings(codec=codec, level=LEVELS.get(codec), **settings)


@dataclass(frozen=True)
class Workload:
    """One row of the benchmark.

    Attributes:
        name: as the report prints it.
        size: bytes of a value (for dicts: about so many once serialized).
        keyed: every record has a key, one of 10,000.
        headers: number of headers of each record.
        partitions: of the topic.
        spread: the records name their partition, one after the other.
        form: what a value is before it is sent: ``bytes``, or a dict for ``json`` and ``avro``.
        senders: concurrent callers; 0 is one that does not wait for outcomes.
        clients: who takes part, by the ids of tests.bench.clients.
        sink: whom they send to.
        operation: of the drivers.
        count: of records in a round, where rows are compared for what a record costs; 0 lets each
            client send as many as it can in the time of a round.
        delay_ms: how much later the sink answers; for sinks that can.
    """

    name: str
    clients: tuple[str, ...]
    settings: Settings = Settings()
    size: int = 100
    keyed: bool = False
    headers: int = 0
    partitions: int = 4
    spread: bool = False
    form: str = "bytes"
    senders: int = 0
    sink: str = "mock"
    operation: str = "throughput"
    delay_ms: int = 0
    count: int = 0

    @property
    def job(self) -> dict[str, Any]:
        """The part of a driver's job that says what to send."""
        words = ("size", "keyed", "headers", "partitions", "spread", "form", "senders")
        return {
            **{word: getattr(self, word) for word in words},
            "settings": asdict(self.settings),
        }
