"""Avro: what the schema says comes back; what it does not say is refused, never bent to fit."""

from __future__ import annotations

import dataclasses
import datetime as dt
import decimal
import io
import json
import math
import uuid
from typing import Any

import fastavro
import pytest
from hypothesis import given
from hypothesis import strategies as st

from serializers import AvroDeserializer, AvroSerializer, DeserializeError, SerializeError

INT = st.integers(-(2**31), 2**31 - 1)
LONG = st.integers(-(2**63), 2**63 - 1)

ORDER = {
    "type": "record",
    "name": "Order",
    "namespace": "shop",
    "fields": [
        {"name": "id", "type": "long"},
        {"name": "count", "type": "int", "default": 1},
        {"name": "note", "type": ["null", "string"], "default": None},
        {"name": "tags", "type": {"type": "array", "items": "string"}, "default": []},
        {"name": "sizes", "type": {"type": "map", "values": "int"}, "default": {}},
        {
            "name": "state",
            "type": {"type": "enum", "name": "State", "symbols": ["OPEN", "DONE"]},
            "default": "OPEN",
        },
        {"name": "next", "type": ["null", "Order"], "default": None},
    ],
}
# The encoding of {"id": 1} in ORDER: every default spelt out.
ORDER_1 = bytes.fromhex("02 02 00 00 00 00 00")

ORDERS = st.recursive(
    st.none(),
    lambda inner: st.fixed_dictionaries(
        {
            "id": LONG,
            "count": INT,
            "note": st.none() | st.text(),
            "tags": st.lists(st.text(), max_size=3),
            "sizes": st.dictionaries(st.text(), INT, max_size=3),
            "state": st.sampled_from(["OPEN", "DONE"]),
            "next": inner,
        }
    ),
    max_leaves=3,
).filter(lambda order: order is not None)


@dataclasses.dataclass
class Order:
    id: int
    note: str | None = None
    next: Order | None = None


def field(kind: Any) -> dict[str, Any]:
    """Return the schema of a record with one field."""
    return {"type": "record", "name": "R", "fields": [{"name": "f", "type": kind}]}


@given(order=ORDERS)
def test_values_round_trip(order):
    """
    A recursive record with every kind of part comes back, and fastavro writes the same bytes.
    """
    data = AvroSerializer(ORDER)(order)
    out = io.BytesIO()
    fastavro.schemaless_writer(out, fastavro.parse_schema(ORDER), order)

    assert data == out.getvalue()
    assert order == AvroDeserializer(ORDER)(data)


@given(order=ORDERS)
def test_single_object_is_the_plain_bytes_behind_a_header(order):
    """
    The single-object encoding is C3 01, the fingerprint, and the plain encoding.
    """
    write = AvroSerializer(ORDER, framing="single_object")
    data = write(order)

    assert data == bytes.fromhex("c301" + write.fingerprint) + AvroSerializer(ORDER)(order)
    assert order == AvroDeserializer(ORDER, framing="single_object")(data)


def test_defaults_are_written():
    """
    A field with a default may be missing from the record.
    """
    assert AvroSerializer(ORDER)({"id": 1}) == ORDER_1


@pytest.mark.parametrize(
    ("schema", "fingerprint"),
    [
        ('"null"', 0x63DD24E7CC258F8A),
        ('"boolean"', 0x9F42FC78A4D4F764),
        ('"int"', 0x7275D51A3F395C8F),
        ('"long"', 0xD054E14493F41DB7),
        ('"string"', 0x8F014872634503C7),
        ('"bytes"', 0x4FC016DAC3201965),
        ('["int"]', 0xB763638A48B2FB03),
    ],
)
def test_fingerprint_is_avros(schema, fingerprint):
    """
    The fingerprint is CRC-64-AVRO of the canonical form, the least byte first.
    """
    expected = fingerprint.to_bytes(8, "little").hex()

    assert AvroSerializer(schema).fingerprint == expected
    assert AvroSerializer(schema).format == f"avro:{expected}"
    assert (
        AvroSerializer(schema, framing="single_object").format == f"avro:{expected}+single_object"
    )


def test_fingerprint_ignores_what_does_not_change_bytes():
    """
    Docs, order of attributes and defaults leave the fingerprint; a field's type does not.
    """
    documented = {**ORDER, "doc": "an order"}
    changed = json.loads(json.dumps(ORDER).replace('"int", "default"', '"long", "default"'))

    assert AvroSerializer(documented).format == AvroDeserializer(ORDER).format
    assert AvroSerializer(changed).format != AvroSerializer(ORDER).format


def test_schema_may_be_parsed_text_or_a_file(tmp_path):
    """
    The same schema comes as a dict, as JSON, or from a file that may lean on its neighbours.
    """
    path = tmp_path / "shop.Order.avsc"
    path.write_text(json.dumps(ORDER), "utf-8")
    basket = tmp_path / "shop.Basket.avsc"
    basket.write_text(
        json.dumps(
            {
                "type": "record",
                "name": "shop.Basket",
                "fields": [{"name": "orders", "type": {"type": "array", "items": "shop.Order"}}],
            }
        ),
        "utf-8",
    )

    assert len({AvroSerializer(s).format for s in (ORDER, json.dumps(ORDER), path)}) == 1
    assert AvroSerializer("long")(1) == b"\x02"
    assert AvroSerializer(basket)({"orders": [{"id": 1}]}) == b"\x02" + ORDER_1 + b"\x00"
    with pytest.raises(FileNotFoundError):
        AvroSerializer(tmp_path / "missing.avsc")


