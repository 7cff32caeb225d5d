"""Foreign clients get into the secured Apache Kafka, and into our broker, by each way they know."""

from __future__ import annotations

import pytest

from tests.helpers.peers import peer
from tests.helpers.sample_records import difference, sample_records
from tests.helpers.scoreboard import Row, Scoreboard
from tests.helpers.secured import WAYS, Secured, access, way_id

PARTITIONS = 3
#: What each client can do. Debian's kcat sends a nonce in SCRAM that Kafka 4 refuses, and
#: its OAUTHBEARER takes no token from a command line.
PEERS = {
    "confluent-kafka": WAYS,
    "aiokafka": WAYS,
    "kafka-python": WAYS,
    "kcat": [way for way in WAYS if way[1] in {None, "PLAIN"}],
}


@pytest.mark.parametrize(
    ("name", "listener", "mechanism"),
    [
        pytest.param(name, *way, marks=pytest.mark.needs(name), id=f"{name}-{way_id(way)}")
        for name, ways in PEERS.items()
        for way in ways
    ],
)
def test_foreign_client(
    secured: Secured,
    scoreboard: Scoreboard,
    name: str,
    listener: str,
    mechanism: str | None,
) -> None:
    """
    A client writes and reads the same over a secured connection.
    """
    client = peer(name)
    way = access(secured, listener, mechanism)
    topic = f"rig-{name}-{listener}-{mechanism}"
    secured.create_topics({topic: PARTITIONS})
    records = [one for one in sample_records(topic, PARTITIONS) if client.can_send(one)]

    client.produce(way.address, topic, records, access=way)
    read = client.consume(way.address, topic, len(records), access=way)

    wrong = difference(records, read, timestamps=client.sets_timestamps)
    row = Row(
        name, f"{secured.name}, {way.name}", name, "none", "all", len(records), len(read), wrong
    )
    scoreboard.add(row)
