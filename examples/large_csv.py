"""A CSV file of any size into a topic, with bounded memory.

enqueue waits while the producer's buffer is full, so the file is read exactly as fast as the
broker takes it. Callbacks count; a row that fails is reported with its line number.

    python examples/large_csv.py [FILE [BOOTSTRAP_SERVERS]]

Without a file it generates one of 100,000 rows.
"""

from __future__ import annotations

import asyncio
import csv
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from _cluster import Cluster, argument, cluster

from pyproducer import AsyncProducer, Delivery, RecordTooLarge, SerializationError
from serializers import CsvSerializer

TOPIC = "rows"
ROWS = 100_000
BUFFER = 2_000_000


def generate(path: Path) -> None:
    """Write a file of readings, about 4 MB."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["id", "sensor", "celsius", "note"])
        for number in range(ROWS):
            note = 'said "hot", twice' if number % 1000 == 0 else ""
            writer.writerow([number, f"sensor-{number % 97}", 18 + number % 170 / 10, note])


def rows(path: Path) -> Iterator[tuple[int, dict[str, str]]]:
    """Yield line number and row, without ever holding more than one."""
    with path.open(newline="", encoding="utf-8") as file:
        reader = csv.DictReader(file)
        for row in reader:
            yield reader.line_num, row


async def load(path: Path, place: Cluster) -> int:
    """Send every row, keyed by its first column; return how many were delivered."""
    with path.open(newline="", encoding="utf-8") as file:
        columns = next(csv.reader(file))
    delivered = most = 0
    failures: list[str] = []

    def count(delivery: Delivery) -> None:
        nonlocal delivered
        if (error := delivery.exception()) is None:
            delivered += 1
        else:
            failures.append(str(error))

    async with AsyncProducer(
        place.bootstrap_servers, buffer_memory=BUFFER, compression_type="zstd", linger_ms=20
    ) as producer:
        topic = producer.topic(TOPIC, value_serializer=CsvSerializer(columns))
        for line, row in rows(path):
            try:
                await topic.enqueue(row, key=row[columns[0]], on_delivery=count)
            except (SerializationError, RecordTooLarge) as error:
                failures.append(f"line {line}: {error}")
            most = max(most, producer.metrics().buffer_bytes)
        await producer.flush()
    for failure in failures[:10]:
        print(failure, file=sys.stderr)
    assert not failures, f"{len(failures)} rows were not delivered"
    print(f"at most {most} of {BUFFER} bytes of the buffer were in use")
    assert most <= BUFFER
    return delivered


def main(path: Path, place: Cluster) -> None:
    """Load the file and print how fast that was."""
    began = time.perf_counter()
    delivered = asyncio.run(load(path, place))
    seconds = time.perf_counter() - began
    size = path.stat().st_size
    print(f"{delivered} rows, {size / 1e6:.1f} MB in {seconds:.1f} s")
    assert delivered == sum(1 for _ in rows(path))
    if place.broker:
        assert len(place.arrived(TOPIC)) == delivered


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder, cluster({TOPIC: 6}, position=2) as found:
        source = argument(1)
        if source is None:
            generate(Path(folder, "readings.csv"))
        main(Path(source or Path(folder, "readings.csv")), found)
