"""Decoding bytes that nobody should have sent."""

from __future__ import annotations

import random
import tracemalloc
from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pyproducer.errors import ProtocolError, UnsupportedVersion
from pyproducer.protocol.messages.create_topics import CreateTopicsRequest
from pyproducer.protocol.messages.describe_topic_partitions import DescribeTopicPartitionsRequest
from pyproducer.protocol.messages.fetch import FetchRequest, FetchResponse
from pyproducer.protocol.messages.metadata import MetadataRequest, MetadataResponse
from pyproducer.protocol.messages.offset_fetch import OffsetFetchRequest
from pyproducer.protocol.messages.produce import ProduceRequest, ProduceResponse
from tests.helpers.random_messages import MessageMaker, message_classes, versions_of

CLASSES = list(message_classes())
NEVER = 2**31 - 1


def name_of(cls):
    return cls.__name__


def unhex(text):
    return bytes.fromhex(text)


@pytest.mark.parametrize("cls", CLASSES, ids=name_of)
def test_every_truncation_is_refused(cls):
    """A message cut at any byte is a ProtocolError that names message and version."""
    for version in versions_of(cls):
        message = MessageMaker((cls.__name__, version), largest=2).make(cls, version)
        data = b"".join(message.encode(version))
        step = max(1, len(data) // 150)
        for size in range(0, len(data), step):
            with pytest.raises(ProtocolError, match=f"{cls.__name__} v{version}"):
                cls.decode(data[:size], version)


@pytest.mark.parametrize("cls", CLASSES, ids=name_of)
def test_bytes_left_over_are_refused(cls):
    """A byte behind the last field is a ProtocolError."""
    for version in versions_of(cls):
        data = b"".join(cls().encode(version)) + b"\x00"
        with pytest.raises(ProtocolError, match="1 bytes are left over"):
            cls.decode(data, version)


def test_bytes_left_over_can_be_ignored():
    """librdkafka 2.16's request for all topics, three bytes too long, can be read as Kafka does."""
    data = bytes.fromhex("00000000010000")

    assert MetadataRequest.decode(data, 13, whole=False).topics is None


@pytest.mark.parametrize("cls", CLASSES, ids=name_of)
def test_damage_gives_a_message_or_a_protocol_error(cls):
    """Overwritten bytes never raise anything else than ProtocolError."""
    chance = random.Random(cls.__name__)
    for version in versions_of(cls):
        message = MessageMaker((cls.__name__, version), largest=2).make(cls, version)
        data = b"".join(message.encode(version))
        for _ in range(20 if data else 0):
            damaged = bytearray(data)
            for _ in range(chance.randint(1, 4)):
                damaged[chance.randrange(len(data))] = chance.choice([0, 0x7F, 0x80, 0xFF])
            with suppress(ProtocolError):
                cls.decode(damaged, version)


@settings(max_examples=400)
@given(cls=st.sampled_from(CLASSES), data=st.binary(max_size=200), draw=st.data())
def test_random_bytes_give_a_message_or_a_protocol_error(cls, data, draw):
    """Random bytes never raise anything else than ProtocolError."""
    version = draw.draw(st.sampled_from(versions_of(cls)))
    with suppress(ProtocolError):
        cls.decode(data, version)


COUNT = "elements do not fit in the .* bytes left"
LENGTH = "length .* is more than the .* bytes left"
HUGE = [
    ("array count", MetadataRequest, 1, "7fffffff", COUNT),
    ("compact array count", MetadataRequest, 9, "ffffffff0f", COUNT),
    ("array of numbers", OffsetFetchRequest, 5, "000167 00000001 000174 7fffffff", COUNT),
    ("string", MetadataRequest, 1, "00000001 7fff", LENGTH),
    ("compact string", MetadataRequest, 9, "02 ffffffff0f", LENGTH),
    (
        "records",
        ProduceRequest,
        3,
        "ffff ffff 00000000 00000001 000174 00000001 00000000 7fffffff",
        LENGTH,
    ),
    ("tagged fields", MetadataRequest, 9, "01 00 00 00 ffffffff0f", "ends too early"),
    (
        "unknown tagged field",
        MetadataRequest,
        9,
        "01 00 00 00 01 63 ffffffff0f",
        "tagged field of 4294967295 bytes ends behind",
    ),
    (
        "unknown tagged field beside known ones",
        ProduceResponse,
        10,
        "01 00000000 01 63 ffffffff0f",
        LENGTH,
    ),
    ("known tagged array", ProduceResponse, 10, "01 00000000 01 00 06 ffffffff0f", COUNT),
]


@pytest.mark.parametrize(
    ("what", "cls", "version", "data", "reason"), HUGE, ids=[row[0] for row in HUGE]
)
def test_huge_lengths_allocate_nothing(what, cls, version, data, reason):
    """A length or count beyond the bytes left is refused before memory is taken for it."""
    data = unhex(data) + bytes(8)
    with pytest.raises(ProtocolError, match=reason):
        cls.decode(data, version)  # compiled outside the measurement
    tracemalloc.start()
    try:
        with pytest.raises(ProtocolError, match=reason):
            cls.decode(data, version)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 100_000


def test_array_count_is_bounded_by_the_smallest_element():
    """An array may announce no more elements than could stand in the bytes left."""
    # a topic takes at least 4 + 2 + 4 + 4 + 2 + 4 = 14 bytes here; 27 bytes hold one
    with pytest.raises(ProtocolError, match=r"topics at byte 4 of 31: 2 elements do not fit"):
        CreateTopicsRequest.decode(unhex("00000002") + bytes(27), 0)


NEGATIVE = [
    (CreateTopicsRequest, 0, "ffffffff", "topics at byte 4 of 4: null where"),
    (CreateTopicsRequest, 0, "fffffffe", "count -2 is negative"),
    (MetadataRequest, 1, "fffffffe", "count -2 is negative"),
    (MetadataRequest, 1, "00000001 ffff", r"topics\[\].name at byte 6 of 6: null where"),
    (MetadataRequest, 1, "00000001 fffe", "length -2 is negative"),
    (MetadataRequest, 9, "02 00 00 00 00 00", r"topics\[\].name at byte 2 of 6: null where"),
]


@pytest.mark.parametrize(("cls", "version", "data", "reason"), NEGATIVE)
def test_negative_lengths_are_refused(cls, version, data, reason):
    """Below -1 no length is legal, and -1 only where the version allows null."""
    with pytest.raises(ProtocolError, match=reason):
        cls.decode(unhex(data), version)


def test_null_is_read_where_the_version_allows_it():
    """-1, or 0 in the compact form, is None for a nullable field."""
    assert MetadataRequest.decode(unhex("ffffffff"), 1).topics is None
    assert MetadataRequest.decode(unhex("00 00 00 00 00"), 9).topics is None


def test_nullable_struct():
    """A nullable struct is -1, or 1 and its fields."""
    decode = DescribeTopicPartitionsRequest.decode
    assert decode(unhex("01 00000001 ff 00"), 0).cursor is None
    assert decode(unhex("01 00000001 01 0274 00000005 00 00"), 0).cursor.partition_index == 5


@pytest.mark.parametrize("cls", CLASSES, ids=name_of)
def test_unknown_tagged_fields_are_skipped(cls):
    """A tagged field from the future changes nothing, wherever the message ends."""
    for version in versions_of(cls):
        if version < cls.flexible_since:
            continue
        data = b"".join(cls().encode(version))
        assert data[-1] == 0
        extended = data[:-1] + unhex("02 e807 03 616263 ffffffff0f 00")
        assert cls.decode(extended, version) == cls()


def test_unknown_tagged_fields_are_skipped_inside_and_beside_known_ones():
    """Unknown tags in nested structs, and between known ones, are skipped."""
    plain = ProduceResponse.decode(
        unhex("02 0274 02 00000001 0006 0000000000000005 ffffffffffffffff 0000000000000000")
        + unhex("01 00 02 00 09 00000002 00000007 00 05 01 ff 00 00000000 00"),
        10,
    )
    [partition] = plain.responses[0].partition_responses
    assert (2, 7) == (partition.current_leader.leader_id, partition.current_leader.leader_epoch)


def test_tagged_field_must_end_where_its_size_says():
    """A known tagged field with another size than its content is refused."""
    with pytest.raises(ProtocolError, match="tagged field 1 does not end where its size of 14"):
        FetchRequest.decode(
            unhex("00000000 00000000 00000000 00 00000000 00000000 01 01 01")
            + unhex("01 01 0e 00000001 0000000000000002 00 00"),
            15,
        )


def test_varint_of_more_than_32_bits_is_refused():
    """A compact length of six bytes, or beyond 32 bits, is no length."""
    with pytest.raises(ProtocolError, match="more than five bytes"):
        MetadataRequest.decode(unhex("808080808001"), 9)
    with pytest.raises(ProtocolError, match="more than 32 bits"):
        MetadataRequest.decode(unhex("ffffffff1f"), 9)


def test_overlong_varint_is_read():
    """Some encoders pad varints; Kafka reads them, so do we."""
    assert MetadataRequest.decode(unhex("8100 00 00 00 00"), 9).topics == []


def test_string_that_is_not_utf8_is_refused():
    """Broken UTF-8 is a ProtocolError with the field's name."""
    with pytest.raises(ProtocolError, match=r"topics\[\].name at byte 6 of 7: .*utf-8"):
        MetadataRequest.decode(unhex("00000001 0001 ff"), 1)
    with pytest.raises(ProtocolError, match=r"transactional_id at byte 2 of 13: .*utf-8"):
        ProduceRequest.decode(unhex("0001 ff ffff 00000000 00000000"), 3)


def test_error_names_the_field_inside_a_run():
    """Where fields are read in one go, the error names the one that the bytes end in."""
    with pytest.raises(ProtocolError, match="timeout_ms at byte 4 of 6: the message ends too"):
        ProduceRequest.decode(unhex("ffff 0001 0000"), 3)
    with pytest.raises(ProtocolError, match="acks at byte 2 of 3: the message ends too early"):
        ProduceRequest.decode(unhex("ffff 00"), 3)


def test_unknown_error_codes_and_any_time_are_kept():
    """Codes from newer brokers and all 64 bits of a timestamp come through."""
    response = ProduceResponse.decode(
        unhex("00000001 000174 00000001 00000001 7fff 0000000000000005 8000000000000000 00000000"),
        3,
    )
    [partition] = response.responses[0].partition_responses
    assert (0x7FFF, -(2**63)) == (partition.error_code, partition.log_append_time_ms)


def test_records_are_views_of_the_frame():
    """Decoded records share the memory of the buffer, whatever kind of buffer it is."""
    frame = bytearray(
        unhex("ffff ffff 00000000 00000001 000174 00000001 00000003 00000004 61626364")
    )
    for buffer in (frame, memoryview(frame), bytes(frame)):
        records = ProduceRequest.decode(buffer, 3).topic_data[0].partition_data[0].records
        assert isinstance(records, memoryview)
        assert records == b"abcd"
        assert records.obj is (buffer.obj if isinstance(buffer, memoryview) else buffer)
    frame[-1] = ord("x")
    assert ProduceRequest.decode(frame, 3).topic_data[0].partition_data[0].records == b"abcx"


def test_null_and_empty_records_differ():
    """A length of -1 is None, 0 is an empty view (T4: librdkafka refuses the former in Fetch)."""
    head = unhex("ffff ffff 00000000 00000001 000174 00000001 00000003")
    for length, expected in (("ffffffff", None), ("00000000", b"")):
        message = ProduceRequest.decode(head + unhex(length), 3)
        assert message.topic_data[0].partition_data[0].records == expected


def test_views_of_other_items_than_bytes_are_read_as_bytes():
    """A memoryview of, say, 32-bit numbers is taken for the bytes it is."""
    data = memoryview(bytes(16)).cast("I")
    assert FetchResponse.decode(data[:2], 4).throttle_time_ms == 0


@pytest.mark.parametrize("version", [-1, 14, NEVER])
def test_version_that_the_class_lacks(version):
    """Asking for a version outside the class's range is UnsupportedVersion, not a guess."""
    with pytest.raises(UnsupportedVersion, match="MetadataResponse has no version"):
        MetadataResponse.decode(b"", version)
