"""Our broker in a process of its own, as a measurement or a foreign client would meet it.

``python -m tests.helpers.broker_process --data-dir DIR --topics orders:4`` prints the bootstrap
address and serves until its standard input ends.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.helpers.processes import PeerFailed, end_by_input


class BrokerProcess:
    """Our broker for the ``with`` block. Leaving it shuts the broker down cleanly."""

    def __init__(self, topics: Mapping[str, int], *, data_dir: Path) -> None:
        self.bootstrap_servers = ""
        self._topics = dict(topics)
        self._data_dir = data_dir
        self._process: subprocess.Popen[str] | None = None

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def __enter__(self) -> Self:
        command = [sys.executable, "-m", "tests.helpers.broker_process"]
        command += ["--data-dir", str(self._data_dir), "--topics"]
        command += [f"{name}:{partitions}" for name, partitions in self._topics.items()]
        self._process = subprocess.Popen(
            command,
            cwd=Path(__file__).parents[2],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._process.stdout is not None
        line = self._process.stdout.readline().strip()
        if not line:
            raise PeerFailed(f"the broker ended with {self._process.wait(10)}")
        self.bootstrap_servers = line
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


def _main() -> None:
    from pyproducer.broker import Broker

    parser = argparse.ArgumentParser(description="Serve topics until standard input ends.")
    parser.add_argument("--data-dir", type=Path, required=True)
    parser.add_argument("--topics", nargs="+", required=True, metavar="NAME:PARTITIONS")
    options = parser.parse_args()
    pairs = (one.rsplit(":", 1) for one in options.topics)
    topics = {name: int(count) for name, count in pairs}
    with Broker(topics=topics, data_dir=options.data_dir) as broker:
        print(broker.bootstrap_servers, flush=True)
        sys.stdin.read()


if __name__ == "__main__":
    _main()
