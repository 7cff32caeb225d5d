"""Certificates and keys in PEM: text or file, whether a file is still the same, one for a text."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from typing import Final, TypeAlias

__all__ = ["FileStamp", "as_file", "is_pem", "stamp"]

_BEGIN: Final = "-----BEGIN"

#: What tells whether a file is the same: its time of change, inode and size; None without a file.
FileStamp: TypeAlias = tuple[int, int, int] | None


def is_pem(value: object) -> bool:
    """True for the text of a PEM file, False for its path."""
    if isinstance(value, bytes):
        return _BEGIN.encode() in value
    return isinstance(value, str) and _BEGIN in value


def stamp(path: str | os.PathLike[str]) -> FileStamp:
    """What changes when the file is replaced or written to."""
    try:
        found = os.stat(path)  # noqa: PTH116 - a path of either kind
    except OSError:
        return None
    return found.st_mtime_ns, found.st_ino, found.st_size


@contextlib.contextmanager
def as_file(text: str) -> Iterator[str]:
    """The path of a file that has this text and that nobody else reads, until it is left.

    OpenSSL takes certificates with their keys from files alone.
    """
    # Here: few programs need it.
    import tempfile

    descriptor, path = tempfile.mkstemp(prefix="pyproducer-")
    try:
        with open(descriptor, "w", encoding="utf-8") as file:  # noqa: PTH123 - of a descriptor
            file.write(text)
        yield path
    finally:
        os.unlink(path)  # noqa: PTH108
