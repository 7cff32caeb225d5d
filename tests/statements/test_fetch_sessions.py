"""Fetch sessions: what is asked, and what of it is answered (E2, E3)."""

from __future__ import annotations

import pytest

from pyproducer.protocol.error_codes import ErrorCode
from pyproducer.protocol.messages.create_topics import CreatableTopic, CreateTopicsRequest
from pyproducer.protocol.messages.delete_records import (
    DeleteRecordsPartition,
    DeleteRecordsRequest,
    DeleteRecordsTopic,
)
from pyproducer.protocol.messages.delete_topics import DeleteTopicsRequest
from pyproducer.protocol.messages.fetch import FetchRequest
from tests.helpers.session_reader import SessionReader, topic_id_of
from tests.helpers.statement_servers import Server, eventually
from tests.helpers.wire_client import WireClient
from tests.statements.conftest import Servers

E = ErrorCode


@pytest.fixture
def reader(server: Server, client: WireClient) -> SessionReader:
    """A reader of partitions 0, 1 and 2 of a new topic, in a session that knows their ends."""
    reading = SessionReader(client, server.topic(3))
    assert {0: (0, []), 1: (0, []), 2: (0, [])} == reading.told({0: 0, 1: 0, 2: 0})
    return reading


def delete(client: WireClient, topic: str) -> None:
    client.ask(DeleteTopicsRequest(topic_names=[topic], timeout_ms=5000), 5)


def create(client: WireClient, topic: str) -> None:
    """The topic is there again, and takes records."""
    made = CreatableTopic(name=topic, num_partitions=3, replication_factor=1)
    request = CreateTopicsRequest(topics=[made], timeout_ms=5000)
    eventually(lambda: client.ask(request, 6).topics[0].error_code == 0)


def produce(server: Server, client: WireClient, topic: str, count: int, partition: int = 0) -> None:
    """So many records are in the partition, however new its topic is."""
    batch = server.batch(*[b"value"] * count)
    eventually(lambda: client.produce(topic, batch, partition=partition).error_code == 0)


def test_e2_full_fetch_makes_a_session(reader: SessionReader):
    """
    E2: (0, 0) is answered in full and with the id of a new session.
    """
    assert reader.session > 0


def test_e2_only_changes_are_answered(server: Server, client: WireClient, reader: SessionReader):
    """
    E2: an incremental fetch that names nothing reads all, and is told of what has changed.
    """
    nothing = reader.told()
    client.produce(reader.topic, server.batch(b"a", b"b"), partition=1)
    # As long as the reader does not move on it is given the same.
    twice = reader.told(), reader.told()
    moved = reader.told({1: 2})

    assert ({}, {}) == (nothing, moved)
    assert ({1: (0, [0, 1])},) * 2 == twice


def test_e2_log_start_that_moves_is_news(server: Server, client: WireClient, reader: SessionReader):
    """
    E2: a partition whose log starts elsewhere is told of without records.
    """
    client.produce(reader.topic, server.batch(*[b"value"] * 4), partition=2)
    reader.told()
    reader.told({2: 4})
    parts = [DeleteRecordsPartition(partition_index=2, offset=3)]
    topics = [DeleteRecordsTopic(name=reader.topic, partitions=parts)]
    client.ask(DeleteRecordsRequest(topics=topics, timeout_ms=5000), 1)
    [topic] = reader.ask().responses

    assert [(2, 3)] == [(one.partition_index, one.log_start_offset) for one in topic.partitions]
    assert {} == reader.told()


def test_e2_partitions_join_and_are_forgotten(
    server: Server, client: WireClient, reader: SessionReader
):
    """
    E2: a partition that is named joins the session, one that is forgotten is read no more.
    """
    other = server.topic()
    for partition in range(3):
        client.produce(reader.topic, server.batch(b"value"), partition=partition)
    client.produce(other, server.batch(b"value"))
    joined = reader.ask({0: 0}, topic=other)
    left = reader.ask(forget=(0, 1))

    assert {reader.topic, other} == {topic.topic for topic in joined.responses}
    assert {(reader.topic, 2), (other, 0)} == {
        (topic.topic, data.partition_index) for topic in left.responses for data in topic.partitions
    }


def test_e2_partitions_with_records_wait_for_the_others(
    server: Server, client: WireClient, reader: SessionReader
):
    """
    E2: where only one has room in an answer, each partition has its turn.
    """
    for partition in range(3):
        client.produce(reader.topic, server.batch(b"x" * 2000), partition=partition)
    first = [index for index, (_, offsets) in reader.told(max_bytes=1000).items() if offsets]
    turns = [index for _ in range(5) for index, found in reader.told(max_bytes=1000).items()]

    assert [0, 1, 2, 0, 1, 2] == first + turns


