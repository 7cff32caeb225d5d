"""An appender of either twin with the least around it, so that a test can look at both alike."""

from __future__ import annotations

import importlib.util
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pyproducer
from pyproducer.partitioner import resolve
from pyproducer.records import reader
from tests.helpers.engine_rig import WALL_MS, Host


def from_source(name: str) -> ModuleType:
    """A module of the package as Python reads it, also where it is compiled.

    What is compiled takes only batches of the compiled appender.
    """
    path = Path(pyproducer.__file__).parent.joinpath(*name.split(".")).with_suffix(".py")
    spec = importlib.util.spec_from_file_location(f"tests.from_source.{name}", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


#: Closed batches of either twin.
_batch = from_source("core.batch")


async def coroutine_function(delivery: object) -> None:
    """What on_delivery must not be."""


class Door:
    """One twin's appender.

    Attributes:
        ms: what the wall clock shows.
        batches: all batches that were opened, by serial.
    """

    def __init__(
        self,
        twin: ModuleType,
        *,
        topics: dict[str, int] | None = None,
        partitioner: Any = "murmur2",
        batch_size: int = 500,
        batch_max_records: int = 1 << 30,
        largest_record: int = 4000,
        buffer_memory: int = 1 << 20,
        lock: Any = None,
        make_entry: Callable[[Any], Any] | None = None,
        machine_clock: bool = False,
        is_coroutine_function: Callable[[Any], bool] = lambda given: given is coroutine_function,
    ) -> None:
        self.twin = twin
        self.ms = WALL_MS
        self.host = Host()
        self.chosen = 0
        self.batches: dict[int, Any] = {}
        self.appender = twin.Appender(
            batch_size=batch_size,
            batch_max_records=batch_max_records,
            largest_record=largest_record,
            largest_record_name="max_request_size",
            buffer_memory=buffer_memory,
            partitioner=resolve(partitioner),
            choose=self._choose,
            wall_ns=time.time_ns if machine_clock else lambda: self.ms * 1_000_000 + 999_999,
            machine_clock=machine_clock,
            is_coroutine_function=is_coroutine_function,
            thread_ident=threading.get_ident,
            make_entry=self.entry if make_entry is None else make_entry,
            host=self.host,
            lock=lock,
        )
        for name, count in (topics or {}).items():
            self.adopt(name, count)

    def entry(
        self,
        state: Any,
        key_serializer: Callable[..., Any] | None = None,
        value_serializer: Callable[..., Any] | None = None,
        *,
        arity: int = 1,
        bind: Callable[[], None] | None = None,
    ) -> Any:
        """A topic handle."""
        return self.twin.TopicAppender(
            state,
            key_serializer,
            arity,
            value_serializer,
            arity,
            lambda topic, field, headers: SimpleNamespace(
                topic=topic, field=field, headers=headers
            ),
            bind,
        )

    def _choose(self, count: int) -> int:
        self.chosen += 1
        return self.chosen * 7 % count

    def adopt(self, name: str, count: int, available: list[int] | None = None) -> Any:
        """Tell the appender of a topic's partitions."""
        state = self.appender.topic(name)
        return self.appender.adopt(
            state, count, list(range(count)) if available is None else available
        )

    def put(self, value: Any, *, topic: str = "t", **options: Any) -> Any:
        """Queue a record."""
        return self.appender.enqueue_nowait(topic, value, **options)

    def accept(self, value: Any, *, topic: str = "t", urgent: bool = False, **options: Any) -> Any:
        """Queue a record, or get it back prepared."""
        return self.appender.entry(topic).accept(
            value,
            options.get("key"),
            options.get("headers"),
            options.get("partition"),
            options.get("timestamp_ms"),
            options.get("on_delivery"),
            urgent,
        )

    def take(self) -> tuple[list[Any], list[Any], list[Any]]:
        """News; batches are kept for later looks."""
        news = self.appender.take()
        for batch in (*news[0], *news[1]):
            self.batches[batch.serial] = batch
        return news

    def opened(self) -> list[Any]:
        """All batches with records so far, in the order of opening; shelves are left out."""
        self.take()
        return [b for b in self.batches.values() if b.home.number >= 0 and b.error is None]

    @staticmethod
    def seal(batch: Any) -> Any:
        """A batch as the engine sends it; it stands in no queue."""
        return _batch.SealedBatch(batch, None, batch.serial, 0, 0.0)

    def split(self, batch: Any) -> list[Any]:
        """Halve a closed batch."""
        parts = _batch.halve(self.appender, self.seal(batch), bytes(batch.body()))
        for _, half in parts:
            self.batches[half.batch.serial] = half.batch
        return [half.batch for _, half in parts]

    def records(self, batch: Any) -> list[tuple[Any, ...]]:
        """What a consumer reads of a batch: (key, value, headers, timestamp)."""
        [read] = reader.iter_batches(b"".join(map(bytes, self.seal(batch).wire())))
        read.verify()
        header = read.header
        found = list(read.records())
        assert header.record_count == len(found) == header.last_offset_delta + 1 == batch.count
        assert header.max_timestamp == max(record.timestamp_ms for record in found)
        assert list(range(len(found))) == [record.offset for record in found]
        return [(one.key, one.value, one.headers, one.timestamp_ms) for one in found]


def is_settled(batch: Any) -> bool:
    """Whether a batch has its outcome."""
    return batch.state > 1


def trace(door: Door) -> tuple[Any, ...]:
    """All that a refused call must leave as it was."""
    appender = door.appender
    return (
        appender.used,
        appender.records,
        appender.since_turn,
        len(appender.take()[0]),
        [
            (part.number, None if part.open is None else (part.open.count, part.open.size))
            for topic in appender.topics.values()
            for part in topic.partitions or []
        ],
        [None if topic.shelf is None else topic.shelf.count for topic in appender.topics.values()],
    )
