"""The straight-line encoder: what it writes is what the check and fastavro would write."""

from __future__ import annotations

import io
from typing import Any

import fastavro
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from serializers import AvroSerializer, SerializeError
from serializers.avro_check import compile_check
from serializers.avro_encode import compile_encoder

PLAIN = ["null", "boolean", "int", "long", "float", "double", "string", "bytes"]
INSTANT = {"type": "long", "logicalType": "timestamp-millis"}
ENUM = {"type": "enum", "name": "E", "symbols": ["A", "B"]}
FIXED = {"type": "fixed", "name": "F", "size": 2}


def record(*kinds: Any) -> dict[str, Any]:
    fields = [{"name": f"f{index}", "type": kind} for index, kind in enumerate(kinds)]
    return {"type": "record", "name": "R", "fields": fields}


SCHEMAS = st.recursive(
    st.sampled_from([*PLAIN, INSTANT]),
    lambda inner: st.one_of(
        inner.map(lambda items: {"type": "array", "items": items}),
        inner.map(lambda values: {"type": "map", "values": values}),
        inner.filter(lambda kind: kind != "null" and not isinstance(kind, list)).flatmap(
            lambda kind: st.sampled_from([["null", kind], [kind, "null"]])
        ),
    ),
    max_leaves=4,
)
LEAVES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**65), 2**65),
    st.integers(-300, 300),
    st.floats(),
    st.floats(width=32),
    st.text(),
    st.characters(categories=["Cs"]),
    st.binary(max_size=3),
    st.sampled_from(["A", "B", b"ab"]),
)
ANYTHING = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=2), inner),
    max_leaves=5,
)


def fitting(schema: Any) -> st.SearchStrategy[Any]:
    """Values of a schema."""
    if isinstance(schema, list):
        return st.one_of([fitting(branch) for branch in schema])
    if isinstance(schema, dict):
        if schema["type"] == "array":
            return st.lists(fitting(schema["items"]), max_size=3)
        if schema["type"] == "map":
            return st.dictionaries(st.text(), fitting(schema["values"]), max_size=3)
        return fitting(schema["type"])
    return {
        "null": st.none(),
        "boolean": st.booleans(),
        "int": st.integers(-(2**31), 2**31 - 1),
        "long": st.integers(-(2**63), 2**63 - 1),
        "float": st.floats(width=32),
        "double": st.floats(),
        "string": st.text(),
        "bytes": st.binary(),
    }[schema]


def slowly(schema: Any, value: Any) -> bytes:
    """What the check lets pass, as fastavro writes it."""
    check = compile_check(schema)
    if check is not None:
        check(value)
    out = io.BytesIO()
    fastavro.schemaless_writer(out, schema, value, strict_allow_default=True)
    return out.getvalue()


@given(data=st.data(), schemas=st.lists(SCHEMAS, max_size=3))
def test_values_of_the_schema_are_written_as_fastavro_does(data, schemas):
    """
    Every value of plain types is written, in fastavro's bytes.
    """
    schema = fastavro.parse_schema(record(*schemas, ENUM, FIXED, "E", "F"))
    fields = {f"f{index}": data.draw(fitting(kind)) for index, kind in enumerate(schemas)}
    rest = ["A", b"ab", "B", b"cd"]
    value = fields | {f"f{len(schemas) + index}": part for index, part in enumerate(rest)}

    encode = compile_encoder(schema)

    assert encode is not None
    assert slowly(schema, value) == encode(value)


@given(schema=SCHEMAS | st.just(ENUM) | st.just(FIXED), value=ANYTHING)
@example(schema="float", value=3.4028235e38)
@example(schema="float", value=3.40282350e38 * 1.00000001)
@example(schema="int", value=True)
@example(schema="string", value="\ud800")
@example(schema={"type": "array", "items": "string"}, value="ab")
def test_what_fits_nowhere_is_left_alone(schema, value):
    """
    Of any value at all the encoder writes what the check and fastavro write, or nothing.
    """
    parsed = fastavro.parse_schema(record(schema))
    encode = compile_encoder(parsed)
    assert encode is not None

    try:
        found = encode({"f0": value})
    except Exception:
        found = None

    if found is not None:
        assert slowly(parsed, {"f0": value}) == found


@pytest.mark.parametrize(
    "value", [{}, {"f0": 1, "f1": 2}, {"f0": 1, "-type": "R"}, [1], None, {"g": 1}]
)
def test_a_record_of_other_fields_is_left_alone(value):
    """
    A record with a field too few or too many, and what is no dict, is not written.
    """
    encode = compile_encoder(fastavro.parse_schema(record("int")))
    assert encode is not None

    try:
        found = encode(value)
    except KeyError:
        found = None

    assert found is None


@pytest.mark.parametrize(
    "schema",
    [
        ["int", "string"],
        ["null", "int", "string"],
        record(["null", "R"]),
        {"type": "bytes", "logicalType": "decimal", "precision": 4, "scale": 2},
        {"type": "string", "logicalType": "uuid"},
        record(*(["string"] * 1000)),
    ],
)
def test_schemas_with_more_to_them_have_no_encoder(schema):
    """
    Unions of several types, records within themselves, logical types that are not numbers, and
    schemas of very many parts are left to fastavro.
    """
    assert compile_encoder(fastavro.parse_schema(schema)) is None


def test_names_of_a_schema_do_not_become_code():
    """
    A field's name is looked up, whatever it is.
    """
    name = 'x"]; raise SystemExit; v["'
    schema = {"type": "record", "name": "R", "fields": [{"name": name, "type": "int"}]}
    encode = compile_encoder(schema)

    assert encode is not None
    assert b"\x02" == encode({name: 1})


def test_a_serializer_falls_back():
    """
    What the encoder leaves alone, the serializer still writes or refuses as it says it does.
    """
    write = AvroSerializer(
        {
            "type": "record",
            "name": "R",
            "fields": [{"name": "a", "type": "double"}, {"name": "b", "type": "int", "default": 3}],
        }
    )

    assert write({"a": 1.0, "b": 3}) == write({"a": 1}) == write({"a": 1.0})
    with pytest.raises(SerializeError, match=r"\$\.b: True is not of type int"):
        write({"a": 1.0, "b": True})
