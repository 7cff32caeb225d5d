"""Random schedules of a transactional producer: readers of committed data see whole transactions.

``PYPRODUCER_TRANSACTION_SEED=123`` runs one schedule again, ``PYPRODUCER_FAULTS=reset,move`` with
no other kinds of faults.
"""

from __future__ import annotations

import logging
import time

import pytest

from tests.helpers.schedule_runs import TRANSACTIONS, as_tally, replay, run_all

GROUPS = 5


@pytest.fixture(autouse=True)
def quiet():
    """
    A hundred thousand connections break, and nobody wants to read of each.
    """
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)


@pytest.mark.parametrize("group", range(GROUPS if TRANSACTIONS.seed is None else 1))
def test_random_transactions(group, record_property):
    """
    What was committed is there, whole and once, with the offsets that belong to it; what was
    aborted, or could not be committed, is not; of what nobody can tell there is all or nothing;
    in peace a transaction can be committed, and none stays open.
    """
    if TRANSACTIONS.seed is not None:
        replay(TRANSACTIONS)
        return
    began = time.perf_counter()
    outcome, faults = run_all(range(group, TRANSACTIONS.count, GROUPS), TRANSACTIONS)
    record_property("tally transactions", as_tally(outcome, faults, began))


def test_every_fault_strikes():
    """
    No kind of fault is in the list only: each happens in these schedules.
    """
    _, faults = run_all(range(2_000_000, 2_000_300), TRANSACTIONS)
    assert {*TRANSACTIONS.kinds} <= {*+faults}