def test_the_callers_schema_is_left_alone():
    """
    Parsing does not change the dict that the caller gave.
    """
    before = json.dumps(ORDER)
    AvroSerializer(ORDER)({"id": 1})

    assert before == json.dumps(ORDER)


@pytest.mark.parametrize(
    "schema",
    [{}, {"type": "rec"}, "{", "integer", 5, None, ["long", "integer"]],
)
def test_what_is_no_schema_is_refused(schema):
    """
    A broken schema fails at construction with one kind of error.
    """
    with pytest.raises(ValueError, match=r"^not an Avro schema: "):
        AvroSerializer(schema)


def test_dataclasses_are_records():
    """
    A dataclass stands for the record of its fields, nested ones too.
    """
    write, read = AvroSerializer(ORDER), AvroDeserializer(ORDER)
    value = read(write(Order(1, next=Order(2, "x"))))

    assert (1, None, 2, "x") == (
        value["id"],
        value["note"],
        value["next"]["id"],
        value["next"]["note"],
    )


NOON = dt.datetime(2024, 5, 6, 12, tzinfo=dt.UTC)


@pytest.mark.parametrize(
    ("schema", "value"),
    [
        ({"type": "long", "logicalType": "timestamp-millis"}, NOON),
        ({"type": "long", "logicalType": "timestamp-micros"}, NOON.replace(microsecond=7)),
        ({"type": "long", "logicalType": "local-timestamp-millis"}, NOON.replace(tzinfo=None)),
        ({"type": "int", "logicalType": "date"}, NOON.date()),
        ({"type": "int", "logicalType": "time-millis"}, dt.time(1, 2, 3, 4000)),
        ({"type": "string", "logicalType": "uuid"}, uuid.UUID(int=5)),
        (
            {"type": "bytes", "logicalType": "decimal", "precision": 9, "scale": 2},
            decimal.Decimal("-12.34"),
        ),
        ("float", -math.inf),
        ("double", 1e300),
        ("bytes", b"\x00\xff"),
        ("null", None),
        (["null", "long", "string"], "x"),
        ({"type": "array", "items": ["null", "int"]}, [None, 1]),
    ],
)
def test_logical_types_and_others_round_trip(schema, value):
    """
    Dates, times, instants, decimals, UUIDs and extreme numbers come back as what they were.
    """
    assert value == AvroDeserializer(schema)(AvroSerializer(schema)(value))
    wrapped = field(schema)
    assert {"f": value} == AvroDeserializer(wrapped)(AvroSerializer(wrapped)({"f": value}))


NAIVE = NOON.replace(tzinfo=None)
MILLIS = {"type": "long", "logicalType": "timestamp-millis"}


@pytest.mark.parametrize(
    ("schema", "value", "message"),
    [
        ("int", 1.5, "1.5 is not of type int"),
        ("int", 2**31, r"2147483648 is not of type int \(-2147483648 to 2147483647\)"),
        ("long", -(2**63) - 1, "is not of type long"),
        ("long", True, "True is not of type long"),
        ("long", "1", "'1' is not of type long"),
        ("long", None, "None is not of type long"),
        ("float", 1e39, r"1e\+39 is not within the range of a float"),
        ("float", False, "of type float"),
        ("double", True, "of type double"),
        ("boolean", "no", "'no' is not of type boolean"),
        ("boolean", 0, "0 is not of type boolean"),
        ("null", 5, "5 is not null"),
        ({"type": "array", "items": "string"}, "abc", "'abc' is not an array"),
        ({"type": "array", "items": "string"}, {"a": 1}, "is not an array"),
        ({"type": "array", "items": "int"}, [1, 2.5], r"\$\.f\[1\]: 2.5 is not of type int"),
        ({"type": "map", "values": "int"}, {"a": 2.5}, r"\$\.f\['a'\]: 2.5"),
        ({"type": "map", "values": "int"}, {1: 2}, "1 is not a str as a map's key"),
        ({"type": "map", "values": "int"}, [1], "is not a map"),
        (MILLIS, NAIVE, "it has no time zone"),
        (MILLIS, 1.5, "1.5 is not a timestamp-millis"),
        (["null", MILLIS], NAIVE, "it has no time zone"),
        (["null", "float"], 1e300, "range of a float"),
        (["null", "int"], 1.5, "1.5"),
        (["int", "string"], 2.5, "2.5"),
        ("string", b"x", "R: must be string"),
        ("string", "\ud800", "surrogates not allowed"),
        ({"type": "enum", "name": "E", "symbols": ["A"]}, "B", "'B'"),
        ({"type": "fixed", "name": "F", "size": 2}, b"abc", "length 3"),
        (
            {"type": "bytes", "logicalType": "decimal", "precision": 4, "scale": 2},
            decimal.Decimal("1.234"),
            "Scale",
        ),
    ],
)
def test_values_are_never_bent_to_fit(schema, value, message):
    """
    What would be cut, wrapped, guessed or dropped on the way to the schema's type is refused.
    """
    with pytest.raises(SerializeError, match=message):
        AvroSerializer(field(schema))({"f": value})


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ({}, "id"),
        ({"id": 1, "zip": 2}, "zip"),
        (
            {"id": 1, "next": {"id": 2, "next": {"id": 3, "count": 2**31}}},
            r"^\$\.next\.next\.count: ",
        ),
        (5, r"^\$: 5 is not a record shop\.Order \(a dict\)"),
        (None, r"^\$: None is not a record"),
        ([("id", 1)], "is not a record"),
    ],
)
def test_records_must_fit(value, message):
    """
    Missing and unknown fields are refused by name, and errors deep within have their path.
    """
    with pytest.raises(SerializeError, match=message):
        AvroSerializer(ORDER)(value)


