"""MessagePack, by the msgpack library."""

from __future__ import annotations

import datetime as dt
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
from serializers.fields import field_names, is_record

__all__ = ["MsgpackDeserializer", "MsgpackSerializer"]

# Types without keys within. None of their subclasses: those are looked at more closely.
_KEYLESS = frozenset({type(None), bool, int, float, str, bytes, bytearray, dt.datetime})


class MsgpackSerializer(Generic[T_contra]):
    """Packs None, bools, ints of 64 bits, floats, text, bytes, lists, tuples and mappings.

    Datetimes with a time zone become MessagePack timestamps (the instant is kept, the zone is
    not); dataclasses become mappings of their fields. Mapping keys are text or bytes, as the
    deserializer expects them.

    Args:
        any_keys: whether mapping keys may be of any of these types; the reader has to be told
            as well. They are refused by default because readers should not take them from
            strangers: see :class:`MsgpackDeserializer`.
        default: called with an object of any other type; returns what to pack in its place.
    """

    __slots__ = ("_any_keys", "_default", "_spare")

    format = "msgpack"

    def __init__(
        self, *, any_keys: bool = False, default: Callable[[Any], Any] | None = None
    ) -> None:
        self._any_keys = any_keys
        self._default = default
        # Making a packer costs more than packing. One that is in use is in nobody's list, so
        # that threads, and a default= that packs again, never share one.
        self._spare: list[msgpack.Packer] = []

    def __call__(self, value: T_contra, context: Context | None = None, /) -> bytes:
        """Return the packed value.

        Raises:
            SerializeError: a part of the value has no form in MessagePack, or a mapping has a
                key that is neither text nor bytes, without ``any_keys``.
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
        if not self._any_keys and not _has_plain_keys(value):
            self._check_keys(value, packed)
        return packed

    def __repr__(self) -> str:
        return f"MsgpackSerializer(any_keys={self._any_keys})"

    def _check_keys(self, value: object, packed: bytes) -> None:
        try:
            _read_strictly(packed)
        except Exception as error:
            pack = self._packer().pack
            path, _ = find_culprit(value, lambda part: _read_strictly(pack(part)))
            raise SerializeError(
                f"{path} has a key that is neither text nor bytes, which readers refuse: pass "
                f"any_keys=True here and to the reader ({error})"
            ) from error

    def _packer(self) -> msgpack.Packer:
        return msgpack.Packer(datetime=True, default=self._convert)

    def _convert(self, value: Any) -> Any:
        if is_record(value):
            return {name: getattr(value, name) for name in field_names(type(value))}
        if self._default is None:
            raise TypeError("pass default= a function that converts it")
        return self._default(value)


class MsgpackDeserializer(Generic[T_co]):
    """Unpacks one value; arrays become lists and timestamps datetimes in UTC.

    Args:
        any_keys: whether mapping keys may be other than text and bytes. They are refused by
            default: Python salts the hashes of text and bytes, but those of numbers are known,
            so that a stranger can choose keys that all collide, and a megabyte of them keeps
            the process busy for long.
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


def _has_plain_keys(value: object) -> bool:
    """Return True if a look at the value tells that all keys are text or bytes; else False.

    Ends only for values that do not contain themselves.
    """
    waiting = [value]
    # The list grows under the loop: packing allows for deeper values than Python's own stack.
    for part in waiting:
        if type(part) is dict:
            for key, inner in part.items():
                if type(key) is not str and type(key) is not bytes:
                    return False
                if type(inner) not in _KEYLESS:
                    waiting.append(inner)
        elif type(part) is list or type(part) is tuple:
            waiting.extend(inner for inner in part if type(inner) not in _KEYLESS)
        elif is_record(part):
            names = field_names(type(part))
            waiting.extend(getattr(part, name) for name in names)
        elif type(part) not in _KEYLESS:
            # What default= makes of it is found in the packed bytes alone.
            return False
    return True


def _read_strictly(packed: bytes) -> None:
    msgpack.unpackb(packed, strict_map_key=True)


def _described(value: object) -> str:
    if isinstance(value, int):
        return f"the int {value}" if -(10**30) < value < 10**30 else "an int of many digits"
    return f"of type {type(value).__name__}"
