"""Chooses the twin that walks records: the compiled one, or the pure one where it is absent.

The environment variable ``PYPRODUCER_PURE=1`` forces the pure one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from pyproducer._pure import PURE

if TYPE_CHECKING:
    from collections.abc import Callable

    from pyproducer.model import Buffer

__all__ = ["COMPILED", "pinned", "read_records", "scan_records"]

#: Makes of any buffer an object that functions of C take for bytes, without a copy; None where
#: there is no such thing.
pinned: Callable[[Buffer], bytes] | None = None

if TYPE_CHECKING or PURE:
    from pyproducer.records._scan_py import read_records, scan_records

    _compiled = False
else:
    try:
        from pyproducer.records._scan import Pinned, read_records, scan_records
    except ImportError:
        from pyproducer.records._scan_py import read_records, scan_records

        _compiled = False
    else:
        _compiled = True
        pinned = Pinned

#: True where the compiled twin is in use.
COMPILED: Final = _compiled
