"""Reading a long log that nobody has in memory: ``python -m tests.bench.cold_reads``.

A log of ``--mib`` mebibytes is written, its pages are put out of the system's memory, and one
consumer reads it from its beginning: confluent-kafka's, or a bare socket that asks for answers and
looks at nothing in them, which shows what the server alone can do.
"""

from __future__ import annotations

import argparse
import os
import socket
import struct
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from confluent_kafka import Consumer, TopicPartition

from pyproducer.protocol.frame import encode_request
from pyproducer.protocol.messages.fetch import FetchPartition, FetchRequest, FetchTopic
from pyproducer.records.builder import build_batch
from pyproducer.records.record import Record
from tests.bench.meters import cpu_seconds
from tests.helpers.apache_kafka import ApacheKafka
from tests.helpers.broker_process import BrokerProcess
from tests.helpers.topics import create_topics
from tests.helpers.wire_client import WireClient

TOPIC = "cold"
VALUE = os.urandom(1000)
RECORDS = 1000
#: What a consumer asks for in one request, unless told otherwise.
ANSWER = 50 << 20


def fill(bootstrap_servers: str, mib: int) -> int:
    """Write so many mebibytes; return the number of records."""
    # Of now: Kafka would delete older ones.
    now_ms = time.time_ns() // 1_000_000
    data = build_batch([Record(0, now_ms, key=None, value=VALUE) for _ in range(RECORDS)])
    count = (mib << 20) // len(data)
    with WireClient(bootstrap_servers) as client:
        for _ in range(count):
            answer = client.produce(TOPIC, data, acks=1)
            assert answer.error_code == 0, answer
    return count * RECORDS


def forget(folder: Path) -> None:
    """The pages of every segment are on disk and not in memory."""
    for path in folder.rglob("*.log"):
        with path.open("rb") as file:
            os.fsync(file.fileno())
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def by_confluent(bootstrap_servers: str, count: int) -> None:
    """Read that many records with confluent-kafka's consumer at its defaults."""
    consumer = Consumer(
        {
            "bootstrap.servers": bootstrap_servers,
            "group.id": "cold",
            "enable.auto.commit": False,
            # Its default of 1000 ms leaves it idle for most of the time.
            "fetch.queue.backoff.ms": 1,
        }
    )
    consumer.assign([TopicPartition(TOPIC, 0, 0)])
    while count > 0:
        count -= len(consumer.consume(10_000, timeout=10))
    consumer.close()


def by_socket(bootstrap_servers: str, count: int, *, at_once: int = 4 << 20) -> None:
    """Read that many records without looking at them."""
    host, port = bootstrap_servers.rsplit(":", 1)
    per_answer = at_once // len(VALUE) // RECORDS * RECORDS
    room = bytearray(1 << 20)
    with socket.create_connection((host, int(port))) as sock:
        for offset in range(0, count, per_answer):
            part = FetchPartition(partition=0, fetch_offset=offset, partition_max_bytes=at_once)
            request = FetchRequest(
                max_bytes=at_once, topics=[FetchTopic(topic=TOPIC, partitions=[part])]
            )
            sock.sendall(b"".join(encode_request(request, 11, 1, "cold")))
            (left,) = struct.unpack(">i", sock.recv(4, socket.MSG_WAITALL))
            while left:
                left -= sock.recv_into(room, min(left, len(room)))


READERS: dict[str, Callable[[str, int], None]] = {"confluent": by_confluent, "socket": by_socket}


def measure(
    name: str, bootstrap_servers: str, pid: int, folder: Path, options: argparse.Namespace
) -> None:
    """Print what each reader gets from the server, and what that costs it."""
    count = fill(bootstrap_servers, options.mib)
    for reader in options.readers:
        for _ in range(options.rounds):
            forget(folder)
            used, began = cpu_seconds(pid), time.perf_counter()
            READERS[reader](bootstrap_servers, count)
            took, used = time.perf_counter() - began, cpu_seconds(pid) - used
            megabytes = count * len(VALUE) / 1e6
            print(
                f"{name:12} {reader:10} {megabytes / took:7.0f} MB/s  "
                f"server {used / megabytes * 1e3:6.3f} s of processor per GB",
                flush=True,
            )


def main() -> None:
    """Run as the command line asks."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--mib", type=int, default=1024)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--readers", nargs="+", choices=READERS, default=list(READERS))
    parser.add_argument("--kafka", action="store_true", help="Apache Kafka too")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder)
        with BrokerProcess({TOPIC: 1}, data_dir=data) as ours:
            measure("pyproducer", ours.bootstrap_servers, ours.pid, data, options)
    if options.kafka:
        with ApacheKafka(served=True) as kafka:
            create_topics(kafka.bootstrap_servers, {TOPIC: 1})
            measure("apache-kafka", kafka.bootstrap_servers, kafka.pid, kafka.data_dir, options)


if __name__ == "__main__":
    main()
