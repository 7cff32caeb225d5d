from __future__ import annotations

import asyncio
import os

import pytest

from pyproducer.cli.lines import LineReader


async def every(reader: LineReader) -> list[tuple[int, bytes | None]]:
    return [tuple(line) async for line in reader]


@pytest.fixture
def pipe():
    ends = list(os.pipe())
    yield ends
    for one in ends:
        os.close(one)


@pytest.mark.parametrize(
    ("data", "lines"),
    [
        (b"", []),
        (b"\n", [b""]),
        (b"a\nb", [b"a", b"b"]),
        (b"a\n\nb\n", [b"a", b"", b"b"]),
        (b"12345678\n123456789\n1", [b"12345678", None, b"1"]),
        (b"x" * 600_000, [None]),
        (b"x" * 600_000 + b"\ny\n", [None, b"y"]),
    ],
    ids=["empty", "blank", "no end", "blank between", "limit", "endless", "long"],
)
async def test_files(tmp_path, data, lines):
    """
    Lines are counted from 1; what is over the limit is counted and not given.
    """
    path = tmp_path / "f"
    path.write_bytes(data)
    with path.open("rb") as opened:
        reader = LineReader(opened.fileno(), limit=8)

        assert list(enumerate(lines, 1)) == await every(reader)
    assert len(data) == reader.bytes_read


async def test_stop_gives_what_was_read(pipe):
    """
    After a stop the whole lines that were taken are given, and nothing more is taken.
    """
    os.write(pipe[1], b"1\n2\nhalf")
    reader = LineReader(pipe[0], limit=100)
    found = []
    async for line in reader:
        found.append(line.data)
        reader.stop()
        os.write(pipe[1], b"later\n")

    assert [b"1", b"2"] == found
    assert 4 == reader.unfinished
    assert b"later\nlater\n" == os.read(pipe[0], 100)


async def test_stop_ends_the_waiting(pipe):
    """
    A stop ends a reader that waits for a pipe that says nothing.
    """
    reader = LineReader(pipe[0], limit=100)
    reading = asyncio.ensure_future(every(reader))
    await asyncio.sleep(0.01)
    reader.stop()

    assert [] == await asyncio.wait_for(reading, 5)
