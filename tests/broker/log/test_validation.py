"""What a produced batch must be: statements P2 to P8 and Z1 to Z4, code by code."""

from __future__ import annotations

import lz4.frame
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyproducer.broker.errors import Refused
from pyproducer.broker.log.config import LogConfig
from pyproducer.broker.log.validation import check_shape, validate
from pyproducer.model import TimestampType
from pyproducer.protocol.error_codes import ErrorCode
from pyproducer.records.batch import pack_header, read_header
from pyproducer.records.builder import build_batch, encode_record, seal_batch
from pyproducer.records.codec import Codec
from pyproducer.records.compression import compress
from pyproducer.records.crc import crc32c
from pyproducer.records.reader import iter_batches
from pyproducer.records.record import Record
from tests.helpers.partition_logs import NOW, batch
from tests.helpers.record_batches import every_shape

HOUR = 3_600_000
APPEND_TIME = {"message_timestamp_type": TimestampType.LOG_APPEND_TIME}


def accept(data, *, version=9, now=NOW, **config):
    return validate(data, LogConfig(**config), now_ms=now, request_version=version)


def refuse(data, **kind):
    with pytest.raises(Refused) as caught:
        accept(data, **kind)
    return caught.value


def code(data, **kind):
    return refuse(data, **kind).code


def stored(valid):
    """The bytes as the log writes them at offset 0 and epoch -1."""
    head = pack_header(**valid.header._asdict())[:16]
    return b"".join([head, *valid.content])


def changed(data, **fields):
    """The batch with header fields changed and, unless changed too, its CRC right."""
    header = read_header(data)._replace(**fields)
    body = data[61:]
    crc = fields.get("crc", crc32c(pack_header(**header._asdict())[21:], body))
    return pack_header(**header._replace(crc=crc)._asdict()) + body


def with_deltas(deltas, codec=Codec.NONE):
    """A batch whose records carry these offset deltas."""
    body = bytearray()
    for delta in deltas:
        encode_record(body, Record(0, NOW, key=b"k", value=b"%d" % delta), delta, 0)
    return seal_batch(
        bytes(body) if codec is Codec.NONE else compress(codec, body),
        record_count=len(deltas),
        last_offset_delta=len(deltas) - 1,
        attributes=int(codec),
        base_timestamp=NOW,
        max_timestamp=NOW,
    )


def test_sound_batch_passes_uncopied():
    """
    A batch that needs no change goes on as a view of what was received.
    """
    data = batch(3)
    valid = accept(data)

    assert data == stored(valid)
    assert [data] == [part.obj for part in valid.content]
    assert -1 == valid.log_append_time_ms


@pytest.mark.parametrize("empty", [None, b"", b"\0" * 11], ids=["null", "empty", "11 bytes"])
def test_p2_no_batch(empty):
    """
    A records field without a batch is INVALID_RECORD.
    """
    assert ErrorCode.INVALID_RECORD == code(empty)


def test_p2_exactly_one_batch():
    """
    Two batches are INVALID_RECORD, and so is one and a half.
    """
    assert ErrorCode.INVALID_RECORD == code(batch() + batch())
    assert ErrorCode.INVALID_RECORD == code(batch() + batch()[:30])


@pytest.mark.parametrize("magic", [0, 1])
def test_p2_old_formats(magic):
    """
    Record formats 0 and 1 are INVALID_RECORD.
    """
    assert ErrorCode.INVALID_RECORD == code(changed(batch(), magic=magic))


@pytest.mark.parametrize(
    ("version", "accepted"), [(6, False), (7, True)], ids=["before 7", "from 7"]
)
def test_p2_zstd_needs_version_7(version, accepted):
    """
    zstd in a request below version 7 is UNSUPPORTED_COMPRESSION_TYPE.
    """
    data = batch(5, codec=Codec.ZSTD)
    if accepted:
        assert data == stored(accept(data, version=version))
    else:
        assert ErrorCode.UNSUPPORTED_COMPRESSION_TYPE == code(data, version=version)


def test_unknown_codec_is_unsupported():
    """
    Codec numbers 5 to 7 are UNSUPPORTED_COMPRESSION_TYPE.
    """
    for number in (5, 6, 7):
        assert ErrorCode.UNSUPPORTED_COMPRESSION_TYPE == code(changed(batch(), attributes=number))


