"""Finding the part of a value that an encoder refused, so that its error can name it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import fields, is_dataclass

__all__ = ["find_culprit"]

_MAX_DEPTH = 64


def find_culprit(value: object, encode: Callable[[object], object]) -> tuple[str, object]:
    """Return the path of the innermost part that ``encode`` refuses on its own, and that part.

    The path is written as in ``$.items[2].price``. Costs an encoding of every part on the way,
    so this is for the moment after a failure. A value that has no innermost part, since it
    contains itself or is nested very deeply, is its own culprit.

    Args:
        value: what ``encode`` refused as a whole.
        encode: raises an exception for what it refuses.
    """
    path, inner = "$", value
    for _ in range(_MAX_DEPTH):
        for step, part in _parts(inner):
            if _refuses(encode, part):
                path += step
                inner = part
                break
        else:
            return path, inner
    return "$", value


def _parts(value: object) -> Iterator[tuple[str, object]]:
    if isinstance(value, Mapping):
        for key, part in value.items():
            yield (f".{key}" if isinstance(key, str) and key.isidentifier() else f"[{key!r}]"), part
    elif isinstance(value, (list, tuple)):
        for index, part in enumerate(value):
            yield f"[{index}]", part
    elif is_dataclass(value) and not isinstance(value, type):
        for field in fields(value):
            yield f".{field.name}", getattr(value, field.name)


def _refuses(encode: Callable[[object], object], value: object) -> bool:
    try:
        encode(value)
    except Exception:
        return True
    return False
