"""System calls of a producer on a real loop and real sockets, counted by strace.

A broker in another process decides when it answers, so these counts move a little with the load of
the machine, unlike all others; what must hold is that they belong to requests, not to records.
``python -m tests.bench.counts.system_calls SERVERS TOPIC COUNT`` is the program that is counted.
"""

from __future__ import annotations

import asyncio
import shutil
import subprocess
import sys
from pathlib import Path

from pyproducer import AsyncProducer
from tests.bench.counts.callgrind import CannotCount
from tests.bench.counts.paths import TOPIC, VALUE
from tests.helpers.broker_process import BrokerProcess

__all__ = ["count_system_calls", "read_summary"]

_SHORT = 20_000
_LONG = 220_000


def count_system_calls(folder: Path) -> dict[str, float]:
    """By measure.

    Raises:
        CannotCount: strace is missing, or it may not trace.
    """
    if shutil.which("strace") is None:
        raise CannotCount("missing: strace (Debian, Ubuntu: apt-get install strace)")
    with BrokerProcess({TOPIC: 4}, data_dir=folder / "broker") as broker:
        short, long = (
            _traced(broker.bootstrap_servers, count, folder) for count in (_SHORT, _LONG)
        )
    return {"real socket.system_calls": (long - short) * 1000 / (_LONG - _SHORT)}


def _traced(servers: str, count: int, folder: Path) -> int:
    summary = folder / f"strace.{count}"
    program = [sys.executable, "-m", __name__]
    done = subprocess.run(
        ["strace", "-f", "-c", "-o", summary, *program, servers, TOPIC, str(count)],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    if done.returncode:
        raise CannotCount(f"strace failed: {done.stderr.strip()}")
    return read_summary(summary.read_text(encoding="utf-8"))


def read_summary(text: str) -> int:
    """All calls in what ``strace -c`` prints."""
    for line in reversed(text.splitlines()):
        words = line.split()
        if words and words[-1] == "total":
            # "% time, seconds, usecs/call, calls, errors, total"; errors are left out if 0.
            return int(words[3])
    raise ValueError(f"no summary of strace: {text[:200]!r}")


async def _flood(servers: str, topic: str, count: int) -> None:
    async with AsyncProducer(servers) as producer:
        for _ in range(count):
            await producer.enqueue(topic, VALUE)


def main(arguments: list[str]) -> int:
    """Send as many records as asked for."""
    servers, topic, count = arguments
    asyncio.run(_flood(servers, topic, int(count)))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
