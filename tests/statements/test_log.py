"""The log on disk: when segments begin and go, and what a deletion leaves (G2 to G6)."""

from __future__ import annotations

from collections.abc import Iterable

from pyproducer.protocol.error_codes import ErrorCode
from pyproducer.protocol.messages.delete_records import (
    DeleteRecordsPartition,
    DeleteRecordsRequest,
    DeleteRecordsTopic,
)
from pyproducer.protocol.messages.delete_topics import DeleteTopicsRequest
from pyproducer.protocol.messages.list_offsets import (
    ListOffsetsPartition,
    ListOffsetsRequest,
    ListOffsetsTopic,
)
from tests.helpers.statement_servers import KAFKA_LOOKS_SOON, Server, eventually
from tests.helpers.wire_client import WireClient
from tests.statements.conftest import Servers

E = ErrorCode
LOOKS = {"log.retention.check.interval.ms": "500"}
EARLIEST, LATEST = -2, -1


def looking(servers: Servers) -> Server:
    """A server that looks for old segments twice a second."""
    return servers.shared(LOOKS, kafka=KAFKA_LOOKS_SOON)


def write(server: Server, client: WireClient, topic: str, ages_s: Iterable[float]) -> int:
    """Write a batch of each age; returns the size of one."""
    size = 0
    for age in ages_s:
        batch = server.batch(b"x" * 20, ago_ms=int(age * 1000))
        size = len(batch)
        assert client.produce(topic, batch).error_code == 0
    return size


def offset(client: WireClient, topic: str, timestamp: int) -> int:
    """The log's start or its end."""
    partition = ListOffsetsPartition(partition_index=0, timestamp=timestamp)
    request = ListOffsetsRequest(
        replica_id=-1, topics=[ListOffsetsTopic(name=topic, partitions=[partition])]
    )
    return client.ask(request, 5).topics[0].partitions[0].offset


def segments(server: Server, topic: str) -> list[int]:
    return sorted(int(file.stem) for file in server.folder(topic).glob("*.log"))


def test_g2_segments_begin_by_the_records_time(server: Server, client: WireClient):
    """
    A batch more than segment.ms younger than the first of its segment begins the next one.
    """
    topic = server.topic(segment_ms=2000, retention_ms=-1)
    write(server, client, topic, [100, 99, 97.5, 90, 89.5, 200])
    assert segments(server, topic) == [0, 2, 3]


def test_g3_old_segments_go(servers: Servers):
    """
    Segments whose youngest record is older than retention.ms go, up to the first that stays.
    """
    server = looking(servers)
    topic = server.topic(segment_ms=1000, retention_ms=600_000)
    with server.connect() as client:
        write(server, client, topic, [3000, 2000, 30, 20])
        eventually(lambda: offset(client, topic, EARLIEST) == 2)
        assert offset(client, topic, LATEST) == 4
    assert segments(server, topic) == [2, 3]
    gone = {file.name for file in server.folder(topic).glob("*.deleted")}
    assert {f"{base:020}.log.deleted" for base in (0, 1)} <= gone


def test_g3_the_active_segment_goes_too(servers: Servers):
    """
    Where all is old all goes, and the log goes on at its end.
    """
    server = looking(servers)
    topic = server.topic(segment_ms=1000, retention_ms=600_000)
    with server.connect() as client:
        write(server, client, topic, [3000, 2000])
        eventually(lambda: offset(client, topic, EARLIEST) == 2)
        write(server, client, topic, [0])
        assert offset(client, topic, LATEST) == 3


def test_g3_a_record_of_the_future_keeps_its_segment(servers: Servers):
    """
    A segment is as old as its youngest record, and keeps all that follow it.
    """
    server = looking(servers)
    topic = server.topic(segment_ms=1000, retention_ms=600_000)
    other = server.topic(segment_ms=1000, retention_ms=600_000)
    with server.connect() as client:
        write(server, client, topic, [3000, -100, 2000, 1000])
        write(server, client, other, [3000])
        eventually(lambda: offset(client, topic, EARLIEST) == 1)
        eventually(lambda: offset(client, other, EARLIEST) == 1)
        assert offset(client, topic, EARLIEST) == 1


