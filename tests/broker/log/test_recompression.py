"""compression.type of a topic: every codec to every other."""

from __future__ import annotations

import pytest

from pyproducer.broker.log.config import LogConfig
from pyproducer.broker.log.recompression import target_codec
from pyproducer.model import TimestampType
from pyproducer.records.batch import read_header
from pyproducer.records.builder import build_batch
from pyproducer.records.codec import CODEC_NAMES, Codec
from pyproducer.records.compression import decompress
from tests.helpers.partition_logs import batch, batches_of, open_log, put, records_of
from tests.helpers.record_batches import NOON, every_shape
from tests.helpers.virtual_time import VirtualTime

NAMES = {codec: "uncompressed" if codec is Codec.NONE else CODEC_NAMES[codec] for codec in Codec}
LENIENT = {"message_timestamp_after_max_ms": 1 << 62, "max_message_bytes": 10 << 20}


@pytest.mark.parametrize("to", list(Codec), ids=lambda codec: f"to {codec.name}")
@pytest.mark.parametrize("came", list(Codec), ids=lambda codec: f"from {codec.name}")
def test_z1_records_and_identity_survive_recompression(tmp_path, came, to):
    """
    Keys, values, headers, timestamps, producer id, epoch, sequence and flags stay; the codec is
    the topic's.
    """
    log = open_log(tmp_path, compression_type=NAMES[to], **LENIENT)
    sent = build_batch(
        every_shape(), codec=came, producer_id=9, producer_epoch=3, base_sequence=70,
        transactional=True,
    )  # fmt: skip
    put(log, sent)
    log.high_watermark = log.log_end_offset
    [stored] = batches_of(log)
    stored.verify()
    kept = ("producer_id", "producer_epoch", "base_sequence", "is_transactional", "base_timestamp",
            "max_timestamp", "record_count", "last_offset_delta")  # fmt: skip

    assert to is stored.header.codec
    assert every_shape() == list(stored.records())
    assert [getattr(read_header(sent), name) for name in kept] == [
        getattr(stored.header, name) for name in kept
    ]
    if came is to:
        assert sent[16:] == bytes(stored.view[16:])


def test_z1_level_of_the_topic_is_used(tmp_path):
    """
    compression.gzip.level decides how hard the broker tries.
    """
    sizes = [
        put_size(tmp_path / str(level), compression_type="gzip", compression_gzip_level=level)
        for level in (1, 9)
    ]

    assert sizes[0] > sizes[1]


def put_size(path, **config):
    log = open_log(path, **config, **LENIENT)
    put(log, build_batch(every_shape()))
    return log.size


def test_z4_duplicate_of_a_recompressed_batch(tmp_path):
    """
    A batch is recognised by its sequence, whatever codec it was stored with.
    """
    log = open_log(tmp_path, compression_type="lz4")
    first = put(log, count=5, producer=(1, 0, 0))
    again = put(log, count=5, producer=(1, 0, 0), codec=Codec.ZSTD)

    assert first._replace(duplicate=True) == again
    assert 5 == len(records_of(log))


def test_z3_lz4_has_the_frame_that_kafka_reads(tmp_path):
    """
    What the broker compresses with lz4 has independent blocks.
    """
    log = open_log(tmp_path, compression_type="lz4", **LENIENT)
    put(log, batch(3000, value=b"0123456789" * 10))
    [stored] = batches_of(log)
    body = bytes(stored.view[61:])

    assert body[4] & 0x20
    assert decompress(Codec.LZ4, body, limit=1 << 20)


def test_log_append_time_and_recompression_together(tmp_path):
    """
    A rebuilt batch carries the broker's time as one kept in place does.
    """
    clock = VirtualTime()
    log = open_log(
        tmp_path, clock=clock, compression_type="gzip",
        message_timestamp_type=TimestampType.LOG_APPEND_TIME,
    )  # fmt: skip
    result = put(log, times=[NOON, NOON + 1])

    assert clock.wall_ms() == result.log_append_time_ms
    assert [clock.wall_ms()] * 2 == [record.timestamp_ms for record in records_of(log)]


def test_target_codec():
    """
    producer keeps the codec; uncompressed and names set it.
    """
    assert Codec.LZ4 is target_codec(LogConfig(), Codec.LZ4)
    assert Codec.NONE is target_codec(LogConfig(compression_type="uncompressed"), Codec.LZ4)
    assert Codec.ZSTD is target_codec(LogConfig(compression_type="zstd"), Codec.LZ4)
