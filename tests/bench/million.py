"""One million records of 100 bytes to our broker in another process, beside confluent-kafka.

``python -m tests.bench.million`` runs both producers in turns, reads everything back, and prints a
table. It ends with 1 if a record is missing, comes twice, is changed or out of order.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import statistics
import sys
import tempfile
import time
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from confluent_kafka import Consumer, Producer, TopicPartition

from pyproducer import AsyncProducer
from tests.helpers.broker_process import BrokerProcess

PARTITIONS = 6
RECORD_SIZE = 100
LINGER_MS = 5
_FILLER = b"abcdefghij" * 10


class Round(NamedTuple):
    """What one producer took for all records."""

    producer: str
    accept_s: float
    total_s: float
    own_cpu_s: float
    broker_cpu_s: float


class Readback(NamedTuple):
    """What a consumer found in a topic."""

    count: int
    distinct: int
    checksum: int
    out_of_order: int


def value(number: int) -> bytes:
    """Record ``number``: its number, then filler."""
    return number.to_bytes(8, "big") + _FILLER[: RECORD_SIZE - 8]


def send_ours(bootstrap_servers: str, topic: str, count: int) -> float:
    """Enqueue everything from asyncio, flush; return the seconds until all was accepted."""

    async def run() -> float:
        async with AsyncProducer(bootstrap_servers, linger_ms=LINGER_MS) as producer:
            handle = producer.topic(topic)
            enqueue = handle.enqueue
            began = time.perf_counter()
            for number in range(count):
                await enqueue(value(number))
            accepted = time.perf_counter() - began
            report = await producer.flush()
            # Those delivered before the flush are not in its report; the reading back has them.
            assert report.failed == 0, report
            return accepted

    return asyncio.run(run())


def send_confluent(bootstrap_servers: str, topic: str, count: int) -> float:
    """The same with confluent-kafka and a callback for each record, as it reports outcomes."""
    producer = Producer(
        {
            "bootstrap.servers": bootstrap_servers,
            "acks": "all",
            "enable.idempotence": True,
            "linger.ms": LINGER_MS,
            "queue.buffering.max.messages": 1_000_000,
            "queue.buffering.max.kbytes": 1_048_576,
        }
    )
    delivered = 0

    def report(error: object, message: object) -> None:
        nonlocal delivered
        assert error is None, error
        delivered += 1

    began = time.perf_counter()
    for number in range(count):
        while True:
            try:
                producer.produce(topic, value(number), on_delivery=report)
                break
            except BufferError:
                producer.poll(0.01)
        if number % 1000 == 0:
            producer.poll(0)
    accepted = time.perf_counter() - began
    assert producer.flush() == 0
    assert delivered == count
    return accepted


def read_back(bootstrap_servers: str, topic: str, count: int) -> Readback:
    """Read the whole topic with a foreign consumer."""
    consumer = Consumer(
        {
            "bootstrap.servers": bootstrap_servers,
            "group.id": "unused",
            "enable.auto.commit": False,
            "check.crcs": True,
        }
    )
    found = checksum = out_of_order = 0
    seen = bytearray(count)
    last = [-1] * PARTITIONS
    ends = sum(
        consumer.get_watermark_offsets(TopicPartition(topic, number), timeout=10)[1]
        for number in range(PARTITIONS)
    )
    consumer.assign([TopicPartition(topic, number, 0) for number in range(PARTITIONS)])
    deadline = time.monotonic() + 120
    while found < ends and time.monotonic() < deadline:
        for message in consumer.consume(10_000, timeout=1.0):
            assert message.error() is None, message.error()
            data = message.value()
            number = int.from_bytes(data[:8], "big")
            found += 1
            seen[number] = 1
            checksum = (checksum + zlib.crc32(data)) & 0xFFFFFFFFFFFFFFFF
            out_of_order += number <= last[message.partition()]
            last[message.partition()] = number
    consumer.close()
    return Readback(found, sum(seen), checksum, out_of_order)


def cpu_seconds(pid: int) -> float:
    """User and system time of a process, from the kernel's account of it (0 where it has none)."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def measure(
    send: Callable[[str, str, int], float],
    name: str,
    broker: BrokerProcess,
    topic: str,
    count: int,
) -> Round:
    """Time one producer."""
    own, theirs = time.process_time(), cpu_seconds(broker.pid)
    began = time.perf_counter()
    accepted = send(broker.bootstrap_servers, topic, count)
    total = time.perf_counter() - began
    return Round(
        name,
        accepted,
        total,
        time.process_time() - own,
        cpu_seconds(broker.pid) - theirs,
    )


def run(count: int, rounds: int) -> tuple[list[str], list[str]]:
    """Return the table's lines and the faults found."""
    senders = {"pyproducer": send_ours, "confluent-kafka": send_confluent}
    expected = Readback(
        count,
        count,
        sum(zlib.crc32(value(number)) for number in range(count)) & 0xFFFFFFFFFFFFFFFF,
        0,
    )
    done: list[Round] = []
    faults: list[str] = []
    names = [f"{name}-{number}" for number in range(rounds) for name in senders]
    with (
        tempfile.TemporaryDirectory(prefix="million-") as folder,
        BrokerProcess(dict.fromkeys(names, PARTITIONS), data_dir=Path(folder)) as broker,
    ):
        for topic in names:
            name = topic.rpartition("-")[0]
            done.append(measure(senders[name], name, broker, topic, count))
        for topic in names:
            found = read_back(broker.bootstrap_servers, topic, count)
            if found != expected:
                faults.append(f"{topic}: expected {expected}, read {found}")
    return table(done, count, faults), faults


def table(done: list[Round], count: int, faults: list[str]) -> list[str]:
    """One line for each round, and the medians."""
    lines = [
        (
            f"{count:,} records of {RECORD_SIZE} bytes, {PARTITIONS} partitions, acks=all, idempotent, "
            f"linger_ms={LINGER_MS}, no compression; broker: ours, in another process"
        ),
        (
            f"{'producer':<24}{'records/s':>9}{'accepted s':>12}{'total s':>10}"
            f"{'own CPU s':>11}{'broker CPU s':>14}"
        ),
    ]
    lines += [line(one.producer, one, count) for one in done]
    medians = {}
    for name in dict.fromkeys(one.producer for one in done):
        rounds = [one[1:] for one in done if one.producer == name]
        medians[name] = Round(
            name, *(statistics.median(column) for column in zip(*rounds, strict=True))
        )
        lines.append(line(f"{name} median"[:24], medians[name], count))
    ours, theirs = medians["pyproducer"], medians["confluent-kafka"]
    lines.append(f"pyproducer / confluent-kafka: {theirs.total_s / ours.total_s:.2f}")
    lines += faults or [f"read back: all {len(done)} topics whole, in order, nothing twice"]
    return lines


def line(name: str, one: Round, count: int) -> str:
    return (
        f"{name:<24}{count / one.total_s:>9,.0f}"
        f"{one.accept_s:>12.2f}{one.total_s:>10.2f}{one.own_cpu_s:>11.2f}{one.broker_cpu_s:>14.2f}"
    )


def main() -> int:
    """Run as the command line asks; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    lines, faults = run(options.count, options.rounds)
    print("\n".join(lines))
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
