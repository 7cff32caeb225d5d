"""Both twins of the scan: what they find, what they refuse, and that they agree."""

from __future__ import annotations

import os
import re
import subprocess
import sys

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from pyproducer.errors import CorruptRecord
from pyproducer.model import TimestampType
from pyproducer.records import faults
from pyproducer.records.builder import encode_record
from pyproducer.records.record import Record, ScanSummary
from tests.helpers.record_batches import NOON, every_shape, record_lists


def body(records: list[Record], base: int = NOON) -> bytes:
    """The records as they stand in an uncompressed batch."""
    out = bytearray()
    for index, record in enumerate(records):
        encode_record(out, record, index, record.timestamp_ms - base)
    return bytes(out)


def framed(fields: bytes) -> bytes:
    """The fields of one record behind their length."""
    assert len(fields) < 64
    return bytes([len(fields) << 1]) + fields


# attributes 0, timestamp delta 0, offset delta 0
START = b"\x00\x00\x00"
# null key, null value, no headers
REST = b"\x01\x01\x00"

BROKEN = {
    "missing": (b"", faults.MISSING),
    "length cut off": (b"\x80", faults.BAD_LENGTH),
    "length of six bytes": (b"\x8e\x80\x80\x80\x80\x00" + START + REST, faults.BAD_LENGTH),
    "length over 32 bits": (b"\xff\xff\xff\xff\x1f", faults.BAD_LENGTH),
    "length of the largest int32": (b"\xfe\xff\xff\xff\x0f" + START, faults.BAD_LENGTH),
    "length of the smallest int32": (b"\xff\xff\xff\xff\x0f" + START, faults.BAD_LENGTH),
    "negative length": (b"\x01", faults.BAD_LENGTH),
    "length past the end": (b"\x10" + START, faults.BAD_LENGTH),
    "length zero": (b"\x00", faults.BAD_FIELD),
    "nothing but attributes": (framed(b"\x00"), faults.BAD_FIELD),
    "timestamp cut off": (framed(b"\x00\x80"), faults.BAD_FIELD),
    "timestamp of eleven bytes": (
        framed(b"\x00" + b"\x80" * 10 + b"\x00\x00" + REST),
        faults.BAD_FIELD,
    ),
    "timestamp over 64 bits": (
        framed(b"\x00" + b"\xff" * 9 + b"\x02\x00" + REST),
        faults.BAD_FIELD,
    ),
    "offset cut off": (framed(b"\x00\x00\x80"), faults.BAD_FIELD),
    "offset over 32 bits": (
        framed(b"\x00\x00\xff\xff\xff\xff\x10" + REST),
        faults.BAD_FIELD,
    ),
    "no key length": (framed(START), faults.BAD_FIELD),
    "key length -2": (framed(START + b"\x03\x01\x00"), faults.BAD_KEY),
    "key past the end": (framed(START + b"\x08abc"), faults.BAD_KEY),
    "key of 2 GiB": (framed(START + b"\xfe\xff\xff\xff\x0f"), faults.BAD_KEY),
    "no value length": (framed(START + b"\x02k"), faults.BAD_FIELD),
    "value length -2": (framed(START + b"\x01\x03\x00"), faults.BAD_VALUE),
    "value past the end": (framed(START + b"\x01\x04v"), faults.BAD_VALUE),
    "no header count": (framed(START + b"\x01\x01"), faults.BAD_FIELD),
    "header count -1": (framed(START + b"\x01\x01\x01"), faults.BAD_HEADER_COUNT),
    "more headers than room": (framed(START + b"\x01\x01\x04\x00\x01"), faults.BAD_HEADER_COUNT),
    "header count of 2 GiB": (
        framed(START + b"\x01\x01\xfe\xff\xff\xff\x0f"),
        faults.BAD_HEADER_COUNT,
    ),
    "header name length -1": (framed(START + b"\x01\x01\x02\x01\x01"), faults.BAD_HEADER_KEY),
    "header name past the end": (framed(START + b"\x01\x01\x02\x08a"), faults.BAD_HEADER_KEY),
    "no header value length": (framed(START + b"\x01\x01\x02\x02a"), faults.BAD_FIELD),
    "header value length -2": (framed(START + b"\x01\x01\x02\x00\x03"), faults.BAD_HEADER_VALUE),
    "header value past the end": (
        framed(START + b"\x01\x01\x02\x00\x04v"),
        faults.BAD_HEADER_VALUE,
    ),
    "bytes after the headers": (framed(START + b"\x01\x01\x00?"), faults.TRAILING),
    "bytes after the last record": (framed(START + b"\x01\x01\x00") + b"?", faults.LEFT_OVER),
}