def test_extra_fields_can_be_left_out():
    """
    Fields that the schema lacks are dropped only if asked for.
    """
    assert AvroSerializer(ORDER, extra_fields="ignore")({"id": 1, "zip": 2}) == ORDER_1


def test_readers_resolve_the_writers_schema():
    """
    A reader gives values of an older schema the form of its own, by fingerprint or by order.
    """
    old, new = field("int"), field("long")
    new["fields"].append({"name": "g", "type": "string", "default": "new"})
    plain = AvroDeserializer(new, writer_schemas=[old])
    framed = AvroDeserializer(new, framing="single_object", writer_schemas=[old])
    expected = {"f": 1, "g": "new"}

    assert expected == plain(AvroSerializer(old)({"f": 1}))
    for schema in (old, new):
        assert expected == framed(AvroSerializer(schema, framing="single_object")({"f": 1}))
    with pytest.raises(ValueError, match="at most one in writer_schemas"):
        AvroDeserializer(new, writer_schemas=[old, ORDER])


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "begin with nothing, not with c301"),
        (b"\x02\x00", "begin with 0200, not with c301 .* framing='plain'"),
        (b"\xc3\x01\x00", "the fingerprint is cut off after 1 bytes"),
        (
            b"\xc3\x01" + bytes(8),
            "no schema has the fingerprint 0000000000000000; known are [0-9a-f]{16}",
        ),
    ],
)
def test_single_object_checks_its_header(data, message):
    """
    Another marker, a cut header and an unknown fingerprint are refused, each by name.
    """
    with pytest.raises(DeserializeError, match=message):
        AvroDeserializer("long", framing="single_object")(data)


@pytest.mark.parametrize("framing", ["plain", "single_object"])
def test_every_byte_counts(framing):
    """
    A value that is cut anywhere, or goes on after its end, is refused.
    """
    write, read = AvroSerializer(ORDER, framing=framing), AvroDeserializer(ORDER, framing=framing)
    data = write({"id": 1, "note": "text", "tags": ["a"]})

    for end in range(len(data)):
        with pytest.raises(DeserializeError):
            read(data[:end])
        if end >= 10 or framing == "plain":
            with pytest.raises(DeserializeError, match=f"the data ends early: its {end} bytes"):
                read(data[:end])
    with pytest.raises(DeserializeError, match=f"1 of {len(data) + 1} bytes follow the value"):
        read(data + b"\x00")


@given(data=st.binary(max_size=30))
def test_reader_never_fails_otherwise(data):
    """
    Any bytes are a value or a DeserializeError.
    """
    try:
        AvroDeserializer(ORDER)(data)
    except DeserializeError:
        return


def test_a_number_without_its_end_is_cut_off_and_a_negative_length_is_not():
    """
    Only what lacks bytes is said to end early.
    """
    with pytest.raises(DeserializeError, match="the data ends early: its 2 bytes"):
        AvroDeserializer("long")(b"\xff\xff")
    with pytest.raises(DeserializeError, match="the bytes are no value of the schema bytes: "):
        AvroDeserializer("bytes")(b"\x05abc")


@pytest.mark.parametrize("framing", ["plain", "single_object"])
def test_arrays_of_nothing_are_not_read(framing):
    """
    Where ten bytes could announce 2**62 items, the reader is refused, for every writer's schema.
    """
    schema = field({"type": "array", "items": "null"})

    for schemas in ((schema, []), ("long", [schema])):
        with pytest.raises(ValueError, match=r"the array at \$\.fields\[0\]\.type of the schema R"):
            AvroDeserializer(schemas[0], framing=framing, writer_schemas=schemas[1])


@pytest.mark.parametrize("arguments", [{"framing": "confluent"}, {"extra_fields": "drop"}])
def test_arguments_are_checked(arguments):
    """
    A value that an argument does not have is refused at construction.
    """
    [name] = arguments
    with pytest.raises(ValueError, match=f"^{name}=.* must be"):
        AvroSerializer("long", **arguments)
