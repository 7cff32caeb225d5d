"""A line on the terminal that says how far things are; nothing where nobody watches."""

from __future__ import annotations

from collections.abc import Iterable
from types import TracebackType
from typing import Self

from rich import progress as rich_progress
from rich.console import Console, RenderableType

from pyproducer.cli.feeding import Feeder
from pyproducer.cli.lines import LineReader
from pyproducer.cli.output import terminal

__all__ = ["Progress"]


class Progress:
    """Shows what a feeder has done while the ``with`` block runs.

    Args:
        feeder: what sends.
        lines: what is read.
        size: bytes that there are to read, if that is known.
    """

    def __init__(self, feeder: Feeder, lines: LineReader, size: int | None) -> None:
        self._feeder = feeder
        self._lines = lines
        self._shown: _Live | None = _Live(self, size) if terminal() else None

    def __enter__(self) -> Self:
        if self._shown is not None:
            self._shown.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._shown is not None:
            self._shown.stop()

    @property
    def done(self) -> int:
        """Bytes read."""
        return self._lines.bytes_read

    @property
    def text(self) -> str:
        """What has become of the records."""
        feeder = self._feeder
        refused = feeder.rejected + feeder.failed
        return f"{feeder.delivered} delivered" + (f", {refused} not" if refused else "")


class _Live(rich_progress.Progress):
    """rich's display, which asks for the numbers each time that it draws."""

    def __init__(self, source: Progress, size: int | None) -> None:
        columns: tuple[rich_progress.ProgressColumn, ...] = (
            rich_progress.TextColumn("{task.fields[text]}"),
            rich_progress.BarColumn(),
            rich_progress.DownloadColumn(),
            rich_progress.TimeElapsedColumn(),
        )
        super().__init__(
            *columns, console=Console(stderr=True), transient=True, refresh_per_second=5
        )
        self._source = source
        self._task = self.add_task("", total=size, text="")

    def get_renderables(self) -> Iterable[RenderableType]:
        """What to draw, with the numbers of this moment."""
        self.update(self._task, completed=self._source.done, text=self._source.text)
        return super().get_renderables()
