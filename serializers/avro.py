"""Avro binary by fastavro: plain, or in the single-object encoding.

fastavro alone writes some values as something else without a word: 1.5 as the int 1, 2**40 into
an int of 32 bits, a str where an array is due as its letters, a naive datetime in whatever time
zone the machine is set to. Every value that it writes passes :mod:`serializers.avro_check` first,
which refuses these. Most values are written by :mod:`serializers.avro_encode`, in half the time.
"""

from __future__ import annotations

import io
import json
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Generic, Literal, TypeAlias, cast

import fastavro
import fastavro.schema

from serializers.avro_bounds import find_unbounded_array
from serializers.avro_check import Mismatch, compile_check
from serializers.avro_encode import compile_encoder
from serializers.contract import (
    Buffer,
    Context,
    DeserializeError,
    SerializeError,
    T_co,
    T_contra,
)
from serializers.fields import as_plain, is_record

__all__ = ["AvroDeserializer", "AvroSerializer"]

Schema: TypeAlias = "str | list[Any] | Mapping[str, Any] | os.PathLike[str]"
Framing: TypeAlias = Literal["plain", "single_object"]

# What opens the single-object encoding: two bytes, then the fingerprint, least byte first.
_MARKER = b"\xc3\x01"
_HEADER_SIZE = 10


class AvroSerializer(Generic[T_contra]):
    """Writes values that its schema describes; a dataclass stands for a record of its fields.

    Args:
        schema: the schema as parsed JSON, as JSON text, or the path of an .avsc file (named
            types that it lacks are looked for in files beside it). It is parsed once.
        framing: ``"plain"`` writes the value alone; ``"single_object"`` puts the marker and the
            schema's fingerprint before it, so that readers can tell which schema it has.
        extra_fields: whether a record with fields that the schema lacks is an ``"error"``, or
            these are left out (``"ignore"``).

    Raises:
        ValueError: the schema is none, or another argument is none of the above.
        OSError: the schema's file cannot be read.

    Attributes:
        format: ``"avro:"`` and the fingerprint; with ``"+single_object"`` in that framing.
        fingerprint: CRC-64-AVRO of the schema's canonical form, as the 16 hexadecimal digits
            of the bytes in the single-object encoding.
    """

    __slots__ = (
        "_check",
        "_encode",
        "_header",
        "_schema",
        "_strict",
        "_write",
        "fingerprint",
        "format",
    )

    def __init__(
        self,
        schema: Schema,
        *,
        framing: Framing = "plain",
        extra_fields: Literal["error", "ignore"] = "error",
    ) -> None:
        if extra_fields not in ("error", "ignore"):
            raise ValueError(f"extra_fields={extra_fields!r} must be 'error' or 'ignore'")
        self._schema = _parse(schema)
        self._check = compile_check(self._schema)
        self._encode = compile_encoder(self._schema)
        self._strict = extra_fields == "error"
        self._write = fastavro.schemaless_writer
        self.fingerprint = _fingerprint(self._schema)
        self._header = _header(self.fingerprint, framing)
        self.format = _format(self.fingerprint, framing)

    def __call__(self, value: T_contra, context: Context | None = None, /) -> bytes:
        """Return the value in Avro's binary encoding.

        Raises:
            SerializeError: the value is not what the schema describes.
        """
        datum: Any = value
        if type(datum) is not dict and is_record(datum):
            datum = as_plain(datum)
        if self._encode is not None:
            try:
                encoded = self._encode(datum)
            except Exception:  # noqa: S110 - the way below tells what it is
                pass
            else:
                if encoded is not None:
                    return self._header + encoded
        out = io.BytesIO()
        try:
            if self._check is not None:
                self._check(datum)
            if self._header:
                out.write(self._header)
            self._write(out, self._schema, datum, strict_allow_default=self._strict)
        except Mismatch as error:
            raise SerializeError(f"{error.where}: {error.text}") from None
        except Exception as error:
            raise SerializeError(
                f"the value does not fit the schema {_name(self._schema)}: {error}"
            ) from error
        return out.getvalue()

    def __repr__(self) -> str:
        return f"AvroSerializer({_name(self._schema)}, format={self.format!r})"


