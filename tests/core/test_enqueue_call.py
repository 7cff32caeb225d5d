"""What enqueue returns: a coroutine to whoever looks at it, in both twins."""

from __future__ import annotations

import sys
import warnings

import pytest

from tests.helpers.door import Door


@pytest.fixture
def door(twin) -> Door:
    """
    An appender that knows topic "t" of three partitions.
    """
    return Door(twin, topics={"t": 3})


@pytest.mark.filterwarnings("default")
def test_never_awaited(door):
    """
    A call that is dropped without a step says so, by name, and queues nothing.
    """
    with pytest.warns(RuntimeWarning, match=r"'\w+\.enqueue' was never awaited"):
        door.appender.enqueue("t", b"x")

    assert 0 == door.appender.records


def test_never_awaited_as_an_error(door, monkeypatch):
    """
    Where warnings are errors it is one that nobody can catch; whoever keeps what it was about
    keeps an object that can still be looked at.
    """
    kept = []
    monkeypatch.setattr(sys, "unraisablehook", kept.append)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for _ in range(200):
            door.appender.enqueue("t", b"x", on_delivery=kept.append)
        # The memory of those that are kept must not be anybody else's now.
        awaited = [door.appender.enqueue("t", b"x") for _ in range(200)]
        for call in awaited:
            call.close()
    found = [one.object for one in kept]

    assert [RuntimeWarning] * 200 == [one.exc_type for one in kept]
    assert len(set(map(id, found + awaited))) == 400
    for call in found:
        assert "enqueue" in repr(call).lower()
        call.close()
    assert 0 == door.appender.records