def test_p3_base_offset_must_be_zero():
    """
    A client does not choose offsets: INVALID_RECORD, before size and CRC are looked at.
    """
    data = changed(batch(), base_offset=1, crc=0)

    assert ErrorCode.INVALID_RECORD == code(data, max_message_bytes=10)


def test_p3_size_counts_the_whole_batch_as_received():
    """
    max.message.bytes is held against all bytes of the batch, compressed, before the CRC.
    """
    data = batch(50, codec=Codec.GZIP)

    assert data == stored(accept(data, max_message_bytes=len(data)))
    assert ErrorCode.MESSAGE_TOO_LARGE == code(data, max_message_bytes=len(data) - 1)
    assert ErrorCode.MESSAGE_TOO_LARGE == code(changed(data, crc=0), max_message_bytes=100)


def test_p3_corrupt_message():
    """
    An unknown format, a batch below 61 bytes and a wrong CRC are CORRUPT_MESSAGE.
    """
    data = batch()
    short = data[:8] + (40).to_bytes(4, "big") + data[12:52]

    assert ErrorCode.CORRUPT_MESSAGE == code(changed(data, magic=3))
    assert ErrorCode.CORRUPT_MESSAGE == code(changed(data, magic=-1))
    assert ErrorCode.CORRUPT_MESSAGE == code(short)
    assert ErrorCode.CORRUPT_MESSAGE == code(changed(data, crc=read_header(data).crc ^ 1))
    assert ErrorCode.CORRUPT_MESSAGE == code(data[:8] + (13).to_bytes(4, "big") + data[12:])
    assert ErrorCode.CORRUPT_MESSAGE == code(data[:8] + b"\xff\xff\xff\xff" + data[12:])


def test_p3_length_beyond_the_field_is_no_batch():
    """
    A batch that announces more bytes than there are is INVALID_RECORD.
    """
    assert ErrorCode.INVALID_RECORD == code(batch()[:-1])


def test_p3_up_to_11_trailing_bytes_are_trimmed():
    """
    A few bytes behind the batch are left out, twelve are refused.
    """
    data = batch()

    assert data == stored(accept(data + b"x" * 11))
    assert ErrorCode.INVALID_RECORD == code(data + b"x" * 12)


@pytest.mark.parametrize(
    "fields",
    [
        pytest.param({"record_count": 2}, id="count above the records"),
        pytest.param({"last_offset_delta": 1}, id="delta above the count"),
        pytest.param({"record_count": 0, "last_offset_delta": -1}, id="no records"),
        pytest.param({"record_count": -1}, id="negative count"),
        pytest.param({"record_count": 2, "last_offset_delta": 1}, id="payload too short"),
        pytest.param({"attributes": 0x20}, id="control bit"),
        pytest.param({"producer_id": 5, "base_sequence": -1}, id="id without sequence"),
    ],
)
def test_p4_header_and_records_must_agree(fields):
    """
    Counts, control bit and sequence that cannot be a client's are INVALID_RECORD.
    """
    assert ErrorCode.INVALID_RECORD == code(changed(batch(), **fields))


@pytest.mark.parametrize("codec", list(Codec))
def test_p4_bytes_left_inside_the_batch(codec):
    """
    Payload behind the last record is INVALID_RECORD, whatever the codec.
    """
    three = batch(3, codec=codec)

    assert ErrorCode.INVALID_RECORD == code(changed(three, record_count=2, last_offset_delta=1))


def test_p4_sizes_inside_records():
    """
    A record that says it is longer than the batch is INVALID_RECORD.
    """
    data = bytearray(batch())
    data[61] = 0x7E

    assert ErrorCode.INVALID_RECORD == code(changed(bytes(data)))


@pytest.mark.parametrize("codec", [Codec.GZIP, Codec.SNAPPY, Codec.LZ4, Codec.ZSTD])
def test_p4_undecodable_payload_is_corrupt(codec):
    """
    Compressed bytes that do not decompress, under a good CRC, are CORRUPT_MESSAGE.
    """
    data = batch(20, codec=codec)
    broken = data[:61] + b"\xde\xad\xbe\xef" + data[65:]

    assert ErrorCode.CORRUPT_MESSAGE == code(changed(broken))


