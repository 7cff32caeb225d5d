from __future__ import annotations

import pytest

from pyproducer.cli.latency import percentile


@pytest.mark.parametrize(
    ("values", "percent", "expected"),
    [([], 50, 0.0), ([7], 99, 7), ([3, 1, 2], 50, 2), (range(1, 101), 99, 99), ([1, 2], 100, 2)],
)
def test_percentile(values, percent, expected):
    """
    The smallest value that so many percent do not exceed.
    """
    assert expected == percentile(values, percent)
