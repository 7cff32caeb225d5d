"""Kafka's own DumpLogSegments reads what our cleaner left of a log, and finds every batch sound."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from confluent_kafka import Producer

from pyproducer.broker import Broker, TopicSpec
from tests.helpers.apache_kafka import dump_log_segments
from tests.helpers.log_files import segment_files
from tests.helpers.peers import CODECS

pytestmark = pytest.mark.needs("kafka")

CONFIGS = {
    "cleanup.policy": "compact",
    "min.cleanable.dirty.ratio": "0",
    "segment.bytes": "20000",
    "delete.retention.ms": "0",
}
KEYS, ROUNDS = 40, 30

#: Gaps are what compaction is for; the tool remarks on them in Kafka's own logs as well.
COMPLAINT = re.compile(
    r"mismatch|not valid|isvalid: false|corrupt|out of order|invalid bytes|not found in the log"
    r"|exception|failed|could not|unknown",
    re.IGNORECASE,
)

#: The tool looks for an entry's time among records, which a batch that was kept without any has not.
EMPTY = re.compile(
    r"^Found timestamp mismatch in \S+\n(?:  Index timestamp: \d+, log timestamp: -1\n)+",
    re.MULTILINE,
)


@pytest.fixture(scope="module")
def compacted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A stopped broker's data folder: keys written again and again, some deleted, then cleaned."""
    data_dir = tmp_path_factory.mktemp("data")
    with Broker([TopicSpec(codec, 1, CONFIGS) for codec in CODECS], data_dir=data_dir) as broker:
        for codec in CODECS:
            producer = Producer(
                {
                    "bootstrap.servers": broker.bootstrap_servers,
                    "compression.type": codec,
                    "enable.idempotence": True,
                    "batch.num.messages": 10,
                }
            )
            for number in range(ROUNDS):
                for key in range(KEYS):
                    value = None if (key + number) % 7 == 0 else f"{number}-{key}-" + "x" * 40
                    producer.produce(codec, value, f"k{key}")
                assert producer.flush(30) == 0
        broker.tick(hours=1)
        broker.tick(hours=1)
        for codec in CODECS:
            assert len(broker.records(codec)) < KEYS * ROUNDS / 2
    return data_dir


@pytest.mark.parametrize("codec", CODECS)
def test_every_batch_of_a_compacted_log_is_sound(codec: str, compacted: Path):
    """
    Its sums are right, its records can be read one by one, and its indexes point at batches.
    """
    logs = segment_files(compacted, codec, ".log")
    assert logs

    text = dump_log_segments(logs, "--deep-iteration")

    batches = re.findall(r"baseOffset: .*isvalid: (\w+)", text)
    assert batches
    assert {"true"} == set(batches)
    assert [] == [line for line in text.splitlines() if COMPLAINT.search(line)]
    indexes = [
        file for kind in (".index", ".timeindex") for file in segment_files(compacted, codec, kind)
    ]
    text = EMPTY.sub("", dump_log_segments(indexes))
    assert [] == [line for line in text.splitlines() if COMPLAINT.search(line)]
