"""``pyproducer demo``: real data through every format and every codec, and back."""

from __future__ import annotations

import asyncio
import os
import time
from dataclasses import asdict
from typing import Annotated, Any

import typer

from pyproducer.cli.cluster import Cluster
from pyproducer.cli.demo.dataset import AVRO_SCHEMA, COLUMNS, NUMBERS, Dataset, load
from pyproducer.cli.demo.trial import Format, Trial, run_trial
from pyproducer.cli.exits import CliError, Exit
from pyproducer.cli.output import (
    bytes_text,
    note,
    print_json,
    print_table,
    seconds_text,
    table,
    terminal,
)
from pyproducer.cli.serializer_package import serializer
from pyproducer.cli.shared import Shared, command
from pyproducer.config import COMPRESSION_TYPES
from pyproducer.core.appender import ACCELERATED
from pyproducer.producer import AsyncProducer

__all__ = ["register"]

_PARTITIONS = 3
_REQUEST_TIMEOUT = 30.0
#: Differences that are printed; more are only counted.
_MAX_DIFFERENCES = 10


def register(app: typer.Typer) -> None:
    """Adds the command."""
    command(app, "demo", cluster=False)(demo)


def demo(
    shared: Shared,
    records: Annotated[
        int | None, typer.Option(metavar="N", min=1, help="Only the first N.  [default: all]")
    ] = None,
) -> None:
    """Send real data through every format and codec, read it back, and compare.

    \b
    pyproducer demo
    pyproducer demo --records 2000
    pyproducer demo --json

    Starts a broker on a free port, with its log in a temporary folder, and needs nothing else.
    The airports of the world go out as JSON, CSV, Avro and MessagePack, keyed by their code,
    each with every codec; then all is read back over the wire and compared record by record:
    key, value bytes, and the value that the deserializer makes of them. Ends with 1 if anything
    differs.
    """
    dataset = load()
    if records is not None:
        dataset = Dataset(dataset.records[:records], dataset.source)
    began = time.perf_counter()
    trials = asyncio.run(_run(dataset))
    seconds = time.perf_counter() - began
    differing = [one for one in trials if one.differences]
    if shared.json:
        print_json({"source": dataset.source, "seconds": seconds, "trials": [*map(_row, trials)]})
    else:
        _print(dataset, trials, seconds)
    if not differing:
        return
    for one in differing:
        for text in one.differences[:_MAX_DIFFERENCES]:
            note(f"{one.format}, {one.codec}: {text}")
    total = sum(len(one.differences) for one in differing)
    raise CliError(f"{total} records differ from what was sent", Exit.FAILED)


def _formats() -> list[Format]:
    types = dict.fromkeys(NUMBERS, float)
    return [
        Format("json", serializer("JsonSerializer")(), serializer("JsonDeserializer")()),
        Format(
            "csv",
            # An empty text is an empty field here, for no field of this data is ever missing.
            serializer("CsvSerializer")(COLUMNS, null=None),
            serializer("CsvDeserializer")(COLUMNS, null=None, types=types),
        ),
        Format(
            "avro",
            serializer("AvroSerializer")(AVRO_SCHEMA),
            serializer("AvroDeserializer")(AVRO_SCHEMA),
        ),
        Format("msgpack", serializer("MsgpackSerializer")(), serializer("MsgpackDeserializer")()),
    ]


async def _run(dataset: Dataset) -> list[Trial]:
    from pyproducer.broker import Broker

    cells = [(form, codec) for form in _formats() for codec in COMPRESSION_TYPES]
    topics = {f"demo.airports.{form.name}.{codec}": _PARTITIONS for form, codec in cells}
    trials: list[Trial] = []
    with Broker(topics=topics) as broker:
        servers = broker.bootstrap_servers
        note(f"a broker at {servers}; {len(cells)} topics, {_PARTITIONS} partitions each")
        cluster = Cluster(servers, client_id="pyproducer-demo", request_timeout=_REQUEST_TIMEOUT)
        producer: AsyncProducer[Any, Any] = AsyncProducer(servers, client_id="pyproducer-demo")
        async with cluster, producer:
            for topic, (form, codec) in zip(topics, cells, strict=True):
                if terminal():
                    note(f"  {topic}")
                trials.append(
                    await run_trial(producer, cluster, topic, form, codec, dataset.records)
                )
    return trials


def _row(trial: Trial) -> dict[str, Any]:
    row = asdict(trial)
    row.pop("plain")
    row["differences"] = len(trial.differences)
    return row | {"ratio": trial.ratio, "records_per_second": trial.rate}


def _print(dataset: Dataset, trials: list[Trial], seconds: float) -> None:
    columns = (
        "format", "codec", "records", "bytes", "batches", "ratio", "records/s", "p50 ms", "p99 ms"
    )  # fmt: skip
    made = table(None, columns, numbers=columns[2:])
    for one, after in zip(trials, [*trials[1:], None], strict=True):
        made.add_row(
            one.format,
            one.codec,
            str(one.records),
            bytes_text(one.bytes),
            str(one.batches),
            f"{one.ratio:.2f}",
            f"{one.rate:,.0f}",
            f"{one.p50 * 1000:.1f}",
            f"{one.p99 * 1000:.1f}",
            end_section=after is not None and after.format != one.format,
        )
    print(dataset.source)
    print_table(made)
    total = sum(one.records for one in trials)
    engine = "with the accelerator" if ACCELERATED else "in pure Python, without the accelerator"
    print(
        f"{total:,} records in {seconds_text(seconds)}: sent, read back over the wire, compared "
        "by key, bytes and value.\n"
        f"Producer ({engine}) and broker share one process on {os.cpu_count()} cores;\n"
        "records/s includes serializing, p50 and p99 are from enqueueing a record to its callback "
        "at\nfull speed, so its wait in the queue is in them."
    )
    if not any(one.differences for one in trials):
        print(
            "All came back as they were sent. Next: run 'pyproducer broker --data-dir ./data' and "
            "write to it;\n'pyproducer --help' shows how."
        )
