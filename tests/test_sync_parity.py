"""The blocking producer offers what the async one does: names, parameters, defaults, errors."""

from __future__ import annotations

import inspect
import re

import pytest

from pyproducer import AsyncProducer, SyncProducer, errors

# What differs, and why.
ONLY_SYNC_RAISES = {"WouldDeadlock"}  # there is a thread that must not wait for itself
ONLY_ASYNC_RAISES = {
    "WrongLoop",
    "NotStarted",
}  # there is a caller's loop; the other starts by itself

HEADING = re.compile(r"^(\w[\w ]*):\s*$")


def public_members(cls: type) -> dict[str, object]:
    """Return the public attributes of a class, those of its own bases included."""
    return {
        name: inspect.getattr_static(cls, name) for name in dir(cls) if not name.startswith("_")
    }


def raises(member: object) -> set[str]:
    """Return the names of the errors in a docstring's Raises section."""
    found: set[str] = set()
    inside = False
    for line in (inspect.getdoc(member) or "").splitlines():
        if heading := HEADING.match(line):
            inside = heading[1] == "Raises"
        elif inside and (entry := re.match(r"^ {4}(\w[\w., ]*):", line)):
            found |= {name.strip().rpartition(".")[2] for name in entry[1].split(",")}
    return found


def parameters(member: object) -> list[tuple[str, object, object]]:
    """Return name, kind and default of each parameter but self."""
    function = getattr(member, "__func__", member)
    return [
        (one.name, one.kind, one.default)
        for one in inspect.signature(function).parameters.values()
        if one.name not in {"self", "cls"}
    ]


SHARED = sorted(public_members(AsyncProducer).keys() & public_members(SyncProducer).keys())
ROUTINES = [name for name in SHARED if callable(getattr(AsyncProducer, name))]


def test_same_names():
    """
    Both producers have the same public attributes.
    """
    assert sorted(public_members(AsyncProducer)) == sorted(public_members(SyncProducer))


def test_same_construction():
    """
    Both producers are made from the same arguments.
    """
    assert parameters(AsyncProducer.__init__) == parameters(SyncProducer.__init__)


@pytest.mark.parametrize("name", ROUTINES)
def test_same_parameters(name):
    """
    A method takes the same parameters, in the same way, with the same defaults.
    """
    assert parameters(getattr(AsyncProducer, name)) == parameters(getattr(SyncProducer, name))


@pytest.mark.parametrize("name", ROUTINES)
def test_same_errors(name):
    """
    A method's documentation names the same errors, but for those that only one side can have.
    """
    of_async = raises(getattr(AsyncProducer, name))
    of_sync = raises(getattr(SyncProducer, name))

    assert of_async - ONLY_ASYNC_RAISES == of_sync - ONLY_SYNC_RAISES


@pytest.mark.parametrize("name", ROUTINES)
def test_documented_errors_exist(name):
    """
    Each error that a method's documentation names is in the public tree or a builtin.
    """
    import builtins

    named = raises(getattr(AsyncProducer, name)) | raises(getattr(SyncProducer, name))

    assert set() == {
        one for one in named if not hasattr(errors, one) and not hasattr(builtins, one)
    }


@pytest.mark.parametrize("name", ROUTINES)
def test_blocking_side_has_no_coroutines(name):
    """
    No method of the blocking producer has to be awaited.
    """
    assert not inspect.iscoroutinefunction(getattr(SyncProducer, name))
