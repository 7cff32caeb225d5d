"""Which serialization format each topic is bound to, and how a serializer is called.

A topic whose values are JSON today and Avro tomorrow breaks every consumer. So the first use of
a topic binds its format, and another one is refused unless it was allowed by name.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Collection
from typing import Any, NamedTuple

from pyproducer.errors import ConfigError, FormatConflict

__all__ = ["Formats", "SerializerContext", "arity"]

_RAW = "bytes"


class SerializerContext(NamedTuple):
    """What a serializer is told besides the value.

    Attributes:
        topic: the record's topic.
        field: ``"key"`` or ``"value"``.
        headers: the record's headers as the caller gave them, or None.
    """

    topic: str
    field: str
    headers: Any


def arity(serializer: Callable[..., Any] | None, field: str) -> int:
    """1 for a serializer called with the value alone, 2 for one that takes a context too.

    Raises:
        ConfigError: it cannot be called in either way.
    """
    if serializer is None:
        return 0
    if not callable(serializer):
        raise ConfigError(
            f"{field}_serializer={serializer!r} is not callable; give a function of (value) or "
            "(value, context) that returns bytes",
            option=f"{field}_serializer",
        )
    if inspect.iscoroutinefunction(serializer) or inspect.iscoroutinefunction(
        getattr(serializer, "__call__", None)  # noqa: B004 - its body, not whether it has one
    ):
        raise ConfigError(
            f"{field}_serializer={serializer!r} is a coroutine function; records are serialized "
            "without waiting, so await what it needs beforehand",
            option=f"{field}_serializer",
        )
    try:
        parameters = inspect.signature(serializer).parameters.values()
    except (TypeError, ValueError):
        # A function in C that does not tell its parameters, such as a codec's dumps().
        return 1
    kinds = inspect.Parameter
    positional = [
        one
        for one in parameters
        if one.kind in {kinds.POSITIONAL_ONLY, kinds.POSITIONAL_OR_KEYWORD}
    ]
    required = sum(one.default is kinds.empty for one in positional)
    if any(one.kind is kinds.KEYWORD_ONLY and one.default is kinds.empty for one in parameters):
        required = 3
    if required > 2 or not (
        positional or any(one.kind is kinds.VAR_POSITIONAL for one in parameters)
    ):
        raise ConfigError(
            f"{field}_serializer={serializer!r} takes neither (value) nor (value, context)",
            option=f"{field}_serializer",
        )
    if len(positional) > 1 and positional[1].name == "context":
        # An optional context is still one that the serializer can use.
        return 2
    return max(1, required)


class Formats:
    """The formats of one producer's topics."""

    def __init__(self) -> None:
        self._allowed: dict[tuple[str, str], set[str]] = {}

    def allow(self, topic: str, formats: Collection[str]) -> None:
        """Let a topic's values have these formats, besides the one it is bound to."""
        self._allowed.setdefault((topic, "value"), set()).update(formats)

    def bind(
        self,
        topic: str,
        key_serializer: Callable[..., Any] | None,
        value_serializer: Callable[..., Any] | None,
    ) -> None:
        """Bind a topic to what these serializers write.

        A callable without a ``format`` has no name to compare and is let through.

        Raises:
            FormatConflict: the topic is bound to another format.
        """
        wanted: list[tuple[str, str]] = []
        for field, serializer in (("key", key_serializer), ("value", value_serializer)):
            if serializer is None and field == "key":
                continue
            name = _RAW if serializer is None else getattr(serializer, "format", None)
            # A callable may have something else of this name: str.format, for one.
            if isinstance(name, str):
                wanted.append((field, name))
        for field, name in wanted:
            bound = self._allowed.get((topic, field))
            if bound and name not in bound:
                old = ", ".join(sorted(bound))
                raise FormatConflict(
                    f"{field}s of topic {topic!r} are {old}, not {name}; use one format for one "
                    f"topic, or allow both: producer.topic({topic!r}, allow_formats={{...}})",
                    topic=topic,
                    old=old,
                    new=name,
                )
        # Only now: a use that is refused binds nothing.
        for field, name in wanted:
            self._allowed.setdefault((topic, field), set()).add(name)
