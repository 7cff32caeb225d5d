"""`pyproducer log` on Apache Kafka's files, and Kafka's DumpLogSegments beside it on both brokers'."""

from __future__ import annotations

import random
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Producer

from pyproducer.broker import Broker, TopicSpec
from pyproducer.broker.offline.dump import Dump
from pyproducer.broker.offline.folders import DataFolder
from pyproducer.broker.offline.verification import Verification
from tests.helpers.apache_kafka import ApacheKafka, dump_log_segments
from tests.helpers.command_line import run_cli
from tests.helpers.log_files import segment_files
from tests.helpers.topics import create_topics

pytestmark = pytest.mark.needs("kafka")

CODECS = ("none", "gzip", "snappy", "lz4", "zstd")
CONFIG = {"segment.bytes": "1048576", "index.interval.bytes": "1000"}
COUNT = 3000


def fill(servers: str) -> None:
    """Write with every codec, idempotently, and transactions of both ends with their offsets."""
    for codec in CODECS:
        producer = Producer(
            {
                "bootstrap.servers": servers,
                "compression.type": codec,
                "enable.idempotence": True,
                "batch.num.messages": 20,
            }
        )
        noise = random.Random(codec)
        for number in range(COUNT):
            key = b"%s-%d" % (codec.encode(), number)
            value = None if number % 50 == 7 else noise.randbytes(200).hex().encode()
            while True:
                try:
                    producer.produce("orders", value, key, headers=[("codec", codec)])
                    break
                except BufferError:
                    producer.poll(0.1)
        assert producer.flush(60) == 0
    for turn in range(6):
        producer = Producer({"bootstrap.servers": servers, "transactional.id": f"tx-{turn % 2}"})
        producer.init_transactions(30)
        producer.begin_transaction()
        producer.produce("orders", b"%d" % turn, b"tx", partition=0)
        producer.flush(30)
        if turn % 3:
            producer.commit_transaction(30)
        else:
            producer.abort_transaction(30)


@pytest.fixture(scope="module")
def kafka() -> Iterator[ApacheKafka]:
    """A Kafka that holds records, and may be stopped and started."""
    with ApacheKafka() as running:
        create_topics(running.bootstrap_servers, {"orders": 2}, config=CONFIG)
        fill(running.bootstrap_servers)
        yield running


