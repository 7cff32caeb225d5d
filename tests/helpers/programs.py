"""A Python program as a user runs it: in a process of its own, talked to by lines and signals."""

from __future__ import annotations

import os
import queue
import signal
import subprocess
import sys
import textwrap
import threading
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from tests.helpers.processes import PeerFailed
from tests.helpers.source_tree import ROOT


@dataclass(frozen=True)
class Ended:
    """How a program ended: its exit code, and all that it printed."""

    code: int
    out: str
    err: str


class Program:
    """One program, from its source text or as arguments of Python, for the ``with`` block.

    Args:
        text: the source, indented as it may be; its ``sys.argv[1:]`` are ``arguments``.
        options: of the interpreter, before the source.
    """

    def __init__(
        self,
        text: str,
        *arguments: str,
        options: tuple[str, ...] = (),
        env: dict[str, str] | None = None,
    ) -> None:
        self._process = subprocess.Popen(
            [sys.executable, *options, "-c", textwrap.dedent(text), *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            stdin=subprocess.DEVNULL,
            text=True,
            cwd=ROOT,
            env={**os.environ, **(env or {})},
        )
        self._lines: queue.Queue[str | None] = queue.Queue()
        self._out: list[str] = []
        self._err = ""
        self._readers = [
            threading.Thread(target=self._read_out),
            threading.Thread(target=self._read_err),
        ]
        for reader in self._readers:
            reader.start()

    @property
    def pid(self) -> int:
        return self._process.pid

    def line(self, timeout: float = 20.0) -> str:
        """The next line of its output."""
        try:
            found = self._lines.get(timeout=timeout)
        except queue.Empty:
            raise PeerFailed(f"the program said nothing for {timeout} s") from None
        if found is None:
            raise PeerFailed(f"the program ended with {self.end().code}:\n{self._err}")
        return found

    def signal(self, number: int) -> None:
        """Send it a signal."""
        self._process.send_signal(number)

    def end(self, timeout: float = 30.0) -> Ended:
        """Wait for its end."""
        try:
            code = self._process.wait(timeout)
        except subprocess.TimeoutExpired:
            self.signal(signal.SIGABRT)
            self._join()
            raise PeerFailed(f"the program did not end in {timeout} s:\n{self._err}") from None
        self._join()
        return Ended(code, "".join(self._out), self._err)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._process.poll() is None:
            self._process.kill()
        self._join()

    def _join(self) -> None:
        self._process.wait()
        for reader in self._readers:
            reader.join()
        for stream in (self._process.stdout, self._process.stderr):
            assert stream is not None
            stream.close()

    def _read_out(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self._out.append(line)
            self._lines.put(line.rstrip("\n"))
        self._lines.put(None)

    def _read_err(self) -> None:
        assert self._process.stderr is not None
        self._err = self._process.stderr.read()


def run(
    text: str,
    *arguments: str,
    options: tuple[str, ...] = (),
    env: dict[str, str] | None = None,
    timeout: float = 40.0,
) -> Ended:
    """Run a program to its end."""
    with Program(text, *arguments, options=options, env=env) as program:
        return program.end(timeout)
