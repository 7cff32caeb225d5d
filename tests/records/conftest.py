"""The twins of the record scan, each handed to every test that asks for ``twin``."""

from __future__ import annotations

from importlib import import_module
from types import ModuleType

import pytest

from tests.helpers.compiled_scan import COMPILED_SCAN, needs_compiled_scan


@pytest.fixture(
    params=[
        pytest.param("pyproducer.records._scan_py", id="pure"),
        pytest.param(COMPILED_SCAN, id="compiled", marks=needs_compiled_scan),
    ],
    scope="session",
)
def twin(request: pytest.FixtureRequest) -> ModuleType:
    """
    The scan under test.
    """
    return import_module(request.param)


@pytest.fixture(params=[pytest.param(None, marks=needs_compiled_scan, id="both")], scope="session")
def twins() -> tuple[ModuleType, ModuleType]:
    """
    Both scans, for the tests that compare them.
    """
    return import_module("pyproducer.records._scan_py"), import_module(COMPILED_SCAN)
