"""One row of CSV per record: columns in a fixed order, no header, no line terminator.

The columns are part of the format's name, so that a topic cannot be given two orders of them.
Quoting follows RFC 4180: a field that holds the delimiter, a quote or a line break stands in
quotes, and a quote within is doubled. None is written as the ``null`` text without quotes, and
a str that equals that text with quotes, so that both come back as what they were.
"""

from __future__ import annotations

import csv
import dataclasses
import datetime as dt
import decimal
import enum
import re
import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Generic, Literal, TypeAlias

from serializers.contract import Buffer, Context, DeserializeError, SerializeError, T_contra
from serializers.encoding import canonical_encoding
from serializers.fields import field_names, is_record

__all__ = ["CsvDeserializer", "CsvSerializer"]

Quoting: TypeAlias = Literal["minimal", "all", "nonnumeric", "none"]
Dialect: TypeAlias = str | csv.Dialect | type[csv.Dialect]

_QUOTING: dict[int, Quoting] = {
    csv.QUOTE_MINIMAL: "minimal",
    csv.QUOTE_ALL: "all",
    csv.QUOTE_NONNUMERIC: "nonnumeric",
    csv.QUOTE_NONE: "none",
}


@dataclasses.dataclass(frozen=True, slots=True)
class _Shape:
    """What writer and reader must agree on."""

    columns: tuple[str, ...]
    delimiter: str
    quotechar: str
    quoting: Quoting
    null: str | None
    encoding: str

    @classmethod
    def of(
        cls,
        columns: Iterable[str],
        dialect: Dialect,
        delimiter: str | None,
        quotechar: str | None,
        quoting: Quoting | None,
        null: str | None,
        encoding: str,
    ) -> _Shape:
        """Check the arguments of a serializer or deserializer and fill in the dialect's."""
        found = _named_dialect(dialect) if isinstance(dialect, str) else dialect
        if found.escapechar is not None or not found.doublequote or found.skipinitialspace:
            raise ValueError(
                "dialects with an escape character, undoubled quotes or skipped spaces are not "
                "supported"
            )
        shape = cls(
            columns=_checked_columns(columns),
            delimiter=found.delimiter if delimiter is None else delimiter,
            quotechar=(found.quotechar or '"') if quotechar is None else quotechar,
            quoting=_QUOTING.get(found.quoting, "minimal") if quoting is None else quoting,
            null=null,
            encoding=encoding,
        )
        for name in ("delimiter", "quotechar"):
            character = getattr(shape, name)
            if not isinstance(character, str) or len(character) != 1 or character in "\r\n":
                raise ValueError(f"{name}={character!r} must be one character, no line break")
        if shape.delimiter == shape.quotechar:
            raise ValueError(f"delimiter and quotechar are both {shape.delimiter!r}")
        if shape.quoting not in _QUOTING.values():
            names = ", ".join(map(repr, _QUOTING.values()))
            raise ValueError(f"quoting={shape.quoting!r} must be one of {names}")
        if null is not None and (not isinstance(null, str) or shape.special.search(null)):
            raise ValueError(f"null={null!r} must be text that needs no quotes, or None")
        # Tells a name that is no text encoding before the first record does.
        canonical_encoding(encoding)
        return shape

    @property
    def special(self) -> re.Pattern[str]:
        """Matches what makes a field need quotes."""
        return re.compile(f"[{re.escape(self.delimiter)}{re.escape(self.quotechar)}\r\n]")

    @property
    def format(self) -> str:
        """``csv:`` and the columns, then what differs from the default."""
        columns = ",".join(c if not re.search('[,"(]', c) else repr(c) for c in self.columns)
        standard = {
            "delimiter": ",",
            "quotechar": '"',
            "quoting": "minimal",
            "null": "",
            "encoding": "utf-8",
        }
        # Only quoting="none" reads differently from the other three.
        found = {name: getattr(self, name) for name in standard}
        found["quoting"] = "none" if self.quoting == "none" else "minimal"
        rest = [f"{name}={found[name]!r}" for name in standard if found[name] != standard[name]]
        return f"csv:{columns}" + (f" ({', '.join(rest)})" if rest else "")


