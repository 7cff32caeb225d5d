"""What our code has complained about in a test."""

from __future__ import annotations

import logging

import pytest


def complaints(caplog: pytest.LogCaptureFixture) -> list[str]:
    """What our code has warned of; asyncio's own are about the machine."""
    return [
        one.getMessage()
        for one in caplog.records
        if one.levelno >= logging.WARNING and one.name.startswith("pyproducer")
    ]
