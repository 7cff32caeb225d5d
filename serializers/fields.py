"""The fields of dataclasses, as serializers need them at every value."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from functools import lru_cache
from typing import Any

__all__ = ["as_plain", "field_names", "is_record"]

# What has nothing within.
_LEAVES = frozenset({type(None), bool, int, float, str, bytes})


def is_record(value: object) -> bool:
    """Return True for an object of a dataclass, False for the class itself."""
    return hasattr(type(value), "__dataclass_fields__")


def _field_names(kind: type) -> tuple[str, ...]:
    return tuple(field.name for field in dataclasses.fields(kind))


#: The names of a dataclass's fields, in their order.
field_names: Callable[[type], tuple[str, ...]] = lru_cache(maxsize=256)(_field_names)


def as_plain(value: Any) -> Any:
    """Return the value with dicts for the dataclasses in it, at any depth.

    Unlike :func:`dataclasses.asdict` it copies nothing else, which takes most of that one's time.
    """
    kind = type(value)
    if kind in _LEAVES:
        return value
    if isinstance(value, list):
        return [as_plain(part) for part in value]
    if isinstance(value, dict):
        return {key: as_plain(part) for key, part in value.items()}
    if is_record(value):
        return {name: as_plain(getattr(value, name)) for name in field_names(kind)}
    if isinstance(value, tuple):
        return tuple([as_plain(part) for part in value])
    return value
