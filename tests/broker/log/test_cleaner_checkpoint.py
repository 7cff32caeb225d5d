"""What the cleaner's checkpoint says of logs that were cleaned: all of them, whatever happens."""

from __future__ import annotations

from pathlib import Path

import pytest

from pyproducer.broker.log.filesystem import File, RealFileSystem
from pyproducer.model import TopicPartition
from tests.helpers.compaction import Rig
from tests.helpers.faulty_disk import FaultyFileSystem
from tests.helpers.partition_logs import TP

CHECKPOINT = "cleaner-offset-checkpoint"


def dirty(data_dir: Path, **how) -> Rig:
    """A log with a record that is superseded."""
    rig = Rig(data_dir, **how)
    rig.put(("a", "1"), ("a", "2"))
    rig.seal()
    return rig


def test_a_cleaning_that_is_broken_off_is_known_after_a_restart(tmp_path: Path):
    """
    From the first segment that is replaced on, a log counts as one in which offsets are missing.
    """
    rig = Rig(tmp_path, segment_bytes=300)
    for at in range(6):
        rig.put(("a", str(at) * 150))
        rig.seal()
    steps = rig.cleaner._clean_all()
    while len(rig.rows()) == 6:
        next(steps)()
    steps.close()
    rig.restart(clean=False)

    assert f"0\n1\n{TP.topic} {TP.partition} 0\n" == (tmp_path / CHECKPOINT).read_text()
    assert rig.cleaner.may_have_cleaned(TP)


def test_logs_that_are_not_there_stay_in_the_checkpoint(tmp_path: Path):
    """
    A log that could not be opened this time was cleaned all the same.
    """
    (tmp_path / CHECKPOINT).write_text("0\n1\naway 3 7\n")
    dirty(tmp_path).clean()

    assert "0\n2\naway 3 7\norders 0 2\n" == (tmp_path / CHECKPOINT).read_text()


def test_any_log_may_have_been_cleaned_where_the_checkpoint_is_broken(tmp_path: Path):
    """
    Without its checkpoint nobody knows in which logs offsets are missing, so none counts as whole.
    """
    (tmp_path / CHECKPOINT).write_text("0\n9\n")
    rig = dirty(tmp_path)

    assert rig.cleaner.may_have_cleaned(TopicPartition("keyed", 0))
    rig.clean()
    rig.restart()
    assert rig.cleaner.may_have_cleaned(TP)
    assert not rig.cleaner.may_have_cleaned(TopicPartition("keyed", 0))


def test_a_log_that_cannot_be_entered_is_not_cleaned(tmp_path: Path):
    """
    Where the checkpoint cannot be written, no segment is replaced until it can.
    """
    disk = FaultyFileSystem()
    rig = dirty(tmp_path, fs=disk)
    disk.broken.add("rename")

    assert 0 == rig.clean()
    assert [0, 1] == [row.offset for row in rig.rows()]
    disk.broken.clear()
    assert 1 == rig.clean()
    assert [1] == [row.offset for row in rig.rows()]


class WrongFileSystem(RealFileSystem):
    """One with a mistake in it, which shows when something is cleaned."""

    def open(self, path: Path, *, create: bool = True) -> File:
        if ".cleaned" in path.name:
            raise ZeroDivisionError
        return super().open(path, create=create)


def test_a_mistake_of_ours_stops_the_cleaning_of_one_log(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
):
    """
    Whatever goes wrong with a log, it is told, and it does not keep the others from being cleaned.
    """
    rig = dirty(tmp_path, fs=WrongFileSystem(sync=False))

    assert (0, 0) == (rig.clean(), rig.clean())
    assert 1 == caplog.text.count("orders-0 is not compacted any more")
    assert 2 == len(rig.rows())
