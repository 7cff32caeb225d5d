"""Whether the compiled half of the package is passed by: see ``_sources.py``."""

from __future__ import annotations

import os
from typing import Final

__all__ = ["PURE"]

#: True where PYPRODUCER_PURE in the environment asks for Python alone.
PURE: Final = os.environ.get("PYPRODUCER_PURE", "") not in {"", "0"}