def test_g4_size_stays_at_the_limit_or_above(servers: Servers):
    """
    Whole segments go from the old end while what is left is not below retention.bytes.
    """
    server = looking(servers)
    with server.connect() as client:
        size = len(server.batch(b"x" * 20))
        exact = server.topic(segment_ms=1000, retention_ms=-1, retention_bytes=2 * size)
        above = server.topic(segment_ms=1000, retention_ms=-1, retention_bytes=2 * size + 1)
        for topic in (exact, above):
            assert write(server, client, topic, [50, 40, 30, 20, 10]) == size
        eventually(lambda: offset(client, exact, EARLIEST) == 3)
        eventually(lambda: offset(client, above, EARLIEST) == 2)


def test_g4_a_limit_of_nothing_keeps_nothing(servers: Servers):
    """
    With retention.bytes=0 the segment that takes appends goes too.
    """
    server = looking(servers)
    topic = server.topic(segment_ms=1000, retention_ms=-1, retention_bytes=0)
    with server.connect() as client:
        write(server, client, topic, [50, 40])
        eventually(lambda: offset(client, topic, EARLIEST) == 2)


def test_g3_g4_whichever_comes_first(servers: Servers):
    """
    With a limit of time and one of size, what either wants gone is gone.
    """
    server = looking(servers)
    with server.connect() as client:
        size = len(server.batch(b"x" * 20))
        both = {"segment_ms": 1000, "retention_ms": 600_000}
        by_time = server.topic(**both, retention_bytes=4 * size)
        by_size = server.topic(**both, retention_bytes=2 * size)
        write(server, client, by_time, [3000, 2000, 1000, 30, 20])
        write(server, client, by_size, [3000, 50, 40, 30, 20])
        eventually(lambda: offset(client, by_time, EARLIEST) == 3)
        eventually(lambda: offset(client, by_size, EARLIEST) == 3)


def delete_records(client: WireClient, topic: str, to: int) -> tuple[int, int]:
    partition = DeleteRecordsPartition(partition_index=0, offset=to)
    request = DeleteRecordsRequest(
        topics=[DeleteRecordsTopic(name=topic, partitions=[partition])], timeout_ms=5000
    )
    answer = client.ask(request, 2).topics[0].partitions[0]
    return answer.error_code, answer.low_watermark


def test_g4_delete_records(server: Server, client: WireClient):
    """
    The start moves to the offset that is asked for, never back, and never above what is there.
    """
    topic = server.topic()
    write(server, client, topic, [0, 0, 0])
    assert delete_records(client, topic, 2) == (0, 2)
    assert delete_records(client, topic, 1) == (0, 2)
    assert delete_records(client, topic, 4) == (E.OFFSET_OUT_OF_RANGE, -1)
    assert delete_records(client, topic, -1) == (0, 3)
    assert offset(client, topic, EARLIEST) == 3


def test_g5_deleted_records_and_topics_stay_deleted(servers: Servers):
    """
    After a kill a log starts where DeleteRecords put it, and a deleted topic does not come back.
    """
    server = servers.own()
    with server.connect() as client:
        topic, gone = server.topic(), server.topic()
        write(server, client, topic, [0, 0, 0])
        write(server, client, gone, [0])
        assert delete_records(client, topic, 2) == (0, 2)
        delete(server, client, gone)
    server.kill()
    server.start()
    with server.connect() as client:
        if server.ours:
            # Kafka answers before that is on disk, and may have to be told again.
            assert offset(client, topic, EARLIEST) == 2
        assert offset(client, topic, LATEST) == 3
        assert client.produce(gone, server.batch(b"x")).error_code == E.UNKNOWN_TOPIC_OR_PARTITION


def delete(server: Server, client: WireClient, topic: str) -> None:
    answer = client.ask(DeleteTopicsRequest(topic_names=[topic], timeout_ms=10_000), 4)
    assert answer.responses[0].error_code == 0
    server.forget(topic)
    eventually(lambda: not server.folder(topic).exists())


def test_g6_a_deleted_topic_waits_under_another_name(server: Server, client: WireClient):
    """
    The folder of a deleted partition ends in -delete until file.delete.delay.ms have passed.
    """
    topic = server.topic()
    write(server, client, topic, [0])
    delete(server, client, topic)
    [left] = server.data_dir.glob(f"{topic}-0.*-delete")
    assert (left / f"{0:020}.log").exists()
