"""Chooses the twin that compacts batches: the compiled one, or the pure one where it is absent.

The environment variable ``PYPRODUCER_PURE=1`` forces the pure one.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final

__all__ = ["COMPILED", "OffsetMap", "rebased"]

if TYPE_CHECKING or os.environ.get("PYPRODUCER_PURE", "") not in {"", "0"}:
    from pyproducer.records._compaction_py import OffsetMap, rebased

    _compiled = False
else:
    try:
        from pyproducer.records._compaction import OffsetMap, rebased
    except ImportError:
        from pyproducer.records._compaction_py import OffsetMap, rebased

        _compiled = False
    else:
        _compiled = True

#: True where the compiled twin is in use.
COMPILED: Final = _compiled
