"""Whether files are sound: what a broker leaves is, and every kind of damage is found and named."""

from __future__ import annotations

import shutil
import struct
from collections.abc import Callable
from pathlib import Path

import pytest

from pyproducer.broker import Broker, TopicSpec
from pyproducer.broker.offline.batches import Damage, fault_of, read_batches
from pyproducer.broker.offline.folders import CHECKPOINTS, DataFolder
from pyproducer.broker.offline.problem import Problem
from pyproducer.broker.offline.verification import Verification
from pyproducer.records.crc import crc32c
from pyproducer.records.reader import Batch, iter_batches
from tests.helpers.admin_requests import alter_configs_by
from tests.helpers.partition_logs import batch
from tests.helpers.wire_client import WireClient


def verify(path: Path) -> tuple[list[Problem], Verification]:
    read: list[int] = []
    data = DataFolder.at(path)
    verification = Verification(data, read.append)
    found = list(verification.problems())
    assert data.size() == sum(read)
    return found, verification


def problems(path: Path) -> list[Problem]:
    return verify(path)[0]


def orders(data: Path, suffix: str = ".log", at: int = 0) -> Path:
    return sorted((data / "orders-0").glob(f"*{suffix}"))[at]


def batches(path: Path) -> list[Batch]:
    return list(iter_batches(path.read_bytes()))


def rewrite(path: Path, change: Callable[[bytearray], object]) -> None:
    data = bytearray(path.read_bytes())
    change(data)
    path.write_bytes(data)


def test_what_a_broker_leaves_is_sound(written: Path):
    """
    Nothing is wrong after a clean stop, and all of it has been looked at.
    """
    found, verification = verify(written)

    assert [] == found
    assert 481 + 2 + 2 + 1 + 2 <= verification.totals.records
    assert len(list(written.glob("orders-0/*.log"))) + 6 <= verification.totals.segments


def test_a_running_broker_is_sound(written: Path, tmp_path: Path):
    """
    A broker may run on the directory: what it holds and writes is no problem, and is seen.
    """
    copy = shutil.copytree(written, tmp_path / "data")
    with Broker(data_dir=copy) as broker, WireClient(broker.bootstrap_servers) as client:
        client.produce("orders", batch())
        (copy / "orders-0" / "00000000000000000000.log.deleted").touch()
        log = orders(copy, at=-1)
        with log.open("ab") as file:
            file.write(b"\0\0\0\0\0\0\0\1")
        assert DataFolder.at(copy).running
        assert [] == problems(copy)
        assert [] == problems(copy / "orders-0")
        with log.open("r+b") as file:
            file.truncate(log.stat().st_size - 8)
    assert not DataFolder.at(copy).running


def test_after_a_kill(written: Path, tmp_path: Path):
    """
    What a killed broker leaves, indexes that are behind and space taken beforehand, is sound.
    """
    copy = shutil.copytree(written, tmp_path / "data")
    rewrite(orders(copy, ".index", -1), lambda data: data.clear())
    rewrite(orders(copy, ".timeindex", -1), lambda data: data.extend(bytes(120)))
    (copy / ".kafka_cleanshutdown").unlink()
    max((copy / "orders-0").glob("*.snapshot")).unlink()

    assert [] == problems(copy)


def flip(data: bytearray) -> None:
    data[200] ^= 1


def cut(data: bytearray) -> None:
    del data[-10:]


def zeros(data: bytearray) -> None:
    data[-200:] = bytes(200)


def old_format(data: bytearray) -> None:
    data[16] = 1


def tiny(data: bytearray) -> None:
    data[8:12] = struct.pack(">i", 3)


def huge(data: bytearray) -> None:
    data[8:12] = struct.pack(">i", 1 << 30)


def turned_back(data: bytearray) -> None:
    size = next(iter_batches(bytes(data))).header.size
    data[size : size + 8] = bytes(8)


def into_the_next(data: bytearray) -> None:
    [*_, last] = iter_batches(bytes(data))
    at = len(data) - last.header.size
    data[at : at + 8] = struct.pack(">q", last.header.base_offset + 1)


def older_epoch(data: bytearray) -> None:
    data[12:16] = struct.pack(">i", 5)


