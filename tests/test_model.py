"""The nouns that all layers share; RecordMetadata in C is the same as in Python to its users."""

from __future__ import annotations

import copy
import dataclasses
import os
import pickle
import subprocess
import sys
from typing import Any

import pytest

from pyproducer import RecordMetadata, TopicPartition
from pyproducer.model import TimestampType
from tests.helpers.source_tree import ROOT

FIELDS = ("topic", "partition", "offset", "timestamp_ms", "timestamp_type")
SAMPLES = [
    ("orders", 3, 42, 1_700_000_000_000, TimestampType.CREATE_TIME),
    ("orders", 3, 42, 1_700_000_000_000, TimestampType.LOG_APPEND_TIME),
    ("orders", (1 << 31) - 1, (1 << 63) - 1, (1 << 63) - 1, TimestampType.CREATE_TIME),
    ("caf\u00e9", 0, -1, -1, TimestampType.CREATE_TIME),
]


@pytest.fixture(params=SAMPLES, ids=range(len(SAMPLES)))
def fields(request: pytest.FixtureRequest) -> tuple[Any, ...]:
    """
    The fields of a record's metadata, in order.
    """
    return request.param


def test_fields(fields):
    """
    Fields are given by place or by name, and read back; the type of the timestamp may be left out.
    """
    by_place = RecordMetadata(*fields)
    by_name = RecordMetadata(**dict(zip(FIELDS, fields, strict=True)))

    assert fields == tuple(getattr(by_place, name) for name in FIELDS)
    assert by_place == by_name
    assert TimestampType.CREATE_TIME is RecordMetadata(*fields[:4]).timestamp_type
    assert isinstance(by_place.timestamp_type, TimestampType)


def test_repr(fields):
    """
    It is shown as a call that makes it, the type of the timestamp apart.
    """
    topic, partition, offset, timestamp_ms, kind = fields

    assert repr(RecordMetadata(*fields)) == (
        f"RecordMetadata(topic={topic!r}, partition={partition}, offset={offset}, "
        f"timestamp_ms={timestamp_ms}, timestamp_type={kind!r})"
    )


def test_equality(fields):
    """
    Two are equal, and have one hash, if all fields are; nothing else is equal to one.
    """
    one = RecordMetadata(*fields)
    others = [
        RecordMetadata(*fields[:place], other, *fields[place + 1 :])
        for place, other in enumerate(["x", 7, 8, 9, TimestampType(1 - fields[4])])
    ]

    assert one == RecordMetadata(*fields)
    assert hash(one) == hash(RecordMetadata(*fields)) == hash(fields)
    assert all(one != other for other in others)
    assert len({one, *others}) == 6
    assert one != fields
    assert one.__eq__(fields) is NotImplemented
    with pytest.raises(TypeError):
        assert one < others[0]


def test_frozen(fields):
    """
    No field can be set or deleted, and none added.
    """
    one = RecordMetadata(*fields)
    for name in (*FIELDS, "other"):
        with pytest.raises((AttributeError, TypeError)):
            setattr(one, name, 1)
        with pytest.raises((AttributeError, TypeError)):
            delattr(one, name)

    assert one == RecordMetadata(*fields)


def test_match(fields):
    """
    A match statement takes it apart, by place and by name.
    """
    match RecordMetadata(*fields):
        case RecordMetadata(topic, partition, offset=offset):
            assert fields[:3] == (topic, partition, offset)
        case _:
            pytest.fail("no match")
    assert FIELDS == RecordMetadata.__match_args__


def test_dataclass_functions(fields):
    """
    The functions for dataclasses work: what writes those as JSON writes this.
    """
    one = RecordMetadata(*fields)

    assert dict(zip(FIELDS, fields, strict=True)) == dataclasses.asdict(one)
    assert fields == dataclasses.astuple(one)
    assert RecordMetadata(fields[0], 5, *fields[2:]) == dataclasses.replace(one, partition=5)
    assert FIELDS == tuple(field.name for field in dataclasses.fields(RecordMetadata))


@pytest.mark.parametrize(
    "given",
    [(), ("t", 1, 2), ("t", 1, 2, 3, 0, 5)],
)
def test_wrong_number_of_fields(given):
    """
    Too few and too many are a TypeError, as is an unknown name.
    """
    with pytest.raises(TypeError):
        RecordMetadata(*given)
    with pytest.raises(TypeError):
        RecordMetadata("t", 1, 2, 3, no_such=1)


@pytest.mark.skipif(
    dataclasses.is_dataclass(RecordMetadata) and RecordMetadata.__module__ == "pyproducer.model",
    reason="a dataclass checks no types",
)
def test_wrong_types():
    """
    In C what is no number, or no str, is refused rather than rounded.
    """
    for given in [(5, 1, 2, 3), (None, 1, 2, 3), ("t", 1.5, 2, 3), ("t", 1, "2", 3)]:
        with pytest.raises(TypeError):
            RecordMetadata(*given)
    with pytest.raises(OverflowError):
        RecordMetadata("t", 1 << 31, 2, 3)
    with pytest.raises(ValueError, match="TimestampType"):
        RecordMetadata("t", 1, 2, 3, 7)


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_copies(fields, protocol):
    """
    Copies and pickles are equal to what they were made of.
    """
    one = RecordMetadata(*fields)

    assert one == copy.copy(one) == copy.deepcopy(one)
    assert one == pickle.loads(pickle.dumps(one, protocol))


@pytest.mark.parametrize("writer", ["", "1"])
@pytest.mark.parametrize("reader", ["", "1"])
def test_pickles_cross_the_twins(writer, reader):
    """
    What a process with the accelerator has pickled one without it reads, and the other way round.
    """

    def run(pure: str, program: str, given: bytes) -> bytes:
        return subprocess.run(
            [sys.executable, "-c", program],
            env={**os.environ, "PYPRODUCER_PURE": pure},
            input=given,
            capture_output=True,
            cwd=ROOT,
            check=True,
        ).stdout

    head = "import pickle, sys; from pyproducer.model import *;"
    samples = [(*sample[:4], int(sample[4])) for sample in SAMPLES]
    made = f"[RecordMetadata(*f[:4], TimestampType(f[4])) for f in {samples!r}]"
    data = run(writer, f"{head} sys.stdout.buffer.write(pickle.dumps({made}))", b"")
    told = run(reader, f"{head} print(pickle.load(sys.stdin.buffer) == {made})", data)

    assert told.strip() == b"True"


def test_topic_partition():
    """
    A partition is shown as Kafka shows it.
    """
    assert "orders-3" == str(TopicPartition("orders", 3))
