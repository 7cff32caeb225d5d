"""Avro's binary encoding of common values, by straight-line code made for one schema.

fastavro looks up at every value what its schema says of it. The function made here knows: it
writes a value whose parts have the plain types of their places (int, float, str, bytes, bool,
None, list, dict with exactly the record's fields), and returns None at the first part that has
not. Such values, and schemas with more to them, are left to :mod:`serializers.avro_check` and
fastavro, which also know what to say of a mistake.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

from serializers.avro_check import FLOAT_MAX

__all__ = ["Encode", "compile_encoder"]

#: Returns the bytes of a value, or None; it may raise anything for a value of another shape.
Encode: TypeAlias = Callable[[Any], bytes | None]

# More code than this is not made for a schema.
_MOST_LINES = 2000

_BOUNDS = {"int": (-(2**31), 2**31 - 1), "long": (-(2**63), 2**63 - 1)}
_FLOATS = {"float": "<f", "double": "<d"}
# Types of numbers that are written as such where an int is given.
_LOGICAL = {
    "date",
    "time-millis",
    "time-micros",
    "timestamp-millis",
    "timestamp-micros",
    "timestamp-nanos",
    "local-timestamp-millis",
    "local-timestamp-micros",
    "local-timestamp-nanos",
}


class _TooMuch(Exception):
    """The schema has more to it than this module writes."""


def compile_encoder(schema: Any) -> Encode | None:
    """Return what writes common values of the schema, or None for a schema with more to it.

    Args:
        schema: a schema as fastavro parses it, its named types each defined before their use.
    """
    maker = _Maker()
    try:
        maker.value(schema, "value", 1)
    except _TooMuch:
        return None
    source = ["def encode(value):", "    out = []", "    put = out.append", *maker.lines]
    source.append("    return join(out)")
    exec("\n".join(source), maker.names)  # noqa: S102 - the lines made below; no text of the schema
    encode: Encode = maker.names["encode"]
    return encode


def _varint(number: int) -> bytes:
    out = bytearray()
    while number >= 0x80:
        out.append((number & 0x7F) | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)


def _long(value: int) -> bytes:
    return _varint((value << 1) ^ (value >> 63))


class _Maker:
    """Writes the lines; whatever comes from the schema is passed to them by name."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.names: dict[str, Any] = {
            "inf": float("inf"),
            "join": b"".join,
            "short": [bytes((number,)) for number in range(0x80)],
            "varint": _varint,
        }
        self._named: dict[str, Any] = {}
        self._open: set[str] = set()

    def emit(self, depth: int, *lines: str) -> None:
        self.lines += ["    " * depth + line for line in lines]
        if len(self.lines) > _MOST_LINES or depth > 16:
            raise _TooMuch

    def name(self, value: Any) -> str:
        """A name for something of the schema."""
        name = f"c{len(self.names)}"
        self.names[name] = value
        return name

    def variable(self) -> str:
        return f"v{len(self.lines)}"

    def value(self, schema: Any, at: str, depth: int) -> None:
        """Write the value that the variable ``at`` holds."""
        if isinstance(schema, list):
            self.union(schema, at, depth)
            return
        kind, logical = schema, None
        if isinstance(schema, Mapping):
            kind, logical = schema["type"], schema.get("logicalType")
        if isinstance(kind, (list, Mapping)):
            self.value(kind, at, depth)
        elif logical is not None and (kind not in _BOUNDS or logical not in _LOGICAL):
            raise _TooMuch
        elif kind in _BOUNDS:
            low, high = _BOUNDS[kind]
            self.need(f"type({at}) is int and {low} <= {at} <= {high}", depth)
            self.emit(
                depth,
                f"n = {at} << 1 ^ {at} >> 63",
                "put(short[n] if n < 128 else varint(n))",
            )
        elif kind in _FLOATS:
            # What a float of 32 bits cannot hold is refused, not rounded; the infinities it can.
            inside = f" and not {FLOAT_MAX} < abs({at}) < inf" if kind == "float" else ""
            self.need(f"type({at}) is float{inside}", depth)
            self.emit(depth, f"put({self.name(struct.Struct(_FLOATS[kind]).pack)}({at}))")
        elif kind == "boolean":
            self.need(f"type({at}) is bool", depth)
            self.emit(depth, f"put(short[{at}])")
        elif kind == "null":
            self.need(f"{at} is None", depth)
        elif kind == "string":
            self.text(at, depth)
        elif kind == "bytes":
            self.need(f"type({at}) is bytes", depth)
            self.sized(at, depth)
        elif isinstance(schema, Mapping):
            self.compound(kind, schema, at, depth)
        elif kind in self._named:
            self.compound(self._named[kind]["type"], self._named[kind], at, depth)
        else:
            raise _TooMuch

    def compound(self, kind: str, schema: Mapping[str, Any], at: str, depth: int) -> None:
        if kind in ("record", "error"):
            self.record(schema, at, depth)
        elif kind == "array":
            self.need(f"type({at}) is list", depth)
            item = self.block(at, at, depth)
            self.value(schema["items"], item, depth + 2)
            self.emit(depth, "put(short[0])")
        elif kind == "map":
            self.need(f"type({at}) is dict", depth)
            key = self.variable() + "k"
            item = self.block(at, f"{at}.items()", depth, key)
            self.text(key, depth + 2)
            self.value(schema["values"], item, depth + 2)
            self.emit(depth, "put(short[0])")
        elif kind == "enum":
            self._named[schema["name"]] = schema
            indices = {symbol: _long(index) for index, symbol in enumerate(schema["symbols"])}
            self.need(f"type({at}) is str", depth)
            self.emit(depth, f"put({self.name(indices)}[{at}])")
        elif kind == "fixed":
            self._named[schema["name"]] = schema
            self.need(f"type({at}) is bytes and len({at}) == {int(schema['size'])}", depth)
            self.emit(depth, f"put({at})")
        elif kind in self._named:
            self.compound(self._named[kind]["type"], self._named[kind], at, depth)
        else:
            raise _TooMuch

    def record(self, schema: Mapping[str, Any], at: str, depth: int) -> None:
        name = schema["name"]
        if name in self._open:
            raise _TooMuch  # a record within itself
        self._named[name] = schema
        self._open.add(name)
        self.need(f"type({at}) is dict and len({at}) == {len(schema['fields'])}", depth)
        for field in schema["fields"]:
            part = self.variable()
            # A field that is missing raises.
            self.emit(depth, f"{part} = {at}[{self.name(field['name'])}]")
            self.value(field["type"], part, depth)
        self._open.discard(name)

    def union(self, branches: list[Any], at: str, depth: int) -> None:
        if len(branches) != 2 or "null" not in branches or branches[0] == branches[1]:
            raise _TooMuch  # which branch it is, is fastavro's to find out
        null = branches.index("null")
        self.emit(depth, f"if {at} is None:", f"    put(short[{2 * null}])", "else:")
        self.emit(depth + 1, f"put(short[{2 * (1 - null)}])")
        self.value(branches[1 - null], at, depth + 1)

    def need(self, condition: str, depth: int) -> None:
        self.emit(depth, f"if not ({condition}):", "    return None")

    def text(self, at: str, depth: int) -> None:
        self.need(f"type({at}) is str", depth)
        self.emit(depth, f"{at} = {at}.encode()")
        self.sized(at, depth)

    def sized(self, at: str, depth: int) -> None:
        self.emit(
            depth,
            f"n = len({at}) << 1",
            "put(short[n] if n < 128 else varint(n))",
            f"put({at})",
        )

    def block(self, at: str, items: str, depth: int, key: str = "") -> str:
        """Begin a block of items; the name of one of them is returned."""
        item = self.variable()
        self.emit(depth, f"if {at}:")
        self.emit(depth + 1, f"n = len({at}) << 1", "put(short[n] if n < 128 else varint(n))")
        self.emit(depth + 1, f"for {key + ', ' if key else ''}{item} in {items}:")
        return item
