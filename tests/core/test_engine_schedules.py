"""Random schedules of a bad cluster: what must hold whatever happens.

``PYPRODUCER_SCHEDULES=100000`` makes a longer hunt, ``PYPRODUCER_SEED=123`` runs one schedule
again, ``PYPRODUCER_FAULTS=reset,move`` with no other kinds of faults, and ``PYPRODUCER_TRACE=FILE``
keeps all that happens in it.
"""

from __future__ import annotations

import hashlib
import logging
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.helpers.schedule_runs import SCHEDULES, as_tally, replay, run_all, run_one

GROUPS = 20

#: Schedules whose every event is compared between two runs.
COMPARED = range(1_000_000, 1_000_030)


@pytest.fixture(autouse=True)
def quiet():
    """
    A hundred thousand connections break, and nobody wants to read of each.
    """
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)


def digest(seeds: range) -> str:
    """What happens in these schedules, in short."""
    trace: list[str] = []
    for seed in seeds:
        run_one(seed, trace=trace)
    return hashlib.sha256("\n".join(trace).encode()).hexdigest()


@pytest.mark.parametrize("group", range(GROUPS if SCHEDULES.seed is None else 1))
def test_random_schedules(group, record_property):
    """
    Every record settles once and in time; what is acknowledged is in the log, where it was said
    to be, once and in order where the producer is idempotent; what failed for certain is in no
    log; in peace everything goes on, and nothing is left behind.
    """
    if SCHEDULES.seed is not None:
        replay(SCHEDULES)
        return
    began = time.perf_counter()
    outcome, faults = run_all(range(group, SCHEDULES.count, GROUPS))
    record_property("tally schedules", as_tally(outcome, faults, began))


def test_every_fault_strikes():
    """
    No kind of fault is in the list only: each happens in these schedules.
    """
    _, faults = run_all(range(2_000_000, 2_000_400))
    assert {*SCHEDULES.kinds} == {*+faults}


def test_a_seed_is_one_schedule():
    """
    The same seed gives the same events in another process, with other hashes and whichever
    appender it has: what failed in one run fails in every other.
    """
    environment = os.environ | {"PYTHONHASHSEED": "7", "PYPRODUCER_PURE": "1"}
    program = (
        "import logging; logging.disable(); from tests.core import test_engine_schedules as t; "
        "print(t.digest(t.COMPARED))"
    )
    made = subprocess.run(
        [sys.executable, "-c", program],
        check=True,
        capture_output=True,
        cwd=Path(__file__).parents[2],
        env=environment,
        text=True,
    )
    assert digest(COMPARED) == made.stdout.strip()
