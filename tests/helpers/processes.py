"""Foreign programs as child processes: started, waited for, ended by process id."""

from __future__ import annotations

import os
import random
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

# Below what systems give to outgoing connections (32768 and up, or 49152), or some connection would
# sit on the port of a server that comes back.
_PORTS = range(20_000, 32_000)


class PeerMissing(RuntimeError):
    """A program that a rig needs is not installed; the message names the package that has it."""


class PeerFailed(RuntimeError):
    """A foreign program ended or did not become ready; the message carries the end of its output."""


def require_program(name: str, debian_package: str) -> str:
    """Return the path of an installed program, or raise ``PeerMissing`` naming its Debian package."""
    path = shutil.which(name)
    if path is None:
        raise PeerMissing(f"{name!r} is not installed: 'apt-get install {debian_package}' has it")
    return path


def end_by_input(process: subprocess.Popen[str], patience: float) -> bool:
    """Close a program's input, which ends it, or kill it after ``patience`` seconds.

    Returns:
        False where it had to be killed.
    """
    try:
        process.communicate(timeout=patience)
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()
        return False
    return True


def free_ports(count: int) -> list[int]:
    """Different ports that nothing listens on and that no outgoing connection will be given."""
    found: list[int] = []
    for port in random.sample(_PORTS, len(_PORTS)):
        with socket.socket() as one:
            try:
                one.bind(("", port))
            except OSError:
                continue
        found.append(port)
        if len(found) == count:
            return found
    raise PeerFailed(f"no {count} free ports in {_PORTS}")


class ChildProcess:
    """One running program whose output goes to a file, ended on leaving the ``with`` block."""

    def __init__(
        self, command: Sequence[str], *, log: Path, env: Mapping[str, str] | None = None
    ) -> None:
        self.name = Path(command[0]).name
        self.log = log
        with log.open("ab") as output:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env={**os.environ, **(env or {})},
            )

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def code(self) -> int | None:
        """Its exit code; None while it runs."""
        return self._process.poll()

    def output(self) -> str:
        """Everything the program has printed so far."""
        return self.log.read_text(errors="replace")

    def wait_until(self, ready: Callable[[], bool], *, timeout: float) -> None:
        """Return when ``ready()`` is true; raise ``PeerFailed`` if the program ends or time is up."""
        deadline = time.monotonic() + timeout
        while not ready():
            code = self._process.poll()
            if code is not None:
                raise PeerFailed(f"{self.name} ended with {code}:\n{self.output()[-4000:]}")
            if time.monotonic() > deadline:
                raise PeerFailed(
                    f"{self.name} was not ready in {timeout} s:\n{self.output()[-4000:]}"
                )
            time.sleep(0.05)

    def stop(self, timeout: float = 20.0) -> None:
        """End the program: asked first, killed when it has not ended after ``timeout`` seconds."""
        if self._process.poll() is None:
            self._process.terminate()
        try:
            self._process.wait(timeout)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def kill(self) -> None:
        """End the program at once."""
        self._process.kill()
        self._process.wait()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()


def accepts_connections(port: int) -> bool:
    """True if something on loopback accepts a connection on ``port``."""
    try:
        socket.create_connection(("127.0.0.1", port), timeout=0.5).close()
    except OSError:
        return False
    return True
