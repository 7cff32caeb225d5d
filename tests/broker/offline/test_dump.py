"""What is told of the files of a log."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import pytest

from pyproducer.broker.offline.dump import Dump
from pyproducer.records.builder import build_batch
from pyproducer.records.record import Record
from tests.helpers.partition_logs import batch


def dump(path: Path, **options: Any) -> list[dict[str, Any]]:
    read: list[int] = []
    found = Dump(path, advance=read.append, **options)
    documents = list(found.documents())
    assert found.damaged == any(one["kind"] == "damage" for one in documents)
    return documents


def kinds(documents: list[dict[str, Any]], *wanted: str) -> list[dict[str, Any]]:
    return [one for one in documents if one["kind"] in wanted]


def test_partition(written: Path):
    """
    A partition's folder: every batch with its records, and what the small files hold.
    """
    documents = dump(written / "orders-0")

    assert list(range(480)) == [one["offset"] for one in kinds(documents, "record")]
    assert list(range(480)) == [one["sequence"] for one in kinds(documents, "record")]
    first = kinds(documents, "batch")[0]
    expected = {
        "first_offset": 0,
        "last_offset": 3,
        "records": 4,
        "position": 0,
        "codec": "none",
        "producer_id": 7,
        "first_sequence": 0,
        "last_sequence": 3,
        "leader_epoch": 0,
        "sound": True,
        "control": False,
        "delete_horizon_ms": None,
    }
    assert expected == {name: first[name] for name in expected}
    assert {"none", "gzip"} == {one["codec"] for one in kinds(documents, "batch")}
    ends = {one["last_offset"]: one["position"] for one in kinds(documents, "batch")}
    assert kinds(documents, "index")
    assert all(ends[one["offset"]] == one["position"] for one in kinds(documents, "index"))
    assert {one["offset"] for one in kinds(documents, "time_index")} <= set(ends)
    assert [{"kind": "epoch", "epoch": 0, "start_offset": 0}] == kinds(documents, "epoch")
    last = kinds(documents, "producer")[-1]
    assert (7, 5, 479) == (
        last["producer_id"],
        len(last["batches"]),
        last["batches"][-1]["last_sequence"],
    )


def test_transactions_and_tombstones(written: Path):
    """
    Markers, aborted transactions, open ones, and values that are null or no text.
    """
    documents = dump(written / "paid-0")

    tombstone, record, *_ = kinds(documents, "record")
    assert (None, None, True) == (tombstone["key"], tombstone["value"], tombstone["tombstone"])
    assert (b"\xff\n", False) == (record["value"], "tombstone" in record)
    assert ["commit", "abort"] == [one["type"] for one in kinds(documents, "marker")]
    [aborted] = kinds(documents, "aborted")
    assert (4, 6) == (aborted["first_offset"], aborted["last_offset"])
    [producer] = [
        one for one in kinds(documents, "producer") if one["transaction_first_offset"] is not None
    ]
    assert 7 == producer["transaction_first_offset"]


def test_data_directory(written: Path):
    """
    A data directory: checkpoints, then all partitions.
    """
    documents = dump(written)

    offsets = kinds(documents, "offset")
    assert {"kind": "offset", "topic": "orders", "partition": 0, "offset": 480} in offsets
    assert 480 + 6 < len(kinds(documents, "record"))


@pytest.mark.parametrize("start", [0, 1, 100, 479, 480, 1000])
@pytest.mark.parametrize("limit", [0, 1, 10, None])
def test_from_and_count(written: Path, start: int, limit: int | None):
    """
    From an offset on and so many records: exactly these, over segments and inside batches, and
    logs alone.
    """
    documents = dump(written / "orders-0", start=start, limit=limit)

    expected = list(range(480))[start:]
    assert expected[:limit] == [one["offset"] for one in kinds(documents, "record")]
    if start or limit is not None:
        assert {"file", "batch", "record"} >= {one["kind"] for one in documents}


def test_batches_alone(written: Path):
    """
    Without records there are batches and markers.
    """
    documents = dump(written / "paid-0", records=False)

    assert [] == kinds(documents, "record")
    assert 2 == len(kinds(documents, "marker"))


def test_gaps(tmp_path: Path):
    """
    Offsets that compaction has removed are told, between batches, inside and at the end of one.
    """
    path = tmp_path / "00000000000000000000.log"
    records = [Record(offset, 1, value=b"x") for offset in (0, 1, 2)]
    whole = bytearray(build_batch(records))
    later = bytearray(batch())
    struct.pack_into(">q", later, 0, 10)
    path.write_bytes(whole + later)

    assert [{"kind": "gap", "first": 3, "last": 9}] == kinds(dump(path), "gap")


def test_damage(data: Path):
    """
    What cannot be read is told where it is, and what is around it is still told.
    """
    log = min((data / "orders-0").glob("*.log"))
    raw = bytearray(log.read_bytes())
    raw[100] ^= 1
    log.write_bytes(bytes(raw[:-5]))
    log.with_suffix(".index").write_bytes(b"abc")
    documents = dump(data / "orders-0")

    damage = kinds(documents, "damage")
    assert 3 == len(damage)
    assert "CRC32C" in damage[0]["what"]
    assert "a batch that says it has" in damage[1]["what"]
    assert "no whole entries" in damage[2]["what"]
    assert not kinds(documents, "batch")[0]["sound"]
    assert 479 == kinds(documents, "record")[-1]["offset"]


def test_nothing_of_a_brokers(tmp_path: Path):
    """
    Another file is refused, with what could be read.
    """
    (tmp_path / "notes.txt").touch()

    with pytest.raises(ValueError, match=r"none of a broker's files: \.log"):
        Dump(tmp_path / "notes.txt", advance=len)
