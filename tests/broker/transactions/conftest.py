"""A holder of a transactional id."""

from __future__ import annotations

import pytest

from tests.helpers.transactional_client import TransactionalProducer
from tests.helpers.wire_client import WireClient


@pytest.fixture
def producer(client: WireClient) -> TransactionalProducer:
    """The holder of the transactional id `tx`."""
    made = TransactionalProducer(client)
    assert made.init() == 0
    return made
