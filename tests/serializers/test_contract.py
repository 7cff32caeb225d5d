"""The serializers' package: light to import, complete, and alike in what all of them promise."""

from __future__ import annotations

import inspect
import pickle
import subprocess
import sys

import pytest

import serializers
from serializers import (
    AvroDeserializer,
    AvroSerializer,
    BytesDeserializer,
    BytesSerializer,
    CsvDeserializer,
    CsvSerializer,
    DeserializeError,
    JsonDeserializer,
    JsonSerializer,
    MsgpackDeserializer,
    MsgpackSerializer,
    SerializeError,
    SerializerContext,
    StringDeserializer,
    StringSerializer,
)

CONTEXT = SerializerContext("orders", "key", {"trace": b"1"})
RECORD = {
    "type": "record",
    "name": "Order",
    "fields": [{"name": "id", "type": "long"}, {"name": "note", "type": ["null", "string"]}],
}
PAIRS = [
    (BytesSerializer(), BytesDeserializer(), b"\x00\xff", "bytes"),
    (StringSerializer(), StringDeserializer(), "\u00e9t\u00e9", "string"),
    (JsonSerializer(), JsonDeserializer(), {"id": 1, "note": None}, "json"),
    (
        CsvSerializer(["id", "note"]),
        CsvDeserializer(["id", "note"]),
        {"id": "1", "note": None},
        "csv:id,note",
    ),
    (AvroSerializer(RECORD), AvroDeserializer(RECORD), {"id": 1, "note": "x"}, "avro:"),
    (MsgpackSerializer(), MsgpackDeserializer(), {"id": 1, "note": b"x"}, "msgpack"),
]


@pytest.mark.parametrize(("write", "read", "value", "name"), PAIRS, ids=[p[3] for p in PAIRS])
def test_what_is_written_is_read_back(write, read, value, name):
    """
    Each pair turns a value into bytes and back, with a context and without, under one format.
    """
    data = write(value, CONTEXT)

    assert type(data) is bytes
    assert data == write(value)
    assert value == read(data, CONTEXT) == read(data)
    assert value == read(bytearray(data)) == read(memoryview(data))
    assert write.format == read.format
    assert write.format.startswith(name)
    assert type(write).__name__ in repr(write)


@pytest.mark.parametrize(("write", "read", "value", "name"), PAIRS, ids=[p[3] for p in PAIRS])
def test_foreign_objects_are_refused_by_type(write, read, value, name):
    """
    An object that no format knows is a SerializeError that names its type, and a ValueError.
    """

    class Strange:
        pass

    with pytest.raises(SerializeError, match="Strange") as caught:
        write(Strange(), CONTEXT)
    assert isinstance(caught.value, ValueError)
    assert str(caught.value) == str(pickle.loads(pickle.dumps(caught.value)))


@pytest.mark.parametrize(
    ("write", "read", "value", "name"), PAIRS[3:], ids=[p[3] for p in PAIRS[3:]]
)
def test_garbage_is_refused(write, read, value, name):
    """
    Bytes of another format, nothing at all, and a cut value are DeserializeErrors.
    """
    data = write(value)
    for bad in (b"", data[:-1], data + b"\n", b"\xff\xff\xff"):
        with pytest.raises(DeserializeError):
            read(bad, CONTEXT)


def test_a_failure_leaves_no_trace():
    """
    A serializer that refused a value writes the next one as if nothing had been.
    """
    for write, _, value, _ in PAIRS:
        before = write(value)
        with pytest.raises(SerializeError):
            write([value, object()], CONTEXT)

        assert before == write(value)


def test_import_loads_no_library():
    """
    Importing the package, and its contract, loads none of the libraries behind the formats.
    """
    code = (
        "import sys, serializers\n"
        "serializers.Serializer, serializers.StringSerializer()\n"
        "serializers.JsonSerializer(backend='json')\n"
        "print([m for m in ('orjson', 'fastavro', 'msgpack', 'pyproducer') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout == "[]\n"


def test_exports_are_complete():
    """
    Every public name is there, documented, sorted, and listed by dir(); others are not.
    """
    assert sorted(serializers.__all__) == serializers.__all__
    for name in serializers.__all__:
        assert inspect.getdoc(getattr(serializers, name))
        assert name in dir(serializers)
    with pytest.raises(AttributeError, match="'serializers' has no attribute 'XmlSerializer'"):
        _ = serializers.XmlSerializer
