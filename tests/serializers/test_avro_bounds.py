"""Arrays without bounds: found at any depth, and told from those that their data bounds."""

from __future__ import annotations

from typing import Any

import fastavro
import pytest

from serializers.avro_bounds import find_unbounded_array

NOTHING = {"type": "record", "name": "Nothing", "fields": []}
EMPTY = {"type": "fixed", "name": "Empty", "size": 0}


def array(items: Any) -> dict[str, Any]:
    """Return the schema of an array."""
    return {"type": "array", "items": items}


def record(*kinds: Any, name: str = "R") -> dict[str, Any]:
    """Return the schema of a record with a field of each kind, in this order."""
    fields = [{"name": f"f{at}", "type": kind} for at, kind in enumerate(kinds)]
    return {"type": "record", "name": name, "fields": fields}


@pytest.mark.parametrize(
    ("schema", "path"),
    [
        (array("null"), "$"),
        (array({"type": "null"}), "$"),
        (array(EMPTY), "$"),
        (array(NOTHING), "$"),
        (array(record("null", EMPTY, "Empty", NOTHING)), "$"),
        (array(array("null")), "$.items"),
        ({"type": "map", "values": array("null")}, "$.values"),
        (["null", array("null")], "$[1]"),
        (record(NOTHING, array("Nothing")), "$.fields[1].type"),
        (record("int", record(array("null"), name="S")), "$.fields[1].type.fields[0].type"),
        ([NOTHING, record("int", array("Nothing"))], "$[1].fields[1].type"),
        (record(record("S", name="S"), array("S")), "$.fields[1].type"),
    ],
)
def test_items_without_bytes_are_found(schema, path):
    """
    An array of what takes no bytes is found by its path, also by a name defined elsewhere.
    """
    assert path == find_unbounded_array(fastavro.parse_schema(schema))


@pytest.mark.parametrize(
    "schema",
    [
        "null",
        NOTHING,
        record("null", EMPTY),
        {"type": "map", "values": "null"},
        array(["null"]),
        array(["null", NOTHING]),
        array("boolean"),
        array(record("null", "int")),
        array({"type": "fixed", "name": "Byte", "size": 1}),
        array({"type": "enum", "name": "E", "symbols": ["A"]}),
        array({"type": "map", "values": "null"}),
        array({"type": "int", "logicalType": "date"}),
        record(array("R")),
        record("null", ["null", "R"], array("R")),
    ],
)
def test_items_with_bytes_are_not(schema):
    """
    Items that take a byte bound their number, and so do a map's keys and a union's branches.
    """
    assert find_unbounded_array(fastavro.parse_schema(schema)) is None


def test_names_of_a_schema_parsed_before_are_followed():
    """
    A type that a parsed schema only refers to is looked into under its name.
    """
    others: dict[str, Any] = {}
    fastavro.parse_schema(record(array("null"), name="Others"), named_schemas=others)
    schema = fastavro.parse_schema(record("int", "Others"), named_schemas=others)

    assert find_unbounded_array(schema) == "Others.fields[0].type"


def test_names_within_names_cost_no_more_than_their_number():
    """
    Records that each hold the one before twice are judged once each.
    """
    kinds: list[Any] = [NOTHING]
    before = "Nothing"
    for level in range(60):
        kinds.append(record(before, before, name=f"L{level}"))
        before = f"L{level}"

    assert find_unbounded_array(fastavro.parse_schema(record(*kinds, array(before)))) == (
        "$.fields[61].type"
    )