def test_decompression_is_bounded():
    """
    A batch that unfolds to more than the limit is refused.
    """
    data = batch(1, value=b"\0" * 1_000_000, codec=Codec.ZSTD)

    assert len(data) < 1000
    assert ErrorCode.CORRUPT_MESSAGE == code(data, decompressed_limit=999_999)


def test_linked_lz4_blocks_are_refused():
    """
    lz4 that Kafka's readers cannot read does not enter the log.
    """
    plain = batch(2000, value=b"v" * 100)
    body = lz4.frame.compress(plain[61:], block_linked=True, block_size=4)
    header = read_header(plain)._replace(attributes=int(Codec.LZ4), batch_length=49 + len(body))
    data = changed(pack_header(**header._asdict()) + body)

    assert ErrorCode.CORRUPT_MESSAGE == code(data)


@pytest.mark.parametrize("codec", [Codec.NONE, Codec.GZIP])
@pytest.mark.parametrize("deltas", [[0, 2, 3], [0, 0, 1], [1, 2, 3]])
def test_p4_strict_refuses_gaps_in_offset_deltas(codec, deltas):
    """
    Offset deltas other than 0, 1, 2 are INVALID_RECORD by default.
    """
    assert ErrorCode.INVALID_RECORD == code(with_deltas(deltas, codec))


def test_p4_lenient_rebuilds_compressed_and_overlooks_plain():
    """
    Without strict_offsets compressed batches are renumbered and plain ones pass, as in Kafka.
    """
    plain, packed = with_deltas([0, 5, 9]), with_deltas([0, 5, 9], Codec.GZIP)
    [rebuilt] = iter_batches(stored(accept(packed, strict_offsets=False)))
    rebuilt.verify()

    assert plain == stored(accept(plain, strict_offsets=False))
    assert [(0, b"0"), (1, b"5"), (2, b"9")] == [(r.offset, r.value) for r in rebuilt.records()]

    topic = {"strict_offsets": False, "compression_type": "zstd"}
    [compressed] = iter_batches(stored(accept(plain, **topic)))

    assert [0, 1, 2] == [record.offset for record in compressed.records()]


def test_p5_null_keys_on_a_compacted_topic_are_named():
    """
    Each record without a key is an entry of record_errors; one with an empty key is fine.
    """
    data = build_batch([Record(0, NOW, key=key) for key in (b"a", None, b"", None)])
    error = refuse(data, cleanup_policy=frozenset({"compact", "delete"}))

    assert ErrorCode.INVALID_RECORD == error.code
    assert [1, 3] == [index for index, _ in error.record_errors]
    assert data == stored(accept(data))


def test_no_more_than_10000_records_are_named():
    """
    A small batch can hold records beyond number: an answer names the first, and says how many.
    """
    data = batch(10_001, key=None, value=None, codec=Codec.ZSTD)
    error = refuse(data, cleanup_policy=frozenset({"compact"}))

    assert list(range(10_000)) == [index for index, _ in error.record_errors]
    assert "10001 of 10001 records were refused, of which the first 10000 are named" in str(error)


def test_p6_timestamps_outside_the_bounds_are_named():
    """
    Too old and too new records are named with INVALID_TIMESTAMP; the bounds themselves pass.
    """
    bounds = {"message_timestamp_before_max_ms": 1000, "message_timestamp_after_max_ms": 500}
    good = batch(times=[NOW - 1000, NOW, NOW + 500])
    error = refuse(batch(times=[NOW - 1001, NOW, NOW + 501]), **bounds)

    assert good == stored(accept(good, **bounds))
    assert ErrorCode.INVALID_TIMESTAMP == error.code
    assert [0, 2] == [index for index, _ in error.record_errors]


def test_p6_defaults_take_any_past_and_one_hour_of_future():
    """
    By default only timestamps more than an hour ahead are refused.
    """
    assert accept(batch(time=0))
    assert accept(batch(time=NOW + HOUR))
    assert ErrorCode.INVALID_TIMESTAMP == code(batch(time=NOW + HOUR + 1))