@pytest.fixture(scope="module")
def ours(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A stopped broker's data folder, with the same in it."""
    data_dir = tmp_path_factory.mktemp("ours")
    with Broker([TopicSpec("orders", 2, CONFIG)], data_dir=data_dir) as broker:
        fill(broker.bootstrap_servers)
    return data_dir


def documents(path: Path) -> list[dict[str, Any]]:
    return list(Dump(path, advance=unwatched).documents())


def unwatched(size: int) -> None:
    """Nobody watches how far it is."""


def batches_by_kafka(text: str) -> list[dict[str, str]]:
    lines = [line for line in text.splitlines() if line.startswith("baseOffset: ")]
    return [dict(re.findall(r"(\w+): (\S+)", line)) for line in lines]


def compare(files: list[Path]) -> int:
    """Hold our dump of log files against Kafka's; return how many records there are."""
    text = dump_log_segments(files, "--deep-iteration", "--print-data-log")
    theirs = batches_by_kafka(text)
    found = [one for file in files for one in documents(file)]
    batches = [one for one in found if one["kind"] == "batch"]

    assert [
        (
            int(one["baseOffset"]),
            int(one["lastOffset"]),
            int(one["count"]),
            int(one["baseSequence"]),
            int(one["lastSequence"]),
            int(one["producerId"]),
            int(one["producerEpoch"]),
            int(one["partitionLeaderEpoch"]),
            one["isTransactional"] == "true",
            one["isControl"] == "true",
            int(one["position"]),
            int(one["size"]),
            one["compresscodec"],
            int(one["crc"]),
            one["isvalid"] == "true",
        )
        for one in theirs
    ] == [
        (
            one["first_offset"],
            one["last_offset"],
            one["records"],
            one["first_sequence"],
            one["last_sequence"],
            one["producer_id"],
            one["producer_epoch"],
            one["leader_epoch"],
            one["transactional"],
            one["control"],
            one["position"],
            one["bytes"],
            one["codec"],
            one["crc"],
            one["sound"],
        )
        for one in batches
    ]
    told = [
        (int(offset), int(time), key, value)
        for offset, time, key, value in re.findall(
            r"^\| offset: (\d+) CreateTime: (\d+) .*? key: (\S+)(?: payload: (\S+))?$",
            text,
            re.MULTILINE,
        )
    ]
    records = [
        (one["offset"], one["timestamp_ms"], one["key"].decode(), (one["value"] or b"").decode())
        for one in found
        if one["kind"] == "record"
    ]
    assert told == records
    ends = [word.lower() for word in re.findall(r"endTxnMarker: (\w+)", text)]
    assert ends == [one["type"] for one in found if one["kind"] == "marker"]
    return len(records)


def compare_small_files(folder: Path) -> None:
    """Hold our dump of indexes and snapshots against Kafka's."""
    indexes = [file for file in sorted(folder.glob("*.index")) if file.stat().st_size]
    entries = [
        (one["offset"], one["position"])
        for file in indexes
        for one in documents(file)
        if one["kind"] == "index"
    ]
    text = dump_log_segments(indexes)
    told = re.findall(r"^offset: (\d+) position: (\d+)$", text, re.MULTILINE)
    assert entries
    assert entries == [one for one in (tuple(map(int, pair)) for pair in told) if one[1]]
    for file in sorted(folder.glob("*.snapshot"))[-1:]:
        text = dump_log_segments([file])
        told = {
            int(one["producerId"]): (
                int(one["producerEpoch"]),
                int(one["lastSequence"]),
                int(one["lastOffset"]),
            )
            for one in (dict(re.findall(r"(\w+): (-?\d+)", line)) for line in text.splitlines())
            if "producerId" in one
        }
        ours = {
            one["producer_id"]: (
                one["producer_epoch"],
                one["batches"][-1]["last_sequence"] if one["batches"] else -1,
                one["batches"][-1]["last_offset"] if one["batches"] else -1,
            )
            for one in documents(file)
            if one["kind"] == "producer"
        }
        assert ours
        assert told == ours


def test_both_dumps_agree_on_our_files(ours: Path) -> None:
    """
    Kafka's dump and ours tell the same of every batch, record, marker, index entry and producer
    that our broker has written.
    """
    files = segment_files(ours, "orders", ".log")
    assert len(files) > 2

    assert compare(files) == len(CODECS) * COUNT + 6
    compare_small_files(ours / "orders-0")


def test_both_dumps_agree_on_kafkas_files(kafka: ApacheKafka) -> None:
    """
    Likewise of what Kafka has written, while it runs.
    """
    files = segment_files(kafka.data_dir, "orders", ".log")
    assert len(files) > 2

    assert compare(files) == len(CODECS) * COUNT + 6
    compare_small_files(kafka.data_dir / "orders-0")


def problems(data_dir: Path) -> list[Any]:
    data = DataFolder.at(data_dir)
    return list(Verification(data, unwatched).problems())


def test_kafkas_directory_is_sound(kafka: ApacheKafka, tmp_path: Path) -> None:
    """
    `log verify` finds nothing wrong in a Kafka's directory: while it runs, after a kill -9, after
    the start that recovers from that, and after a clean stop; its copies stand for it too.
    """
    data_dir = kafka.data_dir
    assert DataFolder.at(data_dir).running
    assert problems(data_dir) == []

    kafka.kill()
    assert not DataFolder.at(data_dir).running
    assert problems(data_dir) == []
    shutil.copytree(data_dir, tmp_path / "copy")
    assert problems(tmp_path / "copy") == []

    kafka.start()
    assert problems(data_dir) == []
    kafka.stop()
    assert problems(data_dir) == []
    done = run_cli("log", "verify", data_dir)
    assert (0, "") == (done.returncode, done.stdout), done.stdout + done.stderr
    assert "sound: " in done.stderr
    kafka.start()


def test_compacted_topics_are_sound(tmp_path: Path) -> None:
    """
    What Kafka's cleaner has made of a topic, gaps, tombstones and emptied batches, is no damage.
    """
    config = {
        "cleanup.policy": "compact",
        "segment.bytes": "1048576",
        "min.cleanable.dirty.ratio": "0.01",
        "max.compaction.lag.ms": "1000",
    }
    with ApacheKafka({"log.cleaner.backoff.ms": "200"}) as kafka:
        create_topics(kafka.bootstrap_servers, {"keyed": 1}, config=config)
        producer = Producer({"bootstrap.servers": kafka.bootstrap_servers, "acks": "all"})
        for number in range(30_000):
            producer.produce("keyed", b"%d" % number * 30, b"%d" % (number % 10))
            producer.poll(0)
        assert producer.flush(60) == 0
        checkpoint = kafka.data_dir / "cleaner-offset-checkpoint"
        kafka._node.process.wait_until(
            lambda: checkpoint.exists() and "keyed 0" in checkpoint.read_text(), timeout=60
        )
        folder = kafka.data_dir / "keyed-0"
        kafka._node.process.wait_until(
            lambda: any(one["kind"] == "gap" for one in documents(folder)), timeout=60
        )
        kafka.kill()

        # Replaced segments are renamed and removed a minute later, and the kill may have come in
        # the middle of another cleaning.
        found = problems(kafka.data_dir)
        assert {one.path.suffix for one in found} <= {".cleaned", ".deleted", ".swap"}
        assert all(one.path.parent == folder for one in found)
