"""Kafka's own DumpLogSegments reads the files that our broker writes, and finds nothing wrong."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest
from confluent_kafka import Producer

from pyproducer.broker import Broker, TopicSpec
from tests.helpers.apache_kafka import ApacheKafka, dump_log_segments
from tests.helpers.log_files import partition_folders, segment_files
from tests.helpers.peers import CODECS, PEERS, peer
from tests.helpers.processes import PeerFailed
from tests.helpers.sample_records import SampleRecord, sample_records
from tests.helpers.scoreboard import Row, Scoreboard
from tests.helpers.topics import create_topics

pytestmark = pytest.mark.needs("kafka")

PARTITIONS = 2
CLIENTS = PEERS[:3]  # kcat only repeats what confluent-kafka's library does
SMALL_SETS = 4

#: What the tool says when it does not like a file. It ends with 0 all the same.
COMPLAINT = re.compile(
    r"mismatch|not valid|isvalid: false|corrupt|non-consecutive|out of order|invalid bytes"
    r"|not found in the log|followed by|exception|failed|could not|unknown",
    re.IGNORECASE,
)

#: The tool's releases from 4.0 say this of every segment that does not begin at offset 0, Apache
#: Kafka's own included (test_kafkas_segments_get_the_same_remark holds that).
REMARK = re.compile(
    r"^Non-consecutive offsets in \S+/0*([1-9]\d*)\.log\n  -1 is followed by \1\n(?!  )",
    re.MULTILINE,
)

SMALL_SEGMENTS = {"segment.bytes": "300000", "index.interval.bytes": "1000"}
TOPICS = [
    *(TopicSpec(codec, PARTITIONS, SMALL_SEGMENTS) for codec in CODECS),
    TopicSpec(
        "append-time", PARTITIONS, SMALL_SEGMENTS | {"message.timestamp.type": "LogAppendTime"}
    ),
    TopicSpec("recompressed", PARTITIONS, SMALL_SEGMENTS | {"compression.type": "zstd"}),
]


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, int]]:
    """A stopped broker's data folder, and how many records each topic got."""
    data_dir = tmp_path_factory.mktemp("data")
    counts: dict[str, int] = {}
    # A member that commits gives the broker's own topic something to hold.
    config = {"group.initial.rebalance.delay.ms": "0"}
    with Broker(topics=TOPICS, data_dir=data_dir, config=config) as broker:
        for spec in TOPICS:
            records: list[SampleRecord] = []
            codec = spec.name if spec.name in CODECS else "gzip"
            for writer in map(peer, CLIENTS):
                label = f"{spec.name}-{writer.name}"
                sent = [one for one in sample_records(label, PARTITIONS) if writer.can_send(one)]
                writer.produce(broker.bootstrap_servers, spec.name, sent, codec=codec)
                records += sent
            small = [
                record
                for number in range(SMALL_SETS)
                for record in sample_records(f"{spec.name}-{number}", PARTITIONS)
            ]
            produce_small_batches(broker.bootstrap_servers, spec.name, small, codec)
            records += small
            counts[spec.name] = len(records)
        reader = peer("confluent-kafka")
        reader.consume(broker.bootstrap_servers, "none", counts["none"], group="dump")
    return data_dir, counts


def produce_small_batches(
    bootstrap_servers: str, topic: str, records: list[SampleRecord], codec: str
) -> None:
    """Send idempotently in batches of at most four records, so that indexes get entries."""
    producer = Producer(
        {
            "bootstrap.servers": bootstrap_servers,
            "compression.type": codec,
            "enable.idempotence": True,
            "batch.num.messages": 4,
        }
    )
    for record in records:
        producer.produce(
            topic, record.value, record.key, record.partition, timestamp=record.timestamp_ms
        )
    assert producer.flush(30) == 0


def complaints(text: str) -> list[str]:
    return [line for line in REMARK.sub("", text).splitlines() if COMPLAINT.search(line)]


def headers_only(text: str) -> list[dict[str, str]]:
    """The tool's line for each batch, as a mapping."""
    lines = [line for line in text.splitlines() if line.startswith("baseOffset: ")]
    return [dict(re.findall(r"(\w+): (\S+)", line)) for line in lines]


@pytest.mark.parametrize("topic", [spec.name for spec in TOPICS])
def test_every_segment_is_sound(
    written: tuple[Path, dict[str, int]], scoreboard: Scoreboard, topic: str
) -> None:
    """
    The tool finds every batch of every segment valid, and every record that was sent.
    """
    data_dir, counts = written
    records = 0
    for folder in partition_folders(data_dir, topic):
        segments = sorted(folder.glob("*.log"))
        assert len(segments) > 1, "the topic's settings should have made several segments"

        text = dump_log_segments(segments, "--deep-iteration", "--print-data-log")

        assert complaints(text) == []
        batches = headers_only(text)
        assert {"true"} == {one["isvalid"] for one in batches}
        following = 0
        for one in batches:
            assert int(one["baseOffset"]) == following
            following = int(one["lastOffset"]) + 1
        records += sum(line.startswith("| offset: ") for line in text.splitlines())
        stored = {one["compresscodec"] for one in batches}
        assert stored <= {expected_codec(topic), "none"}
        assert expected_codec(topic) in stored
    wrong = None if records == counts[topic] else f"{counts[topic]} sent, {records} in the files"
    row = Row(
        "three clients", "ours", "DumpLogSegments", topic, "all", counts[topic], records, wrong
    )
    scoreboard.add(row)


