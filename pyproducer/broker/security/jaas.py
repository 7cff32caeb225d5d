"""Kafka's `sasl.jaas.config`: a Java login module with its options, of which users are taken."""

from __future__ import annotations

import re
from typing import Final, NamedTuple

__all__ = ["LoginModule", "parse_jaas"]

_FLAGS: Final = "required|requisite|sufficient|optional"
_MODULE: Final = re.compile(rf"\s*(?P<name>[\w.$]+)\s+(?:{_FLAGS})\b", re.IGNORECASE)
_OPTION: Final = re.compile(
    r"\s*(?P<key>[\w.-]+)\s*=\s*(?:\"(?P<quoted>(?:\\.|[^\"\\])*)\"|(?P<bare>[^\s;\"]+))", re.DOTALL
)
_END: Final = re.compile(r"\s*;\s*\Z")
_ESCAPED: Final = re.compile(r"\\(.)", re.DOTALL)


class LoginModule(NamedTuple):
    """A login module.

    Attributes:
        name: Of its Java class, without the package.
        options: Its options.
    """

    name: str
    options: dict[str, str]

    def __repr__(self) -> str:
        # Values are passwords.
        return f"LoginModule({self.name}, {', '.join(self.options)})"


def parse_jaas(text: str) -> LoginModule:
    """The one login module of a text such as `...PlainLoginModule required user_a="x";`.

    Raises:
        ValueError: It is not written like that; the message has nothing of it but its begin.
    """
    match = _MODULE.match(text)
    if match is None:
        raise ValueError("write the Java class of a login module, then 'required'")
    options: dict[str, str] = {}
    at = match.end()
    while option := _OPTION.match(text, at):
        value = option["bare"]
        if value is None:
            value = _ESCAPED.sub(r"\1", option["quoted"])
        options[option["key"]] = value
        at = option.end()
    if not _END.match(text, at):
        raise ValueError(
            'write its options as name="value" behind it, and one semicolon at the end'
        )
    return LoginModule(match["name"].rpartition(".")[2], options)
