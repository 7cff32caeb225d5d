"""Leader epochs: what a follower and a consumer are told about the past."""

from __future__ import annotations

import pytest

from pyproducer.broker.log.epochs import EpochEnd, EpochEntry, LeaderEpochs
from pyproducer.broker.log.filesystem import RealFileSystem
from tests.helpers.faulty_disk import FaultyFileSystem

FS = RealFileSystem(sync=False)


@pytest.fixture
def epochs(tmp_path):
    epochs = LeaderEpochs(FS, tmp_path / "leader-epoch-checkpoint")
    for epoch, start in ((2, 10), (4, 30), (7, 50)):
        epochs.assign(epoch, start)
    return epochs


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        pytest.param(-1, (-1, -1), id="undefined"),
        pytest.param(7, (7, 80), id="current ends at the log's end"),
        pytest.param(8, (-1, -1), id="above all known"),
        pytest.param(4, (4, 50), id="known"),
        pytest.param(5, (4, 50), id="between two"),
        pytest.param(2, (2, 30), id="oldest"),
        pytest.param(1, (1, 10), id="older than all"),
    ],
)
def test_l7_end_offset_for_epoch(epochs, asked, expected):
    """
    The answer is the largest epoch not above the one asked for, and where the next began.
    """
    assert EpochEnd(*expected) == epochs.end_offset_for(asked, 80)


def test_l7_without_epochs_nothing_is_known(tmp_path):
    """
    A log without epochs answers (-1, -1) to everything.
    """
    epochs = LeaderEpochs(FS, tmp_path / "c")

    assert EpochEnd(-1, -1) == epochs.end_offset_for(0, 5)


def test_l6_epoch_is_on_disk_before_its_first_batch(epochs, tmp_path):
    """
    An assigned epoch is in the checkpoint at once, in Kafka's format.
    """
    text = (tmp_path / "leader-epoch-checkpoint").read_text()

    assert "0\n3\n2 10\n4 30\n7 50\n" == text


def test_l6_epoch_that_could_not_be_recorded_is_not_known(tmp_path):
    """
    After a failed write the epoch is assigned anew, not taken for recorded.
    """
    fs = FaultyFileSystem()
    epochs = LeaderEpochs(fs, tmp_path / "c")
    fs.broken = {"fsync"}
    with pytest.raises(OSError):
        epochs.assign(1, 0)

    assert () == epochs.entries
    fs.broken = set()

    assert epochs.assign(1, 0)
    assert "0\n1\n1 0\n" == (tmp_path / "c").read_text()


def test_checkpoint_is_read_back(epochs, tmp_path):
    """
    Another instance knows the same epochs.
    """
    again = LeaderEpochs(FS, tmp_path / "leader-epoch-checkpoint")
    again.load()

    assert epochs.entries == again.entries


@pytest.mark.parametrize("content", [b"rubbish", b"0\n1\n1 2 3\n", b"0\n1\na b\n"])
def test_broken_checkpoint_means_no_epochs(tmp_path, content):
    """
    A broken file is forgotten; recovery rebuilds it from the batches.
    """
    path = tmp_path / "c"
    path.write_bytes(content)
    epochs = LeaderEpochs(FS, path)
    epochs.load()

    assert () == epochs.entries


def test_contradicted_entries_are_dropped(epochs):
    """
    An epoch that starts before older ones ended replaces them.
    """
    epochs.assign(9, 40)

    assert (EpochEntry(2, 10), EpochEntry(4, 30), EpochEntry(9, 40)) == epochs.entries


def test_same_epoch_again_is_no_news(epochs):
    """
    Assigning the current epoch again does not move its start.
    """
    assert not epochs.assign(7, 60)
    assert EpochEntry(7, 50) == epochs.entries[-1]


def test_truncation_follows_the_log(epochs):
    """
    Cutting the log cuts epochs: at the end those that began there, at the start those that ended.
    """
    epochs.truncate_from_end(50)

    assert (EpochEntry(2, 10), EpochEntry(4, 30)) == epochs.entries
    epochs.truncate_from_start(35)

    assert (EpochEntry(4, 35),) == epochs.entries
    epochs.truncate_from_start(35)

    assert (EpochEntry(4, 35),) == epochs.entries
