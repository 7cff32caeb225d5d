"""Fetch and ListOffsets: how long they wait, what they return, and which offset a time means.

Sessions are in test_fetch_sessions.
"""

from __future__ import annotations

import time
import uuid

import pytest

from pyproducer.model import TopicPartition
from pyproducer.protocol.error_codes import ErrorCode
from pyproducer.protocol.messages.delete_records import (
    DeleteRecordsPartition,
    DeleteRecordsRequest,
    DeleteRecordsTopic,
)
from pyproducer.protocol.messages.fetch import (
    FetchPartition,
    FetchRequest,
    FetchTopic,
    PartitionData,
    ReplicaState,
)
from pyproducer.protocol.messages.find_coordinator import FindCoordinatorRequest
from pyproducer.protocol.messages.list_offsets import (
    ListOffsetsPartition,
    ListOffsetsPartitionResponse,
    ListOffsetsRequest,
    ListOffsetsTopic,
)
from pyproducer.records.builder import build_batch
from pyproducer.records.reader import iter_batches
from pyproducer.records.record import Record
from tests.helpers.session_reader import offsets_of, topic_id_of
from tests.helpers.statement_servers import Server, eventually
from tests.helpers.transactional_client import TransactionalProducer
from tests.helpers.wire_client import WireClient
from tests.statements.conftest import Servers

E = ErrorCode
LATEST, EARLIEST, YOUNGEST, LOCAL, TIERED = -1, -2, -3, -4, -5
#: A wait that nobody sits out; shorter than a test's patience with the socket.
LONG = 8_000


def request(
    topic: str,
    *offsets: int,
    max_bytes: int = 1 << 20,
    topic_id: uuid.UUID | None = None,
    part: dict[str, int] | None = None,
    **fields: object,
) -> FetchRequest:
    """Ask for partitions 0, 1, 2... of a topic, each from an offset."""
    parts = [
        FetchPartition(
            partition=index, fetch_offset=offset, partition_max_bytes=max_bytes, **(part or {})
        )
        for index, offset in enumerate(offsets)
    ]
    named = FetchTopic(topic=topic, topic_id=topic_id or uuid.UUID(int=0), partitions=parts)
    return FetchRequest(topics=[named], **fields)  # type: ignore[arg-type]


def parts(client: WireClient, asked: FetchRequest, version: int = 11) -> list[PartitionData]:
    """What is answered for each partition, in the order of their numbers."""
    answer = client.ask(asked, version)
    found = [data for topic in answer.responses for data in topic.partitions]
    return sorted(found, key=lambda data: data.partition_index)


def look_up(
    client: WireClient, topic: str, timestamp: int, *, version: int = 9, committed: bool = False
) -> ListOffsetsPartitionResponse:
    part = ListOffsetsPartition(partition_index=0, timestamp=timestamp)
    asked = ListOffsetsRequest(
        replica_id=-1,
        isolation_level=int(committed),
        topics=[ListOffsetsTopic(name=topic, partitions=[part])],
    )
    found: ListOffsetsPartitionResponse = client.ask(asked, version).topics[0].partitions[0]
    return found


def timed(server: Server, *ages_ms: int) -> bytes:
    """A batch of records as old as that."""
    now = server.now_ms
    return build_batch(Record(0, now - age, key=b"k", value=b"value") for age in ages_ms)


def transactional(client: WireClient, name: str) -> TransactionalProducer:
    """A producer of that transactional id, once there is a coordinator for it."""
    made = TransactionalProducer(client, name)
    # Kafka makes the topic of transactions when it is first asked for a coordinator.
    eventually(lambda: client.ask(FindCoordinatorRequest(key=name, key_type=1), 3).error_code == 0)
    eventually(lambda: made.init() == 0)
    return made


