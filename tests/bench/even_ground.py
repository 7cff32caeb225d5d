"""The same ground for every server that keeps what it is sent, whoever went before it.

What a server keeps, on disk or not, takes new pages of memory. Where the machine is a virtual one
its host gives out a page when it is touched first, and takes back large free stretches: a page that
it has not given out costs twenty times one that was freed a moment ago. And whatever others wrote
and the disk does not have yet is written while somebody else is measured. Who meets such pages, or
such writing, would be chance.
"""

from __future__ import annotations

import os
import tempfile
from typing import Final

_PIECE: Final = bytes(1 << 20)


def level(size: int) -> None:
    """Nothing waits to be written, and ``size`` bytes of memory are free that were used just now.

    Args:
        size: what a round may take, in bytes.
    """
    os.sync()
    # Deleted before it is ever written to the disk; its pages are the next that anybody gets.
    with tempfile.TemporaryFile(buffering=0) as file:
        for _ in range(-(-size // len(_PIECE))):
            file.write(_PIECE)