class CsvSerializer(Generic[T_contra]):
    """Writes a row: a mapping or dataclass by column name, a list or tuple by position.

    A named tuple is taken by name. Numbers and UUIDs are written as ``str`` does, bools as
    ``true`` and ``false``, dates and times in ISO 8601, enum members as their value.

    Args:
        columns: the columns, in the order in which they are written.
        dialect: a name that the standard library's csv module knows, or one of its dialects.
        delimiter: character between fields, in place of the dialect's.
        quotechar: character around quoted fields, in place of the dialect's.
        quoting: ``"minimal"`` quotes where it must, ``"nonnumeric"`` all but numbers, ``"all"``
            everything (but None), ``"none"`` nothing: what would need quotes is refused.
        null: what is written for None; None refuses it.
        encoding: of the text.
        default: called with a value of any other type; returns the str to write.

    Raises:
        ValueError: an argument is out of its bounds (as is a dialect or an encoding that does
            not exist), or columns are missing or repeated.

    Attributes:
        format: ``"csv:id,name"``, with whatever else a reader has to know in parentheses.
    """

    __slots__ = ("_columns", "_default", "_shape", "_special", "_width", "format")

    def __init__(
        self,
        columns: Iterable[str],
        *,
        dialect: Dialect = "excel",
        delimiter: str | None = None,
        quotechar: str | None = None,
        quoting: Quoting | None = None,
        null: str | None = "",
        encoding: str = "utf-8",
        default: Callable[[Any], str] | None = None,
    ) -> None:
        self._shape = _Shape.of(columns, dialect, delimiter, quotechar, quoting, null, encoding)
        self._columns = self._shape.columns
        self._width = len(self._columns)
        self._special = self._shape.special.search
        self._default = default
        self.format = self._shape.format

    def __call__(self, value: T_contra, context: Context | None = None, /) -> bytes:
        """Return the row as one line.

        Raises:
            SerializeError: a column is missing or unknown, or its value has no form in CSV.
        """
        shape = self._shape
        row = self._row(value)
        fields = self._plain_fields(row) if shape.quoting == "minimal" else None
        if fields is None:
            fields = [self._field(at, field) for at, field in enumerate(row)]
        line = shape.delimiter.join(fields)
        try:
            return line.encode(shape.encoding)
        except UnicodeEncodeError as error:
            bad = line[error.start]
            at = next(at for at, field in enumerate(fields) if bad in field)
            raise SerializeError(
                f"column {self._columns[at]!r} has U+{ord(bad):04X}, which {shape.encoding} "
                f"cannot encode: {error.reason}"
            ) from error

    def __repr__(self) -> str:
        return f"CsvSerializer({list(self._columns)!r})"

    def _plain_fields(self, row: Sequence[Any]) -> list[str] | None:
        """Return the fields as text if none of them is anything special, else None."""
        null = self._shape.null
        fields = []
        for value in row:
            kind = type(value)
            if kind is str:
                text = value
            elif kind is int or kind is float:
                text = repr(value)
            elif value is None and null is not None:
                fields.append(null)
                continue
            elif kind is bool:
                text = "true" if value else "false"
            else:
                return None
            if text == null or not text:
                return None
            fields.append(text)
        # One search through them all is cheaper than one each.
        return None if self._special("".join(fields)) else fields

    def _row(self, value: Any) -> Sequence[Any]:
        """Return the fields of ``value`` in the order of the columns."""
        if type(value) is dict or isinstance(value, Mapping):
            return self._by_name(value)
        if isinstance(value, (list, tuple)):
            if hasattr(value, "_fields"):
                return self._by_name(dict(zip(value._fields, value, strict=True)))
            if len(value) != self._width:
                raise SerializeError(
                    f"the row has {len(value)} fields, the columns are {self._width}: "
                    f"{', '.join(self._columns)}"
                )
            return value
        if is_record(value):
            return self._by_name({name: getattr(value, name) for name in field_names(type(value))})
        raise SerializeError(
            f"a row is a mapping, a list, a tuple or a dataclass, not {type(value).__name__}"
        )

    def _by_name(self, row: Mapping[str, Any]) -> list[Any]:
        try:
            fields = [row[column] for column in self._columns]
        except KeyError as error:
            missing = [column for column in self._columns if column not in row]
            raise SerializeError(f"the row lacks {_named(missing)}") from error
        if len(row) != self._width:
            extra = [name for name in row if name not in self._columns]
            raise SerializeError(
                f"the row has {_named(extra)}, not among the columns {', '.join(self._columns)}"
            )
        return fields

    def _field(self, at: int, value: Any) -> str:
        shape = self._shape
        if value is None:
            if shape.null is None:
                raise SerializeError(
                    f"column {self._columns[at]!r} is None; null= names the text to write for it"
                )
            return shape.null
        text = value if type(value) is str else self._text(at, value)
        # A line of no characters is no row to many readers, so that one empty field is quoted.
        needed = (
            text == shape.null or (not text and self._width == 1) or self._special(text) is not None
        )
        if shape.quoting == "none":
            if needed:
                raise SerializeError(
                    f"column {self._columns[at]!r} holds {text!r}, which needs quotes, but "
                    "quoting='none'"
                )
            return text
        if (
            needed
            or shape.quoting == "all"
            or (shape.quoting == "nonnumeric" and not _is_number(value))
        ):
            quote = shape.quotechar
            return f"{quote}{text.replace(quote, quote + quote)}{quote}"
        return text

    def _text(self, at: int, value: Any) -> str:
        if isinstance(value, enum.Enum):
            value = value.value
        if isinstance(value, bool):
            return "true" if value else "false"
        if isinstance(value, (str, int, float, decimal.Decimal, uuid.UUID)):
            return str(value)
        if isinstance(value, (dt.date, dt.time)):
            return value.isoformat()
        if self._default is None:
            raise SerializeError(
                f"column {self._columns[at]!r} holds a {type(value).__name__}, which has no form "
                "in CSV; pass default= a function that makes it text"
            )
        text = self._default(value)
        if not isinstance(text, str):
            raise SerializeError(
                f"column {self._columns[at]!r}: default= returned a {type(text).__name__}, "
                "not a str"
            )
        return text


