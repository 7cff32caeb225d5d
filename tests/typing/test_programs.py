"""Programs as users write them, judged by mypy --strict and by pyright."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.helpers.source_tree import ROOT

PROGRAMS = Path(__file__).parent / "programs"
MARK = "# wrong"


def marked_lines() -> set[str]:
    """Return file:line of each line that a checker must refuse."""
    return {
        f"{path.name}:{number}"
        for path in PROGRAMS.glob("*.py")
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        if line.endswith(MARK)
    }


def run(*command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command, capture_output=True, text=True, cwd=ROOT, check=False, timeout=300
    )


def test_mypy_agrees():
    """
    mypy --strict reports the marked lines, and nothing else.
    """
    done = run(
        sys.executable, "-m", "mypy", "--strict", "--output", "json", "--no-error-summary",
        "--config-file", "pyproject.toml", str(PROGRAMS),
    )  # fmt: skip
    reports = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    found = {
        f"{Path(one['file']).name}:{one['line']}" for one in reports if one["severity"] == "error"
    }

    assert done.returncode in {0, 1}, done.stdout + done.stderr
    assert marked_lines() == found, done.stdout


def test_pyright_agrees():
    """
    pyright in strict mode reports the marked lines, and nothing else.
    """
    if os.environ.get("PYPRODUCER_PYRIGHT") != "required" and not shutil.which("node"):
        pytest.skip("pyright needs node, which is not here; make types insists on it")
    done = run(
        sys.executable,
        "-m",
        "pyright",
        "--outputjson",
        "--pythonpath",
        sys.executable,
        str(PROGRAMS),
    )
    assert done.returncode in {0, 1}, done.stdout + done.stderr
    reports = json.loads(done.stdout)["generalDiagnostics"]
    found = {
        f"{Path(one['file']).name}:{one['range']['start']['line'] + 1}"
        for one in reports
        if one["severity"] == "error"
    }

    assert marked_lines() == found, done.stdout
