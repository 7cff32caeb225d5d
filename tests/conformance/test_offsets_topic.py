"""Kafka's own tools understand what our group coordinator keeps in `__consumer_offsets`."""

from __future__ import annotations

import json
import re
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import ConsumerGroupTopicPartitions, TopicPartition
from confluent_kafka.admin import AdminClient

from pyproducer.broker import Broker
from tests.helpers.apache_kafka import dump_log_segments
from tests.helpers.group_consumers import Confluent, step_until

pytestmark = pytest.mark.needs("kafka")

RECORD = re.compile(
    r"^\| offset: \d+ .*? key: (?P<key>\{.*?\}) payload: (?P<payload>.*)$", re.MULTILINE
)


@pytest.fixture(scope="module")
def records(tmp_path_factory: pytest.TempPathFactory) -> list[tuple[dict[str, Any], str]]:
    """Keys and values, as DumpLogSegments decodes them, of a group that joined, left and went."""
    data_dir: Path = tmp_path_factory.mktemp("data")
    config = {"offsets.topic.num.partitions": "1"}
    with Broker(topics={"orders": 2}, data_dir=data_dir, config=config) as broker:
        servers = broker.bootstrap_servers
        admin = AdminClient({"bootstrap.servers": servers, "log_level": 0})
        with closing(Confluent(servers, "g", "orders", "instance")) as member:
            step_until(lambda: len(member.partitions()) == 2, member)
        offset = TopicPartition("orders", 1, 7, metadata="note", leader_epoch=0)
        simple = [ConsumerGroupTopicPartitions("simple", [offset])]
        admin.alter_consumer_group_offsets(simple)["simple"].result(10)
        admin.delete_consumer_groups(["simple"])["simple"].result(10)
    text = dump_log_segments(
        sorted((data_dir / "__consumer_offsets-0").glob("*.log")), "--offsets-decoder"
    )
    return [(json.loads(found["key"]), found["payload"]) for found in RECORD.finditer(text)]


def of_kind(records: list[tuple[dict[str, Any], str]], kind: str, group: str) -> list[str]:
    """Return the values of a group's records whose keys have that version, in order."""
    return [
        payload for key, payload in records if key["type"] == kind and key["data"]["group"] == group
    ]


def test_group_metadata(records):
    """
    Kafka sees the member with its subscription and assignment.
    """
    value = json.loads(of_kind(records, "2", "g")[0])
    data = value["data"]
    [member] = data["members"]

    assert value["version"] == "3"
    assert (data["protocolType"], data["generation"], data["protocol"]) == ("consumer", 1, "range")
    assert data["leader"] == member["memberId"]
    assert member["groupInstanceId"] == "instance"
    assert member["subscription"]["topics"] == ["orders"]
    assert member["assignment"]["assignedPartitions"] == [{"topic": "orders", "partitions": [0, 1]}]


def test_committed_offset_and_tombstones(records):
    """
    Kafka sees the offset with epoch and note, and that a deleted group leaves only tombstones.
    """
    committed, tombstone = of_kind(records, "1", "simple")
    data = json.loads(committed)["data"]

    assert (data["offset"], data["leaderEpoch"]) == (7, 0)
    # confluent-kafka counts the zero behind a C string as part of it.
    assert data["metadata"].rstrip("\0") == "note"
    assert tombstone == "<DELETE>"
    assert of_kind(records, "2", "simple") == ["<DELETE>"]
