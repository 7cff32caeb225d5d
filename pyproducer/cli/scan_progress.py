"""How far a scan of files is, on a terminal's stderr; nothing where nobody watches."""

from __future__ import annotations

import time
from types import TracebackType
from typing import TYPE_CHECKING, Final, Self

from pyproducer.cli.output import terminal

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

__all__ = ["ScanProgress"]

#: Seconds between two drawings.
_PAUSE: Final = 0.2


class ScanProgress:
    """A bar of the bytes that were read, drawn by whoever reads, for the ``with`` block.

    Args:
        quiet: draw nothing, since the terminal is written to otherwise.
    """

    def __init__(self, *, quiet: bool = False) -> None:
        self._quiet = quiet or not terminal()
        self._bar: Progress | None = None
        self._task: TaskID | None = None
        self._read = 0
        self._due = 0.0

    def begin(self, size: int) -> None:
        """There are so many bytes to read."""
        if self._quiet:
            return
        # Not above: it takes longer to import than a small directory to read.
        from rich import progress
        from rich.console import Console

        self._bar = progress.Progress(
            progress.BarColumn(),
            progress.DownloadColumn(),
            progress.TransferSpeedColumn(),
            progress.TimeRemainingColumn(),
            console=Console(stderr=True),
            transient=True,
            auto_refresh=False,
        )
        self._task = self._bar.add_task("", total=size)
        self._bar.start()

    def advance(self, size: int) -> None:
        """So many more bytes were read."""
        self._read += size
        if self._bar is None or time.monotonic() < self._due:
            return
        self._due = time.monotonic() + _PAUSE
        self._draw()

    def _draw(self) -> None:
        if self._bar is not None and self._task is not None:
            self._bar.update(self._task, completed=self._read)
            self._bar.refresh()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._bar is not None:
            self._draw()
            self._bar.stop()
