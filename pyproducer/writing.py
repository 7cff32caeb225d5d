# cython: annotation_typing=False, nonecheck=True, binding=False, freethreading_compatible=True
"""Buffers to a socket, in order, without joining the large ones."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import asyncio

    from pyproducer.model import Buffer

__all__ = ["write_buffers"]

#: Bytes from which on a buffer is written by itself; a copy of less costs less than a system call.
_LARGE: Final = 16 * 1024


def write_buffers(transport: asyncio.WriteTransport, buffers: list[Buffer]) -> None:
    """Writes the buffers in order, without copying the large ones together.

    Not `writelines`: up to Python 3.11 it joins everything, and in 3.12 and 3.13 it forgets to
    call `pause_writing`, so that a peer that does not read would be buffered for without end.
    """
    size = 0
    for buffer in buffers:
        size += len(buffer)
    if size < _LARGE:
        # What most requests of few records come to, at a glance.
        transport.write(b"".join(buffers))
        return
    small: list[Buffer] = []
    for buffer in buffers:
        if len(buffer) < _LARGE:
            small.append(buffer)
            continue
        if small:
            transport.write(b"".join(small))
            small = []
        # A view: write() takes no other objects with a buffer.
        transport.write(memoryview(buffer))
    if small:
        transport.write(b"".join(small))