def more_records(data: bytearray) -> None:
    """A batch that says it has another number of records, with a checksum that holds."""
    first = next(iter_batches(bytes(data)))
    changed = bytearray(first.view)
    changed[57:61] = struct.pack(">i", first.header.record_count - 1)
    changed[17:21] = struct.pack(">I", seal(changed))
    data[: len(changed)] = changed


def seal(changed: bytearray) -> int:
    return crc32c(bytes(changed[21:]))


@pytest.mark.parametrize(
    ("change", "at", "what", "way_out"),
    [
        (flip, 0, "CRC32C is", "replica"),
        (cut, 0, "of a batch that says it has", "replica"),
        (cut, -1, "of a batch that says it has", "cuts this off"),
        (zeros, -1, "zeros", "cuts this off"),
        (old_format, 0, "record format 1", "replica"),
        (tiny, 0, "a batch length of 3", "replica"),
        (huge, 0, "of a batch that says it has 1073741836", "replica"),
        (turned_back, 0, "behind offset", "replica"),
        (into_the_next, 0, "the next segment begins", "replica"),
        (older_epoch, 0, "leader epoch 0 behind one of epoch 5", "replica"),
        (more_records, 0, "batch at offset 0", "replica"),
    ],
)
def test_damaged_logs(data: Path, change, at: int, what: str, way_out: str):
    """
    Every kind of damage to a log is named with its file and byte.
    """
    path = orders(data, at=at)
    rewrite(path, change)

    found = [one for one in problems(data) if one.path == path]

    assert any(what in one.what and way_out in one.way_out for one in found), found
    assert all(one.position.startswith("byte ") for one in found)


def test_one_turned_bit_is_one_problem(data: Path):
    """
    A batch that is damaged inside costs itself and nothing around it, wherever the bit is.
    """
    path = orders(data)
    whole = path.read_bytes()
    second = batches(path)[1].header
    for bit in range(61 * 8, second.size * 8, 37):
        place = batches(path)[0].header.size + bit // 8
        rewrite(path, lambda data, place=place, bit=bit: flip_bit(data, place, bit % 8))

        [problem] = problems(data)
        assert (path, f"byte {batches(path)[0].header.size}") == (problem.path, problem.position)
        path.write_bytes(whole)


def flip_bit(data: bytearray, place: int, bit: int) -> None:
    data[place] ^= 1 << bit


def entry(form: str, at: int, **changes: int) -> Callable[[bytearray], None]:
    """Adds to the fields `first` and `second` of an index entry."""

    def change(data: bytearray) -> None:
        size = struct.calcsize(form)
        first, second = struct.unpack_from(form, data, at * size)
        struct.pack_into(
            form,
            data,
            at * size,
            first + changes.get("first", 0),
            second + changes.get("second", 0),
        )

    return change


@pytest.mark.parametrize(
    ("suffix", "change", "what"),
    [
        (".index", entry(">ii", 0, first=1), "a batch begins that ends with offset"),
        (".index", entry(">ii", 0, second=1), "where no batch begins"),
        (".index", entry(">ii", 1, second=1 << 20), "where no batch begins"),
        (".index", entry(">ii", 1, first=-100), "does not come behind"),
        (".index", lambda data: data.extend(b"abc"), "no whole entries"),
        (".timeindex", entry(">qi", 0, first=1), "whose batch has"),
        (".timeindex", entry(">qi", 0, second=4), "whose batch has"),
        (".timeindex", entry(">qi", -1, second=1 << 20), "behind the last batch"),
        (".timeindex", entry(">qi", 1, first=-100_000), "does not come behind"),
        (".timeindex", lambda data: data.extend(b"abc"), "no whole entries"),
    ],
)
def test_damaged_indexes(data: Path, suffix: str, change, what: str):
    """
    An index entry that names another batch than it should is told, with its number.
    """
    path = orders(data, suffix)
    if what == "behind the last batch":
        last = len(path.read_bytes()) // 12 - 1
        change = entry(">qi", last, second=1 << 20)
    rewrite(path, change)

    found = problems(data)

    assert {path} == {one.path for one in found}
    assert any(what in one.what for one in found), found
    assert all("anew" in one.way_out for one in found)


def test_missing_and_orphaned_files(data: Path):
    """
    An index that is not there is told, and so is one without its log.
    """
    orders(data, ".index").unlink()
    stray = data / "orders-0" / "00000000000000000001.timeindex"
    stray.touch()

    assert {
        (orders(data, ".timeindex", 0).with_suffix(".index"), "the file is missing"),
        (stray, "a file of a segment that is not there"),
    } == {(one.path, one.what) for one in problems(data)}


