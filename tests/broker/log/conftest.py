"""What the tests of the storage share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.helpers.partition_logs import release_logs


@pytest.fixture(autouse=True)
def no_log_left_open() -> Iterator[None]:
    """Release the files of the logs that a test left open, most of them on purpose."""
    yield
    release_logs()
