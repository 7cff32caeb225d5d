"""What is counted, what each count means, and when two of them differ.

A measure's name is a path and a kind: ``enqueue.instructions``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum

__all__ = ["KINDS", "LIMITS", "Finding", "Kind", "Verdict", "compare", "kind_of"]

#: A count that is this much higher than expected is a regression, one so much lower is news.
TOLERANCE = 0.10


@dataclass(frozen=True)
class Kind:
    """One sort of count.

    Attributes:
        what: in words; ``{unit}`` is a record or a request.
        portable: it does not depend on the machine.
        floor: a difference no larger than this is none, however small the counts are.
    """

    what: str
    portable: bool = False
    floor: float = 0.0


KINDS = {
    "instructions": Kind("instructions per {unit}", floor=5.0),
    "allocations": Kind("allocations per {unit}", floor=0.1),
    "copies": Kind("times each byte of a value is copied", floor=0.1),
    "gc_objects": Kind("objects per {unit} that the garbage collector looks at", True, 0.01),
    "blocks": Kind("blocks of memory held per {unit}", True, 0.05),
    "bytes": Kind("bytes held per {unit}", floor=1.0),
    "joined": Kind(
        "payload bytes that were copied together before the socket, per byte", True, 0.01
    ),
    "spare": Kind("bytes allocated while sending, per byte sent", True, 0.02),
    "writes": Kind("sends that the system is asked for, per request", True, 0.05),
    "reads": Kind("receives that the system is asked for, per request", True, 0.05),
    "turns": Kind("turns of the loop per 1,000 records", True, 0.1),
    "requests": Kind("requests per 1,000 records", True, 0.01),
    "system_calls": Kind("system calls per 1,000 records, as strace counts them", True, 5.0),
}


#: What must not be exceeded, whatever the expected counts say: the project's goals.
LIMITS = {
    "queued.bytes": 132.0,
    "queued with handle.bytes": 200.0,
    "queued with handle.gc_objects": 0.01,
    "acknowledged with handle.gc_objects": 0.01,
    "socket.joined": 0.01,
    "real socket.system_calls": 10.0,
}


class Verdict(Enum):
    """What a count means beside the expected one."""

    SAME = "same"
    WORSE = "WORSE"
    BETTER = "better"
    NEW = "new"
    GONE = "GONE"
    OVER = "OVER THE LIMIT OF"
    NOT_COMPARED = "not compared"

    @property
    def fails(self) -> bool:
        """The step must not pass."""
        return self in {Verdict.WORSE, Verdict.GONE, Verdict.OVER}


@dataclass(frozen=True)
class Finding:
    """One measure, expected and counted.

    Attributes:
        name: the measure.
        expected: None where nothing is expected.
        counted: None where it was not counted.
    """

    name: str
    expected: float | None
    counted: float | None
    verdict: Verdict

    @property
    def change(self) -> float | None:
        """By what part of the expected count it differs."""
        if self.expected is None or self.counted is None or not self.expected:
            return None
        return self.counted / self.expected - 1


def kind_of(name: str) -> Kind:
    """The kind that a measure's name ends with."""
    return KINDS[name.rpartition(".")[2]]


def compare(
    expected: Mapping[str, float], counted: Mapping[str, float], *, same_machine: bool, whole: bool
) -> list[Finding]:
    """Hold what was counted against what is expected, measure by measure.

    Args:
        expected: the baseline.
        counted: this run.
        same_machine: the baseline is of this machine's kind; otherwise only what is portable is
            compared.
        whole: everything was to be counted, so that what is missing is lost.
    """
    found = []
    for name in sorted({*expected, *counted}):
        old, new = expected.get(name), counted.get(name)
        if new is None:
            if not whole:
                continue
            verdict = Verdict.GONE if same_machine else Verdict.NOT_COMPARED
        elif new > LIMITS.get(name, new):
            verdict = Verdict.OVER
        elif not (same_machine or kind_of(name).portable):
            old, verdict = None, Verdict.NOT_COMPARED
        elif old is None:
            verdict = Verdict.NEW
        else:
            verdict = _judge(old, new, kind_of(name).floor)
        found.append(Finding(name, old, new, verdict))
    return found


def _judge(old: float, new: float, floor: float) -> Verdict:
    if abs(new - old) <= max(floor, TOLERANCE * abs(old)):
        return Verdict.SAME
    return Verdict.WORSE if new > old else Verdict.BETTER
