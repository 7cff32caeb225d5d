"""Floods a producer whose broker stands still, in a process of its own, and weighs the process."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import Any

from tests.helpers.broker_process import BrokerProcess
from tests.helpers.source_tree import ROOT

PROGRAM = ROOT / "tests" / "lifecycle" / "programs" / "flood.py"

PLAIN = {
    "seconds": 10.0,
    "once": True,
    "value": 100,
    "header": 0,
    "keep": False,
    "callback": False,
    "shelf": False,
    "threads": 0,
    "waiters": 0,
}


def flood(broker: BrokerProcess, settings: dict[str, Any], **options: Any) -> dict[str, float]:
    """What the program says at its end; see ``flood.py`` there for settings."""
    whole = {
        **PLAIN,
        **settings,
        "servers": broker.bootstrap_servers,
        "pid": broker.pid,
        "options": options,
    }
    done = subprocess.run(
        [sys.executable, str(PROGRAM), json.dumps(whole)],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        timeout=whole["seconds"] + 60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)
