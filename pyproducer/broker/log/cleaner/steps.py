"""Work in steps: what a log's thread does itself, and what it has done elsewhere meanwhile."""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import TypeVar

__all__ = ["CleaningStopped", "Step", "Steps", "elsewhere", "run_here"]

_T = TypeVar("_T")

#: May run on any thread; never raises.
Step = Callable[[], None]
#: Yields steps. Whatever stands between two of them belongs to the log's thread.
Steps = Generator[Step, None, _T]


class CleaningStopped(Exception):
    """The log changed, or is to be closed: what was being cleaned is as it was."""


def elsewhere(action: Callable[[], _T]) -> Steps[_T]:
    """The action was run as a step; gives what it returned, or raises what it raised."""
    outcome: list[_T] = []
    failed: list[BaseException] = []

    def step() -> None:
        try:
            outcome.append(action())
        except BaseException as error:
            failed.append(error)

    yield step
    if failed:
        raise failed[0]
    return outcome[0]


def run_here(steps: Steps[_T]) -> _T:
    """All steps are done, one after the other, on this thread."""
    while True:
        try:
            step = next(steps)
        except StopIteration as end:
            result: _T = end.value
            return result
        step()
