"""Every fuzz target over its seeds, its kept inputs, and a few hundred changes to them.

Coverage-guided runs of millions are `make fuzz`. What one of them broke is kept as a file in
`regressions/`, whose name says what it was.
"""

from __future__ import annotations

import logging
import random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.fuzz.edits import edited
from tests.fuzz.target import CORPUS, REGRESSIONS, kept, load, names

NAMES = names()
#: Enough to find what is broken in plain sight, within about a second for each target.
EXAMPLES = 400

REGRESSION_FILES = [
    pytest.param(name, data, id=f"{name}-{file}")
    for name in NAMES
    for file, data in kept(REGRESSIONS, name).items()
]


@pytest.fixture(autouse=True)
def quiet():
    """What targets make the broker log is of no interest, and there is much of it."""
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)


@pytest.mark.parametrize("name", NAMES)
def test_seeds_and_kept_inputs_hold(name):
    """
    What a target begins with holds, and is no longer than the inputs that are tried.
    """
    target = load(name)
    inputs = [*target.seeds(), *kept(CORPUS, name).values()]

    assert inputs
    for data in inputs:
        target.run(data[: target.max_len])


@pytest.mark.parametrize("name", NAMES)
def test_changed_inputs_hold(name):
    """
    So does what comes of changing them as an attacker would.
    """
    target = load(name)
    inputs = [*target.seeds(), *kept(CORPUS, name).values()]

    @settings(
        max_examples=EXAMPLES,
        derandomize=True,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(st.integers(0, len(inputs) - 1), st.integers(0, 2**32 - 1))
    def changed(number, seed):
        target.run(edited(inputs[number], inputs, random.Random(seed))[: target.max_len])

    changed()


@pytest.mark.parametrize("name", NAMES)
def test_any_bytes_hold(name):
    """
    So do bytes of nobody's making, and none at all.
    """
    target = load(name)

    @settings(max_examples=EXAMPLES // 3, derandomize=True, database=None)
    @given(st.binary(max_size=200))
    def arbitrary(data):
        target.run(data)

    arbitrary()


@pytest.mark.parametrize(("name", "data"), REGRESSION_FILES)
def test_what_was_broken_once_holds(name, data):
    """
    An input that once broke something breaks nothing.
    """
    load(name).run(data)


def test_kept_inputs_belong_to_a_target():
    """
    No folder of inputs is left behind by a target that is gone.
    """
    folders = {one.name for place in (CORPUS, REGRESSIONS) for one in place.glob("*")}

    assert folders <= set(NAMES)
