"""JSON in UTF-8 without white space, by orjson or by the standard library.

Both backends take the same values and refuse the same ones, with one exception: the standard
library writes integers of any size, orjson those of 64 bits. They write the same JSON, though
floats may be spelt differently (``1e16`` and ``1e+16``).
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import enum
import json
import math
import uuid
from collections.abc import Callable
from typing import Any, Generic, Literal, NoReturn, TypeAlias

from serializers.contract import (
    Buffer,
    Context,
    DeserializeError,
    SerializeError,
    T_co,
    T_contra,
)
from serializers.culprit import find_culprit

__all__ = ["JsonDeserializer", "JsonSerializer"]

Backend: TypeAlias = Literal["orjson", "json"]
Default: TypeAlias = Callable[[Any], Any]
# The value, what converts foreign types, and the backend's own option.
Dumps: TypeAlias = Callable[[Any, Default, Any], bytes]


class JsonSerializer(Generic[T_contra]):
    """Writes None, bools, numbers, text, lists, tuples, dicts, and some types beyond JSON.

    Dataclasses become objects of their fields (less those that begin with _); dates, times and
    datetimes become ISO 8601 text (with the UTC offset, if they have one); UUIDs become text;
    enum members become their value.

    Args:
        backend: ``"orjson"``, the faster, or ``"json"``, for integers of more than 64 bits.
        nan: what becomes of floats that JSON lacks (NaN and the infinities): ``"null"`` writes
            null, ``"error"`` refuses them.
        naive_datetimes: ``"as_is"`` writes a datetime without a time zone without an offset,
            ``"utc"`` takes it for UTC.
        non_str_keys: whether object keys other than text are written as text; else refused.
        sort_keys: whether the keys of dicts are sorted, so that equal dicts have equal bytes.
        default: called with an object of any other type; returns what to write in its place.

    Raises:
        ValueError: an argument is none of the values above.
        ImportError: the backend is orjson, and it is not installed.
    """

    __slots__ = ("_arguments", "_convert", "_dumps", "_nan_is_error", "_option", "_walk")

    format = "json"

    def __init__(
        self,
        *,
        backend: Backend = "orjson",
        nan: Literal["null", "error"] = "null",
        naive_datetimes: Literal["as_is", "utc"] = "as_is",
        non_str_keys: bool = False,
        sort_keys: bool = False,
        default: Default | None = None,
    ) -> None:
        _one_of("backend", backend, ("orjson", "json"))
        _one_of("nan", nan, ("null", "error"))
        _one_of("naive_datetimes", naive_datetimes, ("as_is", "utc"))
        self._nan_is_error = nan == "error"
        self._walk = _Plain(
            naive_utc=naive_datetimes == "utc", non_str_keys=non_str_keys, default=default
        )
        # The call below goes straight into orjson, with no frame of Python in between.
        self._convert = self._walk.convert
        self._dumps: Dumps
        self._option: Any
        if backend == "orjson":
            self._dumps, self._option = _orjson(self._walk, sort_keys=sort_keys)
        else:
            self._dumps, self._option = _stdlib(self._walk, sort_keys=sort_keys)
        self._arguments = f"backend={backend!r}, nan={nan!r}"

    def __call__(self, value: T_contra, context: Context | None = None, /) -> bytes:
        """Return the value as JSON.

        Raises:
            SerializeError: a part of the value has no form in JSON.
        """
        try:
            data = self._dumps(value, self._convert, self._option)
        except Exception as error:
            raise self._explained(value, self._encode, error) from error
        # A NaN comes out as null, so that only values with a null need a second look.
        if self._nan_is_error and data.find(b"null") >= 0:
            self._refuse_nan(value)
        return data

    def __repr__(self) -> str:
        return f"JsonSerializer({self._arguments})"

    def _encode(self, value: Any) -> bytes:
        return self._dumps(value, self._convert, self._option)

    def _refuse_nan(self, value: object) -> None:
        walk = dataclasses.replace(self._walk, nan_is_error=True)
        try:
            walk(value)
        except Exception as error:
            raise self._explained(value, walk, error) from error

    def _explained(
        self, value: object, encode: Callable[[Any], object], error: Exception
    ) -> SerializeError:
        """Return an error that names the part of ``value`` that ``encode`` refuses, and why."""
        path, culprit = find_culprit(value, encode)
        reason = str(error)
        try:
            self._walk(culprit)
        except Exception as plainer:
            # The walk knows the way out, where orjson only knows the type.
            reason = str(plainer)
        else:
            if isinstance(culprit, int):
                reason += "; backend='json' writes it"
        return SerializeError(
            f"{path} ({type(culprit).__name__}) cannot be written as JSON: {reason}"
        )


class JsonDeserializer(Generic[T_co]):
    """Reads one JSON value in UTF-8, strictly: no NaN, no comments, nothing after the value.

    Args:
        backend: ``"orjson"``, the faster, or ``"json"``, which reads integers of any size where
            orjson turns those of more than 64 bits into floats.

    Raises:
        ValueError: there is no such backend.
        ImportError: the backend is orjson, and it is not installed.
    """

    __slots__ = ("_backend", "_decode")

    format = "json"

    def __init__(self, *, backend: Backend = "orjson") -> None:
        _one_of("backend", backend, ("orjson", "json"))
        self._backend = backend
        self._decode: Callable[[Buffer], Any]
        if backend == "orjson":
            import orjson

            self._decode = orjson.loads
        else:
            self._decode = _stdlib_decode

    def __call__(self, data: Buffer, context: Context | None = None, /) -> T_co:
        """Return the value that the JSON text holds.

        Raises:
            DeserializeError: the bytes are not one JSON value in UTF-8.
        """
        try:
            value: T_co = self._decode(data)
        except (ValueError, TypeError, RecursionError) as error:
            raise DeserializeError(f"not one JSON value: {error}") from error
        return value

    def __repr__(self) -> str:
        return f"JsonDeserializer(backend={self._backend!r})"


@dataclasses.dataclass(frozen=True, slots=True)
class _Plain:
    """Turns a value into the types that the standard library writes as orjson would."""

    naive_utc: bool
    non_str_keys: bool
    default: Default | None
    nan_is_error: bool = False

    def __call__(self, value: Any) -> Any:
        if value is None or value is True or value is False or type(value) in (str, int):
            return value
        if isinstance(value, dict):
            return {self.key(key): self(part) for key, part in value.items()}
        # orjson knows a list's subclasses, but not a tuple's (named tuples are for default=).
        if isinstance(value, list) or type(value) is tuple:
            return [self(part) for part in value]
        if type(value) is float:
            return self.number(value)
        return self.other(value)

    def number(self, value: float) -> float | None:
        if math.isfinite(value):
            return value
        if self.nan_is_error:
            raise ValueError(f"JSON has no number {value!r}; nan='null' would write null")
        return None

    def key(self, key: Any) -> str:
        if type(key) is str:
            return key
        if not self.non_str_keys:
            raise TypeError(
                f"the key {key!r} is of type {type(key).__name__}, not str; "
                "non_str_keys=True would write it as text"
            )
        plain = self(key)
        if isinstance(plain, str):
            return plain
        if plain is None or isinstance(plain, (bool, int, float)):
            return json.dumps(plain)
        raise TypeError(f"a {type(key).__name__} cannot be a key")

    def other(self, value: Any) -> Any:
        if isinstance(value, enum.Enum):
            return self(value.value)
        if isinstance(value, str):
            return str.__str__(value)
        if isinstance(value, int):
            return int(value)
        if isinstance(value, dt.datetime):
            return self.datetime(value)
        if isinstance(value, (dt.date, dt.time)):
            if isinstance(value, dt.time) and value.tzinfo is not None:
                raise TypeError("a time of day cannot have a time zone")
            return value.isoformat()
        if isinstance(value, uuid.UUID):
            return str(value)
        if dataclasses.is_dataclass(value) and not isinstance(value, type):
            return {
                f.name: self(getattr(value, f.name))
                for f in dataclasses.fields(value)
                if not f.name.startswith("_")
            }
        return self(self.convert(value))

    def datetime(self, value: dt.datetime) -> str:
        if value.tzinfo is None and self.naive_utc:
            value = value.replace(tzinfo=dt.UTC)
        return value.isoformat()

    def convert(self, value: Any) -> Any:
        """Return what ``default=`` makes of an object that JSON has no form for."""
        if self.default is None:
            raise TypeError(
                f"type {type(value).__name__} has no form in JSON; pass default= a function "
                "that converts it"
            )
        return self.default(value)


def _orjson(walk: _Plain, *, sort_keys: bool) -> tuple[Dumps, Any]:
    import orjson

    option = (
        (orjson.OPT_NAIVE_UTC if walk.naive_utc else 0)
        | (orjson.OPT_NON_STR_KEYS if walk.non_str_keys else 0)
        | (orjson.OPT_SORT_KEYS if sort_keys else 0)
    )
    return orjson.dumps, option


def _stdlib(walk: _Plain, *, sort_keys: bool) -> tuple[Dumps, Any]:
    encoder = json.JSONEncoder(
        ensure_ascii=False, allow_nan=False, separators=(",", ":"), sort_keys=sort_keys
    )

    def dumps(value: Any, _convert: Default, _option: Any) -> bytes:
        return encoder.encode(walk(value)).encode()

    return dumps, None


def _stdlib_decode(data: Buffer) -> Any:
    # json.loads would guess UTF-16 and UTF-32 from bytes, and take NaN for a number.
    return json.loads(str(data, "utf-8"), parse_constant=_refuse_constant)


def _refuse_constant(word: str) -> NoReturn:
    raise ValueError(f"JSON has no number {word}")


def _one_of(name: str, value: object, choices: tuple[str, ...]) -> None:
    if value not in choices:
        raise ValueError(f"{name}={value!r} must be {' or '.join(map(repr, choices))}")
