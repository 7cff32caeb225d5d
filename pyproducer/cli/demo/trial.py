"""One format with one codec: sent, read back from the broker, and compared record by record."""

from __future__ import annotations

import asyncio
import functools
import time
from array import array
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from pyproducer.cli.cluster import Cluster
from pyproducer.cli.demo.dataset import KEY
from pyproducer.cli.latency import percentile
from pyproducer.cli.reader import TopicReader
from pyproducer.core.appender import Delivery
from pyproducer.producer import AsyncProducer
from pyproducer.records.batch import HEADER_SIZE
from pyproducer.records.reader import Batch

_CALLBACKS_TIMEOUT = 30.0

__all__ = ["Format", "Trial", "compare", "run_trial"]


@dataclass(frozen=True, slots=True)
class Format:
    """A way to write the records.

    Attributes:
        name: for the table and the topic.
        serialize: a record into bytes.
        deserialize: and back.
    """

    name: str
    serialize: Callable[[Any], bytes]
    deserialize: Callable[[bytes], Any]


@dataclass(slots=True)
class Trial:
    """What one trial has measured.

    Attributes:
        format: name of the format.
        codec: name of the codec.
        records: how many were read back.
        bytes: of their batches as the broker stores them.
        batches: how many.
        plain: bytes that the batches would have without compression.
        seconds: from the first record to the end of the flush.
        p50: seconds from enqueueing a record to its callback, the median.
        p99: the same, which 99 % of the records do not exceed.
        differences: what came back otherwise than it was sent; empty if nothing.
    """

    format: str
    codec: str
    records: int = 0
    bytes: int = 0
    batches: int = 0
    plain: int = 0
    seconds: float = 0.0
    p50: float = 0.0
    p99: float = 0.0
    differences: list[str] = field(default_factory=list)

    @property
    def ratio(self) -> float:
        """Bytes before compression to bytes after."""
        return self.plain / self.bytes if self.bytes else 1.0

    @property
    def rate(self) -> float:
        """Records a second."""
        return self.records / self.seconds if self.seconds else 0.0


async def run_trial(
    producer: AsyncProducer[Any, Any],
    cluster: Cluster,
    topic: str,
    form: Format,
    codec: Any,
    records: Sequence[dict[str, Any]],
) -> Trial:
    """Sends the records into an empty topic, reads it, and compares."""
    trial = Trial(form.name, codec)
    deliveries = await _send(producer, topic, form, codec, records, trial)
    batches: dict[int, list[Batch]] = {}
    reader = TopicReader(cluster, topic)
    await reader.seek("earliest")
    missing = sum((await reader.offsets("latest")).values())
    stream = reader.batches()
    try:
        while missing > 0:
            partition, batch = await anext(stream)
            batches.setdefault(partition, []).append(batch)
            missing -= batch.header.record_count
    finally:
        await stream.aclose()
    for batch in (one for many in batches.values() for one in many):
        trial.batches += 1
        trial.records += batch.header.record_count
        trial.bytes += len(batch.view)
        trial.plain += HEADER_SIZE + len(batch.payload())
    trial.differences = list(compare(records, deliveries, batches, form))
    return trial


async def _send(
    producer: AsyncProducer[Any, Any],
    name: str,
    form: Format,
    codec: Any,
    records: Sequence[dict[str, Any]],
    trial: Trial,
) -> list[Delivery]:
    topic = producer.topic(name, value_serializer=form.serialize, compression_type=codec)
    clock = time.perf_counter
    latencies = array("d")
    all_told = asyncio.Event()

    def delivered(enqueued: float, _: Delivery) -> None:
        latencies.append(clock() - enqueued)
        if len(latencies) == len(records):
            all_told.set()

    deliveries = []
    began = clock()
    for record in records:
        callback = functools.partial(delivered, clock())
        deliveries.append(await topic.enqueue(record, key=record[KEY], on_delivery=callback))
    await producer.flush()
    trial.seconds = clock() - began
    # A flush is over when the last outcome is known; the callbacks follow in slices.
    async with asyncio.timeout(_CALLBACKS_TIMEOUT):
        await all_told.wait()
    trial.p50 = percentile(latencies, 50)
    trial.p99 = percentile(latencies, 99)
    return deliveries


def compare(
    records: Sequence[dict[str, Any]],
    deliveries: Sequence[Delivery],
    batches: dict[int, list[Batch]],
    form: Format,
) -> Iterator[str]:
    """What differs: each record that was sent has to be at its place, once, and nothing else.

    Args:
        records: what was sent.
        deliveries: their handles, each with a known outcome.
        batches: what was read, by partition.
        form: how the values were written.
    """
    sent: dict[tuple[int, int], dict[str, Any]] = {}
    last: dict[int, int] = {}
    for record, delivery in zip(records, deliveries, strict=True):
        error = delivery.exception()
        if error is not None:
            yield f"{record[KEY]} was not delivered: {error}"
            continue
        meta = delivery.result()
        if meta.offset <= last.get(meta.partition, -1):
            yield f"{record[KEY]} is at {meta.partition}@{meta.offset}, before its predecessor"
        last[meta.partition] = meta.offset
        sent[meta.partition, meta.offset] = record
    for partition, many in batches.items():
        for found in (record for batch in many for record in batch.records()):
            place = f"{partition}@{found.offset}"
            wanted = sent.pop((partition, found.offset), None)
            if wanted is None:
                yield f"{place} holds a record that was not sent"
            elif found.key != wanted[KEY].encode():
                yield f"{place} has the key {found.key!r}, sent was {wanted[KEY]!r}"
            elif found.value is None or found.value != form.serialize(wanted):
                yield f"{place} ({wanted[KEY]}) holds other bytes than were sent"
            elif form.deserialize(found.value) != wanted:
                yield f"{place} ({wanted[KEY]}) reads as another value than was sent"
    for (partition, offset), record in sent.items():
        yield f"{record[KEY]} was acknowledged at {partition}@{offset} and is not there"
