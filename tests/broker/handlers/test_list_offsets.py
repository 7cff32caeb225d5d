"""ListOffsets: the ends of a log and lookups by time."""

from __future__ import annotations

import pytest

from pyproducer.protocol.error_codes import ErrorCode
from pyproducer.protocol.messages.delete_records import (
    DeleteRecordsPartition,
    DeleteRecordsRequest,
    DeleteRecordsTopic,
)
from pyproducer.protocol.messages.list_offsets import (
    ListOffsetsPartition,
    ListOffsetsPartitionResponse,
    ListOffsetsRequest,
    ListOffsetsTopic,
)
from tests.helpers.partition_logs import NOW, batch
from tests.helpers.wire_client import WireClient


def look_up(
    client: WireClient, timestamp: int, *, version: int = 9, partition: int = 0, epoch: int = -1
) -> ListOffsetsPartitionResponse:
    request = ListOffsetsRequest(
        replica_id=-1,
        topics=[
            ListOffsetsTopic(
                name="orders",
                partitions=[
                    ListOffsetsPartition(
                        partition_index=partition, timestamp=timestamp, current_leader_epoch=epoch
                    )
                ],
            )
        ],
    )
    answer: ListOffsetsPartitionResponse = client.ask(request, version).topics[0].partitions[0]
    return answer


@pytest.fixture
def filled(client: WireClient) -> WireClient:
    """Ten records whose times go 0, 100, 200, 900, 400... and of which two are deleted."""
    client.produce("orders", batch(4, times=[NOW, NOW + 100, NOW + 200, NOW + 900]))
    client.produce("orders", batch(6, times=[NOW + 400 + 10 * i for i in range(6)]))
    delete = DeleteRecordsRequest(
        topics=[
            DeleteRecordsTopic(
                name="orders", partitions=[DeleteRecordsPartition(partition_index=0, offset=2)]
            )
        ]
    )
    assert client.ask(delete, 1).topics[0].partitions[0].low_watermark == 2
    return client


@pytest.mark.parametrize("version", range(1, 11))
def test_e4_latest_is_the_high_watermark(filled: WireClient, version: int):
    """
    E4: -1 is the high watermark, in every version; from 4 on with the leader epoch.
    """
    answer = look_up(filled, -1, version=version)

    assert (10, -1) == (answer.offset, answer.timestamp)
    assert (0 if version >= 4 else -1) == answer.leader_epoch


def test_e4_earliest_is_the_log_start(filled: WireClient):
    """
    E4: -2 is the log start offset, and so is -4, all of the log being local.
    """
    assert (2, 2) == (look_up(filled, -2).offset, look_up(filled, -4).offset)


def test_e4_max_timestamp_is_a_records_offset(filled: WireClient):
    """
    E4: -3 is the offset of the record with the highest timestamp, from version 7 on.
    """
    answer = look_up(filled, -3)

    assert (3, NOW + 900) == (answer.offset, answer.timestamp)
    assert ErrorCode.UNSUPPORTED_VERSION == look_up(filled, -3, version=6).error_code


def test_e4_time_finds_the_first_record_at_or_after(filled: WireClient):
    """
    E4: a time finds the first record not older than it, by record and not by batch.
    """
    found = {delta: look_up(filled, NOW + delta).offset for delta in (0, 200, 201, 420, 900, 901)}

    assert {0: 2, 200: 2, 201: 3, 420: 3, 900: 3, 901: -1} == found
    assert NOW + 900 == look_up(filled, NOW + 201).timestamp


def test_e4_nothing_is_tiered(filled: WireClient):
    """
    E4: -5 asks for tiered storage, of which there is none.
    """
    assert (-1, 0) == (look_up(filled, -5).offset, look_up(filled, -5).error_code)


def test_unknown_partition_and_epoch(client: WireClient):
    """
    A partition that does not exist gets 3, a leader epoch of the future 75.
    """
    assert ErrorCode.UNKNOWN_TOPIC_OR_PARTITION == look_up(client, -1, partition=9).error_code
    assert ErrorCode.UNKNOWN_LEADER_EPOCH == look_up(client, -1, epoch=4).error_code


def test_partition_named_twice_is_refused(client: WireClient):
    """
    A partition that is asked for twice in one request gets 42 both times.
    """
    twice = [ListOffsetsPartition(partition_index=0, timestamp=-1) for _ in range(2)]
    request = ListOffsetsRequest(topics=[ListOffsetsTopic(name="orders", partitions=twice)])

    codes = [one.error_code for one in client.ask(request, 5).topics[0].partitions]
    assert [ErrorCode.INVALID_REQUEST] * 2 == codes
