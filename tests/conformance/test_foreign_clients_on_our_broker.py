"""Clients that we did not write produce to our broker, and read what others produced."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from pyproducer.broker import Broker
from tests.helpers.log_files import codecs_on_disk
from tests.helpers.peers import ACKS, CODECS, PEERS, Peer, peer
from tests.helpers.sample_records import (
    ReadRecord,
    SampleRecord,
    difference,
    offsets_in_order,
    sample_records,
)
from tests.helpers.scoreboard import Row, Scoreboard
from tests.helpers.topics import create_topics

CONFIG = {"group.initial.rebalance.delay.ms": "0"}
EACH_PEER = [pytest.param(name, marks=pytest.mark.needs(name)) for name in PEERS]
PARTITIONS = 3


class OurBroker(Broker):
    """The broker, its data where the tests can look at it."""

    def __init__(self, data_dir: Path) -> None:
        super().__init__(data_dir=data_dir, config=CONFIG)
        self.data_dir = data_dir


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OurBroker]:
    """Our broker, one for the module."""
    with OurBroker(tmp_path_factory.mktemp("data")) as running:
        yield running


@pytest.fixture
def writer(request: pytest.FixtureRequest) -> Peer:
    """The client that a test's parameter names."""
    return peer(request.param)


@pytest.fixture
def reader(request: pytest.FixtureRequest) -> Peer:
    """The client that a test's parameter names."""
    return peer(request.param)


def expressible(writer: Peer, label: str) -> list[SampleRecord]:
    return [record for record in sample_records(label, PARTITIONS) if writer.can_send(record)]


def held(broker: Broker, topic: str) -> list[ReadRecord]:
    """The topic's records by the broker's own account."""
    return [
        ReadRecord(one.partition, one.offset, one.key, one.value, one.headers, one.timestamp_ms)
        for one in broker.records(topic)
    ]


def check_all_read(
    broker: OurBroker,
    scoreboard: Scoreboard,
    writer: Peer,
    topic: str,
    records: list[SampleRecord],
    codec: str,
    acks: str,
) -> None:
    """Have every client, and the broker itself, say what the topic holds."""
    for reader in map(peer, scoreboard.readers):
        read = reader.consume(broker.bootstrap_servers, topic, len(records))
        wrong = difference(records, read, timestamps=writer.sets_timestamps)
        row = Row(writer.name, "ours", reader.name, codec, acks, len(records), len(read), wrong)
        scoreboard.add(row)
    own = held(broker, topic)
    wrong = difference(records, own, timestamps=writer.sets_timestamps)
    scoreboard.add(
        Row(writer.name, "ours", "its own records()", codec, acks, len(records), len(own), wrong)
    )


@pytest.mark.parametrize("codec", CODECS)
@pytest.mark.parametrize("writer", EACH_PEER, indirect=True)
def test_every_codec_comes_back(
    broker: OurBroker, scoreboard: Scoreboard, writer: Peer, codec: str
) -> None:
    """
    What a client wrote in a codec lies on disk in that codec, and every client reads it equal.
    """
    topic = f"codec-{writer.name}-{codec}"
    create_topics(broker.bootstrap_servers, {topic: PARTITIONS})
    records = expressible(writer, topic)

    offsets = writer.produce(broker.bootstrap_servers, topic, records, codec=codec)

    assert offsets in (None, offsets_in_order(records))
    check_all_read(broker, scoreboard, writer, topic, records, codec, "all")
    # A client may send a small batch plain that compression would make larger; but one that
    # misunderstood the broker's versions would never compress.
    stored = codecs_on_disk(broker.data_dir, topic)
    assert stored[codec] > 0
    assert stored.keys() <= {codec, "none"}


@pytest.mark.parametrize("acks", [acks for acks in ACKS if acks != "all"])
@pytest.mark.parametrize("writer", EACH_PEER, indirect=True)
def test_every_acks_comes_back(
    broker: OurBroker, scoreboard: Scoreboard, writer: Peer, acks: str
) -> None:
    """
    What a client wrote without waiting for replicas, or for any answer, is all there.
    """
    topic = f"acks-{writer.name}-{acks}"
    create_topics(broker.bootstrap_servers, {topic: PARTITIONS})
    records = expressible(writer, topic)

    offsets = writer.produce(broker.bootstrap_servers, topic, records, acks=acks)

    if acks != "0":
        assert offsets in (None, offsets_in_order(records))
    check_all_read(broker, scoreboard, writer, topic, records, "none", acks)


@pytest.mark.parametrize("reader", EACH_PEER, indirect=True)
def test_group_goes_on_where_it_committed(
    broker: OurBroker, scoreboard: Scoreboard, reader: Peer
) -> None:
    """
    A second member of a group, after the first has left, reads exactly what the first did not.
    """
    topic = f"group-{reader.name}"
    create_topics(broker.bootstrap_servers, {topic: PARTITIONS})
    writer = peer("confluent-kafka")
    records = expressible(writer, topic)
    writer.produce(broker.bootstrap_servers, topic, records)

    first = reader.consume(broker.bootstrap_servers, topic, 25, group=topic)
    rest = reader.consume(broker.bootstrap_servers, topic, len(records) - 25, group=topic)

    assert len(first) == 25
    read = sorted(first + rest)
    wrong = difference(records, read)
    name = f"{reader.name}, group"
    scoreboard.add(Row(writer.name, "ours", name, "none", "all", len(records), len(read), wrong))


@pytest.mark.parametrize("reader", EACH_PEER, indirect=True)
def test_group_survives_a_restart(tmp_path: Path, scoreboard: Scoreboard, reader: Peer) -> None:
    """
    A group goes on where it committed after the broker was stopped and started again.
    """
    writer = peer("confluent-kafka")
    records = expressible(writer, "restart")
    with OurBroker(tmp_path) as broker:
        create_topics(broker.bootstrap_servers, {"restart": PARTITIONS})
        writer.produce(broker.bootstrap_servers, "restart", records, codec="lz4")
        first = reader.consume(broker.bootstrap_servers, "restart", 25, group="restart")
    with OurBroker(tmp_path) as broker:
        rest = reader.consume(
            broker.bootstrap_servers, "restart", len(records) - 25, group="restart"
        )

    assert len(first) == 25
    read = sorted(first + rest)
    wrong = difference(records, read)
    name = f"{reader.name}, restart"
    scoreboard.add(Row(writer.name, "ours", name, "lz4", "all", len(records), len(read), wrong))