def test_e2_errors_are_repeated_and_their_end_is_news(reader: SessionReader):
    """
    E2: a partition in error is in every answer; when it is well again it is told of once more.
    """
    errors = reader.told({1: 99}), reader.told()
    well = reader.told({1: 0})

    assert ({1: (E.OFFSET_OUT_OF_RANGE, [])},) * 2 == errors
    assert {1: (0, [])} == well
    assert {} == reader.told()


def test_e2_unknown_session_and_wrong_epoch(
    server: Server, client: WireClient, reader: SessionReader
):
    """
    E2: an id that is not there gets 70, a wrong epoch 71; the session goes on.
    """
    client.produce(reader.topic, server.batch(b"value"))
    unknown = FetchRequest(session_id=reader.session ^ 1, session_epoch=1)
    ahead = FetchRequest(session_id=reader.session, session_epoch=7)
    answers = [client.ask(one, 11) for one in (unknown, ahead)]

    assert [
        (E.FETCH_SESSION_ID_NOT_FOUND, 0, []),
        (E.INVALID_FETCH_SESSION_EPOCH, 0, []),
    ] == [(one.error_code, one.session_id, one.responses) for one in answers]
    assert {0: (0, [0])} == reader.told()


def test_e2_session_does_not_change_between_names_and_ids(
    client: WireClient, reader: SessionReader
):
    """
    E2: a session of names gets 106 for a request by ids, and one of ids for a request by names.
    """
    by_id = SessionReader(client, reader.topic, by_id=topic_id_of(client, reader.topic))
    by_id.ask({0: 0})
    mixed = [
        client.ask(FetchRequest(session_id=reader.session, session_epoch=1), 13),
        client.ask(FetchRequest(session_id=by_id.session, session_epoch=1), 12),
    ]

    assert [E.FETCH_SESSION_TOPIC_ID_ERROR] * 2 == [one.error_code for one in mixed]


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
    assert E.FETCH_SESSION_ID_NOT_FOUND == gone.error_code


def test_e2_session_without_partitions_is_dropped(client: WireClient, reader: SessionReader):
    """
    E2: forgetting the last partition ends the session.
    """
    session = reader.session
    last = reader.ask(forget=(0, 1, 2))
    gone = client.ask(FetchRequest(session_id=session, session_epoch=2), 11)

    assert (0, 0, []) == (last.error_code, last.session_id, last.responses)
    assert E.FETCH_SESSION_ID_NOT_FOUND == gone.error_code


def test_e2_no_slot_for_a_session_is_no_error(servers: Servers):
    """
    E2: without a slot every answer has id 0, and a reader without a session is served in full.
    """
    server = servers.shared({"max.incremental.fetch.session.cache.slots": "0"})
    with server.connect() as client:
        reading = SessionReader(client, server.topic(2))

        assert {0: (0, []), 1: (0, [])} == reading.told({0: 0, 1: 0})
        assert 0 == reading.session


def test_e3_recreated_topic_is_not_answered_for_the_old_id(server: Server, client: WireClient):
    """
    E3: the id of a topic that came back by name gets 100, and in a session 103; never its records.
    """
    topic = server.topic(3)
    old = topic_id_of(client, topic)
    kept = SessionReader(client, topic, by_id=old)
    kept.ask({0: 0})
    delete(client, topic)
    deleted = eventually(lambda: {k: v for k, v in kept.told().items() if v[0]})
    create(client, topic)
    produce(server, client, topic, 3)
    fresh = SessionReader(client, topic, by_id=old).told({0: 0})
    now = SessionReader(client, topic, by_id=topic_id_of(client, topic)).told({0: 0})

    assert {0: (E.UNKNOWN_TOPIC_OR_PARTITION, [])} == deleted
    assert {0: (E.INCONSISTENT_TOPIC_ID, [])} == kept.told()
    assert {0: (E.UNKNOWN_TOPIC_ID, [])} == fresh
    assert {0: (0, [0, 1, 2])} == now


def test_e3_session_of_names_goes_on_with_the_new_topic(
    server: Server, client: WireClient, reader: SessionReader
):
    """
    E3: who reads by name reads the topic that has the name now.
    """
    delete(client, reader.topic)
    create(client, reader.topic)
    produce(server, client, reader.topic, 2, partition=1)
    found = eventually(lambda: {k: v for k, v in reader.told().items() if v[1]})

    assert {1: (0, [0, 1])} == found
