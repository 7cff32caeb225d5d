"""What a value must be for its Avro schema, where the encoder itself does not look.

The schema is compiled once into nested functions, one for each place that needs a look; a
place that the encoder judges rightly (text, bytes, fixed, enum) has none and costs nothing.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NoReturn, TypeAlias

__all__ = ["FLOAT_MAX", "Check", "Mismatch", "compile_check"]

Check: TypeAlias = Callable[[Any], None]

#: The largest number that a float of 32 bits holds.
FLOAT_MAX = 3.4028234663852886e38
_RANGES = {"int": (-(2**31), 2**31 - 1), "long": (-(2**63), 2**63 - 1)}
_INSTANTS = ("timestamp-millis", "timestamp-micros", "timestamp-nanos")


class Mismatch(Exception):
    """A value is not what its schema says; the path grows on the way out."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.text = text
        self.path: list[str] = []

    @property
    def where(self) -> str:
        """The path of the value, as in ``$.items[2].price``."""
        return "$" + "".join(reversed(self.path))


def compile_check(schema: Any) -> Check | None:
    """Return what refuses values that the encoder would change in silence, or None.

    Args:
        schema: a schema as fastavro parses it, its named types each defined before their use.
    """
    return _compile(schema, {})


def _compile(schema: Any, named: dict[str, list[Check | None]]) -> Check | None:
    if isinstance(schema, list):
        return _union(schema, named)
    kind, logical = schema, ""
    if isinstance(schema, Mapping):
        kind, logical = schema["type"], schema.get("logicalType", "")
    if isinstance(kind, (list, Mapping)):
        return _compile(kind, named)
    if kind in ("record", "error"):
        return _record(schema, named)
    if kind == "array":
        return _array(_compile(schema["items"], named))
    if kind == "map":
        return _map(_compile(schema["values"], named))
    if kind in _RANGES:
        return _whole(kind, logical)
    if kind in named:
        slot = named[kind]
        # A record that is still being compiled: ask for its check when a value comes.
        return slot[0] if slot else lambda value: _late(slot, value)
    return _SIMPLE.get(kind)


def _late(slot: list[Check | None], value: Any) -> None:
    if slot[0] is not None:
        slot[0](value)


def _record(schema: Mapping[str, Any], named: dict[str, list[Check | None]]) -> Check:
    slot = named[schema["name"]] = []
    compiled = [(field["name"], _compile(field["type"], named)) for field in schema["fields"]]
    checks = [(name, check) for name, check in compiled if check is not None]

    def record(value: Any) -> None:
        # type() first: asking an abstract class costs more than all the rest.
        if type(value) is not dict and not isinstance(value, Mapping):
            _refuse(value, f"a record {schema['name']} (a dict)")
        for name, check in checks:
            if name in value:
                try:
                    check(value[name])
                except Mismatch as error:
                    error.path.append(f".{name}")
                    raise

    slot.append(record)
    return record


def _array(check: Check | None) -> Check:
    def array(value: Any) -> None:
        if type(value) is not list and (
            not isinstance(value, Sequence) or isinstance(value, (str, bytes, bytearray))
        ):
            _refuse(value, "an array (a list)")
        if check is not None:
            for index, item in enumerate(value):
                try:
                    check(item)
                except Mismatch as error:
                    error.path.append(f"[{index}]")
                    raise

    return array


def _map(check: Check | None) -> Check:
    def mapping(value: Any) -> None:
        if type(value) is not dict and not isinstance(value, Mapping):
            _refuse(value, "a map (a dict)")
        for key, item in value.items():
            if type(key) is not str and not isinstance(key, str):
                _refuse(key, "a str as a map's key")
            if check is not None:
                try:
                    check(item)
                except Mismatch as error:
                    error.path.append(f"[{key!r}]")
                    raise

    return mapping


def _union(branches: list[Any], named: dict[str, list[Check | None]]) -> Check | None:
    # The encoder validates a value to find its branch, ranges included; but what it thinks of
    # a float too large and a naive datetime is as wrong there. With several branches besides
    # null nobody but the encoder knows which one it takes.
    compiled = [_compile(branch, named) for branch in branches if branch != "null"]
    check = compiled[0] if len(compiled) == 1 else None
    if check is None or "null" not in branches:
        return check

    def optional(value: Any) -> None:
        # A tuple or a "-type" entry names its branch, and the value is within.
        if value is not None and not isinstance(value, tuple):
            check(value)

    return optional


def _whole(kind: str, logical: str) -> Check:
    low, high = _RANGES[kind]
    instant = logical in _INSTANTS

    def whole(value: Any) -> None:
        if type(value) is int:
            if not low <= value <= high:
                _refuse(value, f"of type {kind} ({low} to {high})")
        elif instant and isinstance(value, dt.datetime):
            if value.tzinfo is None:
                _refuse(value, f"a {logical}: it has no time zone")
        elif isinstance(value, bool) or not (logical or isinstance(value, int)):
            _refuse(value, f"of type {kind}")
        elif isinstance(value, float):
            _refuse(value, f"a {logical}")

    return whole


def _float(value: Any) -> None:
    if isinstance(value, bool):
        _refuse(value, "of type float")
    # Not "<=" alone: NaN and the infinities are floats of 32 bits too.
    if isinstance(value, (int, float)) and not abs(value) <= FLOAT_MAX and abs(value) < _INFINITY:
        _refuse(value, "within the range of a float of 32 bits")


def _double(value: Any) -> None:
    if isinstance(value, bool):
        _refuse(value, "of type double")


def _boolean(value: Any) -> None:
    if not isinstance(value, bool):
        _refuse(value, "of type boolean")


def _null(value: Any) -> None:
    if value is not None:
        _refuse(value, "null")


def _refuse(value: Any, wanted: str) -> NoReturn:
    shown = repr(value)
    if len(shown) > 80 or dataclasses.is_dataclass(value):
        shown = f"a {type(value).__name__}"
    raise Mismatch(f"{shown} is not {wanted}")


_INFINITY = float("inf")
_SIMPLE: dict[str, Check] = {
    "null": _null,
    "boolean": _boolean,
    "float": _float,
    "double": _double,
}
