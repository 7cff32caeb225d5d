"""Which foreign programs a run does without, by the word of its environment."""

from __future__ import annotations

import os

import pytest

_VARIABLE = "PYPRODUCER_CONFORMANCE_WITHOUT"


def left_out() -> frozenset[str]:
    """The names in ``PYPRODUCER_CONFORMANCE_WITHOUT``.

    Raises:
        pytest.UsageError: one of them is no peer's.
    """
    names = os.environ.get(_VARIABLE, "").replace(",", " ").split()
    if not names:
        return frozenset()
    from tests.helpers.peers import PEERS

    known = {"kafka", "tansu", "mock", *PEERS}
    unknown = sorted(set(names) - known)
    if unknown:
        raise pytest.UsageError(f"{_VARIABLE} names {unknown}; known: {sorted(known)}")
    return frozenset(names)


def skip_left_out(items: list[pytest.Item]) -> None:
    """Skip what needs (``pytest.mark.needs``) a program that is left out."""
    missing = left_out()
    for item in items:
        for marker in item.iter_markers("needs"):
            for name in sorted(missing.intersection(marker.args)):
                item.add_marker(pytest.mark.skip(reason=f"{_VARIABLE}={name}"))