@pytest.mark.parametrize("later", [1, 3])
def test_e1_min_bytes_of_several_appends_end_the_wait(
    server: Server, client: WireClient, later: int
):
    """
    E1: bytes of several appends to several partitions end a fetch's wait when they are enough.
    """
    topic, data = server.topic(2), server.batch(b"value")
    client.send(request(topic, 0, 0, min_bytes=later * len(data), max_wait_ms=LONG), 11)
    began = time.monotonic()
    with server.connect() as writer:
        for number in range(later):
            writer.produce(topic, data, partition=number % 2)
    answer = client.receive()

    assert later == sum(len(offsets_of(one)) for one in answer.responses[0].partitions)
    assert time.monotonic() - began < LONG / 1000


def test_e1_max_wait_ends_the_wait(server: Server, client: WireClient):
    """
    E1: after max_wait there is an answer, with what there is.
    """
    topic = server.topic()
    client.produce(topic, server.batch(b"value"))

    [data] = parts(client, request(topic, 0, min_bytes=1_000_000, max_wait_ms=50))

    assert [0] == offsets_of(data)


def test_e1_min_bytes_beyond_max_bytes_are_not_waited_for(server: Server, client: WireClient):
    """
    E1: of min_bytes counts what max_bytes allows.
    """
    topic = server.topic()
    client.produce(topic, server.batch(b"x" * 5000))
    began = time.monotonic()
    [data] = parts(
        client,
        request(topic, 0, min_bytes=1_000_000, max_bytes=1 << 20, max_wait_ms=LONG).replace(
            max_bytes=2000
        ),
    )

    assert [0] == offsets_of(data)
    assert time.monotonic() - began < LONG / 1000


def test_e1_what_is_not_committed_does_not_end_the_wait_of_a_committed_reader(
    server: Server, client: WireClient
):
    """
    E1: a read_committed fetch counts bytes below the last stable offset, and its move ends the wait.
    """
    topic = server.topic()
    place = TopicPartition(topic, 0)
    with server.connect() as writer:
        producer = transactional(writer, topic)
        producer.add(place)
        asked = request(topic, 0, min_bytes=1, max_wait_ms=LONG, isolation_level=1)
        client.send(asked, 11)
        producer.write(place, count=3)
        # Answered while the other still waits.
        with server.connect() as everything:
            [seen] = parts(everything, request(topic, 0, min_bytes=1, max_wait_ms=LONG))
        open_for_committed = look_up(writer, topic, LATEST, committed=True).offset
        producer.end(commit=True)
        [data] = client.receive().responses[0].partitions

    assert [0, 1, 2] == offsets_of(seen)
    assert 0 == open_for_committed
    assert [0, 1, 2] == offsets_of(data)[:3]
    assert data.last_stable_offset == data.high_watermark == 4


def test_e1_error_in_one_partition_ends_the_wait(server: Server, client: WireClient):
    """
    E1: an error in any partition is answered at once, with what the others have.
    """
    topic = server.topic(2)
    began = time.monotonic()
    found = parts(client, request(topic, 0, 99, 0, min_bytes=1, max_wait_ms=LONG))

    assert [0, E.OFFSET_OUT_OF_RANGE, E.UNKNOWN_TOPIC_OR_PARTITION] == [
        data.error_code for data in found
    ]
    assert [(-1, -1), (-1, -1)] == [
        (data.high_watermark, data.log_start_offset) for data in found[1:]
    ]
    assert time.monotonic() - began < LONG / 1000


def test_e1_first_batch_is_whole_whatever_the_limits(server: Server, client: WireClient):
    """
    E1: the first partition with records gives a whole batch beyond the limits, later ones obey them.
    """
    topic = server.topic(3)
    for partition in (1, 2):
        client.produce(topic, server.batch(b"x" * 5000), partition=partition)

    found = parts(client, request(topic, 0, 0, 0, max_bytes=100).replace(max_bytes=100))

    assert [[], [0], []] == [offsets_of(data) for data in found]
    for one in iter_batches(found[1].records):
        one.verify()


