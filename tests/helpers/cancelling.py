"""Cancels a coroutine at its n-th wait, at each of the moments at which that makes a difference."""

from __future__ import annotations

import asyncio
import types
from collections.abc import Coroutine, Generator
from dataclasses import dataclass
from typing import Any, Final

#: "early": as soon as it waits. "late": when what it waits for has come, in the very turn, before
#: it is told: then an answer is there that nobody takes.
MOMENTS: Final = ("early", "late")


@dataclass
class Outcome:
    """What became of the coroutine.

    Attributes:
        struck: whether it waited often enough to be cancelled.
        result: what it returned, if it did.
        error: what it raised, if it did.
    """

    struck: bool = False
    result: Any = None
    error: BaseException | None = None


async def cancelled_at(coroutine: Coroutine[Any, Any, Any], wait: int, moment: str) -> Outcome:
    """Run a coroutine in a task of its own that is cancelled at its ``wait``-th wait, from 1."""
    outcome = Outcome()

    async def run() -> None:
        try:
            outcome.result = await _stepped(coroutine, wait, moment, outcome)
        except BaseException as error:
            outcome.error = error

    await asyncio.create_task(run())
    return outcome


@types.coroutine
def _stepped(
    coroutine: Coroutine[Any, Any, Any], wait: int, moment: str, outcome: Outcome
) -> Generator[Any, Any, Any]:
    task = asyncio.current_task()
    assert task is not None
    count = 0
    error: BaseException | None = None
    while True:
        try:
            waits_for = coroutine.send(None) if error is None else coroutine.throw(error)
        except StopIteration as end:
            return end.value
        count += 1
        if count == wait:
            outcome.struck = True
            if moment == "early":
                task.cancel()
            elif waits_for is None:
                asyncio.get_running_loop().call_soon(task.cancel)
            else:
                # Ahead of the task's own callback, which wakes it.
                waits_for.add_done_callback(lambda _: task.cancel())
        error = None
        try:
            yield waits_for
        except BaseException as thrown:
            error = thrown
