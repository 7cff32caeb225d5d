"""A fault at each request of a transaction: what readers of committed data see is exact."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.helpers.history import Outcome
from tests.helpers.scenario import Scenario
from tests.helpers.transacting import OPTIONS, Transacting, outcomes, verdict

COORDINATOR = [
    "COORDINATOR_LOAD_IN_PROGRESS",
    "COORDINATOR_NOT_AVAILABLE",
    "NOT_COORDINATOR",
    "CONCURRENT_TRANSACTIONS",
    "REQUEST_TIMED_OUT",
]
PRODUCE = [
    "NOT_LEADER_OR_FOLLOWER",
    "NOT_ENOUGH_REPLICAS_AFTER_APPEND",
    "REQUEST_TIMED_OUT",
    "KAFKA_STORAGE_ERROR",
]
#: Each request of a transaction, with the protocols that have it and the errors that are passing.
STEPS: dict[str, tuple[set[int], list[str]]] = {
    "FindCoordinator": ({1, 2}, ["COORDINATOR_NOT_AVAILABLE", "COORDINATOR_LOAD_IN_PROGRESS"]),
    "InitProducerId": ({1, 2}, COORDINATOR),
    "AddPartitionsToTxn": ({1}, COORDINATOR),
    "Produce": ({1, 2}, PRODUCE),
    "AddOffsetsToTxn": ({1}, COORDINATOR),
    "TxnOffsetCommit": ({1, 2}, COORDINATOR),
    "EndTxn": ({1, 2}, COORDINATOR),
}
PLACES = [
    (api, protocol) for api, (protocols, _) in STEPS.items() for protocol in sorted(protocols)
]


async def under(work: Transacting, api: str, fault: Callable[[], Any]) -> None:
    """Five transactions of a new producer, of which the second and the third meet the fault.

    What a producer asks once meets it at the start.
    """
    rig = work.rig
    at_start = api in {"FindCoordinator", "InitProducerId"}
    before = len(rig.history.transactions)
    faults = [fault()] if at_start else []
    async with rig.producer(**OPTIONS) as producer:
        await work.run(producer)
        if not at_start:
            faults.append(fault())
        await work.run(producer)
        if not at_start:
            faults.append(fault())
        await work.run(producer, abort=True)
        rig.broker.faults.clear()
        await work.run(producer, offsets=False)
        await work.run(producer, records=0)
    # A delay or an error that passes is no reason to abort.
    ok, aborted = Outcome.OK, Outcome.FAILED
    assert [ok, ok, aborted, ok, ok] == outcomes(rig)[before:], (faults, work.errors)
    assert faults[0].hits


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize(("api", "protocol"), PLACES)
async def test_passing_errors(rig: Scenario, api: str, protocol: int, when: str):
    """
    An error that passes delays the transaction and does not abort it, done or not.
    """
    work = Transacting(rig)
    for code in STEPS[api][1]:
        await under(work, api, lambda code=code: rig.faults.fail(api, code, when=when, times=2))
    await verdict(rig, work)


@pytest.mark.parametrize(("api", "protocol"), PLACES)
async def test_lost_answers(rig: Scenario, api: str, protocol: int):
    """
    A request whose answer is lost, broken or late is asked again: it is done once.
    """
    work = Transacting(rig)
    await under(work, api, lambda: rig.faults.drop_response(api))
    await under(work, api, lambda: rig.faults.cut(api))
    await under(work, api, lambda: rig.faults.delay(api, 0.4, times=1))
    await verdict(rig, work)


@pytest.mark.parametrize(
    ("api", "protocol"),
    [place for place in PLACES if place[0] not in {"FindCoordinator", "InitProducerId"}],
)
async def test_error_that_aborts(rig: Scenario, api: str, protocol: int):
    """
    TRANSACTION_ABORTABLE aborts this transaction alone: nothing of it is seen, the next commits.
    """
    work = Transacting(rig)
    async with rig.producer(**OPTIONS) as producer:
        await work.run(producer)
        fault = rig.faults.fail(api, "TRANSACTION_ABORTABLE")
        await work.run(producer)
        assert 1 == fault.hits
        await work.run(producer)

    ok, aborted = Outcome.OK, Outcome.FAILED
    assert [ok, aborted, ok] == outcomes(rig), work.errors
    await verdict(rig, work)
