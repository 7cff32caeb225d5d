"""The accelerator is there where it can be, and gone where it was switched off."""

from __future__ import annotations

import importlib
import os

import pytest

from tests.helpers.accelerator import declared, is_built


@pytest.mark.parametrize("name", declared())
def test_extension_is_built_where_it_can_be(name):
    """
    On a machine that can compile, a build that left out an extension fails here, not in silence.
    """
    if os.environ.get("PYPRODUCER_ACCELERATOR") != "expected":
        pytest.skip("PYPRODUCER_ACCELERATOR=expected is not set; make test sets it")

    assert is_built(name)
    assert importlib.import_module(name).__file__


@pytest.mark.parametrize(
    ("extension", "chooser", "flag"),
    [
        ("pyproducer.core._appender", "pyproducer.core.appender", "ACCELERATED"),
        ("pyproducer.records._compaction", "pyproducer.records.compaction", "COMPILED"),
        ("pyproducer.records._scan", "pyproducer.records.scan", "COMPILED"),
    ],
)
def test_choice_follows_the_environment(extension, chooser, flag):
    """
    A compiled twin is used wherever it is built, unless PYPRODUCER_PURE=1 says otherwise.
    """
    wanted = is_built(extension) and os.environ.get("PYPRODUCER_PURE") != "1"

    assert wanted is getattr(importlib.import_module(chooser), flag)
