"""The broker's own topics, compacted: committed offsets and transactional ids stay what they were."""

from __future__ import annotations

from pathlib import Path

from pyproducer.broker import Broker
from pyproducer.broker.groups.offsets import OFFSETS_TOPIC
from pyproducer.broker.transactions.records import TRANSACTIONS_TOPIC
from pyproducer.model import TopicPartition
from pyproducer.protocol.messages.offset_commit import (
    OffsetCommitRequest,
    OffsetCommitRequestPartition,
    OffsetCommitRequestTopic,
)
from tests.helpers.admin_requests import SET, TOPIC, alter_configs_by, describe_configs
from tests.helpers.transactional_client import TransactionalProducer, committed_offset, describe
from tests.helpers.wire_client import WireClient

BACKOFF_SECONDS = 16
ORDERS = TopicPartition("orders", 0)
CONFIG = {
    "offsets.topic.num.partitions": "1",
    "transaction.state.log.num.partitions": "1",
    "transaction.state.log.segment.bytes": "5000",
}


def commit(client: WireClient, group: str, offset: int) -> None:
    """The group has committed the offset, outside of transactions."""
    part = OffsetCommitRequestPartition(partition_index=0, committed_offset=offset)
    request = OffsetCommitRequest(
        group_id=group, topics=[OffsetCommitRequestTopic(name="orders", partitions=[part])]
    )
    [topic] = client.ask(request, 2).topics
    assert 0 == topic.partitions[0].error_code


def size(data_dir: Path, topic: str) -> int:
    """Bytes of a state topic's log."""
    return sum(path.stat().st_size for path in (data_dir / f"{topic}-0").glob("*.log"))


def test_committed_offsets_and_transactional_ids(tmp_path: Path):
    """
    After many commits, inside transactions and outside, a tick makes both topics small; what
    groups and transactional ids are is the same then, and after a restart, and they go on.
    """

    def running() -> Broker:
        return Broker({"orders": 1}, data_dir=tmp_path, config=CONFIG)

    with running() as broker, WireClient(broker.bootstrap_servers) as client:
        commit(client, "plain", 0)
        small = ("segment.bytes", SET, "5000")
        assert 0 == alter_configs_by(client, TOPIC, OFFSETS_TOPIC, small).error_code
        producer = TransactionalProducer(client)
        assert 0 == producer.init()
        for number in range(1, 151):
            commit(client, "plain", number)
            commit(client, "mixed", number)
            producer.write(ORDERS)
            assert 0 == producer.add_offsets("mixed")
            place = number * 1000
            assert 0 == producer.commit_offset("mixed", ORDERS, place)
            assert 0 == producer.end(commit=number % 3 > 0)
        # The last one open over the cleaning and the restart.
        producer.write(ORDERS)
        before = describe(client)
        sizes = [size(tmp_path, topic) for topic in (OFFSETS_TOPIC, TRANSACTIONS_TOPIC)]
        broker.tick(seconds=BACKOFF_SECONDS)
        after = [size(tmp_path, topic) for topic in (OFFSETS_TOPIC, TRANSACTIONS_TOPIC)]
        assert all(later < earlier / 2 for later, earlier in zip(after, sizes, strict=True))
        found = {group: broker.committed_offsets(group) for group in ("plain", "mixed")}
        assert {"plain": {ORDERS: 150}, "mixed": {ORDERS: 150}} == found
        for topic in (OFFSETS_TOPIC, TRANSACTIONS_TOPIC):
            assert "compact" == describe_configs(client, TOPIC, topic)["cleanup.policy"].value

    with running() as broker, WireClient(broker.bootstrap_servers) as client:
        assert found == {group: broker.committed_offsets(group) for group in ("plain", "mixed")}
        assert before == describe(client)
        producer.client = client
        assert 0 == producer.add_offsets("mixed")
        assert 0 == producer.commit_offset("mixed", ORDERS, 151_000)
        assert 0 == producer.end(commit=True)
        assert (0, 151_000) == committed_offset(client, "mixed", ORDERS)
    with running() as broker:
        assert {ORDERS: 151_000} == broker.committed_offsets("mixed")


def test_forgotten_ones_stay_forgotten(tmp_path: Path):
    """
    A group that was deleted, and an id that expired, are not back when the cleaner took first
    their records and, much later, the tombstones of these.
    """
    from pyproducer.protocol.messages.delete_groups import DeleteGroupsRequest

    with (
        Broker({"orders": 1}, data_dir=tmp_path, config=CONFIG) as broker,
        WireClient(broker.bootstrap_servers) as client,
    ):
        commit(client, "gone", 1)
        small = ("segment.bytes", SET, "5000")
        assert 0 == alter_configs_by(client, TOPIC, OFFSETS_TOPIC, small).error_code
        assert 0 == TransactionalProducer(client).init()
        answer = client.ask(DeleteGroupsRequest(groups_names=["gone"]), 1)
        assert 0 == answer.results[0].error_code
        for days in (8, 2):
            for number in range(100):
                commit(client, "other", number)
                assert 0 == TransactionalProducer(client, f"other-{number % 5}").init()
            broker.tick(days=days)
    with Broker({"orders": 1}, data_dir=tmp_path, config=CONFIG) as broker:
        assert {} == broker.committed_offsets("gone")