@pytest.mark.parametrize("name", BROKEN)
@pytest.mark.parametrize("before", [0, 2])
def test_each_fault_is_named(twin, name, before):
    """
    Every way to break a record gives its own text, with the record's index and place.
    """
    records, number = BROKEN[name]
    good = framed(START + b"\x01\x01\x00")
    payload = good * before + records
    index = before
    position = len(good) * before
    if number == faults.LEFT_OVER:
        index, position = index + 1, len(payload) - 1
    expected = str(faults.fault(number, index, position))

    with pytest.raises(CorruptRecord, match=f"^{re.escape(expected)}$"):
        twin.scan_records(payload, before + 1, 0)
    with pytest.raises(CorruptRecord, match=f"^{re.escape(expected)}$"):
        twin.read_records(payload, before + 1, 0, 0)


def test_faults_have_one_number_in_both_twins(twins):
    """
    The compiled twin's enum is the table of the faults module.
    """
    _, compiled = twins
    table = {name: getattr(faults, name) for name in faults.__all__ if name != "fault"}

    assert table == compiled.FAULTS


def test_summary(twin):
    """
    The summary has the extreme timestamps, the first record with the largest, the first null key.
    """
    times = [5, 9, -3, 9, 7]
    keys = [b"", b"k", None, b"k", None]
    records = [Record(i, NOON + t, key=k) for i, (t, k) in enumerate(zip(times, keys, strict=True))]

    found = twin.scan_records(body(records), 5, NOON)

    assert ScanSummary(NOON + 9, 1, NOON - 3, 2, True) == found
    assert isinstance(found, ScanSummary)
    assert found.sequential is True


def test_timestamps_below_minus_one_are_found(twin):
    """
    A batch of only negative timestamps has a negative maximum, not the -1 of an empty one.
    """
    records = [Record(0, -500, key=b""), Record(1, -400, key=b""), Record(2, -600, key=b"")]

    assert ScanSummary(-400, 1, -600, -1, True) == twin.scan_records(body(records), 3, NOON)


def test_no_records(twin):
    """
    A batch that compaction emptied has a summary of -1.
    """
    assert ScanSummary(-1, -1, -1, -1, True) == twin.scan_records(b"", 0, NOON)
    assert [] == twin.read_records(b"", 0, 7, NOON)


def test_bytes_without_records(twin):
    """
    Bytes in a batch that declares no records are refused.
    """
    with pytest.raises(CorruptRecord, match="left over"):
        twin.scan_records(b"\x00", 0, 0)


@pytest.mark.parametrize("count", [-1, -(2**31)])
def test_negative_count(twin, count):
    """
    A negative record count is refused by name.
    """
    with pytest.raises(CorruptRecord, match=f"^the batch declares {count} records$"):
        twin.scan_records(b"", count, 0)
    with pytest.raises(CorruptRecord, match=f"^the batch declares {count} records$"):
        twin.read_records(b"", count, 0, 0)


def test_huge_count_allocates_nothing(twin):
    """
    A count of 2**31-1 with one record behind it fails at the second record.
    """
    payload = framed(START + b"\x01\x01\x00")

    with pytest.raises(CorruptRecord, match=r"record 1 .*declares more records"):
        twin.read_records(payload, 2**31 - 1, 0, 0)


@pytest.mark.parametrize("deltas", [[1], [0, 2], [1, 0], [0, 0], [-1], [0, 1, 2, 4]])
def test_offset_deltas_out_of_line_are_told(twin, deltas):
    """
    Offset deltas other than 0, 1, 2... are not an error here but make the batch not sequential.
    """
    out = bytearray()
    for delta in deltas:
        encode_record(out, Record(0, 0, key=b"k"), delta, 0)

    summary = twin.scan_records(out, len(deltas), 0)
    records = twin.read_records(out, len(deltas), 100, 0)

    assert not summary.sequential
    assert deltas[0] == summary.offset_of_max_timestamp
    assert [100 + delta for delta in deltas] == [record.offset for record in records]


@pytest.mark.parametrize(
    ("base", "delta"), [(2**63 - 1, 1), (-(2**63), -1), (1, 2**63 - 1), (-1, -(2**63))]
)
def test_timestamp_beyond_64_bits(twin, base, delta):
    """
    A timestamp that would wrap around is refused.
    """
    out = bytearray()
    encode_record(out, Record(0, 0), 0, delta)

    with pytest.raises(CorruptRecord, match=r"record 0 .*64 bits"):
        twin.scan_records(out, 1, base)
    with pytest.raises(CorruptRecord, match=r"record 0 .*64 bits"):
        twin.read_records(out, 1, 0, base)


