"""The command line as its users run it: a process of its own."""

from __future__ import annotations

import contextlib
import io
import logging
import os
import pty
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def _environment(servers: str | None) -> dict[str, str]:
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith("PYPRODUCER_BOOT")
    }
    environment |= {"COLUMNS": "200", "NO_COLOR": "1", "PYTHONUNBUFFERED": "1"}
    if servers is not None:
        environment["PYPRODUCER_BOOTSTRAP_SERVERS"] = servers
    return environment


def command_line(*words: object) -> list[str]:
    """The process's command, with warnings as errors."""
    return [sys.executable, "-W", "error", "-m", "pyproducer.cli", *map(str, words)]


def run_cli(
    *words: object, servers: str | None = None, stdin: str | bytes = b"", timeout: float = 30
) -> subprocess.CompletedProcess[str]:
    """Run a command to its end; ``servers`` are in its environment."""
    done = subprocess.run(
        command_line(*words),
        input=stdin.encode() if isinstance(stdin, str) else stdin,
        capture_output=True,
        cwd=ROOT,
        env=_environment(servers),
        check=False,
        timeout=timeout,
    )
    return subprocess.CompletedProcess(
        done.args, done.returncode, done.stdout.decode(), done.stderr.decode()
    )


def call_cli(*words: object) -> subprocess.CompletedProcess[str]:
    """Run a command in this process, as its entry point does, without naming a cluster."""
    from pyproducer.cli import main

    output, errors = io.StringIO(), io.StringIO()
    logger = logging.getLogger("pyproducer")
    handlers, propagate, environment = list(logger.handlers), logger.propagate, dict(os.environ)
    os.environ.clear()
    os.environ.update(_environment(None))
    try:
        with contextlib.redirect_stdout(output), contextlib.redirect_stderr(errors):
            status = main([str(word) for word in words])
    finally:
        os.environ.clear()
        os.environ.update(environment)
        logger.handlers, logger.propagate = handlers, propagate
    return subprocess.CompletedProcess(words, status, output.getvalue(), errors.getvalue())


def start_cli(
    *words: object, servers: str | None = None, stderr: int = subprocess.PIPE
) -> subprocess.Popen[bytes]:
    """Start a command with pipes on all sides, or another stderr."""
    return subprocess.Popen(
        command_line(*words),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=stderr,
        cwd=ROOT,
        env=_environment(servers),
    )


def watch_cli(
    *words: object, servers: str | None = None
) -> tuple[subprocess.CompletedProcess[str], str]:
    """Run a command to its end whose stderr is a terminal; also return what that showed."""
    ours, theirs = pty.openpty()
    process = start_cli(*words, servers=servers, stderr=theirs)
    os.close(theirs)
    shown = b""
    with process:
        # Reading fails once the other side is closed, as Linux does it for terminals.
        with contextlib.suppress(OSError):
            while data := os.read(ours, 65536):
                shown += data
        assert process.stdout is not None
        output = process.stdout.read()
    os.close(ours)
    done = subprocess.CompletedProcess(process.args, process.returncode, output.decode(), "")
    return done, shown.decode()


def one_line(text: str) -> str:
    """The only line of a text; an assertion fails if there is another."""
    assert text.count("\n") == 1, text
    return text.strip()
