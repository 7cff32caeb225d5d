"""How fast a log is compacted, and what that does to others: ``python -m tests.bench.cleaning``.

A log of ``--mib`` mebibytes in which every key comes ``--times`` times is compacted on the threads
that a broker uses, beside an event loop that asks all the time how late it is.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import tempfile
import time
from pathlib import Path

from pyproducer.records.builder import build_batch
from pyproducer.records.codec import Codec
from pyproducer.records.compaction import COMPILED
from pyproducer.records.record import Record
from tests.helpers.compaction import Rig
from tests.helpers.partition_logs import NOW, put

RECORDS = 100
VALUE_BYTES = 1000
#: Seconds between two looks of the loop at the clock.
_NAP = 0.001


def fill(rig: Rig, mib: int, times: int, codec: Codec) -> None:
    """Write so many mebibytes of values in closed segments."""
    rng = random.Random(1)
    # Half of a value can be compressed away, about as in logs of text.
    values = [rng.randbytes(VALUE_BYTES // 2) + bytes(VALUE_BYTES // 2) for _ in range(RECORDS)]
    count = (mib << 20) // VALUE_BYTES // RECORDS
    keys = max(1, count * RECORDS // times)
    for _ in range(count):
        records = [Record(0, NOW, key=b"%d" % rng.randrange(keys), value=one) for one in values]
        put(rig.log, build_batch(records, codec=codec))
    rig.seal()


async def longest_stall(rig: Rig) -> tuple[float, float]:
    """Compact; return the seconds that took, and the longest that the loop was away."""
    ended = False
    longest = 0.0

    async def watch() -> None:
        nonlocal longest
        while not ended:
            due = time.perf_counter() + _NAP
            await asyncio.sleep(_NAP)
            longest = max(longest, time.perf_counter() - due)

    watching = asyncio.create_task(watch())
    began = time.perf_counter()
    assert await rig.cleaner.clean_elsewhere() == 1
    took = time.perf_counter() - began
    ended = True
    await watching
    return took, longest


def main() -> None:
    """Run as the command line asks."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--mib", type=int, default=256)
    parser.add_argument("--times", type=int, default=10)
    parser.add_argument("--codecs", nargs="+", default=["none", "lz4", "zstd"])
    options = parser.parse_args()
    print("compiled" if COMPILED else "pure Python")
    for name in options.codecs:
        with tempfile.TemporaryDirectory() as folder:
            rig = Rig(Path(folder), segment_bytes=64 << 20)
            fill(rig, options.mib, options.times, Codec[name.upper()])
            before = rig.log.size
            took, longest = asyncio.run(longest_stall(rig))
            print(
                f"{name:6} {before / 1e6:6.0f} MB to {rig.log.size / 1e6:6.0f} MB  "
                f"{before / 1e6 / took:6.0f} MB/s  loop away for {longest * 1e3:5.1f} ms at most",
                flush=True,
            )
            rig.log.abandon()


if __name__ == "__main__":
    main()