@pytest.mark.parametrize(("base", "delta"), [(2**63 - 1, 0), (-(2**63), 0), (0, -(2**63))])
def test_timestamp_at_the_ends_of_64_bits(twin, base, delta):
    """
    The largest and the smallest int64 are timestamps like any other.
    """
    out = bytearray()
    encode_record(out, Record(0, 0), 0, delta)

    assert base + delta == twin.scan_records(out, 1, base).max_timestamp
    assert base + delta == twin.read_records(out, 1, 0, base)[0].timestamp_ms


@pytest.mark.parametrize("name", [b"\xff", b"\xc0\x80", b"\xed\xa0\x80", b"a\xe2\x82"])
def test_header_name_that_is_not_utf8(twin, name):
    """
    Reading refuses a header name that is not UTF-8; the scan, like Kafka's broker, lets it pass.
    """
    fields = START + b"\x01\x01\x02" + bytes([len(name) << 1]) + name + b"\x01"

    with pytest.raises(CorruptRecord, match=r"record 0 .*name is not UTF-8"):
        twin.read_records(framed(fields), 1, 0, 0)
    assert twin.scan_records(framed(fields), 1, 0).sequential


def test_read_gives_back_every_shape(twin):
    """
    Nulls, empties, headers and times come back as they were, with the batch's offsets.
    """
    records = every_shape(base_offset=1_000_000_000_000)

    read = twin.read_records(body(records), len(records), 1_000_000_000_000, NOON)

    assert records == read
    assert {Record} == {type(record) for record in read}
    assert {TimestampType.CREATE_TIME} == {record.timestamp_type for record in read}


def test_append_time_is_every_records_time(twin):
    """
    With an append time, all records carry it and say so.
    """
    records = every_shape()

    read = twin.read_records(body(records), len(records), 0, NOON, NOON + 99)

    assert {(NOON + 99, TimestampType.LOG_APPEND_TIME)} == {
        (record.timestamp_ms, record.timestamp_type) for record in read
    }


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview, lambda b: memoryview(bytearray(b))])
def test_any_buffer(twin, kind):
    """
    bytes, bytearray and memoryview are read alike, and are free again afterwards.
    """
    records = every_shape()
    payload = kind(body(records))

    assert twin.scan_records(payload, len(records), NOON).sequential
    assert records == twin.read_records(payload, len(records), 0, NOON)
    with pytest.raises(CorruptRecord):
        twin.scan_records(payload, len(records) + 1, NOON)
    if isinstance(payload, bytearray):
        payload.append(0)


def outcome(call, *args):
    """What a call returned, or the type and text of what it raised."""
    try:
        return call(*args)
    except CorruptRecord as error:
        return type(error), str(error)


@given(record_lists(), st.integers(-(2**40), 2**41))
def test_twins_agree_on_good_records(twins, records, base):
    """
    Both twins find and read the same in anything our encoder writes.
    """
    payload = body(records, base)
    pure, compiled = twins
    args = (payload, len(records), base)

    assert pure.scan_records(*args) == compiled.scan_records(*args)
    assert records == pure.read_records(payload, len(records), 0, base)
    assert records == compiled.read_records(payload, len(records), 0, base)


@settings(max_examples=400)
@given(
    record_lists(max_size=5),
    st.lists(st.tuples(st.integers(0, 2**20), st.integers(0, 255)), max_size=4),
    st.integers(-2, 2),
    st.integers(0, 8),
)
def test_twins_agree_on_damaged_records(twins, records, damage, more, cut):
    """
    Both twins give the same verdict, to the letter, on records with bytes changed or cut off.
    """
    payload = bytearray(body(records))
    for place, byte in damage:
        payload[place % len(payload)] = byte
    del payload[len(payload) - cut :]
    pure, compiled = twins
    count = len(records) + more

    scanned = outcome(pure.scan_records, payload, count, NOON)
    assert scanned == outcome(compiled.scan_records, payload, count, NOON)
    read = outcome(pure.read_records, payload, count, 5, NOON)
    assert read == outcome(compiled.read_records, payload, count, 5, NOON)


