"""Keys and values that a consumer reads: every deserializer, over bytes of anybody.

The input is which deserializer, then the bytes.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

from serializers import (
    AvroDeserializer,
    AvroSerializer,
    BytesDeserializer,
    CsvDeserializer,
    DeserializeError,
    JsonDeserializer,
    MsgpackDeserializer,
    StringDeserializer,
)
from tests.fuzz.bites import Bites
from tests.fuzz.target import Target

_TREE: dict[str, Any] = {
    "type": "record",
    "name": "Tree",
    "fields": [
        {"name": "left", "type": ["null", "Tree"]},
        {"name": "right", "type": ["null", "Tree"]},
    ],
}
_ORDER: dict[str, Any] = {
    "type": "record",
    "name": "Order",
    "fields": [
        {"name": "id", "type": "long"},
        {"name": "note", "type": ["null", "string"]},
        {"name": "tags", "type": {"type": "array", "items": "string"}},
        {"name": "places", "type": {"type": "map", "values": "double"}},
        {"name": "kind", "type": {"type": "enum", "name": "Kind", "symbols": ["A", "B"]}},
        {"name": "mark", "type": {"type": "fixed", "name": "Mark", "size": 4}},
        {"name": "at", "type": {"type": "long", "logicalType": "timestamp-millis"}},
        {"name": "day", "type": {"type": "int", "logicalType": "date"}},
        {"name": "uuid", "type": {"type": "string", "logicalType": "uuid"}},
        {
            "name": "price",
            "type": {"type": "bytes", "logicalType": "decimal", "precision": 9, "scale": 2},
        },
        {"name": "sure", "type": "boolean"},
        {"name": "raw", "type": "bytes"},
    ],
}
_READERS: list[Any] = [
    AvroDeserializer(_ORDER),
    AvroDeserializer(_TREE),
    AvroDeserializer("string", framing="single_object", writer_schemas=[_ORDER]),
    MsgpackDeserializer(),
    MsgpackDeserializer(any_keys=True),
    JsonDeserializer(),
    JsonDeserializer(backend="json"),
    CsvDeserializer(["a", "b", "c"], types={"a": int, "b": Decimal}),
    CsvDeserializer(["a", "b"], quoting="none", delimiter=";"),
    StringDeserializer(),
    StringDeserializer(encoding="utf-16"),
    BytesDeserializer(),
]


def run(data: bytes) -> None:
    """The bytes are a value, or a DeserializeError."""
    bites = Bites(data)
    read = bites.one_of(_READERS)
    body = bites.rest()
    try:
        read(body)
    except DeserializeError as error:
        assert str(error)


def seeds() -> Iterator[bytes]:
    """Values of every format, and a few that are cut off, deep, or larger than they are."""
    order = {
        "id": 1,
        "note": "n",
        "tags": ["a", "b"],
        "places": {"x": 1.5},
        "kind": "A",
        "mark": b"1234",
        "at": dt.datetime(2024, 1, 1, tzinfo=dt.UTC),
        "day": dt.date(2024, 1, 1),
        "uuid": "00000000-0000-0000-0000-000000000001",
        "price": Decimal("1.25"),
        "sure": True,
        "raw": b"raw",
    }
    yield b"\x00" + AvroSerializer(_ORDER)(order)
    yield b"\x01" + b"\x02" * 60 + b"\x00" * 61
    yield b"\x02" + AvroSerializer("string", framing="single_object")("text")
    yield b"\x02" + AvroSerializer(_ORDER, framing="single_object")(order)
    for packed in (
        b"\x83\xa1a\x01\xa1b\x92\x01\x02\xa1c\xc0",
        b"\xdd\x7f\xff\xff\xff\x01",
        b"\xdf\xff\xff\xff\xff",
        b"\x91" * 200,
        b"\xd7\xff" + b"\xff" * 8,
        b"\xc7\x0c\xff" + b"\xff" * 12,
        b"\xcb\x7f\xf8" + bytes(6),
    ):
        yield b"\x03" + packed
        yield b"\x04" + packed
    for text in (
        b'{"id": 1, "tags": [null, true, 1e400, "\\ud800"]}',
        b"[" * 300,
        b'"\xed\xa0\x80"',
        b"NaN",
        b"9" * 60,
    ):
        yield b"\x05" + text
        yield b"\x06" + text
    yield b'\x071,2.5,"a ""quoted"" field"'
    yield b"\x081;2"
    yield b"\x09text \xe2\x82\xac"
    yield b"\x0a\xff\xfet\x00"


TARGET = Target(run, seeds)
