"""Batches of other clients' encoders read by ours, and ours read by theirs."""

from __future__ import annotations

import warnings

import pytest
from aiokafka.record.default_records import DefaultRecordBatch as AiokafkaBatch
from aiokafka.record.default_records import DefaultRecordBatchBuilder as AiokafkaBuilder
from aiokafka.record.default_records import _DefaultRecordBatchPy as AiokafkaPureBatch
from hypothesis import given, settings
from hypothesis import strategies as st
from kio.records.readers import read_batch as read_kio_batch

from pyproducer.records.builder import build_batch
from pyproducer.records.codec import Codec
from pyproducer.records.compression import decompress
from pyproducer.records.reader import Batch, iter_batches
from pyproducer.records.record import Record
from pyproducer.records.validation import scan_batch
from tests.helpers.record_batches import every_shape, record_lists

with warnings.catch_warnings():
    # kafka-python loads its schemas by a function that Python has deprecated.
    warnings.simplefilter("ignore", DeprecationWarning)
    from kafka.record.default_records import DefaultRecordBatch as KafkaPythonBatch
    from kafka.record.default_records import DefaultRecordBatchBuilder as KafkaPythonBuilder

PEER_BUILDERS = {"aiokafka": AiokafkaBuilder, "kafka-python": KafkaPythonBuilder}
PEER_READERS = {
    "aiokafka": AiokafkaBatch,
    "aiokafka, pure": AiokafkaPureBatch,
    "kafka-python": KafkaPythonBatch,
}


def peer_batch(peer: str, records: list[Record], codec: Codec) -> bytes:
    """The batch that another client makes of these records."""
    builder = PEER_BUILDERS[peer](
        magic=2,
        compression_type=int(codec),
        is_transactional=False,
        producer_id=11,
        producer_epoch=2,
        base_sequence=3,
        batch_size=1 << 22,
    )
    for record in records:
        appended = builder.append(
            offset=record.offset,
            timestamp=record.timestamp_ms,
            key=record.key,
            value=record.value,
            headers=list(record.headers),
        )
        assert appended is not None
    return bytes(builder.build())


def read_by_peer(peer: str, data: bytes) -> list[Record]:
    """The records that another client reads out of a batch."""
    batch = PEER_READERS[peer](data)
    assert batch.validate_crc()
    return [
        Record(
            record.offset,
            record.timestamp,
            key=None if record.key is None else bytes(record.key),
            value=None if record.value is None else bytes(record.value),
            headers=tuple(
                (name, None if value is None else bytes(value)) for name, value in record.headers
            ),
        )
        for record in batch
    ]


def only(data: bytes) -> Batch:
    [batch] = iter_batches(data)
    batch.verify()
    return batch


@pytest.mark.parametrize("peer", PEER_BUILDERS)
@pytest.mark.parametrize("codec", Codec)
def test_we_read_theirs(peer, codec):
    """
    Batches of other clients, above 64 KiB and by every codec, are verified, scanned and read.
    """
    records = every_shape()
    batch = only(peer_batch(peer, records, codec))

    assert codec is batch.header.codec
    assert (11, 2, 3) == (
        batch.header.producer_id,
        batch.header.producer_epoch,
        batch.header.base_sequence,
    )
    assert records == list(batch.records())
    summary = scan_batch(batch).summary
    assert summary.sequential
    assert summary.max_timestamp == batch.header.max_timestamp


@pytest.mark.parametrize("peer", PEER_READERS)
@pytest.mark.parametrize("codec", Codec)
def test_they_read_ours(peer, codec):
    """
    Other clients read our batches, above 64 KiB and by every codec.
    """
    records = every_shape(base_offset=4000)

    assert records == read_by_peer(peer, build_batch(records, base_offset=4000, codec=codec))


@settings(max_examples=60)
@given(record_lists(), st.sampled_from(list(PEER_BUILDERS)))
def test_uncompressed_batches_are_equal_to_the_byte(records, peer):
    """
    What needs no choice comes out the same: header, checksum and records.
    """
    # Outside the checksum, and the broker's to set: kafka-python writes 0 where Java writes -1.
    leader_epoch = 0 if peer == "kafka-python" else -1

    ours = build_batch(
        records, leader_epoch=leader_epoch, producer_id=11, producer_epoch=2, base_sequence=3
    )

    assert peer_batch(peer, records, Codec.NONE) == ours


@settings(max_examples=60)
@given(record_lists(), st.sampled_from(list(PEER_BUILDERS)), st.sampled_from(list(Codec)))
def test_random_records_of_theirs(records, peer, codec):
    """
    Whatever records another client encodes, we read.
    """
    assert records == list(only(peer_batch(peer, records, codec)).records())


@pytest.mark.parametrize("codec", [codec for codec in Codec if codec is not Codec.NONE])
def test_payload_is_the_same_for_every_codec(codec):
    """
    Another client's compressed payload unfolds to the very bytes of its uncompressed one.
    """
    records = every_shape()
    plain = only(peer_batch("aiokafka", records, Codec.NONE)).payload()
    body = only(peer_batch("aiokafka", records, codec)).view[61:]

    assert bytes(plain) == decompress(codec, body)


def test_kio_reads_ours():
    """
    kio, generated from Kafka's own definitions, reads the same out of our batch.
    """
    records = every_shape(base_offset=30)
    data = build_batch(records, base_offset=30, leader_epoch=5)

    batch, size = read_kio_batch(data, 0)

    assert len(data) == size
    assert (30, 5) == (batch.base_offset, batch.partition_leader_epoch)
    # kio cuts timestamps off to whole seconds.
    assert [(r.offset, r.timestamp_ms // 1000, r.key, r.value, r.headers) for r in records] == [
        (
            record.offset,
            int(record.timestamp.timestamp()),
            record.key,
            record.value,
            tuple((header.key.decode(), header.value) for header in record.headers),
        )
        for record in batch.records
    ]
