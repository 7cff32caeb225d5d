"""The data directory: whose it is, who holds it, how it was left."""

from __future__ import annotations

import subprocess
import sys
import uuid
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyproducer.broker.log.directory import (
    DataDirectory,
    DataDirectoryError,
    read_topic_id,
    uuid_from_text,
    uuid_text,
    write_topic_id,
)
from pyproducer.broker.log.filesystem import RealFileSystem

FS = RealFileSystem(sync=False)


def opened(path, **kind):
    directory = DataDirectory(path, fs=FS, node_id=kind.pop("node_id", 1), **kind)
    directory.open()
    return directory


def test_new_directory_gets_an_identity(tmp_path):
    """
    meta.properties names cluster, node and directory in Kafka's version 1 format.
    """
    directory = opened(tmp_path / "new" / "data", node_id=3)
    lines = (tmp_path / "new" / "data" / "meta.properties").read_text().splitlines()

    assert ["version=1", f"cluster.id={directory.cluster_id}", "node.id=3"] == lines[:3]
    assert 16 == len(uuid_from_text(lines[3].removeprefix("directory.id=")).bytes)
    directory.close()


def test_identity_stays(tmp_path):
    """
    The same broker finds its cluster id again; a wanted one is used when there is none yet.
    """
    opened(tmp_path, cluster_id="wanted").close()

    assert "wanted" == opened(tmp_path).cluster_id


@pytest.mark.parametrize("kind", [{"node_id": 2}, {"cluster_id": "other"}])
def test_somebody_elses_directory_is_refused(tmp_path, kind):
    """
    Another node's or another cluster's directory is not touched, and is free afterwards.
    """
    opened(tmp_path, cluster_id="mine").close()
    with pytest.raises(DataDirectoryError, match="belongs to"):
        opened(tmp_path, **kind)

    opened(tmp_path).close()


@pytest.mark.parametrize("content", [b"", b"\xff", b"node.id=x\ncluster.id=y\n", b"node.id=1\n"])
def test_unreadable_identity_is_refused(tmp_path, content):
    """
    A meta.properties that no broker wrote stops the start.
    """
    (tmp_path / "meta.properties").write_bytes(content)
    with pytest.raises(DataDirectoryError, match=r"meta\.properties"):
        opened(tmp_path)


def test_directory_of_a_running_broker_is_refused(tmp_path):
    """
    Two brokers cannot run on one directory, in one process or two.
    """
    first = opened(tmp_path)
    with pytest.raises(DataDirectoryError, match="another broker"):
        opened(tmp_path)
    script = (
        "import sys, pathlib; from tests.broker.log.test_directory import opened\n"
        "opened(pathlib.Path(sys.argv[1]))"
    )
    other = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path)],
        capture_output=True, text=True, check=False, cwd=Path(__file__).parents[3],
    )  # fmt: skip

    assert "DataDirectoryError" in other.stderr
    first.close()
    opened(tmp_path).close()


def test_clean_stop_is_believed_once(tmp_path):
    """
    The marker of a clean stop is gone as soon as the next broker starts.
    """
    first = opened(tmp_path)

    assert not first.was_clean
    first.mark_clean()
    first.close()
    assert (tmp_path / ".kafka_cleanshutdown").exists()
    second = opened(tmp_path)

    assert second.was_clean
    second.close()
    assert not opened(tmp_path).was_clean


@given(st.binary(min_size=16, max_size=16))
def test_uuid_text_round_trip(raw):
    """
    22 characters spell a UUID and are read back.
    """
    value = uuid.UUID(bytes=raw)

    assert 22 == len(uuid_text(value))
    assert value == uuid_from_text(uuid_text(value))


def test_topic_id_of_a_partition(tmp_path):
    """
    partition.metadata holds the topic id in Kafka's format; without it there is none.
    """
    topic_id = uuid.UUID(int=0x0123456789ABCDEF0123456789ABCDEF)
    assert read_topic_id(FS, tmp_path) is None
    write_topic_id(FS, tmp_path, topic_id)

    assert (
        "version: 0\ntopic_id: ASNFZ4mrze8BI0VniavN7w\n"
        == (tmp_path / "partition.metadata").read_text()
    )
    assert topic_id == read_topic_id(FS, tmp_path)


@pytest.mark.parametrize("content", [b"\xff\xfe", b"version: 0\n", b"version: 0\ntopic_id: abc\n"])
def test_unreadable_topic_id_is_none(tmp_path, content):
    """
    A damaged file is no topic id.
    """
    (tmp_path / "partition.metadata").write_bytes(content)

    assert read_topic_id(FS, tmp_path) is None


def test_ids_never_start_with_a_dash(tmp_path):
    """
    An id that a command line would take for an option is drawn again.
    """
    draws = iter([uuid.UUID(bytes=b"\xf8" + bytes(15)), uuid.UUID(int=1), uuid.UUID(int=2)])
    directory = opened(tmp_path, new_uuid=lambda: next(draws))

    assert uuid_text(uuid.UUID(int=1)) == directory.cluster_id
