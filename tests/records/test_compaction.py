"""Both twins of compaction: which records stay, what they refuse, and that they agree."""

from __future__ import annotations

from importlib import import_module
from types import ModuleType

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyproducer.errors import CorruptRecord
from pyproducer.records import faults
from pyproducer.records._scan_py import read_records
from pyproducer.records.builder import encode_record
from pyproducer.records.record import Record, Retained
from tests.helpers.compiled_scan import needs_compiled_scan
from tests.helpers.record_batches import NOON, record_lists

SECRET = bytes(range(16))
COMPILED = "pyproducer.records._compaction"


@pytest.fixture(
    params=[
        pytest.param("pyproducer.records._compaction_py", id="pure"),
        pytest.param(COMPILED, id="compiled", marks=needs_compiled_scan),
    ],
    scope="module",
)
def twin(request: pytest.FixtureRequest) -> ModuleType:
    """
    The compaction under test.
    """
    return import_module(request.param)


@pytest.fixture(params=[pytest.param(None, marks=needs_compiled_scan, id="both")], scope="module")
def twins() -> tuple[ModuleType, ModuleType]:
    """
    Both, for the tests that compare them.
    """
    return import_module("pyproducer.records._compaction_py"), import_module(COMPILED)


def body(records: list[Record], base: int = NOON) -> bytes:
    """The records as they stand in an uncompressed batch; offsets are the deltas."""
    out = bytearray()
    for record in records:
        encode_record(out, record, record.offset, record.timestamp_ms - base)
    return bytes(out)


def keyed(*pairs: tuple[bytes | None, bytes | None]) -> list[Record]:
    return [Record(at, NOON + at, key=key, value=value) for at, (key, value) in enumerate(pairs)]


def test_newest_record_of_each_key_stays(twin):
    """
    Of records with one key the last stays, one without a key goes, other keys do not matter.
    """
    records = keyed((b"a", b"1"), (b"b", b"1"), (b"a", b"2"), (None, b"x"), (b"", b"e"))
    data = body(records)
    offsets = twin.OffsetMap(10, SECRET)

    assert offsets.add(data, 5, 100, 0)
    assert (3, 102, 101, 104, -1) == (
        len(offsets),
        *(offsets.get(key) for key in (b"a", b"b", b"", b"c")),
    )
    kept = offsets.retained(data, 5, 100, NOON, 105, True)
    assert Retained(3, False, NOON + 4, body([records[1], records[2], records[4]])) == kept


def test_batch_of_which_all_stays_is_not_made_anew(twin):
    """
    Where nothing goes there are no new bytes, so that the batch is kept as it is.
    """
    data = body(keyed((b"a", b"1"), (b"b", None)))
    offsets = twin.OffsetMap(10, SECRET)
    offsets.add(data, 2, 0, 0)

    assert Retained(2, True, NOON + 1, None) == offsets.retained(data, 2, 0, NOON, 2, True)


def test_tombstones_go_when_they_may(twin):
    """
    A record without a value stays or goes as asked; an empty value is a value.
    """
    records = keyed((b"a", None), (b"b", b""))
    offsets = twin.OffsetMap(10, SECRET)
    offsets.add(body(records), 2, 0, 0)

    assert 2 == offsets.retained(body(records), 2, 0, NOON, 2, True).kept
    assert Retained(1, False, NOON + 1, body(records[1:])) == offsets.retained(
        body(records), 2, 0, NOON, 2, False
    )


def test_records_beyond_the_map_stay(twin):
    """
    From the map's end on nothing is judged, not even a record without a key.
    """
    data = body(keyed((b"a", b"1"), (None, b"2"), (b"c", None)))
    offsets = twin.OffsetMap(10, SECRET)
    offsets.add(body(keyed((b"a", b"9"))), 1, 7, 0)

    assert 2 == offsets.retained(data, 3, 0, NOON, 1, False).kept


def test_records_below_the_first_offset_are_not_mapped(twin):
    """
    What was cleaned before is passed over.
    """
    offsets = twin.OffsetMap(10, SECRET)
    offsets.add(body(keyed((b"a", b"1"), (b"b", b"1"))), 2, 10, 11)

    assert (-1, 11) == (offsets.get(b"a"), offsets.get(b"b"))


def test_a_full_map_says_so(twin):
    """
    The capacity is exact, and a batch that does not fit is told of.
    """
    offsets = twin.OffsetMap(2, SECRET)

    assert offsets.add(body(keyed((b"a", b"1"), (b"b", b"1"))), 2, 0, 0)
    assert not offsets.add(body(keyed((b"c", b"1"))), 1, 2, 0)
    assert (2, -1) == (len(offsets), offsets.get(b"c"))


