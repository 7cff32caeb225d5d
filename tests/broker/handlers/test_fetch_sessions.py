"""Fetch sessions as a reader meets them: what is asked, and what of it is answered."""

from __future__ import annotations

import uuid
from collections.abc import Mapping

import pytest

from pyproducer.broker import Broker, TopicSpec
from pyproducer.protocol.error_codes import ErrorCode
from pyproducer.protocol.messages.create_topics import CreatableTopic, CreateTopicsRequest
from pyproducer.protocol.messages.delete_records import (
    DeleteRecordsPartition,
    DeleteRecordsRequest,
    DeleteRecordsTopic,
)
from pyproducer.protocol.messages.delete_topics import DeleteTopicsRequest
from pyproducer.protocol.messages.fetch import (
    FetchPartition,
    FetchRequest,
    FetchResponse,
    FetchTopic,
    ForgottenTopic,
    PartitionData,
)
from pyproducer.protocol.messages.metadata import MetadataRequest, MetadataRequestTopic
from pyproducer.records.reader import iter_batches
from tests.helpers.partition_logs import batch
from tests.helpers.wire_client import WireClient

NO_ID = uuid.UUID(int=0)


class SessionReader:
    """A reader with a session of its own, which it numbers as it should."""

    def __init__(self, client: WireClient, version: int = 11) -> None:
        self.client = client
        self.version = version
        self.session = 0
        self.epoch = 0

    def ask(
        self,
        offsets: Mapping[int, int] | None = None,
        *,
        topic: str = "orders",
        topic_id: uuid.UUID = NO_ID,
        forget: tuple[int, ...] = (),
        **fields: int,
    ) -> FetchResponse:
        """Name partitions with offsets, and partitions to forget; return the answer."""
        parts = [
            FetchPartition(partition=index, fetch_offset=offset, partition_max_bytes=1 << 20)
            for index, offset in (offsets or {}).items()
        ]
        gone = [ForgottenTopic(topic=topic, topic_id=topic_id, partitions=list(forget))]
        request = FetchRequest(
            session_id=self.session,
            session_epoch=self.epoch,
            topics=[FetchTopic(topic=topic, topic_id=topic_id, partitions=parts)] if parts else [],
            forgotten_topics_data=gone if forget else [],
            **fields,
        )
        answer: FetchResponse = self.client.ask(request, self.version)
        self.session = answer.session_id
        self.epoch += 1
        return answer

    def told(self, *args: object, **kwargs: object) -> dict[int, tuple[int, list[int]]]:
        """Error code and offsets of each partition that the answer to `ask` is about."""
        answer = self.ask(*args, **kwargs)  # type: ignore[arg-type]
        assert answer.error_code == 0
        return {
            data.partition_index: (data.error_code, offsets(data))
            for topic in answer.responses
            for data in topic.partitions
        }


def offsets(data: PartitionData) -> list[int]:
    return [record.offset for one in iter_batches(data.records) for record in one.records()]


def topic_id_of(client: WireClient, topic: str) -> uuid.UUID:
    request = MetadataRequest(topics=[MetadataRequestTopic(name=topic)])
    found: uuid.UUID = client.ask(request, 12).topics[0].topic_id
    return found


def recreate(client: WireClient, topic: str, *, partitions: int = 3) -> None:
    client.ask(DeleteTopicsRequest(topic_names=[topic], timeout_ms=5000), 5)
    made = CreatableTopic(name=topic, num_partitions=partitions, replication_factor=1)
    client.ask(CreateTopicsRequest(topics=[made], timeout_ms=5000), 6)


@pytest.fixture
def reader(client: WireClient) -> SessionReader:
    """A reader of partitions 0, 1 and 2, in a session that knows their ends."""
    reading = SessionReader(client)
    assert {0: (0, []), 1: (0, []), 2: (0, [])} == reading.told({0: 0, 1: 0, 2: 0})
    return reading


def test_e2_full_fetch_makes_a_session(reader: SessionReader):
    """
    E2: (0, 0) is answered in full and with the id of a new session.
    """
    assert reader.session > 0