def test_p6_no_timestamp_is_exempt():
    """
    A record without a timestamp passes any bound.
    """
    data = batch(times=[-1, NOW])

    assert accept(data, message_timestamp_before_max_ms=10)


@pytest.mark.parametrize("config", [{}, APPEND_TIME], ids=["CreateTime", "LogAppendTime"])
def test_p6_clients_do_not_set_the_broker_s_bit(config):
    """
    A client's batch that claims LogAppendTime is INVALID_TIMESTAMP.
    """
    error = refuse(changed(batch(2), attributes=8), **config)

    assert ErrorCode.INVALID_TIMESTAMP == error.code
    assert [0, 1] == [index for index, _ in error.record_errors]


def test_p7_log_append_time():
    """
    The bit is set and maxTimestamp is now; base timestamp and deltas stay; readers see now.
    """
    data = batch(times=[NOW - 50, NOW - 40])
    valid = accept(data, **APPEND_TIME)
    [one] = iter_batches(stored(valid))
    one.verify()

    assert NOW == valid.log_append_time_ms
    assert (NOW, NOW - 50, 8) == (
        one.header.max_timestamp, one.header.base_timestamp, one.header.attributes
    )  # fmt: skip
    assert data[61:] == bytes(one.view[61:])
    assert [NOW, NOW] == [record.timestamp_ms for record in one.records()]


def test_p7_log_append_time_ignores_the_bounds():
    """
    Where the broker sets the time, a producer's is not judged.
    """
    assert accept(batch(time=NOW + 10 * HOUR), **APPEND_TIME)


def test_p8_max_timestamp_is_recomputed():
    """
    A wrong maxTimestamp is corrected, with its CRC; the records stay the received bytes.
    """
    data = changed(batch(times=[NOW - 5, NOW, NOW - 9]), max_timestamp=NOW + 12345)
    valid = accept(data)
    [one] = iter_batches(stored(valid))
    one.verify()

    assert NOW == one.header.max_timestamp
    assert data is valid.content[-1].obj


def test_z1_producer_keeps_the_bytes():
    """
    compression.type=producer, or the batch's own codec, keeps every byte.
    """
    for codec, name in [(Codec.GZIP, "gzip"), (Codec.NONE, "uncompressed")]:
        data = batch(10, codec=codec)

        assert data == stored(accept(data)) == stored(accept(data, compression_type=name))


def test_z2_size_is_checked_again_after_recompression():
    """
    A batch that grows over max.message.bytes when rebuilt is MESSAGE_TOO_LARGE.
    """
    data = batch(1, value=b"x" * 5000, codec=Codec.ZSTD)

    assert ErrorCode.MESSAGE_TOO_LARGE == code(
        data, compression_type="uncompressed", max_message_bytes=4000
    )


def test_z2_batch_beyond_a_segment():
    """
    A batch larger than segment.bytes is RECORD_LIST_TOO_LARGE.
    """
    data = batch(1, value=b"x" * 5000)

    assert ErrorCode.RECORD_LIST_TOO_LARGE == code(data, segment_bytes=5000)


def test_check_shape_says_which_batch():
    """
    The shape alone can be checked, before anybody asks who leads the partition.
    """
    data = batch()

    assert data == check_shape(data + b"xyz", 9)
    with pytest.raises(Refused):
        check_shape(b"", 9)


@given(st.data())
def test_damage_is_refused_or_harmless(data):
    """
    Random damage never raises anything but Refused, and what passes reads back as it was.
    """
    original = build_batch(every_shape()[:5], codec=data.draw(st.sampled_from(list(Codec))))
    raw = bytearray(original)
    for _ in range(data.draw(st.integers(1, 4))):
        raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    if data.draw(st.booleans()):
        header = read_header(raw)
        raw = bytearray(changed(bytes(raw), crc=crc32c(bytes(raw[21:]))))
        assert header._replace(crc=0) == read_header(raw)._replace(crc=0)
    try:
        valid = accept(bytes(raw), message_timestamp_after_max_ms=1 << 62)
    except Refused:
        return
    [one] = iter_batches(stored(valid))
    one.verify()

    assert one.header.record_count == len(list(one.records()))
