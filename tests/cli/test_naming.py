from __future__ import annotations

import pytest

from pyproducer.cli.naming import advice


@pytest.mark.parametrize("name", ["shop.orders", "shop.orders.v1", "a-b.c-d"])
def test_good_names(name):
    """
    A namespaced name needs no advice.
    """
    assert [] == advice(name)


@pytest.mark.parametrize(
    ("name", "told"),
    [("clicks", "'shop.clicks'"), ("a_b.c", "'a-b.c'"), ("Shop.orders", "'shop.orders'")],
)
def test_what_could_be_better(name, told):
    """
    Advice has the name that would be better.
    """
    [found] = advice(name)

    assert told in found