def test_e2_only_changes_are_answered(client: WireClient, reader: SessionReader):
    """
    E2: an incremental fetch that names nothing reads all, and is told of what has changed.
    """
    nothing = reader.told()
    client.produce("orders", batch(2), partition=1)
    # As long as the reader does not move on it is given the same.
    twice = reader.told(), reader.told()
    moved = reader.told({1: 2})

    assert ({}, {}) == (nothing, moved)
    assert ({1: (0, [0, 1])},) * 2 == twice


def test_e2_log_start_that_moves_is_news(client: WireClient, reader: SessionReader):
    """
    E2: a partition whose log starts elsewhere is told of without records.
    """
    client.produce("orders", batch(4), partition=2)
    reader.told({2: 4})
    parts = [DeleteRecordsPartition(partition_index=2, offset=3)]
    delete = DeleteRecordsRequest(topics=[DeleteRecordsTopic(name="orders", partitions=parts)])
    client.ask(delete, 1)
    [topic] = reader.ask().responses

    assert [(2, 3)] == [(one.partition_index, one.log_start_offset) for one in topic.partitions]
    assert {} == reader.told()


def test_e2_partitions_join_and_are_forgotten(client: WireClient, reader: SessionReader):
    """
    E2: a partition that is named joins the session, one that is forgotten is read no more.
    """
    for partition in range(3):
        client.produce("orders", batch(), partition=partition)
    client.produce("small", batch())
    joined = reader.ask({0: 0}, topic="small", forget=())
    left = reader.told(forget=(0, 1))

    assert {"orders", "small"} == {topic.topic for topic in joined.responses}
    # The one of the other topic with number 0 is still read.
    assert {0: (0, [0]), 2: (0, [0])} == left


def test_e2_partitions_with_records_wait_for_the_others(client: WireClient, reader: SessionReader):
    """
    E2: where only one has room in an answer, each partition has its turn.
    """
    for partition in range(3):
        client.produce("orders", batch(value=b"x" * 900), partition=partition)
    turns = [next(iter(reader.told(max_bytes=1000))) for _ in range(6)]

    assert [0, 1, 2, 0, 1, 2] == turns


def test_e2_errors_are_repeated_and_their_end_is_news(client: WireClient, reader: SessionReader):
    """
    E2: a partition in error is in every answer; when it is well again it is told of once more.
    """
    code = ErrorCode.OFFSET_OUT_OF_RANGE
    errors = reader.told({1: 99}), reader.told()
    well = reader.told({1: 0})

    assert ({1: (code, [])},) * 2 == errors
    assert {1: (0, [])} == well
    assert {} == reader.told()


def test_e2_fault_in_a_partition_that_is_not_named(
    broker: Broker, client: WireClient, reader: SessionReader
):
    """
    E2: a fault strikes what a session reads, named in the request or not.
    """
    fault = broker.faults.fail("Fetch", "NOT_LEADER_OR_FOLLOWER", topic="orders", partition=2)
    struck = reader.told()
    after = reader.told()

    assert ({2: (ErrorCode.NOT_LEADER_OR_FOLLOWER, [])}, 1) == (struck, fault.hits)
    assert {2: (0, [])} == after


def test_e2_unknown_session_and_wrong_epoch(client: WireClient, reader: SessionReader):
    """
    E2: an id that is not there gets 70, a wrong epoch 71; the session goes on.
    """
    client.produce("orders", batch(), partition=0)
    unknown = FetchRequest(session_id=reader.session ^ 1, session_epoch=1)
    ahead = FetchRequest(session_id=reader.session, session_epoch=7)
    codes = [client.ask(one, 11) for one in (unknown, ahead)]

    assert [
        (ErrorCode.FETCH_SESSION_ID_NOT_FOUND, 0, []),
        (ErrorCode.INVALID_FETCH_SESSION_EPOCH, 0, []),
    ] == [(one.error_code, one.session_id, one.responses) for one in codes]
    assert {0: (0, [0])} == reader.told()


