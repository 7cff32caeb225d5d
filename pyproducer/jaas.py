"""Kafka's ``sasl.jaas.config``: one Java login module with its options."""

from __future__ import annotations

import re
from typing import Final, NamedTuple

__all__ = ["LoginModule", "parse_jaas"]

_FLAGS: Final = "required|requisite|sufficient|optional"
_MODULE: Final = re.compile(rf"\s*(?P<name>[\w.$]+)\s+(?:{_FLAGS})\b", re.IGNORECASE)
_OPTION: Final = re.compile(
    r"\s*(?P<key>[\w.-]+)\s*=\s*"
    r"(?P<value>\"(?:\\.|[^\"\\])*\"|'(?:\\.|[^'\\])*'|[^\s;\"']+)",
    re.DOTALL,
)
_END: Final = re.compile(r"\s*;\s*\Z")
# As Java's StreamTokenizer reads a quoted word, with which Kafka reads these texts.
_ESCAPED: Final = re.compile(r"\\([0-3][0-7]{1,2}|[0-7]{1,2}|.)", re.DOTALL)
_ESCAPES: Final = {"a": "\a", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v"}


class LoginModule(NamedTuple):
    """A login module.

    Attributes:
        java_class: Its Java class, with the package.
        options: Its options.
    """

    java_class: str
    options: dict[str, str]

    @property
    def name(self) -> str:
        """Of its Java class, without the package."""
        return self.java_class.rpartition(".")[2]

    def __repr__(self) -> str:
        # Values are passwords.
        return f"LoginModule({self.java_class}, {', '.join(self.options)})"


def parse_jaas(text: str) -> LoginModule:
    """The one login module of a text such as ``...PlainLoginModule required user_a="x";``.

    Raises:
        ValueError: it is not written like that; the message tells how, and repeats nothing of it.
    """
    match = _MODULE.match(text)
    if match is None:
        raise ValueError("write the Java class of a login module, then 'required'")
    options: dict[str, str] = {}
    at = match.end()
    while option := _OPTION.match(text, at):
        options[option["key"]] = _unquoted(option["value"])
        at = option.end()
    if not _END.match(text, at):
        raise ValueError(
            'write its options as name="value" behind it, and one semicolon at the end'
        )
    return LoginModule(match["name"], options)


def _unquoted(value: str) -> str:
    return _ESCAPED.sub(_meant, value[1:-1]) if value[0] in "\"'" else value


def _meant(escaped: re.Match[str]) -> str:
    word = escaped[1]
    return chr(int(word, 8)) if word[0] in "01234567" else _ESCAPES.get(word, word)
