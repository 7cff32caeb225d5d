"""Serializers for record keys and values, each with its deserializer.

| serializer | values | format |
|---|---|---|
| :class:`BytesSerializer` | bytes, bytearray, memoryview | ``bytes`` |
| :class:`StringSerializer` | str | ``string`` |
| :class:`JsonSerializer` | what JSON has, and dataclasses, dates, UUIDs | ``json`` |
| :class:`CsvSerializer` | one row | ``csv:id,name`` |
| :class:`AvroSerializer` | what its schema describes | ``avro:FINGERPRINT`` |
| :class:`MsgpackSerializer` | what MessagePack has, and dataclasses | ``msgpack`` |

Each is called with a value and a context; see :mod:`serializers.contract`. Importing this
package loads none of the libraries behind them: that happens with the first use of a name.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from serializers.avro import AvroDeserializer, AvroSerializer
    from serializers.bytes import BytesDeserializer, BytesSerializer
    from serializers.contract import (
        Context,
        DeserializeError,
        Deserializer,
        SerializeError,
        Serializer,
        SerializerContext,
    )
    from serializers.csv import CsvDeserializer, CsvSerializer
    from serializers.json import JsonDeserializer, JsonSerializer
    from serializers.msgpack import MsgpackDeserializer, MsgpackSerializer
    from serializers.string import StringDeserializer, StringSerializer

__all__ = [
    "AvroDeserializer",
    "AvroSerializer",
    "BytesDeserializer",
    "BytesSerializer",
    "Context",
    "CsvDeserializer",
    "CsvSerializer",
    "DeserializeError",
    "Deserializer",
    "JsonDeserializer",
    "JsonSerializer",
    "MsgpackDeserializer",
    "MsgpackSerializer",
    "SerializeError",
    "Serializer",
    "SerializerContext",
    "StringDeserializer",
    "StringSerializer",
]

_HOMES = {
    "AvroDeserializer": "avro",
    "AvroSerializer": "avro",
    "BytesDeserializer": "bytes",
    "BytesSerializer": "bytes",
    "Context": "contract",
    "CsvDeserializer": "csv",
    "CsvSerializer": "csv",
    "DeserializeError": "contract",
    "Deserializer": "contract",
    "JsonDeserializer": "json",
    "JsonSerializer": "json",
    "MsgpackDeserializer": "msgpack",
    "MsgpackSerializer": "msgpack",
    "SerializeError": "contract",
    "Serializer": "contract",
    "SerializerContext": "contract",
    "StringDeserializer": "string",
    "StringSerializer": "string",
}


def __getattr__(name: str) -> object:
    try:
        home = _HOMES[name]
    except KeyError:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}") from None
    found = getattr(import_module(f"{__name__}.{home}"), name)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
