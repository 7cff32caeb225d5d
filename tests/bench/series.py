"""Figures of a run: what was measured, of whom, and once for each round."""

from __future__ import annotations

import json
import math
import statistics
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple


class Key(NamedTuple):
    """What a series is about; every part is a plain word that the report can print."""

    measure: str
    workload: str
    sink: str
    client: str
    metric: str


class Summary(NamedTuple):
    """A series in three figures: the middle round, and how far the others lie apart."""

    median: float
    low: float
    high: float


@dataclass(frozen=True)
class Series:
    """One figure for each round, in the order of the rounds."""

    key: Key
    rounds: tuple[float, ...]

    @property
    def summary(self) -> Summary:
        return summarize(self.rounds)


@dataclass
class Results:
    """All series of a run, and what is needed to understand them.

    Attributes:
        about: the machine, the versions, and the settings that hold for every client.
        notes: what a reader must know, the name of its measure first: what was left out, and why.
    """

    about: dict[str, Any] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    _series: dict[Key, list[float]] = field(default_factory=dict)

    def add(self, key: Key, figure: float) -> None:
        """Add the figure of one more round."""
        if not math.isfinite(figure):
            raise ValueError(f"{figure} is no figure for {key}")
        self._series.setdefault(key, []).append(figure)

    def note(self, text: str) -> None:
        """Say something once."""
        if text not in self.notes:
            self.notes.append(text)

    def rounds(self, key: Key) -> tuple[float, ...]:
        """The figures of a series; none if it was not measured."""
        return tuple(self._series.get(key, ()))

    def median(self, key: Key) -> float | None:
        """The middle figure of a series; None if it was not measured."""
        found = self._series.get(key)
        return statistics.median(found) if found else None

    def select(
        self,
        *,
        measure: str | None = None,
        workload: str | None = None,
        sink: str | None = None,
        client: str | None = None,
        metric: str | None = None,
    ) -> Iterator[Series]:
        """The series with these words, in the order in which they were measured."""
        wanted = (measure, workload, sink, client, metric)
        for key, rounds in self._series.items():
            if all(word is None or word == has for word, has in zip(wanted, key, strict=True)):
                yield Series(key, tuple(rounds))

    def save(self, path: Path) -> None:
        """Write everything as JSON, one series to a line, so that two runs can be compared."""
        lines = [
            json.dumps({**series.key._asdict(), "rounds": [rounded(one) for one in series.rounds]})
            for series in self.select()
        ]
        head = json.dumps({"about": self.about, "notes": self.notes}, indent=1)[:-2]
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f'{head},\n "series": [\n  ' + ",\n  ".join(lines) + "\n ]\n}\n")

    @classmethod
    def load(cls, path: Path) -> Results:
        """Read what `save` wrote."""
        data = json.loads(path.read_text())
        results = cls(data["about"], data["notes"])
        for one in data["series"]:
            rounds = one.pop("rounds")
            results._series[Key(**one)] = rounds
        return results

    def take(self, other: Results) -> None:
        """Replace the measures that ``other`` has by its own."""
        fresh = {key.measure for key in other._series}
        kept = {key: rounds for key, rounds in self._series.items() if key.measure not in fresh}
        self._series = kept | other._series
        self.about = other.about
        old = [note for note in self.notes if note.partition(":")[0] not in fresh]
        self.notes = [*old, *(note for note in other.notes if note not in old)]


def summarize(figures: Sequence[float]) -> Summary:
    """Median, least and greatest of at least one figure."""
    return Summary(statistics.median(figures), min(figures), max(figures))


def percentile(samples: Iterable[float], percent: float) -> float:
    """The smallest sample that is not below ``percent`` of all samples (nearest rank)."""
    ordered = sorted(samples)
    return ordered[max(0, math.ceil(len(ordered) * percent / 100) - 1)]


def rounded(figure: float) -> float:
    """Six digits: more are noise, and make every line of a committed result differ."""
    return float(f"{figure:.6g}")


__all__ = ["Key", "Results", "Series", "Summary", "percentile", "rounded", "summarize"]
