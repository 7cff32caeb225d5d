"""What the appender's twins hold on to: nothing."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.helpers.source_tree import ROOT

# 1.9 MB of records go through a round and 57 MB through the half that is measured.
MOST_GROWTH = 3_000_000


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_memory_does_not_grow(twin):
    """
    Without any help of the garbage collector, memory stays level over many batches, handles,
    callbacks, splits, shelves, failures and refusals.
    """
    done = subprocess.run(
        [sys.executable, "-m", "tests.helpers.appender_soak", twin.__name__],
        capture_output=True,
        text=True,
        cwd=ROOT,
        check=False,
        timeout=120,
    )

    assert 0 == done.returncode, done.stderr
    assert int(done.stdout) < MOST_GROWTH