class CsvDeserializer:
    """Reads a row that :class:`CsvSerializer` wrote with the same arguments.

    Args:
        columns: as for :class:`CsvSerializer`, and so the arguments that follow.
        dialect: see there.
        delimiter: see there.
        quotechar: see there.
        quoting: see there; only ``"none"`` reads differently, taking quotes as they are.
        null: the text without quotes that is None; None leaves every field a str.
        encoding: of the text.
        types: for some columns, what makes their value from the text (``int``, ``Decimal``);
            it is not called for None.

    Raises:
        ValueError: as for :class:`CsvSerializer`, or ``types`` names an unknown column.
    """

    __slots__ = ("_quoted", "_shape", "_types", "format")

    def __init__(
        self,
        columns: Iterable[str],
        *,
        dialect: Dialect = "excel",
        delimiter: str | None = None,
        quotechar: str | None = None,
        quoting: Quoting | None = None,
        null: str | None = "",
        encoding: str = "utf-8",
        types: Mapping[str, Callable[[str], Any]] | None = None,
    ) -> None:
        self._shape = _Shape.of(columns, dialect, delimiter, quotechar, quoting, null, encoding)
        self._types = dict(types or {})
        unknown = [name for name in self._types if name not in self._shape.columns]
        if unknown:
            raise ValueError(f"types has {_named(unknown)}, not among the columns")
        quote = re.escape(self._shape.quotechar)
        self._quoted = re.compile(f"{quote}([^{quote}]*(?:{quote}{quote}[^{quote}]*)*){quote}")
        self.format = self._shape.format

    def __call__(self, data: Buffer, context: Context | None = None, /) -> dict[str, Any]:
        """Return the row by column name, in the order of the columns.

        Raises:
            DeserializeError: the bytes are not one row of these columns.
        """
        shape = self._shape
        try:
            text = str(data, shape.encoding)
        except UnicodeDecodeError as error:
            raise DeserializeError(
                f"byte {error.start} of {len(data)} is not {shape.encoding}: {error.reason}"
            ) from error
        fields = self._split(text)
        if len(fields) != len(shape.columns):
            raise DeserializeError(
                f"the row has {len(fields)} fields, the columns are {len(shape.columns)}: "
                f"{', '.join(shape.columns)}"
            )
        row: dict[str, Any] = dict(zip(shape.columns, fields, strict=True))
        for column, convert in self._types.items():
            if row[column] is not None:
                try:
                    row[column] = convert(row[column])
                except Exception as error:
                    raise DeserializeError(
                        f"column {column!r} holds {row[column]!r}: {error}"
                    ) from error
        return row

    def __repr__(self) -> str:
        return f"CsvDeserializer({list(self._shape.columns)!r})"

    def _split(self, text: str) -> list[str | None]:
        shape = self._shape
        fields: list[str | None] = []
        if shape.quoting == "none" or shape.quotechar not in text:
            fields.extend(
                None if field == shape.null else field for field in text.split(shape.delimiter)
            )
            self._refuse_line_break(text, 0, len(text))
            return fields
        position = 0
        while True:
            if text.startswith(shape.quotechar, position):
                match = self._quoted.match(text, position)
                if match is None:
                    raise DeserializeError(f"the quote at character {position} is never closed")
                fields.append(match[1].replace(shape.quotechar * 2, shape.quotechar))
                end = match.end()
                if end < len(text) and text[end] != shape.delimiter:
                    raise DeserializeError(f"a quoted field goes on at character {end}")
            else:
                end = text.find(shape.delimiter, position)
                end = len(text) if end < 0 else end
                field = text[position:end]
                if shape.quotechar in field:
                    raise DeserializeError(
                        f"a quote within the unquoted field at character {position}"
                    )
                self._refuse_line_break(text, position, end)
                fields.append(None if field == shape.null else field)
            if end == len(text):
                return fields
            position = end + 1

    @staticmethod
    def _refuse_line_break(text: str, start: int, end: int) -> None:
        for character in "\r\n":
            at = text.find(character, start, end)
            if at >= 0:
                raise DeserializeError(
                    f"a line break at character {at}: a record holds one row without terminator"
                )


def _named_dialect(name: str) -> Any:
    try:
        return csv.get_dialect(name)
    except csv.Error as error:
        known = ", ".join(map(repr, sorted(csv.list_dialects())))
        raise ValueError(f"dialect={name!r} is unknown; known are {known}") from error


def _checked_columns(columns: Iterable[str]) -> tuple[str, ...]:
    if isinstance(columns, (str, bytes)):
        raise ValueError(f"columns={columns!r} must be a list of names, not one text")  # noqa: TRY004
    names = tuple(columns)
    if not names or not all(isinstance(name, str) and name for name in names):
        raise ValueError(f"columns={list(names)!r} must be one or more non-empty names")
    twice = [name for name in dict.fromkeys(names) if names.count(name) > 1]
    if twice:
        raise ValueError(f"columns has {_named(twice)} more than once")
    return names


def _is_number(value: object) -> bool:
    # A bool is an int to Python, not to a reader of CSV.
    return isinstance(value, (int, float, decimal.Decimal)) and not isinstance(value, bool)


def _named(columns: Sequence[object]) -> str:
    return ("column " if len(columns) == 1 else "columns ") + ", ".join(map(repr, columns))
