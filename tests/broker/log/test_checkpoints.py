"""Kafka's text checkpoints."""

from __future__ import annotations

import pytest

from pyproducer.broker.log.checkpoints import CorruptCheckpointError, OffsetCheckpoint
from pyproducer.broker.log.filesystem import RealFileSystem
from pyproducer.model import TopicPartition
from tests.helpers.faulty_disk import FaultyFileSystem

A, B = TopicPartition("a.b_c-d", 0), TopicPartition("orders", 12)


def test_checkpoint_has_kafkas_format(tmp_path):
    """
    Version, count, then topic, partition and offset, a line each.
    """
    path = tmp_path / "recovery-point-offset-checkpoint"
    OffsetCheckpoint(RealFileSystem(), path).write({B: 7, A: 1 << 40})

    assert "0\n2\na.b_c-d 0 1099511627776\norders 12 7\n" == path.read_text()


def test_checkpoint_round_trip(tmp_path):
    """
    What was written is read, also by another instance; nothing is read from no file, and nothing
    from an empty one, which Kafka makes before it has anything to write.
    """
    fs, path = RealFileSystem(), tmp_path / "c"
    assert {} == OffsetCheckpoint(fs, path).read()
    path.touch()
    assert {} == OffsetCheckpoint(fs, path).read()
    OffsetCheckpoint(fs, path).write({A: 1, B: 2})

    assert {A: 1, B: 2} == OffsetCheckpoint(fs, path).read()


def test_unchanged_checkpoint_is_not_written(tmp_path):
    """
    Writing the same offsets again does not touch the disk.
    """
    fs = FaultyFileSystem()
    checkpoint = OffsetCheckpoint(fs, tmp_path / "c")
    checkpoint.write({A: 1})
    before = fs.fsyncs
    checkpoint.write({A: 1})

    assert before == fs.fsyncs
    checkpoint.write({A: 2})

    assert before < fs.fsyncs


@pytest.mark.parametrize(
    "content",
    [b"\n", b"1\n0\n", b"0\n2\na 0 1\n", b"0\n1\na 0\n", b"0\n1\na x 1\n", b"\xff\xfe", b"0\nx\n"],
)
def test_broken_checkpoints_are_refused(tmp_path, content):
    """
    A file with the wrong version, count or words is an error, not a guess.
    """
    path = tmp_path / "c"
    path.write_bytes(content)
    with pytest.raises(CorruptCheckpointError):
        OffsetCheckpoint(RealFileSystem(), path).read()
