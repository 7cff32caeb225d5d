"""What compaction leaves of a log, and what it never changes (M1 to M6, I11)."""

from __future__ import annotations

import random

import pytest

from pyproducer.model import TopicPartition
from pyproducer.protocol.error_codes import ErrorCode
from pyproducer.protocol.messages.delete_records import (
    DeleteRecordsPartition,
    DeleteRecordsRequest,
    DeleteRecordsTopic,
)
from pyproducer.protocol.messages.fetch import FetchPartition, FetchRequest, FetchTopic
from pyproducer.records.builder import build_batch
from pyproducer.records.codec import Codec
from pyproducer.records.reader import iter_batches
from pyproducer.records.record import Record
from tests.helpers.statement_servers import KAFKA_LOOKS_SOON, Server, eventually
from tests.helpers.transactional_client import batches_in, fetch, settled
from tests.helpers.wire_client import WireClient
from tests.statements.conftest import Servers

E = ErrorCode

#: Both look for dirty logs all the time.
EAGER = {"log.cleaner.backoff.ms": "50"}
#: A batch this much younger than the first of a segment begins a new one.
SEGMENT_MS = 1000
Pairs = list[tuple[bytes | None, bytes | None]]
Found = list[tuple[int, bytes | None, bytes | None]]


@pytest.fixture
def server(servers: Servers) -> Server:
    """A server that compacts soon."""
    return servers.shared(EAGER, kafka=KAFKA_LOOKS_SOON)


class Writer:
    """Writes to a compacted topic, in segments as told.

    Args:
        server: Where.
        client: A connection to it.
        configs: The topic's own.
    """

    def __init__(self, server: Server, client: WireClient, **configs: str | int) -> None:
        settings = {"cleanup_policy": "compact", "min_cleanable_dirty_ratio": "0"} | configs
        self.topic = server.topic(segment_ms=SEGMENT_MS, **settings)
        self.client = client
        self.time_ms = server.now_ms - 1_000_000
        # What is in closed segments, and what in the active one.
        self.closed: Found = []
        self.active: Found = []

    def write(self, *pairs: tuple[bytes | None, bytes | None], **fields: object) -> int:
        """A batch is in the active segment; says what its first offset is."""
        batch = build_batch(
            [Record(0, self.time_ms, key=key, value=value) for key, value in pairs],
            **fields,  # type: ignore[arg-type]
        )
        answer = self.client.produce(self.topic, batch)
        assert answer.error_code == 0
        first: int = answer.base_offset
        self.active += [(first + at, *pair) for at, pair in enumerate(pairs)]
        return first

    def roll(self) -> None:
        """What is written next begins a new segment."""
        self.time_ms += SEGMENT_MS + 1
        self.closed += self.active
        self.active = []

    def newest(self) -> Found:
        """What compaction leaves: of each key in the closed segments the newest, and the rest."""
        offsets = {key: offset for offset, key, _ in self.closed}
        return [one for one in self.closed if offsets[one[1]] == one[0]] + self.active

    def found(self) -> Found:
        """What a reader from the start gets."""
        return read(self.client, self.topic)


def read(client: WireClient, topic: str, offset: int = 0) -> Found:
    """Every record from an offset on that is no marker."""
    found: Found = []
    while True:
        part = FetchPartition(
            partition=0, fetch_offset=offset, partition_max_bytes=1 << 20, log_start_offset=-1
        )
        request = FetchRequest(
            max_wait_ms=0,
            min_bytes=0,
            max_bytes=1 << 20,
            topics=[FetchTopic(topic=topic, partitions=[part])],
        )
        [answered] = client.ask(request, 4).responses
        [one] = answered.partitions
        assert one.error_code == 0
        batches = list(iter_batches(one.records or b""))
        if not batches:
            return found
        for batch in batches:
            batch.verify()
            if not batch.header.is_control:
                found += [
                    (record.offset, record.key, record.value)
                    for record in batch.records()
                    if record.offset >= offset
                ]
        offset = batches[-1].header.next_offset


@pytest.fixture
def client(server: Server):
    """A connection to the server."""
    with server.connect() as connected:
        yield connected


@pytest.mark.parametrize("seed", range(3))
def test_m2_newest_of_each_key_survives(server: Server, client: WireClient, seed: int):
    """
    Of each key in the closed segments exactly the record with the highest offset is left, at its
    offset; whoever reads from any offset gets what is left from there on.
    """
    rng = random.Random(seed)
    writer = Writer(server, client)
    for _ in range(30):
        pairs: Pairs = [
            (b"key-%d" % rng.randrange(12), rng.randbytes(rng.randrange(30)))
            for _ in range(rng.randrange(1, 6))
        ]
        writer.write(*pairs, codec=rng.choice(list(Codec)))
        if rng.random() < 0.3:
            writer.roll()
    writer.roll()
    writer.write((b"active", b"1"))

    wanted = writer.newest()
    assert eventually(lambda: writer.found() == wanted)
    for offset in range(wanted[-1][0] + 1):
        assert [one for one in wanted if one[0] >= offset] == read(client, writer.topic, offset)


def test_m1_active_segment_is_never_touched(server: Server, client: WireClient):
    """
    What is in the active segment stays, however often its keys come.
    """
    writer = Writer(server, client)
    writer.write((b"a", b"1"), (b"a", b"2"))
    writer.roll()
    writer.write((b"a", b"3"), (b"a", b"4"))

    assert eventually(lambda: [1, 2, 3] == [one[0] for one in writer.found()])


