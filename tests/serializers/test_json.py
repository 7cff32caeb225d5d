"""JSON: both backends write and refuse the same, and errors name the part and the way out."""

from __future__ import annotations

import contextlib
import dataclasses
import datetime as dt
import decimal
import enum
import json
import math
import uuid
from typing import Any, NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serializers import DeserializeError, JsonDeserializer, JsonSerializer, SerializeError

BACKENDS = ["orjson", "json"]
both_backends = pytest.mark.parametrize("backend", BACKENDS)

INT64 = st.integers(-(2**63), 2**64 - 1)
LEAVES = st.none() | st.booleans() | INT64 | st.text()
FLOATS = st.floats(allow_nan=False, allow_infinity=False)


def values(leaves):
    return st.recursive(
        leaves,
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
        max_leaves=12,
    )


VALUES = values(LEAVES | FLOATS)


class Colour(enum.Enum):
    RED = "red"


class Level(enum.IntEnum):
    HIGH = 3


@dataclasses.dataclass
class Item:
    price: Any
    _cache: int = 0


@dataclasses.dataclass
class Order:
    id: int
    items: list[Item]


class Point(NamedTuple):
    x: int
    y: int


NAIVE = dt.datetime.fromisoformat("2024-05-06")
PLUS_2_30 = dt.timezone(dt.timedelta(hours=2, minutes=30))


@both_backends
@given(value=VALUES)
def test_values_round_trip(backend, value):
    """
    Whatever JSON can hold comes back, from either backend's writer and by either's reader.
    """
    data = JsonSerializer(backend=backend)(value)

    assert value == JsonDeserializer(backend=backend)(data)
    assert value == json.loads(data)


@given(value=values(LEAVES))
def test_backends_write_the_same(value):
    """
    Floats aside, which may be spelt in two ways, the backends write the same compact text.
    """
    text = json.dumps(value, separators=(",", ":"), ensure_ascii=False)

    assert JsonSerializer(backend="orjson")(value).decode() == text
    assert JsonSerializer(backend="json")(value).decode() == text


@given(value=VALUES)
def test_sorted_keys_make_one_spelling(value):
    """
    With sorted keys, the order in which a dict was filled does not show, in either backend.
    """
    turned = json.loads(json.dumps(value), object_pairs_hook=lambda pairs: dict(reversed(pairs)))
    for backend in BACKENDS:
        write = JsonSerializer(backend=backend, sort_keys=True)

        assert write(value) == write(turned)


@both_backends
@pytest.mark.parametrize(
    ("value", "text"),
    [
        (Order(1, [Item(2), Item(None)]), '{"id":1,"items":[{"price":2},{"price":null}]}'),
        (Colour.RED, '"red"'),
        ([Level.HIGH], "[3]"),
        ((1, (2,)), "[1,[2]]"),
        (dt.datetime(2024, 5, 6, 7, 8, 9, 10, PLUS_2_30), '"2024-05-06T07:08:09.000010+02:30"'),
        (dt.datetime(2024, 5, 6, tzinfo=dt.UTC), '"2024-05-06T00:00:00+00:00"'),
        (NAIVE, '"2024-05-06T00:00:00"'),
        (dt.date(2024, 5, 6), '"2024-05-06"'),
        (dt.time(1, 2, 3), '"01:02:03"'),
        (uuid.UUID(int=1), '"00000000-0000-0000-0000-000000000001"'),
        ([math.nan, math.inf, -math.inf], "[null,null,null]"),
        ("\u00e9\u2028\x00\U0001f680", '"\u00e9\u2028\\u0000\U0001f680"'),
        ({}, "{}"),
        (None, "null"),
    ],
)
def test_types_beyond_json(backend, value, text):
    """
    Dataclasses, enums, dates, times, UUIDs and NaN have one documented form in both backends.
    """
    assert text == JsonSerializer(backend=backend)(value).decode()


@both_backends
def test_naive_datetimes_can_be_utc(backend):
    """
    A datetime without a time zone can be taken for UTC; one with a zone keeps it.
    """
    write = JsonSerializer(backend=backend, naive_datetimes="utc")

    assert write(NAIVE) == b'"2024-05-06T00:00:00+00:00"'
    assert write(dt.datetime(2024, 5, 6, tzinfo=PLUS_2_30)) == b'"2024-05-06T00:00:00+02:30"'


@both_backends
def test_default_converts(backend):
    """
    default= is asked for every other type, deep within too, and its result is written.
    """
    write = JsonSerializer(backend=backend, default=str)

    assert (
        write(Order(1, [Item(decimal.Decimal("1.10"))])) == b'{"id":1,"items":[{"price":"1.10"}]}'
    )


