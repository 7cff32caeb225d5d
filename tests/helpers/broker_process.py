"""Our broker in a process of its own, as a measurement or a foreign client would meet it.

``python -m tests.helpers.broker_process --data-dir DIR --topics orders:4`` prints the bootstrap
address and serves until its standard input ends. A line ``pass SECONDS`` there makes the broker's
clock jump ahead, and is answered by a line of its own.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

from pyproducer.clock import SystemClock
from tests.helpers.processes import PeerFailed, end_by_input


class BrokerProcess:
    """Our broker for the ``with`` block. Leaving it shuts the broker down cleanly.

    Args:
        topics: names and numbers of partitions of topics that exist once it runs.
        data_dir: where it keeps everything.
        port: where it listens; 0 lets the system pick.
        config: Kafka's broker properties.
    """

    def __init__(
        self,
        topics: Mapping[str, int],
        *,
        data_dir: Path,
        port: int = 0,
        config: Mapping[str, str] | None = None,
    ) -> None:
        self.bootstrap_servers = ""
        self._arguments = ["--data-dir", str(data_dir), "--port", str(port)]
        if topics:
            self._arguments.append("--topics")
            self._arguments += [f"{name}:{partitions}" for name, partitions in topics.items()]
        for setting in (config or {}).items():
            self._arguments += ["--config", "=".join(setting)]
        self._process: subprocess.Popen[str] | None = None

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def __enter__(self) -> Self:
        command = [sys.executable, "-m", "tests.helpers.broker_process", *self._arguments]
        self._process = subprocess.Popen(
            command,
            cwd=Path(__file__).parents[2],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        try:
            self.bootstrap_servers = self._next_line()
        except PeerFailed:
            # It would not run, and its pipes are nobody's.
            self._process.communicate()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        assert self._process is not None
        if not end_by_input(self._process, 30) and kind is None:
            raise PeerFailed("the broker did not end with its input in 30 s")

    def kill(self) -> None:
        """It is gone at once (SIGKILL), with whatever it had not given to the system."""
        assert self._process is not None
        self._process.kill()
        self._process.communicate()

    def pass_time(self, seconds: float) -> None:
        """Its clock is that much further."""
        assert self._process is not None
        assert self._process.stdin is not None
        self._process.stdin.write(f"pass {seconds}\n")
        self._process.stdin.flush()
        self._next_line()

    def _next_line(self) -> str:
        assert self._process is not None
        assert self._process.stdout is not None
        line = self._process.stdout.readline().strip()
        if not line:
            raise PeerFailed(f"the broker ended with {self._process.wait(10)}")
        return line


class _ShiftedClock(SystemClock):
    """The machine's clock, and how much it was moved."""

    __slots__ = ("shift",)

    def __init__(self) -> None:
        self.shift = 0.0

    def monotonic(self) -> float:
        return super().monotonic() + self.shift

    def wall_ms(self) -> int:
        return super().wall_ms() + int(self.shift * 1000)


def _main() -> None:
    from pyproducer.broker import Broker

    parser = argparse.ArgumentParser(description="Serve topics until standard input ends.")
    parser.add_argument("--data-dir", type=Path, required=True)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--topics", nargs="+", default=[], metavar="NAME:PARTITIONS")
    parser.add_argument("--config", action="append", default=[], metavar="NAME=VALUE")
    options = parser.parse_args()
    pairs = (one.rsplit(":", 1) for one in options.topics)
    topics = {name: int(count) for name, count in pairs}
    config = dict(one.split("=", 1) for one in options.config)
    clock = _ShiftedClock()
    with Broker(
        topics=topics, data_dir=options.data_dir, port=options.port, config=config, clock=clock
    ) as broker:
        print(broker.bootstrap_servers, flush=True)
        for line in sys.stdin:
            clock.shift += float(line.split()[1])
            print("passed", flush=True)


if __name__ == "__main__":
    _main()
