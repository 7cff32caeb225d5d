"""Programs as users write them, judged by mypy --strict and by pyright."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.helpers.snippets import pages, python_blocks
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


def mypy(folder: Path) -> tuple[set[str], str]:
    """Return file:line of each error, and all that was said."""
    done = run(
        sys.executable, "-m", "mypy", "--strict", "--output", "json", "--no-error-summary",
        "--config-file", "pyproject.toml", str(folder),
    )  # fmt: skip
    assert done.returncode in {0, 1}, done.stdout + done.stderr
    reports = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    errors = [one for one in reports if one["severity"] == "error"]
    return {f"{Path(one['file']).name}:{one['line']}" for one in errors}, done.stdout


def pyright(folder: Path) -> tuple[set[str], str]:
    """Return file:line of each error, and all that was said."""
    if os.environ.get("PYPRODUCER_PYRIGHT") != "required" and not shutil.which("node"):
        pytest.skip("pyright needs node, which is not here; make types insists on it")
    settings = {
        "include": [str(folder)],
        "extraPaths": [str(ROOT)],
        "typeCheckingMode": "strict",
        "pythonVersion": "3.11",
    }
    project = folder / "pyrightconfig.json"
    project.write_text(json.dumps(settings))
    done = run(
        sys.executable, "-m", "pyright", "--outputjson", "--pythonpath", sys.executable,
        "--project", str(project),
    )  # fmt: skip
    assert done.returncode in {0, 1}, done.stdout + done.stderr
    reports = json.loads(done.stdout)["generalDiagnostics"]
    errors = [one for one in reports if one["severity"] == "error"]
    found = {f"{Path(one['file']).name}:{one['range']['start']['line'] + 1}" for one in errors}
    return found, done.stdout


@pytest.fixture
def programs(tmp_path):
    """The programs of this folder, in a folder of their own."""
    for path in PROGRAMS.glob("*.py"):
        shutil.copy(path, tmp_path)
    return tmp_path


@pytest.fixture
def documented(tmp_path):
    """Each program of README and guides as a file; fragments, which await outside, are left out."""
    for page in pages():
        for block in python_blocks(page):
            if not block.is_fragment:
                lines = "\n" * (block.line - 1) + block.text
                name = "_".join(page.relative_to(ROOT).with_suffix("").parts).replace("-", "_")
                (tmp_path / f"{name}_{block.line}.py").write_text(lines, encoding="utf-8")
    return tmp_path


@pytest.mark.parametrize("checker", [mypy, pyright], ids=["mypy", "pyright"])
def test_marked_lines_are_refused(checker, programs):
    """
    A strict checker reports each marked line of the users' programs, and nothing else.
    """
    found, said = checker(programs)

    assert marked_lines() == found, said


@pytest.mark.parametrize("checker", [mypy, pyright], ids=["mypy", "pyright"])
def test_documented_programs_are_typed(checker, documented):
    """
    A strict checker has nothing against the programs of README and guides.
    """
    found, said = checker(documented)

    assert set() == found, said
