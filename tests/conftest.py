"""What all tests share: the report's head names the implementations under test, its end counts."""

from __future__ import annotations

import os
import signal
import sys
from importlib.metadata import entry_points
from typing import Any

import pytest
from hypothesis import settings

# An environment that was set up before the plugin existed does not know it by its entry point.
if not entry_points(group="pytest11", name="pyproducer"):
    pytest_plugins = ["pyproducer.pytest_plugin"]

# How long an example takes says something about the machine, and nothing about the code.
settings.register_profile("pyproducer", settings.default, deadline=None)
settings.load_profile("pyproducer")

# A run in the background of a shell ignores Ctrl-C, and so would every program that it starts;
# some tests wait for programs to end by it.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_configure() -> None:
    """Refuse to test compiled modules whose sources have changed since they were compiled."""
    from tests.helpers.accelerator import outdated

    if old := outdated():
        raise pytest.UsageError(f"compiled before the last change, make setup: {', '.join(old)}")


def pytest_report_header() -> list[str]:
    """Return the line that tells a run with the accelerator from one without."""
    from tests.helpers.accelerator import built

    mode = (
        "PYPRODUCER_PURE=1"
        if os.environ.get("PYPRODUCER_PURE", "") not in {"", "0"}
        else "as installed"
    )
    return [f"accelerator: built {built() or 'nothing'}, used {mode}; {sys.platform}"]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip what needs a program that the environment leaves out by name."""
    from tests.helpers.left_out import skip_left_out

    skip_left_out(items)


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Show what tests counted, added up over all of them."""
    from tests.helpers.tally import tally_lines

    reports = [report for found in terminalreporter.stats.values() for report in found]
    lines = tally_lines(report for report in reports if hasattr(report, "user_properties"))
    if lines:
        terminalreporter.section("counted")
        for line in lines:
            terminalreporter.write_line(line)
