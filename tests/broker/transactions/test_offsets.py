"""Offsets in transactions: X7, on the wire."""

from __future__ import annotations

import pytest

from pyproducer.broker import Broker
from pyproducer.model import TopicPartition
from pyproducer.protocol.error_codes import ErrorCode
from pyproducer.protocol.messages.offset_commit import (
    OffsetCommitRequest,
    OffsetCommitRequestPartition,
    OffsetCommitRequestTopic,
)
from tests.helpers.transactional_client import (
    TransactionalProducer,
    committed_offset,
)
from tests.helpers.wire_client import WireClient

O0 = TopicPartition("orders", 0)


def plain_commit(client: WireClient, group: str, offset: int) -> None:
    part = OffsetCommitRequestPartition(partition_index=0, committed_offset=offset)
    topics = [OffsetCommitRequestTopic(name="orders", partitions=[part])]
    answer = client.ask(OffsetCommitRequest(group_id=group, topics=topics), 8)
    assert 0 == answer.topics[0].partitions[0].error_code


@pytest.mark.parametrize("version", range(6))
@pytest.mark.parametrize("commit", [True, False])
def test_x7_offsets_count_when_the_transaction_is_committed(client, producer, version, commit):
    """
    X7: until then 88 for those who want stable offsets and the old offset for others; an abort
    leaves the old one.
    """
    plain_commit(client, "g", 4)
    if version < 5:
        assert 0 == producer.add_offsets("g", version=min(version, 4))
    assert 0 == producer.commit_offset("g", O0, 9, version=version)

    assert (ErrorCode.UNSTABLE_OFFSET_COMMIT, -1) == committed_offset(client, "g", O0)
    assert (0, 4) == committed_offset(client, "g", O0, stable=False)
    assert 0 == producer.end(commit=commit)
    assert (0, 9 if commit else 4) == committed_offset(client, "g", O0)


def test_x7_a_later_plain_commit_wins(client, producer):
    """
    X7: of two commits to one place the later one counts, also if the transaction ends after it.
    """
    producer.add_offsets("g")
    producer.commit_offset("g", O0, 9)
    plain_commit(client, "g", 12)
    assert (0, 12) == committed_offset(client, "g", O0)
    producer.end(commit=True)

    assert (0, 12) == committed_offset(client, "g", O0)


def test_x7_offsets_need_the_group_in_the_transaction(client, producer):
    """
    X7: without AddOffsetsToTxn 48, or 120 for those who know it; version 5 adds it by itself.
    """
    told = [producer.commit_offset("g", O0, 9, version=version) for version in (0, 3, 4)]
    invalid, abortable = ErrorCode.INVALID_TXN_STATE, ErrorCode.TRANSACTION_ABORTABLE

    assert [invalid, invalid, abortable] == told
    assert 0 == producer.commit_offset("g", O0, 9, version=5)
    assert 3 == producer.commit_offset("g", TopicPartition("nowhere", 0), 9, version=5)
    assert ErrorCode.INVALID_GROUP_ID == producer.commit_offset("", O0, 9)


def test_x7_members_of_old_generations_are_fenced(client, producer):
    """
    X7, KIP-447: a member that the group does not know, or an old generation, may not commit.
    """
    producer.add_offsets("g")
    plain_commit(client, "g", 1)
    told = [
        producer.commit_offset("g", O0, 9, generation_id=3, member_id="m"),
        producer.commit_offset("new", O0, 9, generation_id=3, member_id="m"),
    ]

    assert [ErrorCode.UNKNOWN_MEMBER_ID, ErrorCode.ILLEGAL_GENERATION] == told


def test_x7_pending_offsets_survive_a_restart(tmp_path):
    """
    X7: an offset in an open transaction is unstable after a restart as well, and committed later.
    """
    with (
        Broker({"orders": 1}, data_dir=tmp_path) as broker,
        WireClient(broker.bootstrap_servers) as client,
    ):
        producer = TransactionalProducer(client)
        producer.init()
        producer.add_offsets("g")
        producer.commit_offset("g", O0, 9)
    with Broker(data_dir=tmp_path) as broker, WireClient(broker.bootstrap_servers) as client:
        producer.client = client
        assert (ErrorCode.UNSTABLE_OFFSET_COMMIT, -1) == committed_offset(client, "g", O0)
        assert 0 == producer.end(commit=True)
        assert (0, 9) == committed_offset(client, "g", O0)
    with Broker(data_dir=tmp_path) as broker, WireClient(broker.bootstrap_servers) as client:
        assert (0, 9) == committed_offset(client, "g", O0)
