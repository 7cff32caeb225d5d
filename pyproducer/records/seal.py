"""Chooses the twin that makes the headers of complete batches: in Cython where it is built.

The environment variable ``PYPRODUCER_PURE=1`` forces the one in Python.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pyproducer._pure import PURE

__all__ = ["seal_header"]

if TYPE_CHECKING or PURE:
    from pyproducer.records._seal_py import seal_header
else:
    try:
        from pyproducer.records._seal import seal_header
    except ImportError:
        from pyproducer.records._seal_py import seal_header
