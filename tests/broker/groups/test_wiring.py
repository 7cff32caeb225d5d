from __future__ import annotations

from pyproducer.broker import Broker
from pyproducer.protocol.messages.metadata import MetadataRequest, MetadataRequestTopic
from pyproducer.protocol.messages.offset_commit import (
    OffsetCommitRequest,
    OffsetCommitRequestPartition,
    OffsetCommitRequestTopic,
)
from pyproducer.protocol.messages.offset_fetch import OffsetFetchRequest
from tests.helpers.wire_client import WireClient

GROUPS = [f"group-{number}" for number in range(20)]


def offsets_topic_partitions(client: WireClient) -> int:
    """Return how many partitions clients are told of; 0 for no such topic."""
    wanted = [MetadataRequestTopic(name="__consumer_offsets")]
    [topic] = client.ask(MetadataRequest(topics=wanted), 9).topics
    assert topic.is_internal or topic.error_code
    return len(topic.partitions)


def committed(client: WireClient, group: str) -> list[int]:
    """Return the group's offsets."""
    topics = client.ask(OffsetFetchRequest(group_id=group, topics=None), 5).topics
    return [partition.committed_offset for topic in topics for partition in topic.partitions]


def test_topic_appears_with_the_first_commit_and_keeps_its_partitions(tmp_path):
    """
    A broker without groups has no offsets topic. Once made, the setting no longer matters: every
    group is found in the partition that it was written to.
    """
    with (
        Broker({"t": 1}, data_dir=tmp_path, config={"offsets.topic.num.partitions": "7"}) as broker,
        WireClient(broker.bootstrap_servers) as client,
    ):
        assert offsets_topic_partitions(client) == 0
        for number, group in enumerate(GROUPS):
            offset = OffsetCommitRequestPartition(partition_index=0, committed_offset=number)
            topics = [OffsetCommitRequestTopic(name="t", partitions=[offset])]
            client.ask(OffsetCommitRequest(group_id=group, topics=topics), 5)
        assert offsets_topic_partitions(client) == 7
    with (
        Broker(data_dir=tmp_path, config={"offsets.topic.num.partitions": "3"}) as broker,
        WireClient(broker.bootstrap_servers) as client,
    ):
        assert offsets_topic_partitions(client) == 7
        assert [committed(client, group) for group in GROUPS] == [[n] for n in range(20)]
