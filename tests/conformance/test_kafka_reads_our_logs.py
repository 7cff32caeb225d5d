"""Kafka's own DumpLogSegments reads what our log leaves on disk, without a complaint."""

from __future__ import annotations

import random
import re
from pathlib import Path

import pytest

from pyproducer.broker.log.log import PartitionLog
from pyproducer.model import TimestampType
from pyproducer.records.builder import build_batch
from pyproducer.records.codec import Codec
from tests.helpers.apache_kafka import dump_log_segments
from tests.helpers.partition_logs import NOW, batch, open_log, put, records_of, release_logs
from tests.helpers.record_batches import every_shape

pytestmark = pytest.mark.needs("kafka")

SETTINGS = {
    "segment_bytes": 25_000,
    "index_interval_bytes": 500,
    "message_timestamp_after_max_ms": 1 << 62,
}
#: What the tool prints, and says nothing else, where everything is as Kafka would have it.
EXPECTED = re.compile(
    r"Dumping .*|Log starting offset: .*|.* is empty\.|SLF4J: .*"
    r"|(baseOffset|\| offset|offset|timestamp|producerId): .*"
)


def write(folder: Path, **settings: object) -> PartitionLog:
    """Fill a log with every codec, epochs, producers and times that go back, over many segments."""
    chance = random.Random(5)
    log = open_log(folder, **(SETTINGS | settings))
    for at in range(240):
        data = batch(
            chance.randint(1, 8),
            time=NOW + chance.randint(-500, 500) + at * 3,
            value=b"v" * chance.randint(0, 3000),
            codec=list(Codec)[at % 5],
        )
        put(log, data, leader_epoch=at // 50)
    for at in range(20):
        put(log, count=3, producer=(5, 1, at * 3), leader_epoch=5)
    put(log, build_batch([r for r in every_shape() if len(r.value or b"") < 1000]), leader_epoch=5)
    put(log, producer=(6, 0, 0), transactional=True, leader_epoch=5)
    return log


def complaints(text: str) -> list[str]:
    """The lines that the tool prints of nothing but faults."""
    # The tool starts each file at offset -1 and so complains of every segment but the first,
    # also of those that Kafka wrote.
    text = re.sub(
        r"Non-consecutive offsets in .*?0*(\d+)\.log\n(  -1 is followed by \1\n)", "", text
    )
    lines = [line for line in text.splitlines() if line and not EXPECTED.fullmatch(line)]
    return [*lines, *re.findall(r".*isvalid: false.*", text)]


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"compression_type": "lz4"},
        {"compression_type": "snappy"},
        {"message_timestamp_type": TimestampType.LOG_APPEND_TIME},
    ],
    ids=["as produced", "recompressed lz4", "recompressed snappy", "LogAppendTime"],
)
@pytest.mark.parametrize("stop", ["clean", "crash"])
def test_dump_log_segments_has_no_complaint(tmp_path, stop, settings):
    """
    Batches, records, both indexes and snapshots of every segment pass Kafka's checks.
    """
    log = write(tmp_path, **settings)
    if stop == "crash":
        release_logs()
        for file in [*tmp_path.glob("*.index"), *tmp_path.glob("*.timeindex")]:
            file.write_bytes(b"")
        log = open_log(tmp_path, **(SETTINGS | settings))
    log.high_watermark = log.log_end_offset
    records = len(records_of(log))
    assert log.close()
    files = [
        file
        for suffix in ("log", "index", "timeindex", "snapshot")
        for file in sorted(tmp_path.glob(f"*.{suffix}"))
    ]
    text = dump_log_segments(files, "--deep-iteration", "--skip-record-metadata")
    batches = re.findall(r"^baseOffset: .* count: (\d+) .*isvalid: true$", text, re.MULTILINE)

    assert [] == complaints(text)
    assert records == sum(map(int, batches))
    assert len(list(tmp_path.glob("*.log"))) > 2
    assert re.search(r"producerId: 5 producerEpoch: 1 .* lastSequence: 59 ", text)
    sane = dump_log_segments(
        [file for file in files if file.suffix in {".index", ".timeindex"}], "--index-sanity-check"
    )

    assert [] == [
        line
        for line in sane.splitlines()
        if not re.fullmatch(r"Dumping .*|SLF4J: .*|.* passed sanity check\.|.* is empty\.", line)
    ]
