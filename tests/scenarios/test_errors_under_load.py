"""Every error of a Produce answer while writers go on: before the append and after it."""

from __future__ import annotations

import pytest

from pyproducer.core.verdict import TABLE, Action
from pyproducer.protocol.error_codes import ErrorCode
from tests.helpers.scenario import Scenario

RETRIED = [
    code for code, verdict in TABLE.items() if verdict.action in {Action.RETRY, Action.REFRESH}
]
REFUSED = [code for code, verdict in TABLE.items() if verdict.action is Action.FAIL]


def name(code: int) -> str:
    return ErrorCode(code).name


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("code", RETRIED, ids=name)
async def test_retriable_error(rig: Scenario, code: int, when: str):
    """
    Batches behind a refused one wait or come back too: nothing is lost, doubled or reordered.
    """
    async with rig.producer() as producer, rig.load(producer) as load:
        await load.acknowledged(20)
        fault = rig.faults.fail("Produce", code, when=when, times=3)
        await rig.struck(fault, 3)
        await load.acknowledged(20)

    assert rig.errors() == []
    rig.check()


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("code", RETRIED, ids=name)
async def test_retriable_error_without_idempotence(rig: Scenario, code: int, when: str):
    """
    One batch of a partition is under way at a time, so that order holds; only what was appended
    and then reported as failed is there twice.
    """
    options = {"enable_idempotence": False}
    async with rig.producer(**options) as producer, rig.load(producer) as load:
        await load.acknowledged(20)
        fault = rig.faults.fail("Produce", code, when=when, times=3)
        await rig.struck(fault, 3)
        await load.acknowledged(20)

    assert rig.errors() == []
    verdict = rig.check(idempotent=False)
    assert bool(verdict.counts.repeated) == (when == "after")


@pytest.mark.parametrize(
    ("code", "when"),
    [
        *((code, "before") for code in REFUSED),
        # Of the others a broker gives none to what it has appended.
        *((code, "after") for code in REFUSED if TABLE[code].maybe_written),
    ],
    ids=lambda one: one if isinstance(one, str) else name(one),
)
async def test_final_error(rig: Scenario, code: int, when: str):
    """
    The refused batch fails by name, and leaves no gap in the sequence that kills its followers.
    """
    async with rig.producer() as producer, rig.load(producer) as load:
        await load.acknowledged(20)
        fault = rig.faults.fail("Produce", code, when=when, partition=0)
        await rig.struck(fault)
        await load.acknowledged(40)

    errors = rig.errors()
    assert errors
    assert {(ErrorCode(code).name, 0, 1)} == {
        (error.broker_error, error.partition, error.attempts) for error in errors
    }
    assert {TABLE[code].maybe_written} == {error.maybe_written for error in errors}
    rig.check()
