"""The twins of the appender, each handed to every test that asks for ``twin``."""

from __future__ import annotations

import os
import shutil
from importlib import import_module
from types import ModuleType

import pytest

from tests.helpers.accelerator import is_built

PURE = "pyproducer.core._appender_py"
COMPILED = "pyproducer.core._appender"


def compiled() -> ModuleType:
    """The compiled twin; a machine with a compiler must have it."""
    if os.environ.get("PYPRODUCER_PURE", "") not in {"", "0"}:
        pytest.skip("PYPRODUCER_PURE switches the compiled appender off")
    if not is_built(COMPILED):
        if any(map(shutil.which, ("cc", "gcc", "clang"))):
            pytest.fail(
                "the compiled appender is not built, though there is a compiler: make setup"
            )
        pytest.skip("the compiled appender is not built, and there is no compiler")
    return import_module(COMPILED)


@pytest.fixture(params=["pure", "cython"], scope="session")
def twin(request: pytest.FixtureRequest) -> ModuleType:
    """
    The appender under test.
    """
    return import_module(PURE) if request.param == "pure" else compiled()


@pytest.fixture(scope="session")
def twins() -> tuple[ModuleType, ModuleType]:
    """
    Both appenders, for the tests that compare them.
    """
    return import_module(PURE), compiled()