def test_e1_nothing_asked_for_is_nothing_to_wait_for(client: WireClient):
    """
    E1: a fetch without partitions is answered at once.
    """
    began = time.monotonic()
    answer = client.ask(FetchRequest(min_bytes=1, max_wait_ms=LONG), 11)

    assert (0, []) == (answer.error_code, answer.responses)
    assert time.monotonic() - began < LONG / 1000


def test_e1_empty_records_and_offsets_inside_a_batch(server: Server, client: WireClient):
    """
    E1: nothing to read is of length 0, and an offset inside a batch gets all of the batch.
    """
    topic = server.topic()
    [nothing] = parts(client, request(topic, 0))
    client.produce(topic, server.batch(*[b"value"] * 5))
    [whole] = parts(client, request(topic, 3))

    assert nothing.records is not None
    assert 0 == len(nothing.records)
    assert [0, 1, 2, 3, 4] == offsets_of(whole)


def test_e3_unknown_topic_id(server: Server, client: WireClient):
    """
    E3: an id that no topic has gets 100, and its neighbours are read.
    """
    topic = server.topic()
    client.produce(topic, server.batch(b"value"))
    asked = request("", 0, topic_id=uuid.uuid4())
    asked.topics += request("", 0, topic_id=topic_id_of(client, topic)).topics
    found = {one.topic_id: one.partitions[0] for one in client.ask(asked, 13).responses}

    assert {E.UNKNOWN_TOPIC_ID, 0} == {data.error_code for data in found.values()}
    assert [0] == offsets_of(found[topic_id_of(client, topic)])


def test_e4_special_timestamps(server: Server, client: WireClient):
    """
    E4: -1 is the end, -2 and -4 the start, -3 the youngest record, -5 nothing; with leader epochs.
    """
    topic = server.topic()
    empty = [look_up(client, topic, one) for one in (LATEST, EARLIEST, YOUNGEST)]
    client.produce(topic, timed(server, 900, 100, 700))
    client.produce(topic, timed(server, 500, 300))
    places = [DeleteRecordsPartition(partition_index=0, offset=1)]
    topics = [DeleteRecordsTopic(name=topic, partitions=places)]
    client.ask(DeleteRecordsRequest(topics=topics, timeout_ms=5000), 1)
    found = [look_up(client, topic, one) for one in (LATEST, EARLIEST, YOUNGEST, LOCAL, TIERED)]

    assert [(0, 0), (0, 0), (-1, -1)] == [(one.offset, one.leader_epoch) for one in empty]
    assert [(5, 0), (1, 0), (1, 0), (1, 0), (-1, -1)] == [
        (one.offset, one.leader_epoch) for one in found
    ]
    assert [True, True, False, True, True] == [one.timestamp == -1 for one in found]


@pytest.mark.parametrize(
    ("timestamp", "since"), [(YOUNGEST, 7), (LOCAL, 8), (TIERED, 9), (-77, None)]
)
def test_e4_special_timestamps_of_later_versions(
    server: Server, client: WireClient, timestamp: int, since: int | None
):
    """
    E4: a special timestamp in a version that does not know it gets 35, whatever the partition.
    """
    topic = server.topic()
    before = look_up(client, topic, timestamp, version=9 if since is None else since - 1)

    assert (E.UNSUPPORTED_VERSION, -1, -1) == (
        before.error_code,
        before.offset,
        before.timestamp,
    )
    if since is not None:
        assert 0 == look_up(client, topic, timestamp, version=since).error_code


def test_e4_time_means_the_first_record_not_older(server: Server, client: WireClient):
    """
    E4: a time is the first record at or after it, by record and not by batch; -1 if there is none.
    """
    topic, now = server.topic(), server.now_ms
    for deltas in ((0, 100, 200, 900), (400, 410)):
        records = [Record(0, now - 5000 + one, key=b"k", value=b"v") for one in deltas]
        client.produce(topic, build_batch(records))
    asked = (0, 150, 201, 420, 900, 901)
    found = [look_up(client, topic, now - 5000 + delta) for delta in asked]

    assert [0, 2, 3, 3, 3, -1] == [one.offset for one in found]
    assert [0, 200, 900, 900, 900] == [one.timestamp - now + 5000 for one in found[:-1]]
    assert [0, 0, 0, 0, 0, -1] == [one.leader_epoch for one in found]


