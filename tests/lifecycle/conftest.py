"""A broker whose records tell which program wrote what."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from pyproducer.broker import Broker


@pytest.fixture
def broker() -> Iterator[Broker]:
    """A broker of the test's own; topics "t" (3 partitions) and "one"."""
    with Broker({"t": 3, "one": 1}) as running:
        yield running
