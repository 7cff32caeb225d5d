"""Many batches through one appender, in a process of its own; prints how far its memory grew.

``python -m tests.helpers.appender_soak MODULE``. The garbage collector is off: what needs it to be
freed counts as growth.
"""

from __future__ import annotations

import gc
import sys
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from typing import Any

from pyproducer.errors import BufferFull, ProducerError, SerializationError
from tests.helpers.door import Door

ROUNDS = 60


def resident() -> int:
    """Bytes of memory in use."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * 4096


def awaited(door: Door, value: bytes, **options: Any) -> Any:
    """What an awaited enqueue returns."""

    async def one() -> Any:
        return await door.appender.enqueue("t", value, **options)

    call = one()
    while True:
        try:
            call.send(None)
        except StopIteration as end:
            return end.value


def one_round(door: Door, number: int) -> None:
    """Records in every way there is, all settled in the end."""
    told: list[Any] = []
    handles = [
        door.put(
            b"x" * 200, key=None if n % 3 else f"k{n}", on_delivery=told.append if n % 5 else None
        )
        for n in range(3000)
    ]
    for n in range(1000):
        door.appender.since_turn = 0
        handles.append(awaited(door, b"a" * (n % 200), on_delivery=told.append if n % 7 else None))
        handles.append(door.appender.enqueue_blocking("t", b"b", headers={"h": b"%d" % n}))
        door.appender.enqueue("t", b"closed", key=b"k").close()
    group = door.twin.Handles()
    values = [b"%d" % n for n in range(1000)]
    entry = door.appender.entry("t")
    position = 0
    while position < len(values):
        door.appender.since_turn = 0
        position = group.fill(entry, values, None, None, None, None, position)
        if position < len(values):
            group.append(entry.accept(values[position], None, None, None, None, None, False))
            position += 1
    shelf = f"shelf{number % 5}"
    handles += [door.put(b"y", topic=shelf, headers={"a": b"b"}) for _ in range(50)]
    for bad in (1, "\ud800"):
        with suppress(SerializationError):
            door.put(bad)
    door.appender.waiting = 1
    with suppress(BufferFull):
        door.put(b"z")
    door.appender.waiting = 0
    door.adopt(shelf, 1)
    for topic in door.appender.topics.values():
        for part in topic.partitions or []:
            door.appender.close_open(part)
    door.take()
    door.appender.topics.pop(shelf)
    batches = list(door.batches.values())
    door.batches.clear()
    for batch in batches:
        parts = [batch]
        if batch.serial % 4 == 0 and batch.count > 1 and batch.state == 1:
            parts = door.split(batch)
            door.batches.clear()
            door.appender.recharge(batch, 0)
        for part in parts:
            if part.state > 1:
                continue
            door.appender.recharge(part, 0)
            if part.serial % 3:
                part.acknowledge(part.serial, -1)
            else:
                part.fail(ProducerError("settled"))
            door.twin.run_watchers(part, 1 << 30)
    assert len(values) == len(group.outcomes()[0])
    handles += [group[n] for n in range(0, len(values), 9)]
    for handle in handles:
        if handle.exception() is None:
            handle.result()
    door.host.seen.clear()


def main() -> None:
    """Run, and print the growth of the second half in bytes."""
    door = Door(
        import_module(sys.argv[1]),
        topics={"t": 3},
        batch_size=50_000,
        buffer_memory=1 << 26,
        machine_clock=True,
    )
    gc.disable()
    middle = 0
    for number in range(ROUNDS):
        if number == ROUNDS // 2:
            middle = resident()
        one_round(door, number)
    assert door.appender.used == 0
    print(resident() - middle)


if __name__ == "__main__":
    main()
