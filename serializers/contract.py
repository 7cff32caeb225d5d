"""What a serializer is: a call with a value and a context, and the name of its format.

A serializer turns one key or value into bytes; a deserializer turns the bytes back. Neither
keeps state between calls, so that one object may serve any number of topics and threads.

The context is any object with the attributes of :class:`Context`; nothing else of it is used,
so callers bring their own. :class:`SerializerContext` is one for those who have none.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, TypeAlias

if TYPE_CHECKING:
    # typing's own TypeVar has no defaults before Python 3.13. Type checkers know these.
    from typing_extensions import TypeVar

    T_contra = TypeVar("T_contra", contravariant=True, default=Any)
    T_co = TypeVar("T_co", covariant=True, default=Any)
else:
    from typing import TypeVar

    T_contra = TypeVar("T_contra", contravariant=True)
    T_co = TypeVar("T_co", covariant=True)

__all__ = [
    "Buffer",
    "Context",
    "DeserializeError",
    "Deserializer",
    "SerializeError",
    "Serializer",
    "SerializerContext",
    "T_co",
    "T_contra",
]

Buffer: TypeAlias = bytes | bytearray | memoryview
Headers: TypeAlias = Mapping[str, Any] | Sequence[tuple[str, Any]] | None


class SerializeError(ValueError):
    """The value has no form in the serializer's format; the text says which part and why."""


class DeserializeError(ValueError):
    """The bytes are not of the deserializer's format; the text says where and why."""


class Context(Protocol):
    """What a serializer may know of the record that it works for."""

    @property
    def topic(self) -> str:
        """The record's topic."""

    @property
    def field(self) -> str:
        """``"key"`` or ``"value"``."""

    @property
    def headers(self) -> Any:
        """The record's headers as its sender gave them, or None."""


class SerializerContext(NamedTuple):
    """A context for calls outside of a producer."""

    topic: str
    field: str = "value"
    headers: Headers = None


class Serializer(Protocol[T_contra]):
    """Turns values of one type into bytes."""

    @property
    def format(self) -> str:
        """Name of the bytes' format: two serializers with the same name make alike bytes."""

    def __call__(self, value: T_contra, context: Context, /) -> bytes:
        """Return the bytes of ``value``.

        Raises:
            SerializeError: the value has no form in this format.
        """


class Deserializer(Protocol[T_co]):
    """Turns bytes into values of one type."""

    @property
    def format(self) -> str:
        """Name of the format that is read."""

    def __call__(self, data: Buffer, context: Context, /) -> T_co:
        """Return the value that ``data`` holds.

        Raises:
            DeserializeError: the bytes are not of this format, or go on after the value.
        """
