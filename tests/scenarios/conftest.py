"""A broker to be harmed, the rig for scenarios, and the counts of all of them in the end."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from pyproducer.broker import Broker
from tests.helpers.history import Counts, table
from tests.helpers.leftovers import Leftovers
from tests.helpers.scenario import Scenario

_PROPERTY = "scenario counts"


@pytest.fixture(autouse=True)
def nothing_left() -> Iterator[None]:
    """No socket and no thread outlives a scenario."""
    before = Leftovers()
    yield
    assert before.found() == []


@pytest.fixture
def protocol() -> int:
    """Version of the transaction protocol that the cluster has finalized; tests have their own."""
    return 2


@pytest.fixture
def broker(protocol: int) -> Iterator[Broker]:
    """A broker of the test's own; topics "t" (3 partitions) and "one"."""
    with Broker({"t": 3, "one": 1}, transaction_version=protocol) as running:
        yield running
        # What is paused could not end.
        running.faults.clear()


@pytest.fixture
async def rig(broker: Broker, request: pytest.FixtureRequest) -> AsyncIterator[Scenario]:
    """Producers on the broker and the history of what they wrote."""
    made = Scenario(broker, ["t", "one"])
    async with made.pulse():
        yield made
    count(request, made)


def count(request: pytest.FixtureRequest, scenario: Scenario) -> None:
    """Have the scenario's counts in the summary."""
    request.node.user_properties.append((_PROPERTY, scenario.properties()))


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Print a line for each theme, and their sum."""
    rows: dict[str, Counts] = {}
    for reports in terminalreporter.stats.values():
        for report in reports:
            if getattr(report, "when", None) != "teardown":
                continue
            theme = Path(report.fspath).stem.removeprefix("test_").replace("_", " ")
            for name, counts in report.user_properties:
                if name == _PROPERTY:
                    rows[theme] = rows.get(theme, Counts()) + Counts(**counts)
    if rows:
        terminalreporter.section("scenarios: what producers were told, and what was there")
        for line in table(rows):
            terminalreporter.write_line(line)
