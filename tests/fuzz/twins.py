"""Compiled modules and their sources, run on the same input."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from types import ModuleType
from typing import Any

from tests.helpers.accelerator import is_built


def twins(package: str, name: str) -> list[ModuleType]:
    """The pure twin and, where it is built, the compiled one."""
    found = [import_module(f"pyproducer.{package}._{name}_py")]
    if is_built(f"pyproducer.{package}._{name}"):
        found.append(import_module(f"pyproducer.{package}._{name}"))
    return found


def outcome(call: Callable[[], Any], *expected: type[Exception]) -> tuple[str, Any]:
    """What a call returns, or type and text of the error, one of those expected, that it raises."""
    try:
        return "returned", call()
    except expected as error:
        return type(error).__name__, str(error)


def same(outcomes: list[Any]) -> Any:
    """The outcome that all twins have."""
    assert all(one == outcomes[0] for one in outcomes), f"twins differ: {outcomes}"
    return outcomes[0]
