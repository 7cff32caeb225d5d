"""The twins do the same: bytes, places, accounts and refusals, on whatever they are given."""

from __future__ import annotations

import threading
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.helpers.appender_run import Run
from tests.helpers.door import Door


class Text(str):
    """A str that is not exactly str."""

    __slots__ = ()


class Data(bytes):
    """bytes that are not exactly bytes."""

    __slots__ = ()


def by_length(key: bytes | None, count: int) -> int:
    return 0 if key is None else len(key) % count


def out_of_range(key: bytes | None, count: int) -> int:
    return count - 2 + len(key or b"")


def no_number(key: bytes | None, count: int) -> Any:
    return True if key is None else "0"


def angry(key: bytes | None, count: int) -> int:
    if key is None:
        raise LookupError("no key")
    return 0


PARTITIONERS = ["murmur2", "crc32", "round_robin", by_length, out_of_range, no_number, angry]

blobs = st.one_of(
    st.none(),
    st.sampled_from([b"", "", b"a", "text", "\u00e9\u20ac", "\ud800", Text("sub"), Data(b"sub")]),
    st.binary(max_size=200),
    st.binary(max_size=60).map(bytearray),
    st.binary(max_size=60).map(lambda data: memoryview(data)[::-1]),
    st.text(max_size=40),
    st.integers(100, 700).map(lambda size: b"x" * size),
    st.sampled_from([1, 2.5, object, ["list"]]),
)

header_values = st.one_of(
    st.none(), st.binary(max_size=80), st.text(max_size=9), st.just(bytearray(b"ba")), st.just(3)
)
header_pairs = st.lists(
    st.one_of(
        st.tuples(st.one_of(st.text(max_size=9), st.just("\ud800"), st.just(b"n")), header_values),
        st.tuples(st.just("list"), header_values).map(list),
        st.just(("alone",)),
        st.just("ab"),
    ),
    max_size=4,
)
headers = st.one_of(
    st.none(),
    st.dictionaries(st.text(max_size=9), header_values, max_size=4),
    header_pairs,
    header_pairs.map(tuple),
    st.sampled_from(["text", b"bytes", 7]),
)

timestamps = st.one_of(
    st.none(),
    st.integers(0, 1 << 40),
    st.sampled_from([0, 1, 63, 64, (1 << 63) - 1, 1 << 63, -1, True, 1.0, "0"]),
)

partitions = st.one_of(
    st.none(),
    st.none(),
    st.integers(0, 4),
    st.sampled_from([-1, True, 1.0, (1 << 31) - 1, 1 << 31]),
)

callbacks = st.sampled_from(
    [
        "none", "none", "none", "note", "raise", "lambda", "object", "partial",
        "partial of partial", "builtin", "class", "generator", "with attributes", "marked",
        "coroutine", "coroutine method", "partial of coroutine", "no callable",
    ]
)  # fmt: skip

sends = st.fixed_dictionaries(
    {
        "op": st.sampled_from(["put", "put", "await", "block", "accept", "urgent"]),
        "topic": st.sampled_from(["t", "t", "u", "shelf", "no/name", 5]),
        "value": blobs,
        "key": blobs,
        "headers": headers,
        "partition": partitions,
        "timestamp_ms": timestamps,
        "callback": callbacks,
    }
)

# Mostly sound records: batches fill, close and move on, which a wrong header would prevent.
plain_sends = st.fixed_dictionaries(
    {
        "op": st.sampled_from(
            ["put"] * 4
            + ["await", "await", "block", "accept", "urgent", "refused", "behind", "stray"]
        ),
        "topic": st.sampled_from(["t", "t", "t", "t", "u", "shelf"]),
        "value": st.integers(0, 400).map(lambda size: b"x" * size),
        "key": st.one_of(st.none(), st.none(), st.binary(max_size=3)),
        "headers": st.just(None),
        "partition": st.sampled_from([None, None, None, 0, 1, 2]),
        "timestamp_ms": st.one_of(st.none(), st.integers(0, 300)),
        "callback": st.sampled_from(["none", "note", "lambda"]),
    }
)

others = st.one_of(
    st.fixed_dictionaries(
        {
            "op": st.just("adopt"),
            "topic": st.sampled_from(["t", "u", "shelf"]),
            "count": st.integers(1, 4),
            "leaders": st.lists(st.integers(0, 3), max_size=3, unique=True),
        }
    ),
    st.fixed_dictionaries(
        {"op": st.sampled_from(["take", "turn", "wait", "nobody", "nobody", "settle"])}
    ),
    st.fixed_dictionaries({"op": st.just("close"), "number": st.integers(0, 9)}),
    st.fixed_dictionaries({"op": st.just("split"), "number": st.integers(0, 9)}),
    st.fixed_dictionaries({"op": st.just("admit")}),
    st.fixed_dictionaries({"op": st.just("refuse shelf")}),
    st.fixed_dictionaries({"op": st.just("clock"), "ms": st.integers(-1, 3)}),
)


