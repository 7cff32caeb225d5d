"""The accelerator is there where it can be, and gone where it was switched off."""

from __future__ import annotations

import importlib
import os

import pytest

from tests.helpers.accelerator import built, declared


@pytest.mark.parametrize("name", declared())
def test_extension_is_built_where_it_can_be(name):
    """
    On a machine that can compile, a build that left out an extension fails here, not in silence.
    """
    if os.environ.get("PYPRODUCER_ACCELERATOR") != "expected":
        pytest.skip("PYPRODUCER_ACCELERATOR=expected is not set; make test sets it")

    assert name in built()
    assert importlib.import_module(name).__file__
