"""``pyproducer bench``: how fast this machine produces, and what the numbers mean."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import os
import secrets
import signal
import subprocess
import sys
import time
from array import array
from collections.abc import Iterator
from typing import Annotated, Any

import typer

from pyproducer.cli.admin import Admin
from pyproducer.cli.cluster import Cluster
from pyproducer.cli.exits import CliError, Exit
from pyproducer.cli.latency import percentile
from pyproducer.cli.output import note, print_json
from pyproducer.cli.shared import Shared, command
from pyproducer.clock import SystemClock
from pyproducer.config import ProducerConfig
from pyproducer.core.appender import ACCELERATED, Delivery
from pyproducer.net.security import Security
from pyproducer.producer import AsyncProducer

__all__ = ["register"]

#: One record in so many is timed; timing each would be a good part of what is measured.
_SAMPLE = 100
_LONE_SENDS = 500
_WARM_UP = 5000
_STOP_TIMEOUT = 30.0


def register(app: typer.Typer) -> None:
    """Adds the command."""
    command(app, "bench")(bench)


def bench(
    shared: Shared,
    records: Annotated[int, typer.Option(metavar="N", min=1, help="How many.")] = 500_000,
    size: Annotated[int, typer.Option(metavar="BYTES", min=1, help="Of each value.")] = 100,
    topic: Annotated[
        str | None,
        typer.Option(help="Write to this topic.  [default: one of its own, deleted at the end]"),
    ] = None,
    partitions: Annotated[int, typer.Option(min=1, help="Of the topic of its own.")] = 6,
    compression: Annotated[
        str | None, typer.Option(metavar="none|gzip|snappy|lz4|zstd", help="Codec of the batches.")
    ] = None,
    acks: Annotated[
        str | None, typer.Option(metavar="all|1|0", help="Copies before a record counts.")
    ] = None,
) -> None:
    """Measure producing: throughput, and latency under load and without.

    \b
    pyproducer bench
    pyproducer bench --records 1000000 --size 1000 --compression zstd
    pyproducer bench --bootstrap-server kafka-1:9092 --acks 1

    Without a cluster it starts the embedded broker in a process of its own, in a temporary
    folder. Values are random bytes behind a counter, so they compress as badly as real data may.
    """
    config = shared.producer_config(compression_type=compression, acks=acks)
    servers = shared.servers()
    with contextlib.ExitStack() as stack:
        if servers is None:
            note("no cluster is named: starting the embedded broker in another process")
            address = stack.enter_context(_broker())
        else:
            address = shared.required_servers()
        bencher = _Bench(address, config, records, size)
        result = asyncio.run(bencher.run(topic, partitions))
    result["embedded_broker"] = servers is None
    if shared.json:
        print_json(result)
    else:
        print(_told(result, config))
    if result["failed"]:
        raise typer.Exit(Exit.FAILED)


@contextlib.contextmanager
def _broker() -> Iterator[str]:
    command_line = [sys.executable, "-m", "pyproducer.broker", "--port", "0"]
    # A group of its own: Ctrl-C is for us, and we end it.
    with subprocess.Popen(  # noqa: S603
        command_line, stdout=subprocess.PIPE, text=True, start_new_session=True
    ) as process:
        try:
            assert process.stdout is not None
            line = process.stdout.readline().strip()
            prefix = "listening on "
            if not line.startswith(prefix):
                raise CliError("the embedded broker did not start")
            yield line.removeprefix(prefix)
        finally:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(_STOP_TIMEOUT)
            except subprocess.TimeoutExpired:
                process.kill()


class _Bench:
    """One measurement."""

    def __init__(self, servers: str, config: ProducerConfig, records: int, size: int) -> None:
        self._servers = servers
        self._config = config
        self._records = records
        # A few different values; making each anew would be measured as well.
        self._values = [
            (b"%d " % number + secrets.token_bytes(size))[:size] for number in range(64)
        ]

    async def run(self, topic: str | None, partitions: int) -> dict[str, Any]:
        """Measures, in the topic or in one that exists only meanwhile."""
        cluster = Cluster(
            self._servers,
            client_id=self._config.client_id,
            request_timeout=self._config.request_timeout_ms / 1000,
            security=Security.of(self._config, SystemClock()),
        )
        async with cluster:
            if topic is not None:
                await cluster.topic(topic)
                return await self._measure(topic)
            admin, own = Admin(cluster), f"pyproducer.bench.{secrets.token_hex(4)}"
            await admin.create(own, partitions=partitions, replication_factor=None, configs={})
            try:
                await cluster.topic(own)
                return await self._measure(own)
            finally:
                await admin.delete(own)

    async def _measure(self, name: str) -> dict[str, Any]:
        producer: AsyncProducer[Any, Any] = AsyncProducer(self._servers, config=self._config)
        async with producer:
            await self._load(producer, name, min(_WARM_UP, self._records))
            seconds, failed, loaded = await self._load(producer, name, self._records)
            lone = await self._lone_sends(producer, name)
            metrics = producer.metrics()
        size = len(self._values[0])
        return {
            "records": self._records,
            "value_bytes": size,
            "failed": failed,
            "seconds": seconds,
            "records_per_second": (self._records - failed) / seconds,
            "megabytes_per_second": (self._records - failed) * size / seconds / 1e6,
            "records_per_batch": metrics.records_per_batch,
            "loaded_p50_ms": percentile(loaded, 50) * 1000,
            "loaded_p99_ms": percentile(loaded, 99) * 1000,
            "lone_p50_ms": percentile(lone, 50) * 1000,
            "lone_p99_ms": percentile(lone, 99) * 1000,
            "accelerated": ACCELERATED,
        }

    async def _load(
        self, producer: AsyncProducer[Any, Any], name: str, count: int
    ) -> tuple[float, int, array[float]]:
        """Sends as fast as the producer takes records; seconds, failures and some latencies."""
        topic = producer.topic(name)
        values, clock = self._values, time.perf_counter
        latencies = array("d")

        def settled(enqueued: float, delivery: Delivery) -> None:
            if delivery.exception() is None:
                latencies.append(clock() - enqueued)

        enqueue = topic.enqueue
        began = clock()
        for number in range(count):
            value = values[number & 63]
            if number % _SAMPLE:
                await enqueue(value)
            else:
                await enqueue(value, on_delivery=functools.partial(settled, clock()))
        report = await producer.flush()
        seconds = clock() - began
        # What had its outcome before the flush is in the metrics; a failure shows there.
        failed = max(report.failed, producer.metrics().records_failed)
        return seconds, failed, latencies

    async def _lone_sends(self, producer: AsyncProducer[Any, Any], name: str) -> array[float]:
        """Sends one record after the other, each awaited."""
        clock = time.perf_counter
        latencies = array("d")
        for number in range(_LONE_SENDS):
            began = clock()
            await producer.send(name, self._values[number & 63])
            latencies.append(clock() - began)
        return latencies


def _told(result: dict[str, Any], config: ProducerConfig) -> str:
    where = (
        "the embedded broker in another process of this machine"
        if result["embedded_broker"]
        else "the cluster"
    )
    text = f"""\
{result["records"]:,} records of {result["value_bytes"]} bytes to {where},
acks={config.acks}, compression {config.compression_type}
  throughput       {result["records_per_second"]:,.0f} records/s, \
{result["megabytes_per_second"]:,.1f} MB/s of values
  latency, loaded  p50 {result["loaded_p50_ms"]:.1f} ms, p99 {result["loaded_p99_ms"]:.1f} ms
  latency, lone    p50 {result["lone_p50_ms"]:.2f} ms, p99 {result["lone_p99_ms"]:.2f} ms
Throughput: 'await enqueue()' in a loop on one asyncio loop, until the last acknowledgement.
Loaded: from enqueue to callback meanwhile, so mostly the wait in a full queue.
Lone: 'await send()', one record at a time with nothing else under way."""
    if result["failed"]:
        text += f"\n{result['failed']:,} RECORDS FAILED"
    if result["embedded_broker"]:
        text += f"\nProducer and broker shared {os.cpu_count()} cores; other machines differ."
    if not result["accelerated"]:
        text += "\nThe accelerator was not built or is switched off: this is pure Python."
    return text
