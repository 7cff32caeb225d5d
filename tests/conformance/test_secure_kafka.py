"""The rig itself: foreign clients get into the secured Apache Kafka by each way they know."""

from __future__ import annotations

import pytest

from tests.helpers.peers import peer
from tests.helpers.sample_records import difference, sample_records
from tests.helpers.scoreboard import Row, Scoreboard
from tests.helpers.secure_kafka import MECHANISMS, SecureKafka

pytestmark = pytest.mark.needs("kafka")

PARTITIONS = 3
WAYS = [("MTLS", None), *((listener, one) for listener in ("SASL", "CLEAR") for one in MECHANISMS)]
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
        pytest.param(name, *way, marks=pytest.mark.needs(name), id=f"{name}-{way[0]}-{way[1]}")
        for name, ways in PEERS.items()
        for way in ways
    ],
)
def test_foreign_client(
    secure_kafka: SecureKafka,
    scoreboard: Scoreboard,
    name: str,
    listener: str,
    mechanism: str | None,
) -> None:
    """
    A client writes and reads the same over a secured connection.
    """
    client = peer(name)
    access = secure_kafka.access(listener, mechanism)
    topic = f"rig-{name}-{listener}-{mechanism}"
    secure_kafka.create_topics({topic: PARTITIONS})
    records = [one for one in sample_records(topic, PARTITIONS) if client.can_send(one)]

    client.produce(access.address, topic, records, access=access)
    read = client.consume(access.address, topic, len(records), access=access)

    wrong = difference(records, read, timestamps=client.sets_timestamps)
    row = Row(name, f"kafka, {access.name}", name, "none", "all", len(records), len(read), wrong)
    scoreboard.add(row)
