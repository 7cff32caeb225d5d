from __future__ import annotations

import contextlib
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyproducer.broker.groups.model import CommittedOffset, GroupImage, MemberImage
from pyproducer.broker.groups.offsets import (
    Replay,
    group_record,
    offset_record,
)
from pyproducer.broker.state_topic import KeyValue, java_hash, partition_of
from pyproducer.errors import ProtocolError
from pyproducer.model import TopicPartition

T0 = TopicPartition("t", 0)

names = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
int32 = st.integers(-(2**31), 2**31 - 1)
int64 = st.integers(-(2**63), 2**63 - 1)
places = st.builds(TopicPartition, names, int32)
committed = st.builds(CommittedOffset, int64, int32, names, int64, st.just(-1))
members = st.builds(
    MemberImage, names, st.none() | names, names, names, int32, int32, st.binary(), st.binary()
)
images = st.builds(
    GroupImage,
    names,
    int32,
    st.none() | names,
    st.none() | names,
    st.lists(members, max_size=3).map(tuple),
    int64,
)


@pytest.mark.parametrize(
    ("text", "hashed"),
    [
        ("", 0),
        ("a", 97),
        ("hello", 99162322),
        ("polygenelubricants", -(2**31)),
        ("\U0001f600", 1772899),
    ],
)
def test_java_hash(text, hashed):
    """
    The hash is Java's, over UTF-16 units, with its overflow.
    """
    assert java_hash(text) == hashed


def test_partition_is_kafka_s():
    """
    Kafka takes the absolute hash modulo the count, and 0 where Java's abs stays negative.
    """
    assert partition_of("hello", 50) == 22
    assert partition_of("polygenelubricants", 50) == 0
    assert all(0 <= partition_of(f"group-{n}", 50) < 50 for n in range(1000))


def test_offset_record_bytes():
    """
    Key version 1 and value version 3 have the layout that Kafka's own tools read.
    """
    record = offset_record("g", TopicPartition("topic", 3), CommittedOffset(42, 5, "m", 1000))

    assert record.key == b"\0\x01\0\x01g\0\x05topic\0\0\0\x03"
    assert record.value == b"\0\x03" + struct.pack(">qi", 42, 5) + b"\0\x01m" + struct.pack(
        ">q", 1000
    )


def test_offset_record_with_expiry_is_version_1():
    """
    Only version 1 has an expiry of its own.
    """
    record = offset_record("g", T0, CommittedOffset(42, 5, "m", 1000, 2000))

    assert record.value == b"\0\x01" + struct.pack(">q", 42) + b"\0\x01m" + struct.pack(
        ">qq", 1000, 2000
    )


def test_group_record_bytes():
    """
    Key version 2 and value version 3 have the layout that Kafka's own tools read.
    """
    member = MemberImage("m", "i", "c", "/h", 60_000, 10_000, b"sub", b"as")
    record = group_record("g", GroupImage("consumer", 4, "range", "m", (member,), 1000))

    assert record.key == b"\0\x02\0\x01g"
    assert record.value == (
        b"\0\x03\0\x08consumer\0\0\0\x04\0\x05range\0\x01m"
        + struct.pack(">q", 1000)
        + b"\0\0\0\x01\0\x01m\0\x01i\0\x01c\0\x02/h"
        + struct.pack(">ii", 60_000, 10_000)
        + b"\0\0\0\x03sub\0\0\0\x02as"
    )


@given(
    st.dictionaries(names, images),
    st.dictionaries(names, st.dictionaries(places, committed, min_size=1)),
)
def test_records_of_a_state_replay_to_it(groups, offsets):
    """
    Whatever the state, its records give it back.
    """
    replay = Replay()
    records = [group_record(name, image) for name, image in groups.items()]
    records += [
        offset_record(name, *item) for name, places in offsets.items() for item in places.items()
    ]
    replay.apply_all(records)

    assert replay.groups == groups
    assert replay.offsets == offsets


def test_later_records_win_and_tombstones_remove():
    """
    The log is applied in order.
    """
    replay = Replay()
    image = GroupImage("consumer", 1, None, None)
    replay.apply_all(
        [
            offset_record("g", T0, CommittedOffset(1)),
            group_record("g", image),
            offset_record("g", T0, CommittedOffset(2)),
            offset_record("h", T0, CommittedOffset(3)),
            offset_record("h", T0, None),
            group_record("g", None),
            offset_record("nobody", T0, None),
        ]
    )

    assert replay.offsets == {"g": {T0: CommittedOffset(2)}}
    assert replay.groups == {}


@pytest.mark.parametrize("version", [0, 1, 2, 3])
def test_older_offset_values_are_read(version):
    """
    Values of every version that Kafka has written are understood.
    """
    value = struct.pack(">hq", version, 42)
    if version == 3:
        value += struct.pack(">i", 5)
    value += b"\0\x01m" + struct.pack(">q", 1000)
    if version == 1:
        value += struct.pack(">q", 2000)
    replay = Replay()
    replay.apply(KeyValue(offset_record("g", T0, None).key, value))

    [found] = replay.offsets["g"].values()
    assert (found.offset, found.metadata, found.commit_timestamp_ms) == (42, "m", 1000)
    assert found.leader_epoch == (5 if version == 3 else -1)
    assert found.expire_timestamp_ms == (2000 if version == 1 else -1)


@given(st.binary(max_size=40), st.binary(max_size=40))
def test_unreadable_records_are_passed_over(key, value):
    """
    Strange bytes never end the loading, and `apply` has one error for them.
    """
    replay = Replay()
    with contextlib.suppress(ProtocolError):
        replay.apply(KeyValue(key, value))
    replay.apply_all([KeyValue(key, value), offset_record("g", T0, CommittedOffset(1))])

    assert replay.offsets["g"][T0] == CommittedOffset(1)
