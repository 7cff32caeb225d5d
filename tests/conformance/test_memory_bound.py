"""Memory with the broker stopped for a minute and callers that never stop: buffer plus 50 MiB."""

from __future__ import annotations

import sys
from typing import Any

import pytest

from tests.helpers.broker_process import BrokerProcess
from tests.helpers.flood import flood
from tests.helpers.scoreboard import Scoreboard

MINUTE: dict[str, Any] = {"seconds": 60.0, "once": False, "keep": True, "callback": True}
FLOODS = {
    "asyncio": MINUTE | {"value": 1},
    "8 threads": MINUTE | {"value": 100, "threads": 8},
}


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.parametrize("name", FLOODS)
def test_memory_stays_within_the_buffer(tmp_path: Any, scoreboard: Scoreboard, name: str) -> None:
    """
    A minute of queueing against a stopped broker takes buffer_memory and at most 50 MiB more, of
    the whole process, with the default buffer and while each record is retried and waited for.
    """
    with BrokerProcess({"t": 3}, data_dir=tmp_path) as broker:
        found = flood(broker, FLOODS[name], request_timeout_ms=5_000)

    scoreboard.note(
        f"memory, {name}, broker stopped for 60 s: {found['charged']:.1f} of 64 MiB charged for "
        f"{found['accepted']:,} records, process grown by {found['grown']:.1f} MiB"
    )
    assert 60 < found["charged"] <= 64
    assert found["grown"] < 64 + 50
