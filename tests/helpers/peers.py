"""Foreign clients behind one small face, so that what they write and read can be compared."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from typing import Protocol

from tests.helpers.access import Access
from tests.helpers.sample_records import ReadRecord, SampleRecord

CODECS = ("none", "gzip", "snappy", "lz4", "zstd")
ACKS = ("0", "1", "all")
PEERS = ("confluent-kafka", "aiokafka", "kafka-python", "kcat")

#: How long a consumer waits for the records it was told to expect.
CONSUME_SECONDS = 20.0


class Peer(Protocol):
    """One client library or program.

    Attributes:
        name: what tables call it.
        sets_timestamps: False if the client stamps every record with its own clock.
    """

    name: str
    sets_timestamps: bool

    def can_send(self, record: SampleRecord) -> bool:
        """True if the client's producer has a way to express the record."""

    def produce(
        self,
        bootstrap_servers: str,
        topic: str,
        records: Sequence[SampleRecord],
        *,
        codec: str = "none",
        acks: str = "all",
        access: Access | None = None,
    ) -> list[int] | None:
        """Send the records in order and wait for every outcome; any failure raises.

        Returns:
            The offset told for each record (-1 where the broker told none), or None if the client
            does not show them.
        """

    def consume(
        self,
        bootstrap_servers: str,
        topic: str,
        count: int,
        *,
        group: str | None = None,
        access: Access | None = None,
    ) -> list[ReadRecord]:
        """Read ``count`` records of all partitions, and any that follow at once.

        Without a group the partitions are assigned and read from their beginning. With a group the
        client subscribes, begins where the group's committed offsets end (else at the beginning),
        reads exactly ``count`` records and commits. If they do not come in time, those that did
        are returned.
        """


def peer(name: str) -> Peer:
    """The client of one of the ``PEERS``' names; its library is imported only now."""
    module = import_module(f"tests.helpers.peer_{name.replace('-', '_')}")
    found: Peer = module.PEER
    return found
