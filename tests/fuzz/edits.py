"""Changes to an input, as an attacker or a broken disk makes them: a few bytes, or their order."""

from __future__ import annotations

import random
from collections.abc import Sequence

#: What lengths, counts and numbers do most harm with.
EXTREMES = (
    b"\x00",
    b"\xff",
    b"\x7f",
    b"\x80",
    b"\x7f\xff",
    b"\x80\x00",
    b"\xff\xff",
    b"\x7f\xff\xff\xff",
    b"\x80\x00\x00\x00",
    b"\xff\xff\xff\xff",
    b"\x7f" + b"\xff" * 7,
    b"\x80" + b"\x00" * 7,
    b"\xff" * 8,
    b"\xff\xff\xff\xff\x0f",
    b"\xff\xff\xff\xff\x07",
    b"\x80\x80\x80\x80\x10",
    b"\xff" * 9 + b"\x01",
    b"\xed\xa0\x80",
)


def edited(data: bytes, others: Sequence[bytes], rand: random.Random) -> bytes:
    """The input with one to four changes, some of which bring in parts of others."""
    out = bytearray(data)
    for _ in range(rand.choice((1, 1, 2, 4))):
        at = rand.randint(0, len(out))
        size = min(len(out) - at, rand.choice((1, 1, 2, 4, 8, 32)))
        kind = rand.randrange(7)
        if kind == 0 and out:
            out[at % len(out)] ^= 1 << rand.randrange(8)
        elif kind == 1 and out:
            out[at % len(out)] = rand.randrange(256)
        elif kind == 2:
            extreme = rand.choice(EXTREMES)
            out[at : at + len(extreme)] = extreme
        elif kind == 3:
            del out[at : at + size]
        elif kind == 4:
            out[at:at] = out[at : at + size] * rand.choice((1, 1, 3))
        elif kind == 5:
            other = rand.choice(others) if others else b""
            start = rand.randint(0, len(other))
            out[at : at + rand.choice((0, size))] = other[start : start + size * 4]
        else:
            out[at:at] = rand.randbytes(size)
    return bytes(out)
