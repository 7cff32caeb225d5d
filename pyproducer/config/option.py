"""One option of a producer: what is told of it beside its name, type and default."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

__all__ = ["INT32_MAX", "OptionRow", "about", "nearest", "range_text"]

#: The largest number of Kafka's own options; "without end" where they have no other word.
INT32_MAX = 2**31 - 1


class OptionRow(NamedTuple):
    """One option as the reference documentation shows it."""

    name: str
    type: str
    default: object
    unit: str
    range: str
    kafka: str
    librdkafka: str
    doc: str


def about(
    doc: str,
    *,
    unit: str = "",
    low: int | None = None,
    high: int | None = None,
    choices: Sequence[object] = (),
    kafka: str = "",
    librdkafka: str = "",
    secret: bool = False,
) -> dict[str, Any]:
    """Return a field's metadata: what the table says of it beside name, type and default."""
    return {
        "doc": doc,
        "unit": unit,
        "low": low,
        "high": high,
        "choices": tuple(choices),
        "kafka": kafka,
        "librdkafka": librdkafka,
        "secret": secret,
    }


def nearest(name: str, candidates: Mapping[str, str]) -> str | None:
    """Return the value of the candidate spelt most like ``name``, or None if none is close.

    Args:
        name: what was written.
        candidates: known spellings in snake case, each with the name to suggest for it.
    """
    # Late: a name that is wrong is rare.
    import difflib

    spelt = name.lower().replace(".", "_").replace("-", "_")
    close = difflib.get_close_matches(spelt, candidates, n=1, cutoff=0.6)
    return candidates[close[0]] if close else None


def range_text(option: dataclasses.Field[Any]) -> str:
    """Return the values that an option may have, in words."""
    low, high, choices = (option.metadata[key] for key in ("low", "high", "choices"))
    if choices:
        return ", ".join(c if isinstance(c, str) else repr(c) for c in choices)
    if low is None:
        return ""
    return f"{low} to {high}" + (", or None" if "None" in str(option.type) else "")
