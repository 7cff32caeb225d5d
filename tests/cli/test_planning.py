from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyproducer.cli.exits import CliError
from pyproducer.cli.planning import Rate, parse_rate, plan


@pytest.mark.parametrize(
    ("text", "amount", "counts_bytes"),
    [
        ("50MB", 50_000_000, True),
        ("1.5 GiB/s", 3 * 2**29, True),
        ("20000", 20_000, False),
        ("20k", 20_000, False),
        ("7 b", 7, True),
    ],
)
def test_units(text, amount, counts_bytes):
    """
    Decimal and binary units, and plain numbers.
    """
    assert Rate(Fraction(amount), counts_bytes, text) == parse_rate("--x", text)


@pytest.mark.parametrize("text", ["", "MB", "-1", "0", "0.0MB", "5 parsecs", "1Mi", "1e3", "nan"])
def test_what_is_no_rate(text):
    """
    What is no rate, or none above 0, is refused with the option's name.
    """
    with pytest.raises(CliError, match="--x"):
        parse_rate("--x", text)


@given(*[st.integers(1, 10**12)] * 3)
def test_enough_and_not_one_too_many(total, producer, consumer):
    """
    The partitions carry the throughput on both sides, and one less would not.
    """
    rates = [Rate(Fraction(one), True, "") for one in (total, producer, consumer)]
    count = plan(*rates).partitions

    assert count * min(producer, consumer) >= total
    assert (count - 1) * min(producer, consumer) < total
