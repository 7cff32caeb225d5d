"""The seam to the disk, and what the log makes of a disk that misbehaves."""

from __future__ import annotations

import errno

import pytest

from pyproducer.broker.log.filesystem import (
    RealFileSystem,
    TornWriteError,
    append_all,
    read_file,
    replace_file,
)
from tests.helpers.faulty_disk import FaultyFileSystem


def test_append_all_survives_short_writes(tmp_path):
    """
    Buffers arrive whole and in order although each write takes a few bytes only.
    """
    fs = FaultyFileSystem()
    fs.largest_write = 3
    file = fs.open(tmp_path / "f")
    append_all(file, [b"ab", b"", b"cdefg", memoryview(b"hij")], at=0)
    file.close()

    assert b"abcdefghij" == (tmp_path / "f").read_bytes()


def test_append_all_takes_more_buffers_than_one_call_may(tmp_path):
    """
    The limit of buffers per system call is not the caller's business.
    """
    file = RealFileSystem().open(tmp_path / "f")
    append_all(file, [b"x"] * 3000, at=0)
    file.close()

    assert 3000 == (tmp_path / "f").stat().st_size


def test_append_all_undoes_a_failed_write(tmp_path):
    """
    A disk that fills up half-way leaves the file as it was.
    """
    fs = FaultyFileSystem()
    file = fs.open(tmp_path / "f")
    append_all(file, [b"first"], at=0)
    fs.space = 4
    with pytest.raises(OSError) as caught:
        append_all(file, [b"second"], at=5)
    file.close()

    assert errno.ENOSPC == caught.value.errno
    assert b"first" == (tmp_path / "f").read_bytes()


def test_append_all_tells_when_it_cannot_undo(tmp_path):
    """
    A write that can be neither finished nor undone has an error of its own.
    """
    fs = FaultyFileSystem()
    file = fs.open(tmp_path / "f")
    fs.space = 2
    fs.broken = {"truncate"}
    with pytest.raises(TornWriteError):
        append_all(file, [b"abc"], at=0)
    file.close()


def test_replace_file_keeps_the_old_contents_on_failure(tmp_path):
    """
    A replacement that fails at any step leaves the old contents.
    """
    fs = FaultyFileSystem()
    replace_file(fs, tmp_path / "f", b"old")
    for broken in ("fsync", "rename"):
        fs.broken = {broken}
        with pytest.raises(OSError):
            replace_file(fs, tmp_path / "f", b"new")
    fs.broken = set()
    fs.space = 1
    with pytest.raises(OSError):
        replace_file(fs, tmp_path / "f", b"new")

    assert b"old" == read_file(fs, tmp_path / "f")


def test_read_file_says_none_for_a_missing_file(tmp_path):
    """
    A file that is not there is None, and is not made by asking.
    """
    assert read_file(RealFileSystem(), tmp_path / "f") is None
    assert [] == list(tmp_path.iterdir())


def test_lock_is_exclusive_within_a_process(tmp_path):
    """
    Two brokers of one process cannot hold the same file.
    """
    fs = RealFileSystem()
    first = fs.lock(tmp_path / "lock")
    with pytest.raises(BlockingIOError):
        fs.lock(tmp_path / "lock")
    first.close()
    fs.lock(tmp_path / "lock").close()


def test_real_file_system_forces_files_and_folders(tmp_path):
    """
    With sync on, a file and its folder can be forced to disk, and a file closed twice.
    """
    fs = RealFileSystem()
    file = fs.open(tmp_path / "f")
    file.writev([b"x"])
    file.fsync()
    fs.fsync_dir(tmp_path)
    file.close()
    file.close()
