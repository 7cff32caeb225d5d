"""Partitions are chosen as Kafka's Java producer and librdkafka choose them."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyproducer.config import PARTITIONER_NAMES, ProducerConfig
from pyproducer.errors import ConfigError, UsageError
from pyproducer.partitioner import (
    PARTITIONERS,
    RoundRobin,
    checked_partition,
    crc32_partition,
    murmur2,
    murmur2_partition,
    resolve,
)

VECTORS = Path(__file__).parent / "vectors"


def read_vectors(name: str) -> tuple[list[str], list[list[str]]]:
    """Return the head and the rows of a table of vectors."""
    lines = (VECTORS / name).read_text("ascii").splitlines()
    head, *rows = [line.split("\t") for line in lines]
    return head, rows


def test_murmur2_hashes_as_java():
    """
    Every key of the table has the hash that Kafka's Java client gives it.
    """
    _, rows = read_vectors("murmur2.tsv")

    assert len(rows) >= 1000
    assert [r for r in rows if murmur2(bytes.fromhex(r[0])) != int(r[1]) & 0xFFFFFFFF] == []


def test_murmur2_chooses_as_java():
    """
    Every key of the table goes where Java sends it, for one partition and for many.
    """
    head, rows = read_vectors("murmur2.tsv")
    counts = [int(count) for count in head[2:]]

    assert {1, 2, 200_000} <= set(counts)
    for key, _, *expected in rows:
        chosen = [murmur2_partition(bytes.fromhex(key), count) for count in counts]
        assert [int(partition) for partition in expected] == chosen, key


def test_vectors_meet_every_tail_and_sign():
    """
    The table has empty keys, each length modulo 4, non-ASCII text and negative hashes.
    """
    _, rows = read_vectors("murmur2.tsv")
    keys = {bytes.fromhex(row[0]) for row in rows}

    assert set(range(41)) <= {len(key) for key in keys}
    assert "\u65e5\u672c\u8a9e".encode() in keys
    assert any(int(row[1]) < 0 for row in rows)
    assert len(keys) == len(rows)


def test_crc32_chooses_as_librdkafka():
    """
    Every key of the table goes where librdkafka delivered it.
    """
    head, rows = read_vectors("crc32.tsv")
    count = int(head[1])

    assert len(rows) >= 1000
    assert [r for r in rows if crc32_partition(bytes.fromhex(r[0]), count) != int(r[1])] == []


@pytest.mark.parametrize("choose", [murmur2_partition, crc32_partition])
@given(key=st.none() | st.binary(max_size=64), count=st.integers(1, 1_000_000))
def test_choice_is_a_partition(choose, key, count):
    """
    Any key, null included, gets a partition from 0 to count - 1, and the same one again.
    """
    partition = choose(key, count)

    assert 0 <= partition < count
    assert partition == choose(key, count)


def test_round_robin_takes_each_in_turn():
    """
    Partitions come in turn whatever the key, and go on rightly when the topic grows.
    """
    choose = RoundRobin()

    assert [choose(key, 3) for key in (b"a", b"a", None, b"", b"b")] == [0, 1, 2, 0, 1]
    assert [choose(None, 5) for _ in range(4)] == [2, 3, 4, 0]


def test_round_robin_serves_one_topic():
    """
    Each topic counts for itself; the hashes are shared, having nothing to count.
    """
    partitioner = resolve("round_robin")
    first, second = partitioner.for_topic(), partitioner.for_topic()

    assert [first(None, 9), first(None, 9)] == [0, 1]
    assert second(None, 9) == 0
    assert resolve("murmur2").for_topic() is resolve("murmur2").for_topic()


@pytest.mark.parametrize(
    ("name", "key", "expected"),
    [
        ("murmur2", None, True),
        ("murmur2", b"", False),
        ("murmur2", b"k", False),
        ("crc32", None, True),
        ("crc32", b"", True),
        ("crc32", b"k", False),
        ("round_robin", None, False),
        ("round_robin", b"", False),
    ],
)
def test_keyless_records_stay_together(name, key, expected):
    """
    Null keys are the appender's to place; librdkafka treats an empty key likewise, Java not.
    """
    assert expected is resolve(name).keeps_together(key)


def test_names_are_those_of_the_option():
    """
    The option's names and the table of partitioners are the same.
    """
    assert set(PARTITIONER_NAMES) == set(PARTITIONERS)
    assert all(resolve(name) is PARTITIONERS[name] for name in PARTITIONER_NAMES)


def test_callable_is_called_for_every_record():
    """
    A callable of the user's sees null keys too, and is marked for its results to be checked.
    """

    def last(key: bytes | None, count: int) -> int:
        return count - 1

    partitioner = resolve(ProducerConfig(partitioner=last).partitioner)

    assert last is partitioner.for_topic()
    assert partitioner.custom
    assert not partitioner.keeps_together(None)
    assert partitioner.name.endswith("last")


@pytest.mark.parametrize("option", ["murmur", "", 3, None])
def test_resolve_refuses_what_is_no_partitioner(option):
    """
    An unknown name or an object that cannot be called is a ConfigError.
    """
    with pytest.raises(ConfigError, match="partitioner="):
        resolve(option)


@pytest.mark.parametrize("result", [True, 1.0, "1", None])
def test_result_must_be_an_int(result):
    """
    A partitioner that returns no int is told so, with its name, the topic and the type.
    """
    with pytest.raises(UsageError, match=f"mine returned .* 'orders'.*{type(result).__name__}"):
        checked_partition(result, 4, partitioner="mine", topic="orders")


@pytest.mark.parametrize("result", [-1, 4])
def test_result_must_be_in_range(result):
    """
    A partition that the topic does not have is refused; the valid ones pass unchanged.
    """
    with pytest.raises(UsageError, match="partitions 0 to 3"):
        checked_partition(result, 4, partitioner="mine", topic="orders")
    assert [checked_partition(p, 4, partitioner="m", topic="t") for p in (0, 3)] == [0, 3]