def test_e2_session_does_not_change_between_names_and_ids(
    client: WireClient, reader: SessionReader
):
    """
    E2: a session of names gets 106 for a request by ids, and one of ids for a request by names.
    """
    by_id = SessionReader(client, version=13)
    by_id.ask({0: 0}, topic_id=topic_id_of(client, "orders"))
    mixed = [
        client.ask(FetchRequest(session_id=reader.session, session_epoch=1), 13),
        client.ask(FetchRequest(session_id=by_id.session, session_epoch=1), 12),
    ]

    assert [ErrorCode.FETCH_SESSION_TOPIC_ID_ERROR] * 2 == [one.error_code for one in mixed]


@pytest.mark.parametrize("epoch", [0, -1])
def test_e2_full_fetch_ends_the_session_it_names(
    client: WireClient, reader: SessionReader, epoch: int
):
    """
    E2: (id, 0) makes another session in place of this one, (id, -1) none.
    """
    before = reader.session
    reader.epoch = epoch
    after = reader.ask({0: 0}).session_id
    gone = client.ask(FetchRequest(session_id=before, session_epoch=1), 11)

    assert (after > 0) == (epoch == 0)
    assert after != before
    assert ErrorCode.FETCH_SESSION_ID_NOT_FOUND == gone.error_code


def test_e2_session_that_goes_on_elsewhere_fails_the_fetch_that_waits(
    broker: Broker, client: WireClient, reader: SessionReader
):
    """
    E2: a fetch that is overtaken by the next one of its session, on another connection, gets 71.
    """
    waiting = FetchRequest(
        session_id=reader.session, session_epoch=1, min_bytes=1, max_wait_ms=60_000
    )
    client.send(waiting, 11)
    partition = broker._node().partition("orders", 0)
    with WireClient(broker.bootstrap_servers) as other:
        while not partition.watches:
            other.ask(MetadataRequest(topics=[]), 1)
        overtaking = other.ask(FetchRequest(session_id=reader.session, session_epoch=2), 11)
        other.produce("orders", batch())
        overtaken = client.receive()

    assert (0, ErrorCode.INVALID_FETCH_SESSION_EPOCH) == (
        overtaking.error_code,
        overtaken.error_code,
    )
    assert (reader.session, []) == (overtaken.session_id, overtaken.responses)


def test_e2_no_slot_for_a_session_is_no_error():
    """
    E2: without a slot every answer has id 0, and a reader without a session is served in full.
    """
    with (
        Broker(
            [TopicSpec("orders", 3)], config={"max.incremental.fetch.session.cache.slots": 0}
        ) as broker,
        WireClient(broker.bootstrap_servers) as client,
    ):
        reading = SessionReader(client)

        assert {0: (0, []), 1: (0, [])} == reading.told({0: 0, 1: 0})
        assert 0 == reading.session


def test_e3_recreated_topic_is_not_answered_for_the_old_id(client: WireClient):
    """
    E3: the id of a topic that came back by name gets 100, and in a session 103; never its records.
    """
    old = topic_id_of(client, "orders")
    kept = SessionReader(client, version=13)
    kept.ask({0: 0}, topic_id=old)
    client.ask(DeleteTopicsRequest(topic_names=["orders"], timeout_ms=5000), 5)
    deleted = kept.told()
    recreate(client, "orders")
    client.produce("orders", batch(3))
    fresh = SessionReader(client, version=13).told({0: 0}, topic_id=old)
    now = SessionReader(client, version=13).told({0: 0}, topic_id=topic_id_of(client, "orders"))

    assert {0: (ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, [])} == deleted
    assert {0: (ErrorCode.INCONSISTENT_TOPIC_ID, [])} == kept.told()
    assert {0: (ErrorCode.UNKNOWN_TOPIC_ID, [])} == fresh
    assert {0: (0, [0, 1, 2])} == now


def test_e3_session_of_names_goes_on_with_the_new_topic(client: WireClient, reader: SessionReader):
    """
    E3: who reads by name reads the topic that has the name now.
    """
    recreate(client, "orders")
    client.produce("orders", batch(2), partition=1)

    assert {1: (0, [0, 1])} == reader.told()