@settings(max_examples=400, suppress_health_check=list(HealthCheck))
@given(
    partitioner=st.sampled_from(PARTITIONERS),
    batch_size=st.sampled_from([120, 500, 5000]),
    batch_max_records=st.sampled_from([1, 3, 1 << 30]),
    buffer_memory=st.sampled_from([1500, 4000, 1 << 20]),
    locked=st.booleans(),
    operations=st.lists(st.one_of(sends, plain_sends, plain_sends, others), max_size=50),
)
def test_twins_agree(
    twins, partitioner, batch_size, batch_max_records, buffer_memory, locked, operations
):
    """
    After every call both twins returned or raised the same, and stand alike; in the end every
    batch has the same bytes and every record the same outcome, and no byte stays charged.
    """
    options = {
        "partitioner": partitioner,
        "batch_size": batch_size,
        "batch_max_records": batch_max_records,
        "buffer_memory": buffer_memory,
        "largest_record": 600,
    }
    pure, cython = (
        Run(twin, options | {"lock": threading.RLock() if locked else None}) for twin in twins
    )
    for operation in operations:
        assert pure.step(operation) == cython.step(operation)
        assert pure.state() == cython.state()
    assert pure.end() == cython.end()


@settings(max_examples=600, suppress_health_check=list(HealthCheck))
@given(
    partitioner=st.sampled_from(PARTITIONERS),
    batch_size=st.sampled_from([120, 500, 5000]),
    batch_max_records=st.sampled_from([1, 3, 1 << 30]),
    buffer_memory=st.sampled_from([1500, 4000, 1 << 20]),
    locked=st.booleans(),
    operations=st.lists(
        st.one_of(sends, plain_sends, plain_sends, plain_sends, plain_sends, others),
        min_size=8,
        max_size=50,
    ),
)
def test_the_short_way_and_the_long_way_agree(
    twins, partitioner, batch_size, batch_max_records, buffer_memory, locked, operations
):
    """
    A record that only has to be copied takes a way of its own, by the machine's own clock. It is
    placed, charged, told and refused as by the way that the others take.
    """
    options = {
        "partitioner": partitioner,
        "batch_size": batch_size,
        "batch_max_records": batch_max_records,
        "buffer_memory": buffer_memory,
        "largest_record": 600,
    }
    lock = threading.RLock() if locked else None
    short = Run(twins[1], options | {"lock": lock, "machine_clock": True})
    others = [Run(twin, options | {"lock": lock}, slow=True) for twin in twins]
    for operation in operations:
        done = short.step(operation)
        for other in others:
            # What the machine's clock has shown, the others are shown.
            other.door.ms = short.door.appender.last_ms
            assert done == other.step(operation)
            assert short.state() == other.state()
    end = short.end()
    for other in others:
        assert end == other.end()


good_blobs = st.one_of(
    st.none(), st.binary(max_size=300), st.text(max_size=60), st.binary(max_size=9).map(bytearray)
)


def as_bytes(blob: Any) -> bytes | None:
    return None if blob is None else blob.encode() if isinstance(blob, str) else bytes(blob)


@settings(max_examples=150, suppress_health_check=list(HealthCheck))
@given(
    records=st.lists(
        st.tuples(
            good_blobs,
            good_blobs,
            st.lists(st.tuples(st.text(max_size=9), st.one_of(st.none(), st.binary())), max_size=3),
            st.one_of(st.integers(0, 1 << 45), st.sampled_from([0, (1 << 63) - 1])),
            st.one_of(st.none(), st.integers(0, 2)),
        ),
        min_size=1,
        max_size=30,
    ),
    batch_size=st.sampled_from([100, 700, 1 << 20]),
    shelved=st.booleans(),
)
def test_every_record_is_read_back_at_its_place(twin, records, batch_size, shelved):
    """
    Any accepted record is found in the batch and at the index that its handle names, unchanged,
    whether it came before the metadata or after.
    """
    door = Door(twin, batch_size=batch_size, largest_record=10_000)
    if not shelved:
        door.adopt("t", 3)
    handles = [
        door.put(value, key=key, headers=list(pairs), timestamp_ms=timestamp, partition=partition)
        for key, value, pairs, timestamp, partition in records
    ]
    if shelved:
        door.adopt("t", 3)
    read = {batch.serial: door.records(batch) for batch in door.opened()}

    for (key, value, pairs, timestamp, partition), handle in zip(records, handles, strict=True):
        found = read[handle._batch.serial][handle._index]
        assert (as_bytes(key), as_bytes(value), tuple(pairs), timestamp) == found
        assert partition in {None, handle.partition}
    assert len(records) == sum(map(len, read.values()))
