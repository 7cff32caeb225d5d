"""Work that would hold up the event loop, done by a thread that nobody has to wait for."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable
from typing import TypeVar

__all__ = ["in_thread"]

_T = TypeVar("_T")


async def in_thread(name: str, work: Callable[[], _T]) -> _T:
    """Return what ``work`` returns in a thread of its own.

    Not in the loop's own threads: they are the program's, and the end of ``asyncio.run`` waits
    for them, however long the work takes. If this is cancelled, the thread goes on for itself.

    Args:
        name: of the thread.
        work: without arguments.
    """
    loop = asyncio.get_running_loop()
    done: asyncio.Future[_T] = loop.create_future()

    def tell(result: _T | None, error: BaseException | None) -> None:
        if done.done():
            return
        if error is not None:
            done.set_exception(error)
        else:
            done.set_result(result)  # type: ignore[arg-type]

    def run() -> None:
        try:
            result, error = work(), None
        except Exception as caught:
            result, error = None, caught
        # The loop may have ended meanwhile: then nobody is interested.
        with contextlib.suppress(RuntimeError):
            loop.call_soon_threadsafe(tell, result, error)

    try:
        threading.Thread(target=run, name=f"pyproducer-{name}", daemon=True).start()
    except RuntimeError:
        # The interpreter is ending, and begins no thread any more.
        return work()
    return await done
