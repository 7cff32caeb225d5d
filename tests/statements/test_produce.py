"""Produce: in which order a request is looked at, and what the answer says (P1, P2, P9 to P13)."""

from __future__ import annotations

import pytest

from pyproducer.protocol.error_codes import ErrorCode
from pyproducer.protocol.messages.delete_records import (
    DeleteRecordsPartition,
    DeleteRecordsRequest,
    DeleteRecordsTopic,
)
from pyproducer.protocol.messages.find_coordinator import FindCoordinatorRequest
from pyproducer.protocol.messages.offset_commit import (
    OffsetCommitRequest,
    OffsetCommitRequestPartition,
    OffsetCommitRequestTopic,
)
from pyproducer.protocol.messages.produce import (
    PartitionProduceData,
    PartitionProduceResponse,
    ProduceRequest,
    TopicProduceData,
)
from pyproducer.records.codec import Codec
from tests.helpers.log_files import batches_on_disk
from tests.helpers.statement_servers import Server, eventually
from tests.helpers.wire_client import WireClient

E = ErrorCode


def request(*parts: tuple[str, int, bytes | None], acks: int = -1, **fields) -> ProduceRequest:
    """A request with records for each topic and partition."""
    return ProduceRequest(
        acks=acks,
        timeout_ms=5000,
        topic_data=[
            TopicProduceData(
                name=topic, partition_data=[PartitionProduceData(index=index, records=records)]
            )
            for topic, index, records in parts
        ],
        **fields,
    )


def answers(client: WireClient, asked: ProduceRequest) -> dict[str, PartitionProduceResponse]:
    """What is answered for the one partition of each topic."""
    answer = client.ask(asked, 9)
    return {one.name: one.partition_responses[0] for one in answer.responses}


def corrupt(data: bytes) -> bytes:
    """The batch with another last byte, which its checksum does not cover."""
    return data[:-1] + bytes([data[-1] ^ 1])


def commit_something(client: WireClient, topic: str) -> None:
    """There is a group with an offset, and so the topic of offsets."""
    find = FindCoordinatorRequest(key="group", key_type=0)
    commit = OffsetCommitRequest(
        group_id="group",
        topics=[
            OffsetCommitRequestTopic(
                name=topic,
                partitions=[
                    OffsetCommitRequestPartition(
                        partition_index=0, committed_offset=0, committed_metadata=None
                    )
                ],
            )
        ],
    )

    def committed() -> bool:
        return client.ask(commit, 8).topics[0].partitions[0].error_code == 0

    eventually(lambda: client.ask(find, 3).error_code == 0)
    eventually(committed)


def test_p1_transactional_records_need_a_transactional_id(server: Server, client: WireClient):
    """
    Transactional records without a transactional id fail the whole request, whatever else it has.
    """
    good, other = server.topic(), server.topic()
    records = server.batch(
        b"x", producer_id=1, producer_epoch=0, base_sequence=0, transactional=True
    )
    asked = request((good, 0, server.batch(b"x")), (other, 0, records), ("nowhere", 0, b""))
    codes = {one.error_code for one in answers(client, asked).values()}

    assert codes == {E.TRANSACTIONAL_ID_AUTHORIZATION_FAILED}
    assert list(batches_on_disk(server.data_dir, good)) == []


def test_p1_unknown_topic_or_partition(server: Server, client: WireClient):
    """
    Records for a topic or a partition that is not there are refused, and nothing is made for them.
    """
    topic = server.topic(2)

    assert client.produce("nowhere", server.batch(b"x")).error_code == 3
    assert client.produce(topic, server.batch(b"x"), partition=2).error_code == 3
    assert client.produce(topic, server.batch(b"x"), partition=1).error_code == 0


def test_p1_partition_is_looked_for_before_the_records(server: Server, client: WireClient):
    """
    Nobody looks at records for a partition that is not there, nor at the acks they come with.
    """
    assert client.produce("nowhere", b"not a batch").error_code == E.UNKNOWN_TOPIC_OR_PARTITION
    assert (
        client.produce("nowhere", server.batch(b"x"), acks=5).error_code
        == E.UNKNOWN_TOPIC_OR_PARTITION
    )


def test_p1_shape_is_looked_at_before_acks(server: Server, client: WireClient):
    """
    Of a request that has two batches and impossible acks, the batches are what is refused.
    """
    two = server.batch(b"x") * 2

    assert client.produce(server.topic(), two, acks=5).error_code == E.INVALID_RECORD


@pytest.mark.parametrize("acks", [-2, 2, 5])
def test_p1_acks_before_the_batch(server: Server, client: WireClient, acks: int):
    """
    Acks other than -1, 0 and 1 are refused, before the batch and its topic are looked at.
    """
    topic = server.topic()
    bad = corrupt(server.batch(b"x"))

    assert client.produce(topic, bad, acks=acks).error_code == E.INVALID_REQUIRED_ACKS
    assert list(batches_on_disk(server.data_dir, topic)) == []


def test_p1_internal_topics_are_the_brokers_own(server: Server, client: WireClient):
    """
    Clients do not write to __consumer_offsets; that is looked at after acks, before the batch.
    """
    commit_something(client, server.topic())
    topic = "__consumer_offsets"
    bad = corrupt(server.batch(b"x"))

    assert client.produce(topic, bad).error_code == E.INVALID_TOPIC_EXCEPTION
    assert client.produce(topic, bad, acks=5).error_code == E.INVALID_REQUIRED_ACKS


