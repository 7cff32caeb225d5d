"""A line on the terminal that says how far things are; nothing where nobody watches."""

from __future__ import annotations

import asyncio
from types import TracebackType
from typing import Final, Self

from rich import progress as rich_progress
from rich.console import Console

from pyproducer.cli.feeding import Feeder
from pyproducer.cli.lines import LineReader
from pyproducer.cli.output import terminal

__all__ = ["Progress"]

#: Seconds between two looks at the numbers.
_PAUSE: Final = 0.2


class Progress:
    """Shows what a feeder has done while the ``with`` block runs on an event loop.

    Args:
        feeder: what sends.
        lines: what is read.
        size: bytes that there are to read, if that is known.
    """

    def __init__(self, feeder: Feeder, lines: LineReader, size: int | None) -> None:
        self._feeder = feeder
        self._lines = lines
        self._timer: asyncio.TimerHandle | None = None
        # Drawn by our own timer: rich's would draw on another thread.
        self._bar = rich_progress.Progress(
            rich_progress.TextColumn("{task.description}"),
            rich_progress.BarColumn(),
            rich_progress.DownloadColumn(),
            rich_progress.TimeElapsedColumn(),
            console=Console(stderr=True),
            transient=True,
            auto_refresh=False,
        )
        self._task = self._bar.add_task("", total=size)

    def __enter__(self) -> Self:
        if terminal():
            self._bar.start()
            self._tick()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._draw()
            self._bar.stop()

    def _tick(self) -> None:
        self._draw()
        self._timer = asyncio.get_running_loop().call_later(_PAUSE, self._tick)

    def _draw(self) -> None:
        feeder = self._feeder
        refused = feeder.rejected + feeder.failed
        text = f"{feeder.delivered} delivered" + (f", {refused} not" if refused else "")
        self._bar.update(self._task, completed=self._lines.bytes_read, description=text)
        self._bar.refresh()
