"""The schedules find what is wrong: faults planted in the engine, one at a time.

Only classes of Python can be patched. Where the engine is compiled, this file runs once more, in a
process that takes the sources instead.
"""

from __future__ import annotations

import logging
import os
import struct
import subprocess
import sys

import pytest

from tests.helpers.accelerator import is_built
from tests.helpers.planted_faults import PLANTS, TRANSACTIONAL
from tests.helpers.schedule_runs import SCHEDULES, TRANSACTIONS, run_all, run_one

#: The engine's classes are of C, and take no patches.
COMPILED = is_built("pyproducer.core.engine")

#: Schedules in which each has to be found; a run of the others has 10,000.
WITHIN = range(3_000_000, 3_003_000)


@pytest.fixture(autouse=True)
def quiet():
    """
    What a broken engine logs is of no interest.
    """
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)


@pytest.mark.skipif(not COMPILED, reason="the faults are planted in this very process")
def test_planted_faults_are_found_in_the_sources():
    """
    The tests of this file pass on the sources of the compiled engine.
    """
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", __file__],
        check=False,
        capture_output=True,
        env=os.environ | {"PYPRODUCER_PURE": "1"},
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"{len(PLANTS) + len(TRANSACTIONAL) + 1} passed" in done.stdout


@pytest.mark.skipif(COMPILED, reason="a process that takes the sources runs it")
@pytest.mark.parametrize("fault", [*PLANTS, *TRANSACTIONAL])
def test_planted_fault_is_found(fault, monkeypatch, record_property):
    """
    An engine with this fault breaks a promise in one of three thousand schedules.
    """
    family = TRANSACTIONS if fault in TRANSACTIONAL else SCHEDULES
    (PLANTS | TRANSACTIONAL)[fault](monkeypatch)
    for tried, seed in enumerate(WITHIN, 1):
        try:
            run_one(seed, family)
        except (AssertionError, KeyError, struct.error):
            record_property("tally planted faults", {"found": 1, "schedules for it": tried})
            return
    pytest.fail(f"{len(WITHIN)} schedules do not find an engine that {fault}")


@pytest.mark.skipif(COMPILED, reason="a process that takes the sources runs it")
def test_failure_says_how_to_see_it_again(monkeypatch):
    """
    The error of a failing schedule ends with what happened in it, and with the command that runs
    it again, once as it was and once with no more faults than it needs.
    """
    PLANTS["forgets what a lost connection owes"](monkeypatch)
    with pytest.raises(AssertionError) as caught:
        run_all(WITHIN)
    notes = "\n".join(caught.value.__notes__)
    seed = next(word for word in notes.split() if word.isdigit())
    assert f"PYPRODUCER_SEED={seed} python -m pytest tests/core/" in notes
    assert f"PYPRODUCER_SEED={seed} PYPRODUCER_FAULTS=" in notes
    assert "connect -1 to seed" in notes
    [only] = [word[18:] for word in notes.split() if word.startswith("PYPRODUCER_FAULTS=")]

    with pytest.raises(AssertionError):
        run_one(int(seed), only=only.split(","))
    monkeypatch.undo()
    run_one(int(seed), only=only.split(","))
    run_one(int(seed))
