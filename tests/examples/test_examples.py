"""Each example runs alone, and its own assertions hold."""

from __future__ import annotations

import os
import re
import subprocess
import sys

import pytest

from tests.helpers.source_tree import ROOT, files

PROGRAMS = [path for path in files("examples/*.py") if not path.name.startswith("_")]


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda path: path.stem)
def test_example_runs(program, tmp_path):
    """
    The program ends well in a folder of its own, without a warning, and says what it did.
    """
    environment = {k: v for k, v in os.environ.items() if k != "PYPRODUCER_BOOTSTRAP_SERVERS"}
    done = subprocess.run(
        [sys.executable, "-W", "error", str(program)],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env={**environment, "PYTHONPATH": str(ROOT)},
        check=False,
        timeout=120,
    )

    assert done.returncode == 0, done.stdout + done.stderr
    assert "" == done.stderr
    assert len(done.stdout.splitlines()) >= 2


def test_list_is_complete():
    """
    The list of examples names every program, and no other.
    """
    text = (ROOT / "examples" / "README.md").read_text(encoding="utf-8")

    assert {path.name for path in PROGRAMS} == set(re.findall(r"\]\((\w+\.py)\)", text))
