"""From a certificate's name to a principal's: Kafka's `ssl.principal.mapping.rules`.

A list of rules, of which the first that fits counts. `RULE:pattern/replacement/` fits where the
pattern covers the whole name; `$1` in the replacement is what the pattern's first group found, and
an `L` or `U` behind it puts the result in small or capital letters. `DEFAULT` fits everything and
changes nothing.
"""

from __future__ import annotations

import re
from typing import Final, NamedTuple

__all__ = ["DEFAULT_RULES", "NoRuleApplies", "PrincipalMapping"]

DEFAULT_RULES: Final = "DEFAULT"

#: One rule; within pattern and replacement a backslash takes the next character as it is.
_RULE: Final = re.compile(
    r"RULE:(?P<pattern>(?:\\.|[^\\/])*)/(?P<replacement>(?:\\.|[^\\/])*)/(?P<case>[LU]?)", re.DOTALL
)
_GAP: Final = re.compile(r"[\s,]*")
_END: Final = re.compile(r"\s*(?:,|\Z)")
_REFERENCE: Final = re.compile(r"\\(?P<escaped>.)|\$(?P<group>\d+)", re.DOTALL)


class NoRuleApplies(ValueError):
    """A name that none of the rules fits: who has it is not let in."""


class _Rule(NamedTuple):
    pattern: re.Pattern[str] | None
    replacement: str
    case: str

    def apply(self, name: str) -> str | None:
        if self.pattern is None:
            return name
        if not self.pattern.fullmatch(name):
            return None
        # As in Java, every place at which the pattern is found is replaced, not the first alone.
        mapped = self.pattern.sub(self._replaced, name)
        return {"L": mapped.lower(), "U": mapped.upper()}.get(self.case, mapped)

    def _replaced(self, match: re.Match[str]) -> str:
        def one(reference: re.Match[str]) -> str:
            if (escaped := reference["escaped"]) is not None:
                return escaped
            digits = reference["group"]
            # A number beyond the groups is a shorter one, with digits behind it.
            for end in range(len(digits), 0, -1):
                if 0 < int(digits[:end]) <= match.re.groups:
                    return (match[int(digits[:end])] or "") + digits[end:]
            return reference[0]

        return _REFERENCE.sub(one, self.replacement)


class PrincipalMapping:
    """The rules of a listener.

    Args:
        rules: As Kafka writes them.

    Raises:
        ValueError: They are not written like that; says where.
    """

    def __init__(self, rules: str = DEFAULT_RULES) -> None:
        self._rules = tuple(_parsed(rules.strip()))

    def name(self, distinguished_name: str) -> str:
        """The principal's name for that of a certificate.

        Raises:
            NoRuleApplies: No rule fits it.
        """
        for rule in self._rules:
            if (found := rule.apply(distinguished_name)) is not None:
                return found
        raise NoRuleApplies(f"no rule of ssl.principal.mapping.rules fits {distinguished_name!r}")


def _parsed(text: str) -> list[_Rule]:
    found: list[_Rule] = []
    gap = _GAP.match(text)
    at = gap.end() if gap else 0
    while at < len(text):
        if text.startswith(DEFAULT_RULES, at):
            rule, end = _Rule(None, "", ""), at + len(DEFAULT_RULES)
        elif match := _RULE.match(text, at):
            rule, end = _compiled(match), match.end()
        else:
            raise _malformed(text, at)
        behind = _END.match(text, end)
        if behind is None:
            raise _malformed(text, at)
        found.append(rule)
        gap = _GAP.match(text, behind.end())
        at = gap.end() if gap else behind.end()
    return found


def _compiled(match: re.Match[str]) -> _Rule:
    try:
        pattern = re.compile(match["pattern"])
    except (re.error, OverflowError, RecursionError) as error:
        raise ValueError(f"{match['pattern']!r} is no pattern: {error}") from None
    return _Rule(pattern, match["replacement"], match["case"])


def _malformed(text: str, at: int) -> ValueError:
    return ValueError(
        f"{text[at : at + 60]!r} is no rule: write DEFAULT, or RULE:pattern/replacement/ with "
        "L or U behind it"
    )