@pytest.mark.parametrize("suffix", [".cleaned", ".swap", ".deleted", ".tmp"])
def test_leftovers(data: Path, suffix: str):
    """
    Files and folders of something that was interrupted are told.
    """
    left = data / "orders-0" / f"00000000000000000000.log{suffix}"
    left.touch()
    (data / "gone-0.0123456789abcdef0123456789abcdef-delete").mkdir()

    assert {left.name, "gone-0.0123456789abcdef0123456789abcdef-delete"} == {
        one.path.name for one in problems(data)
    }


def test_missing_segment(data: Path):
    """
    Offsets that are missing between segments are told, unless the log was compacted.
    """
    second = orders(data, at=1)
    first = int(second.stem)
    following = int(orders(data, at=2).stem)
    for suffix in (".log", ".index", ".timeindex"):
        second.with_suffix(suffix).unlink()

    [problem] = problems(data)
    assert f"offsets {first} to {following - 1} are missing" in problem.what
    (data / "cleaner-offset-checkpoint").write_text(f"0\n1\norders 0 {following}\n")
    assert [] == problems(data)


@pytest.mark.parametrize("policy", ["compact", "delete"])
def test_compacted_logs(tmp_path: Path, policy: str):
    """
    What compaction took is not missing, though the topic is not compacted any more, and also where
    the checkpoint does not say that it was, as after a kill of a Kafka that was cleaning.
    """
    data = tmp_path / "data"
    keyed = {"cleanup.policy": "compact", "min.cleanable.dirty.ratio": "0", "segment.bytes": "300"}
    with (
        Broker([TopicSpec("keyed", 1, keyed)], data_dir=data) as broker,
        WireClient(broker.bootstrap_servers) as client,
    ):
        for number in range(12):
            client.produce("keyed", batch(key=b"%d" % (number % 3), value=b"v" * 60))
        broker.tick(minutes=1)
        if policy == "delete":
            alter_configs_by(client, 2, "keyed", ("cleanup.policy", 0, "delete"))
        left = len(broker.records("keyed", 0))
    assert left < 12
    checkpoint = data / "cleaner-offset-checkpoint"
    assert [] == problems(data)
    checkpoint.write_text("0\n0\n")
    assert [] == problems(data)


@pytest.mark.parametrize(
    ("change", "what"),
    [
        (lambda data: data.__setitem__(10, data[10] ^ 1), "CRC mismatch"),
        (lambda data: data.clear(), "no snapshot"),
    ],
)
def test_broken_snapshots(data: Path, change, what: str):
    """
    A snapshot that cannot be read is told.
    """
    path = orders(data, ".snapshot", -1)
    rewrite(path, change)

    [problem] = problems(data)

    assert path == problem.path
    assert what in problem.what


def test_snapshots_that_say_something_else(data: Path):
    """
    A snapshot of another moment, or one that speaks of offsets the log does not have, is told.
    """
    last, before = orders(data, ".snapshot", -1), orders(data, ".snapshot", -2)
    ahead = data / "orders-0" / "00000000000000009999.snapshot"
    shutil.copy(before, last)
    shutil.copy(before, ahead)

    found = {one.path: one for one in problems(data)}

    assert {last, ahead} == set(found)
    assert "producer 7" == found[last].position
    assert "by the batches it is epoch 0, last sequence 479 at offset 479" in found[last].what
    assert "speaks of offset 9999" in found[ahead].what


def test_snapshots_that_know_the_future(data: Path):
    """
    A snapshot that has batches behind its own offset is told.
    """
    first, last = orders(data, ".snapshot", 0), orders(data, ".snapshot", -1)
    shutil.copy(last, first)

    [problem] = problems(data)

    assert first == problem.path
    assert "its last batch ends with offset 479, behind the snapshot's own" in problem.what


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("0\n1\n3 0\n", "says epoch 3 for offset 0, whose batch has epoch 0"),
        ("0\n2\n0 0\n1 9999\n", "starts at offset 9999"),
        ("0\n2\n1 0\n0 5\n", "epoch 0 from offset 5 on, behind epoch 1 from 0 on"),
        ("0\n2\n0 0\n", "1 entries where it announces 2"),
        ("0\n1\nzero 0\n", "invalid literal"),
    ],
)
def test_leader_epochs(data: Path, text: str, what: str):
    """
    Leader epochs rise, begin where the log has offsets, and are those of the batches.
    """
    path = data / "orders-0" / "leader-epoch-checkpoint"
    path.write_text(text)

    found = problems(data)

    assert {path} == {one.path for one in found}
    assert any(what in one.what for one in found), found