def test_p2_exactly_one_batch(server: Server, client: WireClient):
    """
    No batch, or two, are no records of one partition.
    """
    # Kafka 4.4 never answers a request whose records are null, and ours refuses it likewise.
    topic = server.topic()
    for records in (b"", server.batch(b"x") * 2):
        assert client.produce(topic, records).error_code == E.INVALID_RECORD
    assert list(batches_on_disk(server.data_dir, topic)) == []


@pytest.mark.parametrize("magic", [0, 1])
def test_p2_only_the_format_of_batches(server: Server, client: WireClient, magic: int):
    """
    The record formats from before batches are refused.
    """
    old = bytearray(server.batch(b"x"))
    old[16] = magic

    assert client.produce(server.topic(), bytes(old)).error_code == E.INVALID_RECORD


def test_p2_zstd_by_version(server: Server, client: WireClient):
    """
    Zstandard comes with version 7 and later: who asks in an older one may not know it.
    """
    topic = server.topic()
    records = server.batch(b"x", codec=Codec.ZSTD)
    code = E.UNSUPPORTED_COMPRESSION_TYPE

    assert [client.produce(topic, records, version=v).error_code for v in (3, 6)] == [code] * 2
    assert client.produce(topic, records, version=7).error_code == 0


def test_p9_answer_of_a_partition(server: Server, client: WireClient):
    """
    A partition is answered with the offset of its first record, where its log starts, and no time
    where the records keep their own.
    """
    topic = server.topic()
    client.produce(topic, server.batch(b"a", b"b"))
    client.ask(
        DeleteRecordsRequest(
            timeout_ms=5000,
            topics=[
                DeleteRecordsTopic(
                    name=topic, partitions=[DeleteRecordsPartition(partition_index=0, offset=1)]
                )
            ],
        ),
        2,
    )
    new = client.produce(topic, server.batch(b"c", b"d"), version=8)
    old = client.produce(topic, server.batch(b"e"), version=3)

    assert (new.error_code, new.base_offset, new.log_append_time_ms) == (0, 2, -1)
    assert (new.log_start_offset, new.record_errors, new.error_message) == (1, [], None)
    assert (old.error_code, old.base_offset, old.log_append_time_ms) == (0, 4, -1)


def test_p9_partitions_are_independent(server: Server, client: WireClient):
    """
    A partition that fails has offset -1 and a reason, and its neighbours do not fail with it.
    """
    good, bad, last = server.topic(), server.topic(), server.topic()
    found = answers(
        client,
        request(
            (good, 0, server.batch(b"x")),
            (bad, 0, corrupt(server.batch(b"x"))),
            ("nowhere", 0, server.batch(b"x")),
            (last, 0, server.batch(b"x")),
        ),
    )

    assert {name: one.error_code for name, one in found.items()} == {
        good: 0,
        bad: E.CORRUPT_MESSAGE,
        "nowhere": E.UNKNOWN_TOPIC_OR_PARTITION,
        last: 0,
    }
    assert [found[name].base_offset for name in (bad, "nowhere")] == [-1, -1]
    told = [found[bad].error_message is not None, found["nowhere"].error_message is not None]
    assert told == server.differs(
        ours=[True, True],
        kafka=[False, False],
        reason="Kafka has a message for INVALID_RECORD and INVALID_TIMESTAMP only; ours always "
        "says what is wrong",
    )


def test_p10_acks_0_is_never_answered(server: Server, client: WireClient):
    """
    Records with acks=0 get no answer: the next one on the connection is the next request's.
    """
    topic = server.topic()
    client.send(request((topic, 0, server.batch(b"a", b"b", b"c")), acks=0), 9)
    client._sent.clear()

    assert client.produce(topic, server.batch(b"d")).base_offset == 3


@pytest.mark.parametrize("what", ["batch", "topic"])
def test_p10_acks_0_failure_closes_the_connection(server: Server, what: str):
    """
    An error with acks=0 closes the connection, and what was good in the request is kept.
    """
    topic, other = server.topic(), server.topic()
    bad = (other, 0, corrupt(server.batch(b"x")))
    if what == "topic":
        bad = ("nowhere", 0, server.batch(b"x"))
    with server.connect() as client:
        client.send(request((topic, 0, server.batch(b"x")), bad, acks=0), 9)
        assert client.is_closed()
    assert len(list(batches_on_disk(server.data_dir, topic))) == 1


@pytest.mark.parametrize("acks", [1, -1])
def test_p11_acknowledged_is_in_the_log(server: Server, client: WireClient, acks: int):
    """
    What is acknowledged is in the log, whichever acks were asked for.
    """
    topic = server.topic()

    assert client.produce(topic, server.batch(b"a", b"b"), acks=acks).base_offset == 0
    [batch] = batches_on_disk(server.data_dir, topic)
    assert batch.header.record_count == 2


def test_p12_no_timeout_is_too_short_for_one_replica(server: Server, client: WireClient):
    """
    With one replica there is nothing to wait for, so a timeout of 0 does not fail.
    """
    assert client.produce(server.topic(), server.batch(b"x"), timeout_ms=0).error_code == 0


def test_p13_more_in_sync_than_there_are_replicas(server: Server, client: WireClient):
    """
    A topic of one replica takes acks=all whatever its min.insync.replicas: no more can be in sync.
    """
    topic = server.topic(min_insync_replicas=3)

    assert client.produce(topic, server.batch(b"x"), acks=-1).error_code == 0
