"""The compiled twin of the record scan, for tests that need it."""

from __future__ import annotations

import os

import pytest

from tests.helpers.accelerator import is_built

#: The module's name.
COMPILED_SCAN = "pyproducer.records._scan"

needs_compiled_scan = pytest.mark.skipif(
    os.environ.get("PYPRODUCER_PURE", "") not in {"", "0"} or not is_built(COMPILED_SCAN),
    reason="the compiled scan is not built, or switched off",
)
