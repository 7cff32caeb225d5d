"""What a record costs where nobody does anything for it: ``python -m tests.bench.limits``.

The floor under the producer's own figures, on the machine that it runs on: the caller's loop in
Python, copying memory, checksums, and handing bytes to the kernel.
"""

from __future__ import annotations

import asyncio
import socket
import statistics
import threading
import time
from collections.abc import Callable
from typing import Final

import google_crc32c

from tests.bench.drivers.floor import Handle

COUNT: Final = 1_000_000
ROUNDS: Final = 5

#: Bytes that a record with a value of 100 takes in a batch.
RECORD: Final = 110
MEGABYTE: Final = bytes(1_000_000)


async def _nothing(topic: str, value: bytes) -> None:
    pass


def _median(measure: Callable[[], float], rounds: int = ROUNDS) -> float:
    return statistics.median(measure() for _ in range(rounds))


def waiting_loop() -> float:
    """Nanoseconds of a turn of ``for``, with an ``await`` of nothing and an ``append``."""

    async def run() -> float:
        add = list[None]().append
        began = time.process_time()
        for _ in range(COUNT):
            add(await _nothing("t", b"value"))
        return time.process_time() - began

    return _median(lambda: asyncio.run(run())) / COUNT * 1e9


def reading_loop() -> float:
    """Nanoseconds of a turn of ``for`` that asks a kept object for a result and its offset."""
    handles = [Handle() for _ in range(1000)] * (COUNT // 1000)

    def run() -> float:
        total = 0
        began = time.process_time()
        for handle in handles:
            total += handle.result().offset
        return time.process_time() - began

    return _median(run) / COUNT * 1e9


def copying() -> float:
    """Nanoseconds to copy a record's bytes once."""
    target = bytearray(MEGABYTE)

    def run() -> float:
        began = time.perf_counter()
        target[:] = MEGABYTE
        return time.perf_counter() - began

    return _median(run, 100) / len(MEGABYTE) * RECORD * 1e9


def summing() -> float:
    """Nanoseconds for CRC32C over a record's bytes."""

    def run() -> float:
        began = time.perf_counter()
        google_crc32c.extend(0, MEGABYTE)
        return time.perf_counter() - began

    return _median(run, 100) / len(MEGABYTE) * RECORD * 1e9


def sending() -> float:
    """Nanoseconds of CPU to hand a record's bytes to the kernel, a megabyte at a time."""
    with (
        socket.create_server(("127.0.0.1", 0)) as server,
        socket.create_connection(server.getsockname()) as near,
    ):
        far, _ = server.accept()

        def drain() -> None:
            room = bytearray(1 << 20)
            while far.recv_into(room):
                pass

        reader = threading.Thread(target=drain)
        reader.start()

        def run() -> float:
            began = time.thread_time()
            near.sendall(MEGABYTE)
            return time.thread_time() - began

        median = _median(run, 200)
        near.shutdown(socket.SHUT_WR)
        reader.join()
        far.close()
    return median / len(MEGABYTE) * RECORD * 1e9


PARTS: Final = (
    ("the caller's loop: `for`, `await` of an empty coroutine, `append`", waiting_loop),
    ("the caller's second loop: ask a kept object for its result and offset", reading_loop),
    ("handing 110 bytes to the kernel, 1 MB at a time", sending),
    ("copying 110 bytes once", copying),
    ("CRC32C of 110 bytes", summing),
)


def main() -> None:
    """Print the floor, part by part."""
    print("nanoseconds of one core for each record of 100 bytes, before any producer does anything")
    for name, measure in PARTS:
        print(f"{measure():7.1f}  {name}")


if __name__ == "__main__":
    main()