class AvroDeserializer(Generic[T_co]):
    """Reads one value and gives it the form of its schema.

    Schemas with arrays of items that take no bytes (null, a fixed of size 0, a record of only
    such fields) are refused: a few bytes could announce more of them than memory holds.

    Args:
        schema: the reader's schema, as for :class:`AvroSerializer`.
        framing: ``"plain"``, or ``"single_object"``, where the fingerprint tells the schema
            that the value was written with.
        writer_schemas: other schemas that values may have been written with; they are resolved
            to ``schema``. In plain framing at most one, and then every value has it.

    Raises:
        ValueError: a schema is none, there are too many of them, or values are to be read by
            one that has such an array.
    """

    __slots__ = ("_plain", "_read", "_schema", "_writers", "fingerprint", "format")

    def __init__(
        self,
        schema: Schema,
        *,
        framing: Framing = "plain",
        writer_schemas: Iterable[Schema] = (),
    ) -> None:
        self._schema = _parse(schema)
        self._read = fastavro.schemaless_reader
        others = [_parse(other) for other in writer_schemas]
        self.fingerprint = _fingerprint(self._schema)
        self.format = _format(self.fingerprint, framing)
        # A reader's schema costs time at every value, so it is given only where it differs.
        self._writers: dict[bytes, tuple[Any, Any]] = {}
        self._plain: tuple[Any, Any] | None = None
        if framing == "single_object":
            self._writers = {_header(self.fingerprint, framing): (self._schema, None)}
            for other in others:
                header = _header(_fingerprint(other), framing)
                self._writers.setdefault(header, (other, self._schema))
        else:
            if len(others) > 1:
                raise ValueError(
                    "plain framing does not tell which schema a value was written with: give at "
                    "most one in writer_schemas, or use framing='single_object'"
                )
            self._plain = (others[0], self._schema) if others else (self._schema, None)
        for writer, _ in [self._plain] if self._plain else self._writers.values():
            _check_bounds(writer)

    def __call__(self, data: Buffer, context: Context | None = None, /) -> T_co:
        """Return the value.

        Raises:
            DeserializeError: the bytes do not hold one value of the schema, hold more than it,
                or are framed for a schema that is not known.
        """
        source = io.BytesIO(data)
        writer, reader = self._plain or self._writers_of(source.read(_HEADER_SIZE))
        try:
            value: Any = self._read(source, writer, reader)
        except Exception as error:
            if _is_cut_off(error):
                raise DeserializeError(
                    f"the data ends early: its {len(data)} bytes are only a part of a value of "
                    f"the schema {_name(writer)}"
                ) from error
            raise DeserializeError(
                f"the bytes are no value of the schema {_name(writer)}: "
                f"{str(error) or type(error).__name__}"
            ) from error
        if source.tell() != len(data):
            raise DeserializeError(
                f"{len(data) - source.tell()} of {len(data)} bytes follow the value of the "
                f"schema {_name(writer)}"
            )
        found: T_co = value
        return found

    def __repr__(self) -> str:
        return f"AvroDeserializer({_name(self._schema)}, format={self.format!r})"

    def _writers_of(self, header: bytes) -> tuple[Any, Any]:
        found = self._writers.get(header)
        if found is not None:
            return found
        if not header.startswith(_MARKER):
            raise DeserializeError(
                f"the bytes begin with {header[:2].hex() or 'nothing'}, not with c301 as Avro's "
                "single-object encoding does; were they written with framing='plain'?"
            )
        if len(header) < _HEADER_SIZE:
            raise DeserializeError(f"the fingerprint is cut off after {len(header) - 2} bytes")
        known = ", ".join(known[2:].hex() for known in self._writers)
        raise DeserializeError(
            f"no schema has the fingerprint {header[2:].hex()}; known are {known}. Pass the "
            "writer's schema in writer_schemas"
        )


def _parse(schema: Schema) -> Any:
    try:
        if isinstance(schema, os.PathLike):
            # fastavro would only say that it failed to load something.
            Path(schema).stat()
            return fastavro.schema.load_schema(os.fspath(schema))
        if isinstance(schema, str) and schema.lstrip()[:1] in ("{", "[", '"'):
            schema = json.loads(schema)
        return fastavro.parse_schema(cast("Any", schema))
    except OSError:
        raise
    except Exception as error:
        raise ValueError(f"not an Avro schema: {str(error) or type(error).__name__}") from error


def _check_bounds(schema: Any) -> None:
    path = find_unbounded_array(schema)
    if path is not None:
        raise ValueError(
            f"the array at {path} of the schema {_name(schema)} has items that take no bytes, so "
            "that the size of the data would not bound their number"
        )


def _is_cut_off(error: Exception) -> bool:
    if isinstance(error, EOFError):
        # A negative length comes as the same type.
        return not str(error).startswith("Expected -")
    # fastavro's compiled reader says so of a number without its last byte.
    return isinstance(error, IndexError) and str(error).startswith("string index")


def _fingerprint(schema: Any) -> str:
    canonical = fastavro.schema.to_parsing_canonical_form(schema)
    return fastavro.schema.fingerprint(canonical, "CRC-64-AVRO")


def _header(fingerprint: str, framing: Framing) -> bytes:
    return _MARKER + bytes.fromhex(fingerprint) if framing == "single_object" else b""


def _format(fingerprint: str, framing: Framing) -> str:
    if framing not in ("plain", "single_object"):
        raise ValueError(f"framing={framing!r} must be 'plain' or 'single_object'")
    return f"avro:{fingerprint}" + ("+single_object" if framing == "single_object" else "")


def _name(schema: Any) -> str:
    if isinstance(schema, Mapping):
        return str(schema.get("name", schema.get("type")))
    return schema if isinstance(schema, str) else "union"
