"""Bars as SVG: groups of horizontal bars, each with its figure and the spread of its rounds."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple
from xml.sax.saxutils import escape

from tests.bench.series import Summary

_WIDTH = 900
_LABELS = 285
_FIGURES = 110
_BAR, _GAP, _TITLE, _HEADING = 20, 6, 46, 26
#: Ours first and strong; the others apart from each other also in print.
COLORS = ("#0b6e4f", "#3aa17e", "#8fcfb5", "#c44536", "#e39b8f", "#2f5d8a", "#8a6d3b", "#6b6b6b")


class Bar(NamedTuple):
    """One bar; ``color`` is a place in `COLORS`."""

    label: str
    summary: Summary
    color: int


class Group(NamedTuple):
    """Bars under a heading; an empty heading takes no room."""

    heading: str
    bars: Sequence[Bar]


def figure(value: float) -> str:
    """Three digits, with k and M."""
    for limit, unit in ((1_000_000, "M"), (1_000, "k")):
        if value >= limit:
            return f"{value / limit:.3g}{unit}"
    return f"{value:.3g}"


def chart(title: str, unit: str, groups: Sequence[Group]) -> str:
    """An SVG image. Bars begin at zero; the thin line is from the least to the greatest round."""
    # A single wild round must not make all bars tiny.
    most = max(bar.summary.median for group in groups for bar in group.bars) * 1.12
    room = _WIDTH - _LABELS - _FIGURES
    scale = room / most if most else 0.0
    parts: list[str] = []
    y = _TITLE
    for group in groups:
        if group.heading:
            y += _HEADING
            parts.append(_text(12, y - 8, group.heading, weight="bold"))
        for bar in group.bars:
            parts += _bar(bar, y, scale, room)
            y += _BAR + _GAP
    height = y + 12
    head = [
        (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" '
            f'width="{_WIDTH}" height="{height}" role="img" aria-label="{escape(title)}" '
            'font-family="Helvetica, Arial, sans-serif" font-size="13">'
        ),
        f'<rect width="{_WIDTH}" height="{height}" fill="#ffffff"/>',
        _text(12, 26, title, weight="bold", size=16),
        _text(_WIDTH - 12, 26, unit, anchor="end", color="#555555"),
        f'<line x1="{_LABELS}" y1="{_TITLE - 6}" x2="{_LABELS}" y2="{height - 10}" stroke="#999999"/>',
    ]
    return "\n".join([*head, *parts, "</svg>"]) + "\n"


def _bar(bar: Bar, y: int, scale: float, room: int) -> list[str]:
    length = bar.summary.median * scale
    middle = y + _BAR / 2
    low = _LABELS + min(bar.summary.low * scale, room)
    high = _LABELS + min(bar.summary.high * scale, room)
    return [
        _text(_LABELS - 8, middle + 4.5, bar.label, anchor="end"),
        (
            f'<rect x="{_LABELS}" y="{y}" width="{length:.1f}" height="{_BAR}" '
            f'fill="{COLORS[bar.color % len(COLORS)]}"/>'
        ),
        (
            f'<line x1="{low:.1f}" y1="{middle}" x2="{high:.1f}" y2="{middle}" '
            'stroke="#222222" stroke-width="1.5"/>'
        ),
        _text(max(high, _LABELS + length) + 6, middle + 4.5, figure(bar.summary.median)),
    ]


def _text(
    x: float,
    y: float,
    words: str,
    *,
    anchor: str = "start",
    weight: str = "normal",
    size: int = 13,
    color: str = "#222222",
) -> str:
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" font-weight="{weight}" '
        f'font-size="{size}" fill="{color}">{escape(words)}</text>'
    )
