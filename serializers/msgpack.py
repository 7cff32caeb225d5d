"""MessagePack, by the msgpack library."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any, Generic

import msgpack

from serializers.contract import (
    Buffer,
    Context,
    DeserializeError,
    SerializeError,
    T_co,
    T_contra,
)
from serializers.culprit import find_culprit

__all__ = ["MsgpackDeserializer", "MsgpackSerializer"]


class MsgpackSerializer(Generic[T_contra]):
    """Packs None, bools, ints of 64 bits, floats, text, bytes, lists, tuples and mappings.

    Datetimes with a time zone become MessagePack timestamps (the instant is kept, the zone is
    not); dataclasses become mappings of their fields. Mapping keys may be of any of these types.

    Args:
        default: called with an object of any other type; returns what to pack in its place.
    """

    __slots__ = ("_default", "_spare")

    format = "msgpack"

    def __init__(self, *, default: Callable[[Any], Any] | None = None) -> None:
        self._default = default
        # Making a packer costs more than packing. One that is in use is in nobody's list, so
        # that threads, and a default= that packs again, never share one.
        self._spare: list[msgpack.Packer] = []

    def __call__(self, value: T_contra, context: Context | None = None, /) -> bytes:
        """Return the packed value.

        Raises:
            SerializeError: a part of the value has no form in MessagePack.
        """
        try:
            packer = self._spare.pop()
        except IndexError:
            packer = self._packer()
        try:
            packed: bytes = packer.pack(value)
        except Exception as error:
            # The packer is dropped: half a value may be left in it.
            path, culprit = find_culprit(value, self._packer().pack)
            raise SerializeError(
                f"{path} is {_described(culprit)}, which MessagePack cannot hold: {error}"
            ) from error
        self._spare.append(packer)
        return packed

    def __repr__(self) -> str:
        return "MsgpackSerializer()"

    def _packer(self) -> msgpack.Packer:
        return msgpack.Packer(datetime=True, default=self._convert)

    def _convert(self, value: Any) -> Any:
        if dataclasses.is_dataclass(value) and not isinstance(value, type):
            return {f.name: getattr(value, f.name) for f in dataclasses.fields(value)}
        if self._default is None:
            raise TypeError("pass default= a function that converts it")
        return self._default(value)


class MsgpackDeserializer(Generic[T_co]):
    """Unpacks one value; arrays become lists and timestamps datetimes in UTC.

    Args:
        any_keys: whether mapping keys may be other than text and bytes. They are refused by
            default, since keys from a stranger can be chosen to collide.
        ext_hook: called with the code and bytes of an extension type; without one, extension
            types become ``msgpack.ExtType``.
    """

    __slots__ = ("_any_keys", "_ext_hook")

    format = "msgpack"

    def __init__(
        self,
        *,
        any_keys: bool = False,
        ext_hook: Callable[[int, bytes], Any] = msgpack.ExtType,
    ) -> None:
        self._any_keys = any_keys
        self._ext_hook = ext_hook

    def __call__(self, data: Buffer, context: Context | None = None, /) -> T_co:
        """Return the unpacked value.

        Raises:
            DeserializeError: the bytes are no MessagePack, are cut off, or go on after the value.
        """
        try:
            value: T_co = msgpack.unpackb(
                data,
                timestamp=3,
                strict_map_key=not self._any_keys,
                ext_hook=self._ext_hook,
            )
        except msgpack.ExtraData as error:
            raise DeserializeError(
                f"{len(error.extra)} of {len(data)} bytes follow the MessagePack value"
            ) from error
        except Exception as error:
            raise DeserializeError(f"not one MessagePack value: {error}") from error
        return value

    def __repr__(self) -> str:
        return f"MsgpackDeserializer(any_keys={self._any_keys})"


def _described(value: object) -> str:
    if isinstance(value, int):
        return f"the int {value}" if -(10**30) < value < 10**30 else "an int of many digits"
    return f"of type {type(value).__name__}"
