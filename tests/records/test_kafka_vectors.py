"""Batches that Kafka's own Java client built: ``vectors/KafkaBatches.java`` made them."""

from __future__ import annotations

from pathlib import Path

import pytest

from pyproducer.records.codec import Codec
from pyproducer.records.compression import compress, has_linked_blocks
from pyproducer.records.reader import read_batch
from pyproducer.records.validation import scan_batch
from tests.helpers.record_batches import every_shape

VECTORS = sorted(Path(__file__).with_name("vectors").glob("*.batch"))


def test_vectors_are_there():
    """
    Every codec has its vector.
    """
    assert {codec.name.lower() for codec in Codec} - {"none"} <= {path.stem for path in VECTORS}


@pytest.mark.parametrize("path", VECTORS, ids=lambda path: path.stem)
def test_we_read_kafkas_batches(path):
    """
    A batch by Kafka's Java client is verified, scanned and read, record by record.
    """
    data = path.read_bytes()
    batch = read_batch(data)

    batch.verify()
    assert batch.view == data
    assert path.stem.startswith(batch.header.codec.name.lower())
    assert scan_batch(batch).summary.sequential
    assert every_shape() == list(batch.records())


@pytest.mark.parametrize(("name", "start"), [("snappy", 16), ("lz4", 5), ("lz4-17", 5)])
def test_frames_begin_as_kafkas_do(name, start):
    """
    The xerial header is Java's, and so is the lz4 frame header but for the size of its blocks.
    """
    batch = read_batch(Path(__file__).with_name("vectors").joinpath(f"{name}.batch").read_bytes())
    body = bytes(batch.view[61:])

    ours = compress(batch.header.codec, batch.payload())

    assert body[:start] == ours[:start]
    assert not has_linked_blocks(batch.header.codec, body)


def test_kafkas_zstd_does_not_say_its_size():
    """
    The zstd vector is of the kind that has to be unfolded without knowing how far.
    """
    frame = read_batch(Path(__file__).with_name("vectors").joinpath("zstd.batch").read_bytes()).view

    # No content size flag and no single segment in the frame's descriptor.
    assert 0 == frame[61 + 4] & 0xE0