@both_backends
@pytest.mark.parametrize(
    "key", [1, 1.5, None, True, uuid.UUID(int=1), dt.date(2024, 1, 1), Level.HIGH]
)
def test_other_keys_are_text_only_if_asked_for(backend, key):
    """
    A key that is no str is refused with the option that would write it, and then written.
    """
    with pytest.raises(SerializeError, match=r"^\$.a \(dict\).* key .*; non_str_keys=True"):
        JsonSerializer(backend=backend)({"a": {key: 1}})
    plain = json.loads(JsonSerializer(backend=backend)(key))
    name = plain if isinstance(plain, str) else json.dumps(plain)
    assert {name: 1} == json.loads(JsonSerializer(backend=backend, non_str_keys=True)({key: 1}))


@both_backends
@pytest.mark.parametrize(
    ("value", "message"),
    [
        (
            {"items": [{"ok": 1}, {"price": decimal.Decimal(1)}]},
            (
                r"^\$\.items\[1\]\.price \(Decimal\) cannot be written as JSON: type Decimal has no form"
                " in JSON; pass default="
            ),
        ),
        (Order(1, [Item({1, 2})]), r"^\$\.items\[0\]\.price \(set\)"),
        ({"a b": b"x"}, r"^\$\['a b'\] \(bytes\)"),
        (Point(1, 2), r"^\$ \(Point\).*default="),
        ({"t": "\ud800"}, r"^\$\.t \(str\).*surrogates not allowed"),
        ({"\ud800": 1}, r"^\$ \(dict\).*surrogates not allowed"),
    ],
)
def test_errors_name_the_part(backend, value, message):
    """
    What has no form in JSON is refused with its path, its type and the way out.
    """
    with pytest.raises(SerializeError, match=message) as caught:
        JsonSerializer(backend=backend)(value)
    assert caught.value.__cause__ is not None


@both_backends
def test_circles_end(backend):
    """
    A value that contains itself is refused.
    """
    circle: list[Any] = []
    circle.append(circle)

    with pytest.raises(SerializeError, match="cannot be written as JSON"):
        JsonSerializer(backend=backend)(circle)


@both_backends
@pytest.mark.parametrize(
    ("value", "path"),
    [
        (math.nan, r"\$ \(float\)"),
        ({"a": [0.5, None, -math.inf]}, r"\$\.a\[2\] \(float\)"),
        (Order(1, [Item(math.inf)]), r"\$\.items\[0\]\.price \(float\)"),
        (Item(decimal.Decimal(1)), r"\$\.price \(Decimal\)"),
    ],
)
def test_nan_can_be_refused(backend, value, path):
    """
    With nan="error" a float that JSON lacks is refused wherever it is, in what default= makes too.
    """
    write = JsonSerializer(backend=backend, nan="error", default=lambda _: [math.nan])

    with pytest.raises(SerializeError, match=f"^{path} .*JSON has no number (nan|-?inf)"):
        write(value)


@both_backends
def test_nan_error_spares_null(backend):
    """
    Nulls, and text that says null, are no NaN.
    """
    write = JsonSerializer(backend=backend, nan="error")

    assert write({"null": [None, "null", 1.5]}) == b'{"null":[null,"null",1.5]}'


def test_large_integers_need_the_standard_library():
    """
    Beyond 64 bits, orjson refuses and points to the backend that writes and reads them.
    """
    with pytest.raises(SerializeError, match=r"\$\[0\] \(int\).*64-bit.*backend='json' writes it"):
        JsonSerializer()([2**70])
    data = JsonSerializer(backend="json")([2**70])
    assert JsonDeserializer(backend="json")(data) == [2**70]


@both_backends
@pytest.mark.parametrize(
    "data",
    [b"", b"{", b"nul", b"NaN", b"[Infinity]", b"1 2", b"{}x", b"\xff", b'"\xed\xa0\x80"', b"\xef\xbb\xbf1", b"[1,]", "1".encode("utf-16"), b"'a'", b'{"a":1}\x00'],
)  # fmt: skip
def test_what_is_no_json_is_refused(backend, data):
    """
    Cut or extended text, NaN, other encodings and byte order marks are not JSON in UTF-8.
    """
    with pytest.raises(DeserializeError, match=r"^not one JSON value: "):
        JsonDeserializer(backend=backend)(data)


@both_backends
@given(data=st.binary(max_size=30))
def test_reader_never_fails_otherwise(backend, data):
    """
    Any bytes are a value or a DeserializeError.
    """
    with contextlib.suppress(DeserializeError):
        JsonDeserializer(backend=backend)(data)


@pytest.mark.parametrize(
    "arguments", [{"backend": "ujson"}, {"nan": "NaN"}, {"naive_datetimes": "local"}]
)
def test_arguments_are_checked(arguments):
    """
    A value that an argument does not have is refused at construction with those it has.
    """
    [name] = arguments
    with pytest.raises(ValueError, match=f"^{name}=.* must be '.*' or '.*'"):
        JsonSerializer(**arguments)
