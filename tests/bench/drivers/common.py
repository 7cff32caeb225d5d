"""What all drivers written in Python share: jobs in, results out, and the records themselves.

A driver is a process with one client in it. It reads jobs from standard input, one JSON object a
line, does each, and answers with one JSON object a line. So no client shares an interpreter, a
collector or a thread with another one, and each is warm from its second job on.
"""

from __future__ import annotations

import functools
import gc
import itertools
import json
import os
import random
import sys
import time
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NoReturn, Self

Job = SimpleNamespace
Answer = dict[str, Any]
Headers = list[tuple[str, bytes]] | None

#: Values differ from each other for so many bytes, so that no codec sees a batch twice.
_POOL_BYTES = 2_000_000
_POOL_LIMIT = 20_000
_KEYS = 10_000
#: A group of records between two looks at what came back, for clients that have to be asked.
GROUP = 1_000


def is_plain(job: Job) -> bool:
    """True if the records are values and nothing else; then the loops pass nothing else."""
    return not (job.keyed or job.headers or job.spread)


@functools.lru_cache(maxsize=2)
def pool(size: int) -> Sequence[bytes]:
    """Different values of ``size`` bytes that compress like text does."""
    chance = random.Random(size)
    words = ["".join(chance.choices("etaoinshrdlu", k=chance.randint(2, 9))) for _ in range(500)]
    count = max(32, min(_POOL_LIMIT, _POOL_BYTES // size))
    text = ""
    while len(text) < count * size:
        line = " ".join(chance.choices(words, k=50_000))
        text += line
    data = text.encode()
    return [data[start : start + size] for start in range(0, count * size, size)]


@functools.lru_cache(maxsize=2)
def dicts(size: int) -> Sequence[dict[str, Any]]:
    """Different objects that are about ``size`` bytes as JSON."""
    chance = random.Random(size)
    filler = pool(max(8, size - 70))
    return [
        {
            "id": number,
            "name": filler[number % len(filler)].decode(),
            "price": round(chance.uniform(1, 500), 2),
            "in_stock": chance.random() < 0.5,
            "tags": ["a", "b"],
        }
        for number in range(min(_POOL_LIMIT, _POOL_BYTES // size))
    ]


#: The schema of `dicts`.
AVRO_SCHEMA = {
    "type": "record",
    "name": "Item",
    "fields": [
        {"name": "id", "type": "long"},
        {"name": "name", "type": "string"},
        {"name": "price", "type": "double"},
        {"name": "in_stock", "type": "boolean"},
        {"name": "tags", "type": {"type": "array", "items": "string"}},
    ],
}


def values(job: Job) -> Iterator[Any]:
    """``job.count`` values, made before."""
    made: Sequence[Any] = pool(job.size) if job.form == "bytes" else dicts(job.size)
    return itertools.islice(itertools.cycle(made), job.count)


@functools.lru_cache(maxsize=1)
def _keys() -> Sequence[bytes]:
    order = list(range(_KEYS))
    random.Random(1).shuffle(order)
    return [b"key-%d" % number for number in order]


def rows(job: Job) -> Iterator[tuple[Any, bytes | None, Headers, int | None]]:
    """``job.count`` records as value, key, headers and partition; None for what the job has not."""
    marks = [(f"header-{number}", b"value-%d" % number) for number in range(job.headers)]
    return zip(
        values(job),
        itertools.cycle(_keys()) if job.keyed else itertools.repeat(None),
        itertools.repeat(marks or None),
        itertools.cycle(range(job.partitions)) if job.spread else itertools.repeat(None),
        strict=False,
    )


def groups(things: Iterator[Any]) -> Iterator[list[Any]]:
    """The things in lists of `GROUP`."""
    while group := list(itertools.islice(things, GROUP)):
        yield group


class Span:
    """The time and the processor time of this process between entering and leaving."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self.cpu = 0.0

    def __enter__(self) -> Self:
        self._cpu = time.process_time()
        self._began = time.perf_counter()
        return self

    def __exit__(self, *args: object) -> None:
        self.seconds = time.perf_counter() - self._began
        self.cpu = time.process_time() - self._cpu

    def answer(self, acknowledged: int, **more: Any) -> Answer:
        """The result of a job: so many records were acknowledged in this span."""
        return {"seconds": self.seconds, "cpu": self.cpu, "acknowledged": acknowledged, **more}


class Outcomes:
    """Takes delivery reports: counts them, adds their offsets up, and remembers the first error."""

    def __init__(self) -> None:
        self.count = 0
        self.offsets = 0
        self.error: object = None


def checkpoint(name: str, **more: Any) -> None:
    """Stop in the middle of a job until whoever gave it has done his part."""
    print(json.dumps({"checkpoint": name, **more}), flush=True)
    sys.stdin.readline()


def resident_bytes() -> int:
    """The memory of this process that is in RAM now."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


class Memory:
    """How much this process grows from when it is made; everything it will hold is held then."""

    def __init__(self) -> None:
        gc.collect()
        self._before = resident_bytes()

    def leave(self, records: int) -> NoReturn:
        """Answer the job and end: what is queued cannot be delivered any more."""
        grown = resident_bytes() - self._before
        print(json.dumps({"bytes_per_record": grown / records, "records": records}), flush=True)
        os._exit(0)


def work(operations: Mapping[str, Callable[[Job], Answer]]) -> None:
    """Do jobs until standard input ends; a job that fails is answered with the reason."""
    for line in sys.stdin:
        job = Job(**json.loads(line))
        job.settings = SimpleNamespace(**job.settings)
        try:
            answer = operations[job.op](job)
        except Exception:
            answer = {"error": traceback.format_exc(limit=-4)}
        print(json.dumps(answer), flush=True)
