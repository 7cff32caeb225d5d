"""Dataclasses as the serializers see them."""

from __future__ import annotations

import dataclasses
import uuid
from collections import OrderedDict
from typing import Any, NamedTuple

import pytest

from serializers import AvroSerializer, MsgpackDeserializer, MsgpackSerializer, SerializeError
from serializers.fields import as_plain, field_names, is_record


@dataclasses.dataclass
class Point:
    x: Any
    y: Any = None


class Pair(NamedTuple):
    a: Any
    b: Any


def test_dataclasses_become_dicts_at_any_depth():
    """
    The dataclasses in lists, tuples, mappings and one another become dicts, as asdict makes them.
    """
    key = uuid.uuid4()
    value = Point([Point(1), {"k": Point((Point(2), "t"))}], OrderedDict(a=Point(key)))

    assert dataclasses.asdict(value) == as_plain(value)
    assert (1, {"x": 2, "y": None}) == as_plain(Pair(1, Point(2)))


def test_the_class_itself_is_no_record():
    """
    An object of a dataclass is a record; the class, and what has no fields, is not.
    """
    assert [True, False, False] == [is_record(one) for one in (Point(1), Point, {"x": 1})]
    assert ("x", "y") == field_names(Point)


def test_dataclasses_within_values():
    """
    Avro and MessagePack write a dataclass within a value as the dict of its fields.
    """
    schema = {"type": "array", "items": "long"}
    fields = [{"name": "x", "type": schema}, {"name": "y", "type": ["null", "string"]}]
    write = AvroSerializer({"type": "record", "name": "Point", "fields": fields})

    assert write({"x": [1], "y": "a"}) == write(Point([1], "a"))
    assert {"x": [{"x": 1, "y": None}], "y": None} == MsgpackDeserializer()(
        MsgpackSerializer()(Point([Point(1)]))
    )


def test_keys_within_a_dataclass_are_looked_at():
    """
    A mapping with keys that readers refuse is found in a dataclass's field as well.
    """
    with pytest.raises(SerializeError, match=r"\$\.x"):
        MsgpackSerializer()(Point({1: 2}))
