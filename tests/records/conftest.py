"""The twins of the record scan, each handed to every test that asks for ``twin``."""

from __future__ import annotations

import os
from importlib import import_module
from types import ModuleType

import pytest

from tests.helpers.accelerator import is_built

COMPILED = "pyproducer.records._scan"

needs_extension = pytest.mark.skipif(
    os.environ.get("PYPRODUCER_PURE", "") not in {"", "0"} or not is_built(COMPILED),
    reason="the compiled scan is not built, or switched off",
)


@pytest.fixture(
    params=[
        pytest.param("pyproducer.records._scan_py", id="pure"),
        pytest.param(COMPILED, id="compiled", marks=needs_extension),
    ],
    scope="session",
)
def twin(request: pytest.FixtureRequest) -> ModuleType:
    """
    The scan under test.
    """
    return import_module(request.param)


@pytest.fixture(params=[pytest.param(None, marks=needs_extension, id="both")], scope="session")
def twins() -> tuple[ModuleType, ModuleType]:
    """
    Both scans, for the tests that compare them.
    """
    return import_module("pyproducer.records._scan_py"), import_module(COMPILED)
