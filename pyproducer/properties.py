"""Files of settings as Kafka's own tools read them: ``name=value``, a line each."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from pyproducer.errors import ConfigError

__all__ = ["Setting", "parse_properties", "parse_settings", "read_properties", "read_settings"]

_ESCAPES = {"t": "\t", "n": "\n", "r": "\r", "f": "\f"}


class Setting(NamedTuple):
    """One setting of a file.

    Attributes:
        name: Its name.
        value: Its value.
        line: Number of the line that it begins in, from 1 on.
    """

    name: str
    value: str
    line: int


def read_settings(path: Path) -> list[Setting]:
    """The settings of a file, in its order.

    Raises:
        ConfigError: it cannot be read, or a line of it is no setting.
    """
    try:
        return parse_settings(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path} cannot be read: it is not UTF-8") from error
    except ValueError as error:
        raise ConfigError(f"{path}, {error}") from error


def read_properties(path: Path) -> dict[str, str]:
    """The settings of a file by name; of a name that comes twice, the last counts.

    Raises:
        ConfigError: it cannot be read, or a line of it is no setting.
    """
    return {one.name: one.value for one in read_settings(path)}


def parse_properties(text: str) -> dict[str, str]:
    """The settings of a text by name; of a name that comes twice, the last counts.

    Raises:
        ValueError: as `parse_settings`.
    """
    return {one.name: one.value for one in parse_settings(text)}


def parse_settings(text: str) -> list[Setting]:
    """The settings of a text: comments with # or !, = or : or a space after the name.

    A backslash at a line's end continues it, elsewhere it escapes the next character.

    Raises:
        ValueError: a line has no value or a broken escape; the message begins with its number.
    """
    found: list[Setting] = []
    for number, line in _logical_lines(text):
        name, value = _split(line)
        if value is None:
            raise ValueError(f"line {number}: no value: write {line.strip()}=VALUE")
        try:
            found.append(Setting(_unescape(name), _unescape(value), number))
        except ValueError as error:
            raise ValueError(f"line {number}: {error}") from None
    return found


def _logical_lines(text: str) -> Iterator[tuple[int, str]]:
    pending, started = "", 0
    for number, raw in enumerate(text.splitlines(), 1):
        line = raw.lstrip()
        if not pending and (not line or line[0] in "#!"):
            continue
        started = started if pending else number
        if (len(line) - len(line.rstrip("\\"))) % 2:
            pending += line[:-1]
            continue
        yield started, pending + line
        pending = ""
    if pending:
        yield started, pending


def _split(line: str) -> tuple[str, str | None]:
    position = 0
    while position < len(line):
        character = line[position]
        if character == "\\":
            position += 2
            continue
        if character in "=: \t":
            rest = line[position:].lstrip(" \t")
            if rest and rest[0] in "=:":
                rest = rest[1:]
            elif not rest:
                break
            return line[:position], _trimmed(rest.lstrip(" \t"))
        position += 1
    return line, None


def _trimmed(value: str) -> str:
    """The value without white space at its end, unless that is escaped."""
    short = value.rstrip(" \t")
    escaped = (len(short) - len(short.rstrip("\\"))) % 2
    return value[: len(short) + escaped]


def _unescape(text: str) -> str:
    if "\\" not in text:
        return text
    parts, position = [], 0
    while position < len(text):
        character = text[position]
        position += 1
        if character != "\\" or position == len(text):
            parts.append(character)
            continue
        escaped = text[position]
        position += 1
        if escaped == "u":
            digits = text[position : position + 4]
            try:
                parts.append(chr(int(digits, 16)))
            except ValueError:
                raise ValueError(f"\\u{digits} is no character") from None
            position += 4
        else:
            parts.append(_ESCAPES.get(escaped, escaped))
    return "".join(parts)
