"""What a test has left behind: tasks, sockets, threads."""

from __future__ import annotations

import asyncio
import gc
import threading
import time
from pathlib import Path


def sockets() -> set[str]:
    """The sockets this process has open, by inode."""
    found = set()
    for path in Path("/proc/self/fd").iterdir():
        try:
            target = str(path.readlink())
        except OSError:
            continue
        if target.startswith("socket:"):
            found.add(target)
    return found


class Leftovers:
    """Compares now with the moment it was made."""

    def __init__(self) -> None:
        self._sockets = sockets()
        self._threads = set(threading.enumerate())

    def found(self, *, patience: float = 2.0) -> list[str]:
        """What is new and does not go away by itself within ``patience`` seconds."""
        end = time.monotonic() + patience
        while True:
            left = [str(one) for one in sockets() - self._sockets]
            left += [
                str(one)
                for one in threading.enumerate()
                # The loop's own workers, for names to look up and for asyncio.to_thread().
                if one not in self._threads and not one.name.startswith("asyncio_")
            ]
            if not left or time.monotonic() > end:
                return left
            gc.collect()
            time.sleep(0.01)


def other_tasks() -> list[str]:
    """The tasks of the running loop, but for the one that asks."""
    return [repr(task) for task in asyncio.all_tasks() if task is not asyncio.current_task()]
