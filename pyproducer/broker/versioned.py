"""Keys and values in the broker's own topics: an int16 version, then the struct in that version."""

from __future__ import annotations

import struct
from typing import TypeVar

from pyproducer.errors import ProtocolError, UnsupportedVersion
from pyproducer.model import Buffer
from pyproducer.protocol.schema import Message

_VERSION = struct.Struct(">h")

M = TypeVar("M", bound=Message)


def pack(message: Message, version: int) -> bytes:
    """Return `message` with its version in front."""
    return b"".join([_VERSION.pack(version), *message.encode(version)])


def version_of(data: Buffer) -> int:
    """Return the version that `data` starts with.

    Raises:
        ProtocolError: there are not even two bytes.
    """
    if len(data) < _VERSION.size:
        raise ProtocolError("a stored record ends before its version")
    version: int = _VERSION.unpack_from(data)[0]
    return version


def unpack(kind: type[M], data: Buffer) -> M:
    """Return the message of that kind behind the version in front.

    Raises:
        ProtocolError: the bytes are not such a message, or of a version not known here.
    """
    version = version_of(data)
    try:
        return kind.decode(memoryview(data)[_VERSION.size :], version)
    except UnsupportedVersion as error:
        raise ProtocolError(f"stored {kind.__name__} of unknown version {version}") from error