@pytest.mark.parametrize(("capacity", "secret"), [(0, SECRET), (5, b"short")])
def test_impossible_maps_are_refused(twin, capacity, secret):
    """
    A map holds at least one key, and its secret has 16 bytes.
    """
    with pytest.raises(ValueError, match=r"at least one key|16 bytes"):
        twin.OffsetMap(capacity, secret)


@pytest.mark.parametrize(
    ("data", "count", "number"),
    [
        (b"\x80", 1, faults.BAD_LENGTH),
        (body(keyed((b"a", b"1")))[:-1], 1, faults.BAD_LENGTH),
        (body(keyed((b"a", b"1"))), 2, faults.MISSING),
        (body(keyed((b"a", b"1"), (b"b", b"2"))), 1, faults.LEFT_OVER),
    ],
)
def test_broken_records_are_refused(twin, data, count, number):
    """
    Every walk over the records finds the fault that the scan finds, with the same words.
    """
    expected = str(faults.fault(number, 1 if count == 2 or number == faults.LEFT_OVER else 0, 0))
    offsets = twin.OffsetMap(10, SECRET)

    for walk in (
        lambda: offsets.add(data, count, 0, 0),
        lambda: offsets.retained(data, count, 0, NOON, 9, True),
        lambda: twin.rebased(data, count, 5),
    ):
        with pytest.raises(CorruptRecord) as caught:
            walk()
        assert expected.partition("(")[0][:12] == str(caught.value).partition("(")[0][:12]


def test_shift_out_of_64_bits_is_refused(twin):
    """
    A delta that no varlong can hold is a fault, not a wrapped number.
    """
    data = body([Record(0, NOON + 5, key=b"a")])

    with pytest.raises(CorruptRecord, match="64 bits"):
        twin.rebased(data, 1, (1 << 63) - 3)


@given(records=record_lists(), shift=st.integers(-(2**41), 2**41))
def test_rebased_records_are_the_same_records(twins, records, shift):
    """
    Read with the base that the shift makes, every record is what it was; both twins agree.
    """
    base = records[0].timestamp_ms
    pure, compiled = twins
    data = body(records, base)
    expected = read_records(data, len(records), 0, base)
    moved = pure.rebased(data, len(records), shift)

    assert expected == read_records(moved, len(records), 0, base - shift)
    assert moved == compiled.rebased(data, len(records), shift)


@given(
    batches=st.lists(
        st.lists(
            st.tuples(
                st.none()
                | st.sampled_from([b"", b"a", b"b" * 7, b"c" * 8, b"d" * 9])
                | st.binary(),
                st.none() | st.binary(max_size=3),
            ),
            min_size=1,
            max_size=8,
        ),
        max_size=6,
    ),
    capacity=st.integers(1, 20),
    first=st.integers(0, 20),
    end=st.integers(0, 40),
    keep=st.booleans(),
    secret=st.binary(min_size=16, max_size=16),
)
def test_twins_agree(twins, batches, capacity, first, end, keep, secret):
    """
    Map and verdict are the same in both twins, whatever the keys and the secret.
    """
    one, other = (twin.OffsetMap(capacity, secret) for twin in twins)
    offset = 0
    bodies = []
    for pairs in batches:
        data = body(keyed(*pairs))
        bodies.append((data, len(pairs), offset))
        added = one.add(data, len(pairs), offset, first)
        assert added == other.add(data, len(pairs), offset, first)
        offset += len(pairs)
        if not added:
            break

    assert len(one) == len(other)
    for data, count, base in bodies:
        assert one.retained(data, count, base, NOON, end, keep) == other.retained(
            data, count, base, NOON, end, keep
        )


@pytest.mark.parametrize("call", ["add", "retained", "rebased"])
def test_a_negative_count_is_refused(twin, call):
    """
    A batch that declares fewer than no records is refused like any that is broken.
    """
    offsets = twin.OffsetMap(5, SECRET)
    calls = {
        "add": lambda: offsets.add(b"", -(2**31), 0, 0),
        "retained": lambda: offsets.retained(b"", -(2**31), 0, NOON, 9, False),
        "rebased": lambda: twin.rebased(bytes(20), -(2**31), 1),
    }

    with pytest.raises(CorruptRecord, match="declares -2147483648 records"):
        calls[call]()


def test_a_record_below_offset_0_is_mapped_like_any(twin):
    """
    Deltas that reach below offset 0, as a strange batch on disk may have them, are offsets too.
    """
    offsets = twin.OffsetMap(2, SECRET)
    payload = body([Record(-1, NOON, key=b"a", value=b"v"), Record(0, NOON, key=b"a", value=b"v")])

    assert offsets.add(payload, 2, 0, -5)
    assert offsets.add(payload, 2, 0, -5)
    assert 1 == len(offsets)
    assert (0, -1) == (offsets.get(b"a"), offsets.get(b"b"))
