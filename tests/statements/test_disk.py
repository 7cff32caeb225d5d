"""The files of a data directory, and a disk that fails (G1 and G7)."""

from __future__ import annotations

from pathlib import Path

import pytest

from pyproducer.model import TopicPartition
from pyproducer.protocol.error_codes import ErrorCode
from pyproducer.protocol.messages.list_offsets import (
    ListOffsetsPartition,
    ListOffsetsRequest,
    ListOffsetsTopic,
)
from tests.helpers.processes import PeerFailed
from tests.helpers.statement_servers import Server, eventually
from tests.helpers.transactional_client import fetch, settled
from tests.helpers.wire_client import WireClient
from tests.statements.conftest import Servers

E = ErrorCode
CLEAN = ".kafka_cleanshutdown"


def write(server: Server, client: WireClient, topic: str, *, ago_ms: int = 0) -> int:
    """The error code that a record of this age gets."""
    return client.produce(topic, server.batch(b"x", ago_ms=ago_ms)).error_code


def test_g1_files_have_kafkas_names(servers: Servers):
    """
    The files of a partition and of a data directory are called what Kafka calls them.
    """
    server = servers.own()
    topic = server.topic(segment_ms=1000)
    with server.connect() as client:
        assert write(server, client, topic, ago_ms=60_000) == 0
        assert write(server, client, topic, ago_ms=30_000) == 0
        producer = settled(client, "tx")
        producer.write(TopicPartition(topic, 0))
        assert producer.end(commit=False) == 0
        eventually(lambda: fetch(client, TopicPartition(topic, 0)).last_stable_offset == 4)
    assert not (server.data_dir / CLEAN).exists()
    server.stop()

    segments = {
        f"{base:020}{end}" for base in (0, 1, 2) for end in (".log", ".index", ".timeindex")
    }
    snapshots = {f"{base:020}.snapshot" for base in (1, 2, 4)}
    others = {f"{2:020}.txnindex", "leader-epoch-checkpoint", "partition.metadata"}
    assert {one.name for one in server.folder(topic).iterdir()} == segments | snapshots | others
    checkpoints = {f"{one}-offset-checkpoint" for one in ("recovery-point", "replication")}
    checkpoints |= {"log-start-offset-checkpoint"}
    found = {one.name for one in server.data_dir.iterdir()}
    assert checkpoints | {CLEAN, "meta.properties", f"{topic}-0"} <= found


def test_g1_directory_of_another_broker_is_refused(servers: Servers):
    """
    A broker does not start on the directory of a broker of another number, and changes nothing.
    """
    server = servers.own()
    topic = server.topic()
    with server.connect() as client:
        assert write(server, client, topic) == 0
    server.stop()
    file = server.data_dir / "meta.properties"
    ours = file.read_text()
    lines = dict(line.split("=", 1) for line in ours.splitlines() if not line.startswith("#"))
    assert lines["version"] == "1"
    assert lines["cluster.id"]
    file.write_text(ours.replace(f"node.id={lines['node.id']}", "node.id=77"))

    with pytest.raises(PeerFailed):
        server.start()
    file.write_text(ours)
    server.start()
    with server.connect() as client:
        assert client.produce(topic, server.batch(b"x")).base_offset == 1


def list_end(client: WireClient, topic: str) -> int:
    """The error code that ListOffsets gives for the end of a log."""
    partition = ListOffsetsPartition(partition_index=0, timestamp=-1)
    request = ListOffsetsRequest(topics=[ListOffsetsTopic(name=topic, partitions=[partition])])
    return client.ask(request, 4).topics[0].partitions[0].error_code


def test_g7_others_go_on_where_one_folder_fails(servers: Servers, tmp_path: Path):
    """
    Who writes where no file can be made gets KAFKA_STORAGE_ERROR, and the rest is served.
    """
    # Of Kafka a whole data directory fails, and with its only one it ends.
    kept_dir, lost_dir = tmp_path / "kept", tmp_path / "lost"
    server = servers.own(kafka={"log.dirs": f"{kept_dir},{lost_dir}"})
    topics = [server.topic(segment_ms=1000) for _ in range(4)]
    if server.ours:
        kept, lost = topics[:2]
        broken = server.folder(lost)
    else:
        kept = next(one for one in topics if (kept_dir / f"{one}-0").exists())
        lost = next(one for one in topics if (lost_dir / f"{one}-0").exists())
        broken = lost_dir
    with server.connect() as client:
        assert [write(server, client, one, ago_ms=60_000) for one in (kept, lost)] == [0, 0]
        broken.rename(tmp_path / "away")
        broken.touch()

        # Each begins a new segment.
        assert write(server, client, lost) == E.KAFKA_STORAGE_ERROR
        assert write(server, client, kept) == 0
        code = server.differs(
            ours=0,
            kafka=E.KAFKA_STORAGE_ERROR,
            reason="Kafka takes the data directory offline until its next start; a segment that "
            "could not be begun leaves the log as it was with ours, which goes on as soon as the "
            "disk does, and takes the partition offline where it cannot tell what is on disk, as "
            "after a failed fsync",
        )
        eventually(lambda: fetch(client, TopicPartition(lost, 0)).error_code == code)
        assert list_end(client, lost) == code
        assert fetch(client, TopicPartition(kept, 0)).high_watermark == 2
        broken.unlink()
        (tmp_path / "away").rename(broken)
        assert write(server, client, lost) == code
        assert write(server, client, kept) == 0
