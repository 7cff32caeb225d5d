"""Records out of lines: plain lines, JSON, CSV, and JSON that becomes Avro.

JSON and CSV are checked and then sent as they stand in the input, so that no number is rounded
and no field respelt on the way.
"""

from __future__ import annotations

import csv
import json
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any, Final, NoReturn, Protocol

from pyproducer.cli.exits import CliError, Exit
from pyproducer.cli.found import TOO_LONG, Found, Item, Rejected
from pyproducer.cli.lines import LineReader
from pyproducer.cli.rows import RowJoiner
from pyproducer.cli.serializer_package import serializer

__all__ = ["FORMATS", "Source", "make_source"]

FORMATS: Final = ("lines", "json", "csv", "avro")


class Source(Protocol):
    """Makes records of lines."""

    def items(self, lines: LineReader) -> AsyncIterator[Found]:
        """The records of all lines, in order."""


def make_source(
    format_: str,
    *,
    key_field: str | None,
    schema: Path | None,
    delimiter: str,
    limit: int,
) -> Source:
    """The source for a format.

    Args:
        format_: one of ``FORMATS``.
        key_field: the field whose value becomes the key; None for no keys.
        schema: a file with an Avro schema; avro only.
        delimiter: between the fields of a row; csv only.
        limit: bytes of the longest record.

    Raises:
        CliError: the options do not fit together, or the schema cannot be used.
    """
    if format_ not in FORMATS:
        raise CliError(f"--format is one of {', '.join(FORMATS)}, not {format_!r}", Exit.USAGE)
    if (schema is None) == (format_ == "avro"):
        raise CliError(
            "--format avro needs --schema FILE.avsc" if schema is None else
            "--schema is for --format avro",
            Exit.USAGE,
        )  # fmt: skip
    if format_ == "csv":
        return _Csv(key_field, delimiter, limit)
    if format_ == "lines":
        if key_field is not None:
            raise CliError("--key-field needs fields: use --format json, csv or avro", Exit.USAGE)
        return _PerLine(lambda line, data: Item(line, None, data), skip_blank=False)
    if schema is None:
        return _PerLine(_json_item(key_field), skip_blank=True)
    return _PerLine(_avro_item(key_field, schema), skip_blank=True)


class _PerLine:
    """One record for each line."""

    def __init__(self, read: Callable[[int, bytes], Found], *, skip_blank: bool) -> None:
        self._read = read
        self._skip_blank = skip_blank

    async def items(self, lines: LineReader) -> AsyncIterator[Found]:
        """See Source."""
        async for number, data in lines:
            if data is None:
                yield Rejected(number, TOO_LONG)
            elif not self._skip_blank or data.strip():
                yield self._read(number, data.removesuffix(b"\r"))


def _json_item(key_field: str | None) -> Callable[[int, bytes], Found]:
    def read(line: int, data: bytes) -> Found:
        data = data.strip()
        try:
            # Numbers stay text: a key has to be what is written.
            value = json.loads(data.decode(), parse_int=str, parse_float=str, parse_constant=_never)
            return Item(line, _key(value, key_field), data)
        except ValueError as error:
            return Rejected(line, _reason("JSON", error))

    return read


def _avro_item(key_field: str | None, schema: Path) -> Callable[[int, bytes], Found]:
    try:
        write: Callable[[Any], bytes] = serializer("AvroSerializer")(schema)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise CliError(f"--schema {schema}: {reason}", Exit.USAGE) from error

    def read(line: int, data: bytes) -> Found:
        try:
            value = json.loads(data.decode(), parse_constant=_never)
        except ValueError as error:
            return Rejected(line, _reason("JSON", error))
        try:
            return Item(line, _key(value, key_field), write(value))
        except ValueError as error:
            return Rejected(line, str(error))

    return read


def _never(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is no JSON")


def _reason(what: str, error: ValueError) -> str:
    if isinstance(error, UnicodeDecodeError):
        return f"not UTF-8: byte 0x{error.object[error.start]:02x} at {error.start}"
    if isinstance(error, json.JSONDecodeError):
        return f"not {what}: {error.msg} at character {error.pos}"
    return str(error)


def _key(value: Any, field: str | None) -> str | None:
    """The text of a field.

    Raises:
        ValueError: there is no such field, or it is no plain value.
    """
    if field is None:
        return None
    if not isinstance(value, dict):
        raise ValueError(f"there is no field {field!r} in what is no object")  # noqa: TRY004
    if field not in value:
        raise ValueError(f"there is no field {field!r}; the fields are {', '.join(value)}")
    found = value[field]
    if isinstance(found, (dict, list)):
        # The line is at fault, not the caller's type.
        raise ValueError(f"the field {field!r} is no plain value and cannot be a key")  # noqa: TRY004
    if isinstance(found, bool):
        return "true" if found else "false"
    return None if found is None else str(found)


class _Csv:
    """Rows under a header line."""

    def __init__(self, key_field: str | None, delimiter: str, limit: int) -> None:
        if len(delimiter) != 1 or not delimiter.isascii() or delimiter in '"\r\n':
            raise CliError(
                f"--delimiter is one ASCII character and no quote, not {delimiter!r}", Exit.USAGE
            )
        self._key_field = key_field
        self._delimiter = delimiter
        self._limit = limit

    async def items(self, lines: LineReader) -> AsyncIterator[Found]:
        """See Source."""
        read: Callable[[int, bytes], Found] | None = None
        async for found in self._rows(lines):
            if isinstance(found, Rejected):
                yield found
            elif not found.value.strip():
                continue
            elif read is None:
                read = self._header(found.value)
            else:
                yield read(found.line, found.value)

    async def _rows(self, lines: LineReader) -> AsyncIterator[Found]:
        rows = RowJoiner(self._delimiter, self._limit)
        async for line in lines:
            for found in rows.feed(line):
                yield found
        if lines.stopped:
            # Half a row is no row; the rest of it was never read.
            lines.unfinished += rows.size
            return
        for found in rows.end():
            yield found

    def _header(self, row: bytes) -> Callable[[int, bytes], Found]:
        try:
            [columns] = csv.reader(
                [row.decode("utf-8-sig")], delimiter=self._delimiter, strict=True
            )
            fields = serializer("CsvDeserializer")(columns, delimiter=self._delimiter)
        except (csv.Error, ValueError) as error:
            raise CliError(f"the header line cannot be used: {error}", Exit.USAGE) from error
        if self._key_field is not None and self._key_field not in columns:
            raise CliError(
                f"--key-field {self._key_field!r} is none of the columns {', '.join(columns)}",
                Exit.USAGE,
            )

        def read(line: int, data: bytes) -> Found:
            try:
                return Item(line, _key(fields(data), self._key_field), data)
            except ValueError as error:
                return Rejected(line, str(error))

        return read
