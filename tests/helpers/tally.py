"""Counts that tests report with ``record_property("tally NAME", {...})``, added up over all."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Any

__all__ = ["tally_lines"]


def tally_lines(reports: Iterable[Any]) -> list[str]:
    """One paragraph for each name: what was counted, then the kinds of faults."""
    sums: dict[str, Counter[str]] = {}
    for report in reports:
        if getattr(report, "when", None) != "call":
            continue
        for name, value in report.user_properties:
            if name.startswith("tally "):
                sums.setdefault(name[6:], Counter()).update(value)
    lines = []
    for name, counts in sums.items():
        seconds = counts.pop("seconds", 0)
        faults = {key[6:]: n for key, n in counts.most_common() if key.startswith("fault ")}
        rest = [f"{n:,} {key}" for key, n in counts.items() if not key.startswith("fault ")]
        lines.append(f"{name}: {', '.join(rest)}; {seconds:.1f} s of work")
        if faults:
            lines.append("  " + ", ".join(f"{key} {n:,}" for key, n in faults.items()))
    return lines