def test_m1_young_records_wait(server: Server, client: WireClient):
    """
    Segments younger than min.compaction.lag.ms are not compacted, older ones are.
    """
    writer = Writer(server, client, min_compaction_lag_ms=900_000)
    writer.write((b"a", b"1"), (b"a", b"2"))
    writer.roll()
    writer.time_ms = server.now_ms - 500_000
    writer.write((b"b", b"1"), (b"b", b"2"))
    writer.roll()
    writer.write((b"c", b"1"))

    assert eventually(lambda: [1, 2, 3, 4] == [one[0] for one in writer.found()])


def test_m3_tombstones_are_seen_before_they_go(server: Server, client: WireClient):
    """
    The first cleaning leaves a tombstone whatever its age; once delete.retention.ms has passed, the
    next one takes it.
    """
    staying = Writer(server, client)
    going = Writer(server, client, delete_retention_ms=1)
    for writer in (staying, going):
        writer.write((b"a", b"1"), (b"b", b"1"), (b"a", None))
        writer.roll()
        writer.write((b"c", b"1"))
        assert eventually(lambda found=writer.found: found()[0][0] == 1)
        assert writer.found()[:2] in ([(1, b"b", b"1"), (2, b"a", None)], [(1, b"b", b"1")])
        writer.roll()
        writer.write((b"d", b"1"))
        writer.roll()
        writer.write((b"e", b"1"))

    assert eventually(lambda: [1, 3, 4, 5] == [one[0] for one in going.found()])
    assert [1, 2, 3, 4, 5] == [one[0] for one in staying.found()]


def test_m4_aborted_records_go_and_their_marker_stays(server: Server, client: WireClient):
    """
    The first cleaning takes aborted records, which then nobody reads; the marker waits its time.
    """
    writer = Writer(server, client)
    place = TopicPartition(writer.topic, 0)
    writer.write((b"a", b"1"))
    producer = settled(client, writer.topic)
    producer.write(place)
    assert producer.end(commit=False) == 0
    eventually(lambda: fetch(client, place).last_stable_offset == 3)
    # Records of a transaction have the time of now.
    writer.time_ms = server.now_ms + 60_000
    writer.write((b"b", b"1"))

    assert eventually(lambda: writer.found() == [(0, b"a", b"1"), (3, b"b", b"1")])
    left = batches_in(fetch(client, place, 2, committed=False))
    assert [one.header.base_offset for one in left if one.header.is_control] == [2]


def test_m5_compacted_topic_is_not_cut_by_hand(server: Server, client: WireClient):
    """
    POLICY_VIOLATION answers DeleteRecords where the policy has no delete.
    """
    writer = Writer(server, client)
    writer.write((b"a", b"1"), (b"b", b"1"))
    request = DeleteRecordsRequest(
        topics=[
            DeleteRecordsTopic(
                name=writer.topic, partitions=[DeleteRecordsPartition(partition_index=0, offset=1)]
            )
        ],
        timeout_ms=5000,
    )
    [topic] = client.ask(request, 1).topics
    [part] = topic.partitions

    assert E.POLICY_VIOLATION == part.error_code


def test_m6_kills_while_cleaning_lose_nothing(servers: Servers):
    """
    Whenever the server is killed, what is newest is there once after a start, in order and at its
    offset, and in the end nothing else is.
    """
    server = servers.own(EAGER, kafka=KAFKA_LOOKS_SOON)
    client = server.connect()
    writer = Writer(server, client)
    for kill in range(3):
        for at in range(20):
            writer.write(*[(b"%d" % (at * one % 7), b"%d" % kill) for one in range(20)])
            writer.roll()
        writer.write((b"end", b"%d" % kill))
        server.kill()
        client.socket.close()
        server.start()
        client = writer.client = server.connect()
        found = writer.found()
        assert found == sorted(set(found))
        assert set(writer.newest()) <= set(found) <= set(writer.closed + writer.active)
    with client:
        assert eventually(lambda: writer.found() == writer.newest())


def test_i11_a_producer_goes_on_where_it_was(servers: Servers):
    """
    A producer whose records are all superseded keeps its sequence over compaction and a kill.
    """
    server = servers.own(EAGER, kafka=KAFKA_LOOKS_SOON)
    with server.connect() as client:
        writer = Writer(server, client)
        mine = {"producer_id": 4711, "producer_epoch": 2}
        writer.write((b"a", b"1"), (b"a", b"2"), base_sequence=0, **mine)
        writer.write((b"a", b"3"))
        writer.roll()
        writer.write((b"b", b"1"))
        assert eventually(lambda: [2, 3] == [one[0] for one in writer.found()])
    server.kill()
    server.start()

    def send(first: int) -> tuple[int, int]:
        batch = build_batch(
            [Record(0, writer.time_ms, key=b"a", value=b"%d" % at) for at in (1, 2)],
            base_sequence=first,
            **mine,
        )
        with server.connect() as again:
            answer = again.produce(writer.topic, batch)
        return answer.error_code, answer.base_offset

    assert (0, 0) == send(0)
    assert (E.OUT_OF_ORDER_SEQUENCE_NUMBER, -1) == send(4)
    assert (0, 4) == send(2)
