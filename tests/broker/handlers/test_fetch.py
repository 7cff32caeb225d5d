"""Fetch in this broker: every version, its own limits, and what ends a wait.

What holds for Kafka as well is in tests/statements/test_fetch.py.
"""

from __future__ import annotations

import threading
import uuid

import pytest

from pyproducer.broker import Broker
from pyproducer.protocol.error_codes import ErrorCode
from pyproducer.protocol.messages.fetch import (
    FetchPartition,
    FetchRequest,
    FetchResponse,
    FetchTopic,
    PartitionData,
)
from pyproducer.protocol.messages.metadata import MetadataRequest, MetadataRequestTopic
from pyproducer.records.reader import iter_batches
from tests.helpers.partition_logs import batch
from tests.helpers.wire_client import WireClient


def request(
    *offsets: int,
    topic: str = "orders",
    topic_id: uuid.UUID | None = None,
    partition_max: int = 1 << 20,
    epoch: int = -1,
    **fields: int,
) -> FetchRequest:
    """Ask for partitions 0, 1, 2... of a topic, each from an offset."""
    return FetchRequest(
        topics=[
            FetchTopic(
                topic=topic,
                topic_id=topic_id or uuid.UUID(int=0),
                partitions=[
                    FetchPartition(
                        partition=index,
                        fetch_offset=offset,
                        partition_max_bytes=partition_max,
                        current_leader_epoch=epoch,
                    )
                    for index, offset in enumerate(offsets)
                ],
            )
        ],
        **fields,
    )


def parts(answer: FetchResponse) -> list[PartitionData]:
    return answer.responses[0].partitions


def offsets(data: PartitionData) -> list[int]:
    return [record.offset for one in iter_batches(data.records) for record in one.records()]


@pytest.mark.parametrize("version", range(4, 17))
def test_every_served_version_reads(client: WireClient, version: int):
    """
    Versions 4 to 16 read what was appended, from 13 on by topic id.
    """
    client.produce("orders", batch(3))
    topic = MetadataRequest(topics=[MetadataRequestTopic(name="orders")])
    topic_id = client.ask(topic, 12).topics[0].topic_id

    [data] = parts(client.ask(request(0, topic_id=topic_id), version))

    assert [0, 1, 2] == offsets(data)
    assert (3, 3) == (data.high_watermark, data.last_stable_offset)


def test_e1_max_bytes_holds_for_the_whole_answer(client: WireClient):
    """
    E1: later partitions obey what is left of max_bytes.
    """
    for partition in range(3):
        client.produce("orders", batch(value=b"x" * 5000), partition=partition)

    answer = client.ask(request(0, 0, 0, max_bytes=11_000), 11)

    assert [[0], [0], []] == [offsets(data) for data in parts(answer)]


def test_fetch_max_bytes_of_the_broker_holds():
    """
    fetch.max.bytes bounds every answer, whatever the client asks for.
    """
    with (
        Broker({"orders": 1}, config={"fetch.max.bytes": "1024"}) as broker,
        WireClient(broker.bootstrap_servers) as client,
    ):
        for _ in range(3):
            client.produce("orders", batch(value=b"x" * 900))

        assert [0] == offsets(parts(client.ask(request(0), 11))[0])


def test_l5_leader_epochs_are_compared(client: WireClient):
    """
    L5: a client of a later epoch than the broker's gets 75.
    """
    ahead = parts(client.ask(request(0, epoch=5), 11))
    right = parts(client.ask(request(0, epoch=0), 11))

    assert ErrorCode.UNKNOWN_LEADER_EPOCH == ahead[0].error_code
    assert 0 == right[0].error_code


def test_read_committed_lists_no_aborted_transactions(client: WireClient):
    """
    read_committed readers get an empty list of aborted transactions, others null.
    """
    committed = parts(client.ask(request(0, isolation_level=1), 11))
    everything = parts(client.ask(request(0), 11))

    assert ([], None) == (
        committed[0].aborted_transactions,
        everything[0].aborted_transactions,
    )


def test_deleted_topic_ends_a_waiting_fetch(broker: Broker, client: WireClient):
    """
    A fetch that waits on a topic that is deleted is answered with 3.
    """
    from pyproducer.protocol.messages.delete_topics import DeleteTopicsRequest

    client.send(request(0, min_bytes=1, max_wait_ms=60_000), 11)
    with WireClient(broker.bootstrap_servers) as admin:
        admin.ask(DeleteTopicsRequest(topic_names=["orders"]), 5)

    assert ErrorCode.UNKNOWN_TOPIC_OR_PARTITION == parts(client.receive())[0].error_code


def test_client_that_leaves_while_waiting_is_forgotten(broker: Broker):
    """
    A fetch whose client goes away leaves no watch on its partitions.
    """
    with WireClient(broker.bootstrap_servers) as leaving:
        leaving.send(request(0, min_bytes=1, max_wait_ms=60_000), 11)
        partition = broker._node().partition("orders", 0)
        while not partition.watches:
            threading.Event().wait(0.005)
    while partition.watches:
        threading.Event().wait(0.005)

    assert set() == partition.watches