@pytest.mark.parametrize("name", CHECKPOINTS)
def test_checkpoints(data: Path, name: str):
    """
    A checkpoint with an offset that its log does not have, or that cannot be read, is told.
    """
    path = data / name
    path.write_text("0\n2\norders 0 481\nunknown 0 7\n")
    [problem] = problems(data)
    assert (path, "line 3") == (problem.path, problem.position)
    assert "offset 481 of orders-0, whose log ends at 480" in problem.what

    path.write_text("0\n1\norders 0 -1\n")
    assert "offset -1" in problems(data)[0].what
    path.write_text("1\n0\n")
    assert "no version 0 checkpoint" in problems(data)[0].what


def txnindex(data: Path) -> Path:
    return data / "paid-0" / "00000000000000000000.txnindex"


@pytest.mark.parametrize(
    ("change", "what"),
    [
        (lambda data: data.clear(), "was aborted, and is not listed"),
        (lambda data: data.pop(), "no whole entries"),
        (lambda data: struct.pack_into(">q", data, 10, 3), "begins at offset 4, not 3"),
        (lambda data: struct.pack_into(">q", data, 2, 99), "an abort by producer 99"),
        (lambda data: struct.pack_into(">q", data, 18, 7), "where there is no marker"),
        (
            lambda data: struct.pack_into(">q", data, 18, 3) or struct.pack_into(">q", data, 10, 3),
            "where there is none",
        ),
    ],
)
def test_aborted_transactions(data: Path, change, what: str):
    """
    Every aborted transaction is listed, and nothing else is.
    """
    rewrite(txnindex(data), change)

    found = problems(data)

    assert {txnindex(data)} == {one.path for one in found}
    assert any(what in one.what for one in found), found


def test_topic_id(data: Path):
    """
    A partition that does not say which topic's it is, is told.
    """
    path = data / "orders-0" / "partition.metadata"
    path.write_text("version: 0\n")

    [problem] = problems(data)

    assert (path, "no topic id: there is no line topic_id") == (problem.path, problem.what)


def test_many_problems_of_one_file(data: Path):
    """
    A file that is all wrong is told of twenty times, and then how often more.
    """
    path = orders(data, ".index", 0)
    path.write_bytes(struct.pack(">ii", 1, 1) * 1000)

    found = problems(data)

    assert 21 == len(found)
    assert found[-1].what.endswith(" more of these")


@pytest.mark.parametrize("kind", ["file", "empty", "missing"])
def test_neither_one_nor_the_other(tmp_path: Path, kind: str):
    """
    What is no data directory is refused, with what it lacks.
    """
    path = tmp_path / kind
    if kind == "file":
        path.touch()
    elif kind == "empty":
        path.mkdir()

    with pytest.raises(ValueError, match=r"no directory|neither"):
        DataFolder.at(path)


def test_large_batches_are_read_if_their_checksum_holds(tmp_path: Path, monkeypatch):
    """
    A batch beyond the bound is summed in pieces first, so that a wrong length takes no memory.
    """
    monkeypatch.setattr("pyproducer.broker.offline.batches._LARGE", 1000)
    monkeypatch.setattr("pyproducer.broker.offline.batches._CHUNK", 700)
    path = tmp_path / "00000000000000000000.log"
    path.write_bytes(batch(value=b"x" * 5000) + batch())
    sizes = [
        found.header.size
        for _, found in read_batches(path, path.stat().st_size)
        if isinstance(found, Batch) and fault_of(found) is None
    ]
    assert [path.stat().st_size - len(batch()), len(batch())] == sizes

    rewrite(path, lambda data: flip_bit(data, 3000, 0))
    [(position, damage)] = read_batches(path, path.stat().st_size)

    assert isinstance(damage, Damage)
    assert (0, True) == (position, "CRC32C does not match" in damage.what)
