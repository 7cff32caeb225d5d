"""Which arrays of an Avro schema can hold more items than their data has bytes.

An item of null, of a fixed of size 0, or of a record of only such fields takes no bytes at all.
Ten bytes that announce an array of 2**62 of them are valid, and a reader would fill the memory.
Every other item takes a byte or more (a union its branch, an array its end, a map's entry its
key), so that the data runs out first.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

__all__ = ["find_unbounded_array"]


def find_unbounded_array(schema: Any) -> str | None:
    """Return the path in the schema of an array whose items take no bytes, or None.

    The path is written as in ``$.fields[2].type``; of a named type that the schema only refers
    to, it begins with that name instead of ``$``.

    Args:
        schema: a schema as fastavro parses it.
    """
    named: dict[str, Any] = {}
    arrays = []
    # All names first: an array may stand within the record that it holds.
    for path, part in _parts(schema):
        if part["type"] in ("record", "error", "fixed"):
            named.setdefault(part["name"], part)
        if part["type"] == "array":
            arrays.append((path, part))
    known: dict[str, bool] = {}
    return next((path for path, part in arrays if _is_empty(part["items"], named, known)), None)


def _parts(schema: Any) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Yield every part of the schema that is written as an object, with its path."""
    waiting = [("$", schema)]
    while waiting:
        path, part = waiting.pop()
        if isinstance(part, list):
            waiting.extend((f"{path}[{at}]", branch) for at, branch in enumerate(part))
        if not isinstance(part, Mapping):
            continue
        yield path, part
        inner = ("type", "items", "values")
        waiting.extend((f"{path}.{key}", part[key]) for key in inner if key in part)
        for at, field in enumerate(part.get("fields", ())):
            waiting.append((f"{path}.fields[{at}].type", field["type"]))
        # A schema that was parsed with the names of others keeps these here. They come last, so
        # that what the schema defines itself is found under its path first.
        waiting[:0] = part.get("__named_schemas", {}).items()


def _is_empty(schema: Any, named: Mapping[str, Any], known: dict[str, bool]) -> bool:
    """Return whether every value of the schema is encoded in no bytes."""
    if isinstance(schema, list):
        return False
    if isinstance(schema, str):
        if schema not in known and schema in named:
            # Stands for a record within itself, which has no finite value: refuse it as well.
            known[schema] = True
            known[schema] = _is_empty(named[schema], named, known)
        return schema == "null" or known.get(schema, False)
    kind = schema["type"]
    if kind in ("record", "error"):
        return all(_is_empty(field["type"], named, known) for field in schema["fields"])
    if kind == "fixed":
        size: int = schema["size"]
        return size <= 0
    if kind in ("array", "map", "enum"):
        return False
    return _is_empty(kind, named, known)
