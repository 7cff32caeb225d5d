"""One million records through our producer to our broker, none lost; the rate beside another's."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests.helpers.scoreboard import Scoreboard

ROOT = Path(__file__).parents[2]


def test_million_records_arrive(scoreboard: Scoreboard) -> None:
    """
    A foreign consumer finds a million records whole, in order and once, in each of three rounds.

    A process of its own keeps asyncio's debug mode and pytest out of what is measured.
    """
    done = subprocess.run(
        [sys.executable, "-m", "tests.bench.million"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )

    scoreboard.note(done.stdout + done.stderr[-2000:])
    assert done.returncode == 0, done.stdout + done.stderr
    assert "1,000,000 records" in done.stdout