@settings(max_examples=400)
@example(b"\x80" * 12, 1, 0)
@given(st.binary(max_size=64), st.integers(0, 4), st.sampled_from([0, NOON, 2**63 - 1, -(2**63)]))
def test_twins_agree_on_noise(twins, noise, count, base):
    """
    Both twins give the same verdict on bytes that never were records.
    """
    pure, compiled = twins

    scanned = outcome(pure.scan_records, noise, count, base)
    assert scanned == outcome(compiled.scan_records, noise, count, base)
    read = outcome(pure.read_records, noise, count, 0, base)
    assert read == outcome(compiled.read_records, noise, count, 0, base)


def test_every_cut_and_every_flipped_byte_is_judged(twins):
    """
    Cut at each byte, or with any bit of any byte flipped, records give one verdict in both twins.
    """
    pure, compiled = twins
    records = [
        Record(0, NOON, key=b"k", value=b"v" * 5, headers=(("n", b"1"), ("m", None))),
        Record(1, NOON + 300, key=None, value=None),
    ]
    payload = body(records)
    variants = [payload[:length] for length in range(len(payload))]
    for place in range(len(payload)):
        for bit in range(8):
            flipped = bytearray(payload)
            flipped[place] ^= 1 << bit
            variants.append(bytes(flipped))

    for variant in variants[: len(payload)]:
        assert CorruptRecord is outcome(pure.scan_records, variant, 2, NOON)[0]
    for variant in variants:
        assert outcome(pure.scan_records, variant, 2, NOON) == outcome(
            compiled.scan_records, variant, 2, NOON
        )
        assert outcome(pure.read_records, variant, 2, 0, NOON) == outcome(
            compiled.read_records, variant, 2, 0, NOON
        )


@pytest.mark.skipif(sys.platform == "win32", reason="needs mmap with guard pages")
def test_no_read_beyond_the_buffer(twins):
    """
    With the records at the very end of a mapped page, no input makes the scan read past it.

    The page after it is not readable: one byte too far ends the process.
    """
    program = """
import ctypes, mmap, random
from pyproducer.errors import CorruptRecord
from pyproducer.records import _scan
libc = ctypes.CDLL(None, use_errno=True)
page = mmap.PAGESIZE
region = mmap.mmap(-1, 2 * page)
address = ctypes.addressof(ctypes.c_char.from_buffer(region))
assert libc.mprotect(ctypes.c_void_p(address + page), ctypes.c_size_t(page), 0) == 0
view = memoryview(region)
chance = random.Random(7)
good = bytes.fromhex("1e000000026b027604026e0231026d010e00d80402010100")
heads = [b"", b"\\x1e\\x00\\x00\\x00", b"\\x20\\x00\\x00\\x00\\x01\\x01\\x08", b"\\xfe\\xff\\xff\\xff\\x0f"]
def tries():
    for length in range(64):
        for fill in (0x00, 0x01, 0x02, 0x7E, 0x7F, 0x80, 0xFE, 0xFF):
            yield bytes([fill]) * length
    for _ in range(40000):
        data = chance.choice(heads) + chance.randbytes(chance.randrange(24))
        yield data
        if len(data) > 1:
            # A length that is exactly right, so that the fields are looked at.
            yield bytes([(len(data) - 1) * 2 & 0x7E]) + data[1:]
    for _ in range(40000):
        data = bytearray(good)
        for _ in range(chance.randrange(3)):
            data[chance.randrange(len(data))] = chance.choice((0, 1, 2, 4, 0x7F, 0x80, 0xFF))
        yield bytes(data[: chance.choice((len(data), chance.randrange(len(data))))])
sound = 0
for data in tries():
    view[page - len(data) : page] = data
    window = view[page - len(data) : page]
    for call in (lambda: _scan.scan_records(window, 2, 0), lambda: _scan.read_records(window, 2, 0, 0)):
        try:
            call()
            sound += 1
        except CorruptRecord:
            pass
assert sound
print("survived")
"""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    done = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        check=False,
        env=environment,
        timeout=60,
    )

    assert (0, "survived\n", "") == (done.returncode, done.stdout, done.stderr)


def test_purity_on_demand():
    """
    PYPRODUCER_PURE=1 chooses the pure twin, whatever is built.
    """
    program = (
        "from pyproducer.records import scan; print(scan.COMPILED, scan.scan_records.__module__)"
    )
    environment = {
        **os.environ,
        "PYPRODUCER_PURE": "1",
        "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
    }
    done = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        check=True,
        env=environment,
        timeout=60,
    )

    assert "False pyproducer.records._scan_py\n" == done.stdout
