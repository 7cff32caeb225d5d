"""What a command prints: results on stdout, everything else on stderr."""

from __future__ import annotations

import contextlib
import json
import logging
import sys
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.table import Table

__all__ = [
    "bytes_text",
    "note",
    "print_json",
    "print_table",
    "seconds_text",
    "setup_logging",
    "table",
    "terminal",
    "warnings_shown",
]

_ANY_WIDTH = 10_000
_logger = logging.getLogger("pyproducer")


def note(text: str) -> None:
    """A line on stderr."""
    print(text, file=sys.stderr, flush=True)


def print_json(value: Any) -> None:
    """One JSON document on stdout, in one line."""
    print(json.dumps(value, ensure_ascii=False), flush=True)


def terminal() -> bool:
    """Whether somebody watches stderr."""
    return sys.stderr.isatty()


def setup_logging(*, debug: bool) -> None:
    """The library's log lines are not shown, for errors are told once; all are with ``debug``."""
    if debug:
        logging.basicConfig(level=logging.DEBUG)
    else:
        _logger.addHandler(logging.NullHandler())
        _logger.propagate = False


@contextlib.contextmanager
def warnings_shown() -> Iterator[None]:
    """The library's warnings are lines on stderr while the block runs."""
    handler = logging.StreamHandler()
    handler.setLevel(logging.WARNING)
    handler.setFormatter(logging.Formatter("%(levelname)s: %(message)s"))
    _logger.addHandler(handler)
    try:
        yield
    finally:
        _logger.removeHandler(handler)


def table(title: str | None, columns: Sequence[str], *, numbers: Sequence[str] = ()) -> Table:
    """An empty table; the columns named in ``numbers`` stand at the right."""
    # Not above: it takes longer to import than most commands to run.
    from rich import box
    from rich.table import Table

    made = Table(
        title=title,
        title_justify="left",
        title_style="bold",
        box=box.SIMPLE_HEAD,
        pad_edge=False,
        padding=(0, 1, 0, 0),
    )
    for column in columns:
        made.add_column(
            column, justify="right" if column in numbers else "left", no_wrap=column in numbers
        )
    return made


def print_table(made: Table) -> None:
    """A table on stdout. Into a file or pipe it is as wide as it has to be, so nothing is cut."""
    from rich.console import Console

    console = Console(highlight=False)
    if not console.is_terminal:
        console = Console(highlight=False, width=_ANY_WIDTH)
        console.width = console.measure(made).maximum
    console.print(made)


def bytes_text(count: float) -> str:
    """A size for people: ``12.3 MB``, in powers of 1000."""
    for unit in ("B", "kB", "MB", "GB"):
        if count < 1000:
            return f"{count:.0f} B" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.1f} TB"


def seconds_text(seconds: float) -> str:
    """A duration for people: ``1.5 ms``, ``12.3 s``."""
    return f"{seconds * 1000:.1f} ms" if seconds < 1 else f"{seconds:.1f} s"
