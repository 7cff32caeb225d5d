"""The code blocks of a documentation page, and a runner for them.

Blocks of one page share their names, in order. A block that awaits at its top level is a
fragment: it runs inside ``async with AsyncProducer("localhost:9092") as producer``, as the
pages say. Wherever a block says localhost:9092, the test's broker is meant.

Run as ``python -m tests.helpers.snippets PAGE HOST:PORT``.
"""

from __future__ import annotations

import ast
import asyncio
import inspect
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from types import CodeType
from typing import NamedTuple

ADDRESS = "localhost:9092"
ROOT = Path(__file__).resolve().parents[2]
FENCE = re.compile(r"^```(\w*)[^\n]*\n(.*?)^```\s*$", re.MULTILINE | re.DOTALL)
TOPIC_CREATED = re.compile(r"pyproducer topics create (\S+)")


class Block(NamedTuple):
    """One fenced block: its language, its text and the line its text begins on."""

    language: str
    text: str
    line: int

    @property
    def is_fragment(self) -> bool:
        """Whether a Python block awaits at its top level."""
        return bool(self.code("").co_flags & inspect.CO_COROUTINE)

    def code(self, filename: str, address: str = ADDRESS) -> CodeType:
        """Return the compiled block, talking to ``address``."""
        # Blank lines in front keep the page's line numbers in tracebacks.
        source = "\n" * (self.line - 1) + self.text.replace(ADDRESS, address)
        return compile(source, filename, "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)


def pages() -> list[Path]:
    """Return README and the pages of the documentation."""
    return [ROOT / "README.md", *sorted((ROOT / "docs" / "pages").rglob("*.md"))]


def blocks(page: Path) -> Iterator[Block]:
    """Yield the fenced blocks of a page."""
    text = page.read_text(encoding="utf-8")
    for match in FENCE.finditer(text):
        yield Block(match[1], match[2], text.count("\n", 0, match.start(2)) + 1)


def commands(page: Path) -> list[str]:
    """Return the command lines of a page's console blocks, without prompt and comment."""
    return [
        re.sub(r"\s+#\s.*$", "", line[2:])
        for block in blocks(page)
        if block.language == "console"
        for line in block.text.splitlines()
        if line.startswith("$ ")
    ]


def python_blocks(page: Path) -> list[Block]:
    """Return the Python blocks of a page."""
    return [block for block in blocks(page) if block.language == "python"]


def topics_created(page: Path) -> set[str]:
    """Return the topics that the page itself creates by a command."""
    return {name for command in commands(page) for name in TOPIC_CREATED.findall(command)}


def run_page(page: Path, address: str) -> None:
    """Run the Python blocks of a page, one after the other."""
    names: dict[str, object] = {"__name__": "__main__"}
    for block in python_blocks(page):
        code = block.code(str(page), address)
        if block.is_fragment:
            asyncio.run(_fragment(code, names, address))
        else:
            exec(code, names)


async def _fragment(code: CodeType, names: dict[str, object], address: str) -> None:
    from pyproducer import AsyncProducer

    async with AsyncProducer(address) as producer:
        names["producer"] = producer
        await eval(code, names)


if __name__ == "__main__":
    run_page(Path(sys.argv[1]), sys.argv[2])
