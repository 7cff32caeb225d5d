"""A driver as a child process: jobs go in, answers come out, one JSON object a line."""

from __future__ import annotations

import json
import os
import selectors
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self

from tests.helpers.processes import end_by_input

ROOT = Path(__file__).parents[2]


class DriverFailed(RuntimeError):
    """A driver could not do a job; the message has its own words."""


class DriverProcess:
    """One client in a process of its own, for the ``with`` block.

    Args:
        command: what to run; None is a driver written in Python, by its module's name.
        module: of tests.bench.drivers.
        env: set on top of this process's environment.
    """

    def __init__(
        self,
        module: str,
        *,
        command: Sequence[str] | None = None,
        env: Mapping[str, str] | None = None,
    ) -> None:
        self._name = module
        self._command = list(
            command or [sys.executable, "-W", "ignore", "-m", f"tests.bench.drivers.{module}"]
        )
        self._env = {**os.environ, **(env or {})}
        self._process: subprocess.Popen[str] | None = None
        self._complaints = tempfile.TemporaryFile("w+", errors="replace")  # noqa: SIM115

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(
            self._command,
            cwd=ROOT,
            env=self._env,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._complaints,
            text=True,
        )
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        assert self._process is not None
        end_by_input(self._process, 5)
        self._complaints.close()

    def do(
        self,
        job: Mapping[str, Any],
        *,
        timeout: float = 60.0,
        on_checkpoint: Callable[[dict[str, Any]], None] | None = None,
    ) -> dict[str, Any]:
        """The answer to a job.

        Args:
            job: what to do.
            timeout: seconds until the driver is taken for hung.
            on_checkpoint: called where the driver stops for us; it goes on when this returns.

        Raises:
            DriverFailed: the driver answered with an error, ended, or took too long.
        """
        self._write(json.dumps(job))
        while True:
            answer = self._read(timeout)
            if "error" in answer:
                raise DriverFailed(f"{self._name}: {answer['error']}")
            if "checkpoint" not in answer:
                return answer
            if on_checkpoint is not None:
                on_checkpoint(answer)
            self._write("go on")

    def _pipes(self) -> tuple[IO[str], IO[str]]:
        assert self._process is not None
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        return self._process.stdin, self._process.stdout

    def _write(self, line: str) -> None:
        to, _ = self._pipes()
        try:
            to.write(line + "\n")
            to.flush()
        except BrokenPipeError as error:
            raise DriverFailed(f"{self._name} has ended: {self._last_words()}") from error

    def _last_words(self) -> str:
        """The last line that it wrote to standard error."""
        self._complaints.seek(0)
        lines = self._complaints.read().strip().splitlines()
        return lines[-1] if lines else "without a word"

    def _read(self, timeout: float) -> dict[str, Any]:
        _, out = self._pipes()
        # A driver writes whole lines and waits for us after each, so nothing is left in the buffer.
        with selectors.DefaultSelector() as selector:
            selector.register(out, selectors.EVENT_READ)
            if not selector.select(timeout):
                assert self._process is not None
                self._process.kill()
                raise DriverFailed(f"{self._name} gave no answer within {timeout:.0f} s")
        line = out.readline()
        if not line:
            raise DriverFailed(f"{self._name} has ended: {self._last_words()}")
        answer: dict[str, Any] = json.loads(line)
        return answer