def test_e4_committed_readers_are_told_of_the_last_stable_offset(
    server: Server, client: WireClient
):
    """
    E4: with an open transaction read_committed's end is where it began, and nothing lies behind it.
    """
    topic = server.topic()
    place = TopicPartition(topic, 0)
    client.produce(topic, timed(server, 9000, 8000))
    producer = transactional(client, topic)
    producer.add(place)
    producer.write(place, count=2)
    since = server.now_ms - 7000
    ends = [look_up(client, topic, LATEST, committed=one).offset for one in (False, True)]
    times = [look_up(client, topic, since, committed=one).offset for one in (False, True)]
    youngest = look_up(client, topic, YOUNGEST, committed=True).offset
    producer.end(commit=False)

    assert [4, 2] == ends
    assert [2, -1] == times
    assert -1 == youngest
    # Kafka's coordinator writes its markers after it has answered.
    assert eventually(lambda: look_up(client, topic, LATEST, committed=True).offset == 5)


def test_e4_epoch_of_a_record_is_that_of_its_leader(servers: Servers):
    """
    E4: with an offset comes the epoch in which its record was appended, with the end the present one.
    """
    server = servers.own()
    topic = server.topic()
    before = server.now_ms
    with server.connect() as client:
        client.produce(topic, timed(server, 0))
    server.restart()
    between = server.now_ms
    with server.connect() as client:
        client.produce(topic, timed(server, 0))
        asked = (EARLIEST, before, between, YOUNGEST, LATEST)
        first, old, new, youngest, end = [look_up(client, topic, one) for one in asked]

    assert [0, 0, 1, 1, 2] == [one.offset for one in (first, old, new, youngest, end)]
    assert first.leader_epoch == old.leader_epoch == 0
    assert new.leader_epoch == youngest.leader_epoch == end.leader_epoch > 0


def test_e5_leader_serves_readers_of_any_rack(server: Server, client: WireClient):
    """
    E5: without a replica selector a rack changes nothing: the leader answers and prefers nobody.
    """
    topic = server.topic()
    client.produce(topic, server.batch(b"value"))
    [data] = parts(client, request(topic, 0, rack_id="elsewhere"))

    assert (-1, [0]) == (data.preferred_read_replica, offsets_of(data))


@pytest.mark.parametrize("version", [11, 15])
def test_e5_broker_that_has_no_replica_is_no_follower(
    server: Server, client: WireClient, version: int
):
    """
    E5: a fetch in the name of a broker without a replica of the partition gets 6.
    """
    topic = server.topic()
    name = {"replica_id": 77} if version < 15 else {"replica_state": ReplicaState(replica_id=77)}
    asked = request(topic, 0, topic_id=topic_id_of(client, topic), **name)

    assert [E.NOT_LEADER_OR_FOLLOWER] == [one.error_code for one in parts(client, asked, version)]


def test_l8_reader_is_told_where_its_records_part_from_the_log(server: Server, client: WireClient):
    """
    L8: a reader of records beyond the end of their epoch is told where that ended, and gets none.
    """
    topic = server.topic()
    client.produce(topic, server.batch(b"value"))
    topic_id = topic_id_of(client, topic)
    asked = request(topic, 5, topic_id=topic_id, part={"last_fetched_epoch": 0})
    [data] = parts(client, asked, 12)
    asked = request(topic, 1, topic_id=topic_id, part={"last_fetched_epoch": 0})
    [agreed] = parts(client, asked, 12)

    assert data.diverging_epoch is not None
    assert (0, 1) == (data.diverging_epoch.epoch, data.diverging_epoch.end_offset)
    assert 0 == len(data.records)
    assert agreed.diverging_epoch is None