def expected_codec(topic: str) -> str:
    return {"append-time": "gzip", "recompressed": "zstd"}.get(topic, topic)


@pytest.mark.parametrize("topic", [spec.name for spec in TOPICS])
def test_every_index_fits_its_segment(written: tuple[Path, dict[str, int]], topic: str) -> None:
    """
    Offset and time indexes pass the check that a broker makes before it trusts them, and every
    entry leads to the record it names.
    """
    data_dir, _ = written
    indexes = segment_files(data_dir, topic, ".index")
    time_indexes = segment_files(data_dir, topic, ".timeindex")
    assert any(file.stat().st_size for file in indexes)
    assert any(file.stat().st_size for file in time_indexes)

    sane = dump_log_segments([*indexes, *time_indexes], "--index-sanity-check")
    verified = dump_log_segments([*indexes, *time_indexes], "--verify-index-only")

    assert complaints(sane) == []
    passed = sane.count("passed sanity check.") + sane.count(".index is empty.")
    assert passed == len(indexes) + len(time_indexes)
    assert complaints(verified) == []


def test_every_producer_snapshot_can_be_read(written: tuple[Path, dict[str, int]]) -> None:
    """
    The snapshots of a stopped broker hold every idempotent producer with its last sequence.
    """
    data_dir, _ = written
    for spec in TOPICS:
        for folder in partition_folders(data_dir, spec.name):
            snapshots = sorted(folder.glob("*.snapshot"))
            assert snapshots

            text = dump_log_segments(snapshots[-1:])

            assert complaints(text) == []
            ids = set(re.findall(r"producerId: (\d+)", text))
            assert len(ids) == len(CLIENTS) + 1
            for number in re.findall(r"lastSequence: (-?\d+)", text):
                assert int(number) >= 0


def test_committed_offsets_are_kafkas(written: tuple[Path, dict[str, int]]) -> None:
    """
    The tool decodes the broker's own topic of committed offsets.
    """
    data_dir, counts = written
    files = [
        file
        for file in segment_files(data_dir, "__consumer_offsets", ".log")
        if file.stat().st_size
    ]
    assert files

    text = dump_log_segments(files, "--offsets-decoder")

    assert complaints(text) == []
    commits = re.findall(
        r'"group":"dump","topic":"none","partition":(\d+)\}.*?"offset":(\d+)', text
    )
    last = {partition: int(offset) for partition, offset in commits}
    assert sum(last.values()) == counts["none"]


def test_kafkas_segments_get_the_same_remark(apache_kafka: ApacheKafka) -> None:
    """
    The one remark that is overlooked here is made about Apache Kafka's own segments too.
    """
    servers = apache_kafka.bootstrap_servers
    create_topics(servers, {"remark": 1}, config={"segment.bytes": str(1 << 20)})
    for number in range(4):
        peer("confluent-kafka").produce(servers, "remark", sample_records(str(number), 1))
    segments = segment_files(apache_kafka.data_dir, "remark", ".log")

    text = dump_log_segments(segments, "--deep-iteration")

    assert len(segments) > 1
    assert len(REMARK.findall(text)) == len(segments) - 1
    assert complaints(text) == []


def test_damage_is_noticed(written: tuple[Path, dict[str, int]], tmp_path: Path) -> None:
    """
    The checks above can fail: a turned bit, a torn tail and a lying index are complained about.
    """
    data_dir, _ = written
    indexes = segment_files(data_dir, "none", ".index")
    first = next(file for file in indexes if file.stat().st_size).with_suffix(".log")
    copy = tmp_path / first.name
    index = copy.with_suffix(".index")

    data = bytearray(first.read_bytes())
    data[len(data) // 2] ^= 1
    copy.write_bytes(data)
    assert complaints(dumped(copy))

    copy.write_bytes(first.read_bytes()[:-10])
    assert complaints(dumped(copy))

    shutil.copy(first, copy)
    entries = bytearray(first.with_suffix(".index").read_bytes())
    entries[3] += 1
    index.write_bytes(entries)
    assert complaints(dumped(index, "--verify-index-only"))


def dumped(file: Path, *options: str) -> str:
    try:
        return dump_log_segments([file], *options)
    except PeerFailed as failed:
        return str(failed)
