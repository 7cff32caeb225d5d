"""Proof that no test leaves anything behind."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.helpers.leftovers import Leftovers


@pytest.fixture(autouse=True)
def nothing_left() -> Iterator[None]:
    """No socket and no thread outlives a test."""
    before = Leftovers()
    yield
    assert before.found() == []
