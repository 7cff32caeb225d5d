"""MessagePack: values, keys and instants come back; what has no form is named."""

from __future__ import annotations

import contextlib
import dataclasses
import datetime as dt
import decimal
import threading

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from serializers import DeserializeError, MsgpackDeserializer, MsgpackSerializer, SerializeError

NAIVE = dt.datetime.fromisoformat("0001-01-02")
LEAVES = (
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False)
    | st.text(max_size=40)
    | st.binary(max_size=40)
    | st.datetimes(timezones=st.just(dt.UTC), min_value=NAIVE)
)
KEYS = st.text(max_size=5) | st.binary(max_size=5)


def values(keys):
    return st.recursive(
        LEAVES,
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(keys, inner, max_size=4),
        max_leaves=10,
    )


@dataclasses.dataclass
class Line:
    price: object
    count: int = 1


write, read = MsgpackSerializer(), MsgpackDeserializer()


@given(value=values(KEYS))
def test_values_round_trip(value):
    """
    Whatever MessagePack can hold comes back, text as text, bytes as bytes, instants in UTC.
    """
    assert value == read(write(value))


@given(value=values(KEYS | st.integers(-5, 5) | st.none()))
def test_other_keys_are_read_if_asked_for(value):
    """
    Keys of any type are written and read where both sides are told to expect them.
    """
    packed = MsgpackSerializer(any_keys=True)(value)

    assert value == MsgpackDeserializer(any_keys=True)(packed)


@given(value=values(KEYS | st.integers(-5, 5) | st.none()))
def test_what_is_written_by_default_is_read_by_default(value):
    """
    A value is refused by the writer, or comes back: never is one written that the reader refuses.
    """
    with contextlib.suppress(SerializeError):
        assert value == read(write(value))


class Marked(dict[object, object]):
    """A mapping that is no plain dict."""


@pytest.mark.parametrize(
    ("value", "path"),
    [
        ({1: 2}, r"\$"),
        ([{"a": {None: 2}}], r"\$\[0\]\.a"),
        (({"a": [{1.5: 2}]},), r"\$\[0\]\.a\[0\]"),
        (Marked({"a": Marked({1: 2})}), r"\$\.a"),
        (Line({1: 2}), r"\$\.price"),
        ([decimal.Decimal(1)], r"\$\[0\]"),
    ],
)
def test_strange_keys_are_refused_by_default(value, path):
    """
    A number as a key is refused by writer and reader alike, be it in what default= returned.
    """
    strict = MsgpackSerializer(default=lambda number: {int(number): 2})
    loose = MsgpackSerializer(any_keys=True, default=lambda number: {int(number): 2})

    with pytest.raises(SerializeError, match=f"^{path} has a key that .*: pass any_keys=True"):
        strict(value)
    with pytest.raises(DeserializeError, match="not allowed for map key"):
        read(loose(value))


def test_plain_keys_of_other_mappings_are_written():
    """
    A subclass of dict or str is no stranger than its base.
    """
    key = type("Key", (str,), {})("k")

    assert read(write([Marked(a=1), {key: 1}, Line(1)])) == [
        {"a": 1},
        {"k": 1},
        {"price": 1, "count": 1},
    ]


def test_dataclasses_become_mappings():
    """
    A dataclass is the mapping of its fields, nested ones too, with zones as instants.
    """
    noon = dt.datetime(2024, 5, 6, 12, tzinfo=dt.timezone(dt.timedelta(hours=2)))
    value = read(write([Line(Line(noon), 2)]))

    assert [{"price": {"price": noon, "count": 1}, "count": 2}] == value
    assert value[0]["price"]["price"].tzinfo is dt.UTC


def test_default_converts():
    """
    default= is asked for other types, and may itself use the same serializer.
    """
    nested = MsgpackSerializer(default=lambda value: nested([str(value)]))

    assert [b"\x91\xa31.1"] * 2 == read(nested([decimal.Decimal("1.1")] * 2))


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ({"a": [1, {2}]}, r"^\$\.a\[1\] is of type set, .*: pass default="),
        ([Line(decimal.Decimal(1))], r"^\$\[0\]\.price is of type Decimal"),
        ([2**64], r"^\$\[0\] is the int 18446744073709551616"),
        ([10**4300], "an int of many digits"),
        (["\ud800"], r"^\$\[0\] is of type str, .*surrogates not allowed"),
        ([NAIVE], r"^\$\[0\] is of type datetime"),
    ],
)
def test_errors_name_the_part(value, message):
    """
    What has no form in MessagePack is refused with its path and the reason.
    """
    with pytest.raises(SerializeError, match=message):
        write(value)


def test_circles_end():
    """
    A value that contains itself is refused.
    """
    circle: list[object] = []
    circle.append(circle)

    with pytest.raises(SerializeError, match="recursion limit"):
        write(circle)


def test_threads_do_not_mix():
    """
    One serializer in several threads at once, calling back into Python, keeps values apart.
    """
    shared = MsgpackSerializer(default=lambda value: str(value) * 50)
    wrong: list[object] = []
    start = threading.Barrier(4)

    def work(number: int) -> None:
        start.wait()
        for _ in range(300):
            value = [complex(number)] * 20
            if read(shared(value)) != [str(part) * 50 for part in value]:
                wrong.append(number)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert wrong == []


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "not one MessagePack value"),
        (b"\x92\x01", "not one MessagePack value: .*incomplete"),
        (b"\x01\x02\x03", "^2 of 3 bytes follow the MessagePack value$"),
        (b"\xc1", "not one MessagePack value"),
        (b"\xa1\xff", "not one MessagePack value: .*utf-8"),
        (b"\xdd\xff\xff\xff\xff", "not one MessagePack value"),
    ],
)
def test_what_is_no_value_is_refused(data, message):
    """
    Cut, extended, reserved and oversized bytes are refused.
    """
    with pytest.raises(DeserializeError, match=message):
        read(data)


@given(data=st.binary(max_size=30))
def test_reader_never_fails_otherwise(data):
    """
    Any bytes are a value or a DeserializeError.
    """
    with contextlib.suppress(DeserializeError):
        read(data)


def test_extension_types():
    """
    Extension types come back as they are, or as what the hook makes of them.
    """
    data = msgpack.packb(msgpack.ExtType(5, b"ab"))

    assert read(data) == msgpack.ExtType(5, b"ab")
    assert MsgpackDeserializer(ext_hook=lambda code, raw: (code, raw))(data) == (5, b"ab")
