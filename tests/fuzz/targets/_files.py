"""What a broker leaves on disk, and changes to it as an input tells them."""

from __future__ import annotations

import os
import struct
import tempfile
from collections.abc import Iterable
from pathlib import Path

from pyproducer.records.batch import (
    ATTRIBUTES_POSITION,
    CRC_POSITION,
    HEADER_SIZE,
    LOG_OVERHEAD,
    MIN_BATCH_LENGTH,
)
from pyproducer.records.crc import crc32c
from tests.fuzz.bites import Bites
from tests.helpers.memory_disk import MemoryDisk

#: Where Linux keeps files in memory.
_IN_MEMORY = "/dev/shm"

#: By path below the folder.
Files = dict[str, bytes]

#: Names that something else may leave where a broker keeps its files.
ODD_NAMES = (
    "99999999999999999999.log",
    "18446744073709551615.index",
    "09223372036854775807.log",
    "00000000000000000001.log",
    "00000000000000000003.snapshot",
    "5.log",
    "\u00b2.log",
    "\u0663.snapshot",
    "00000000000000000000.log.cleaned",
    "00000000000000000000.log.swap",
    "x.tmp",
    ".log",
)


def read_all(disk: MemoryDisk, folder: Path) -> Files:
    """Every file below a folder of a disk in memory."""
    found: Files = {}
    for name in disk.listdir(folder):
        if disk.is_dir(folder / name):
            found |= {f"{name}/{k}": data for k, data in read_all(disk, folder / name).items()}
        else:
            file = disk.open(folder / name)
            found[name] = file.pread(file.size(), 0)
    return found


def memory_folder() -> tempfile.TemporaryDirectory[str]:
    """A folder that is gone with the process, in memory where the system has such a place."""
    place = _IN_MEMORY if os.access(_IN_MEMORY, os.W_OK | os.X_OK) else None
    return tempfile.TemporaryDirectory(prefix="pyproducer-fuzz-", dir=place)


def changed(files: Files, bites: Bites) -> Files:
    """The files after up to eight changes: bytes, lengths, names, and things that are gone."""
    before, files = files, dict(files)
    repaired = bool(bites.byte() & 1)
    for _ in range(8):
        if not bites or not files:
            break
        name = bites.one_of(sorted(files))
        data = files[name]
        kind = bites.byte() % 8
        at = bites.number(2, signed=False) % (len(data) + 1)
        if kind <= 2:
            piece = bites.some()
            files[name] = data[:at] + piece + data[at + len(piece) :]
        elif kind == 3:
            files[name] = data[:at]
        elif kind == 4:
            files[name] = data[:at] + bites.some() + data[at:]
        elif kind == 5:
            files[name] = bites.some()
        elif kind == 6:
            del files[name]
        else:
            odd = bites.one_of(ODD_NAMES)
            files[str(Path(name).with_name(odd))] = data
    if repaired:
        # Those that nothing has changed have right ones.
        sums = [k for k, data in files.items() if k.endswith(".log") and data is not before.get(k)]
        files |= {k: _summed(files[k]) for k in sums}
    return files


def _summed(log: bytes) -> bytes:
    """The log with right checksums, as far as it has batches."""
    out = bytearray(log)
    at = 0
    while at + HEADER_SIZE <= len(out):
        (length,) = struct.unpack_from(">i", out, at + 8)
        end = at + LOG_OVERHEAD + length
        if length < MIN_BATCH_LENGTH or end > len(out):
            break
        checksum = crc32c(memoryview(out)[at + ATTRIBUTES_POSITION : end])
        struct.pack_into(">I", out, at + CRC_POSITION, checksum)
        at = end
    return bytes(out)


def changes(files: Files) -> Iterable[bytes]:
    """Inputs that change each file in some way."""
    for number, name in enumerate(sorted(files)):
        for kind, at in ((0, 0), (0, 8), (0, 23), (0, 57), (3, 30), (4, 1), (5, 0), (6, 0), (7, 0)):
            piece = b"\x04\x7f\xff\xff\xff" if kind < 7 else bytes((number,))
            yield bytes((1, number, kind)) + struct.pack(">H", at) + piece
        yield bytes((0, number, 1)) + struct.pack(">H", len(files[name]) // 2) + b"\x01\xff"
