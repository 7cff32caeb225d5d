"""Queues records as fast as it can while the broker stands still; says how much memory that takes.

``python flood.py SETTINGS`` (JSON) prints, as JSON too, the records accepted, the bytes charged,
and by how much the process's resident memory has grown at most, in MiB.

It ends after ``seconds``, or with "once" when the buffer was full for a moment.

Settings: servers, pid (of the broker, stopped once its topics are known), once, value (bytes),
header (bytes; 0 for none), keep (handles), callback, shelf (a topic nothing is known of), threads
(0 for asyncio), waiters (tasks that all send at once; 0 for one that queues), options.
"""

import asyncio
import json
import logging
import os
import resource
import signal
import sys
import threading
import time
from pathlib import Path

from pyproducer import AsyncProducer, BufferFull, SyncProducer

SETTINGS = json.loads(sys.argv[1])
TOPIC = "unheard-of" if SETTINGS["shelf"] else "t"
OPTIONS = {"max_block_ms": 300, "delivery_timeout_ms": 600_000, **SETTINGS["options"]}
kept = []
VALUE = os.urandom(1) * SETTINGS["value"]
RECORD = {"headers": {f"h{n}": b"x" * SETTINGS["header"] for n in range(4)}}
if not SETTINGS["header"]:
    RECORD = {}
if SETTINGS["callback"]:
    RECORD["on_delivery"] = lambda _: None


def resident():
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize() / 2**20


class Gauge(threading.Thread):
    """The most that is resident while it runs."""

    def __init__(self):
        super().__init__(daemon=True)
        self.base = self.peak = resident()

    def run(self):
        while True:
            self.peak = max(self.peak, resident())
            time.sleep(0.02)


def stop_broker():
    os.kill(SETTINGS["pid"], signal.SIGSTOP)
    gauge = Gauge()
    gauge.start()
    return gauge


def report(producer, gauge):
    metrics = producer.metrics()
    print(
        json.dumps(
            {
                "accepted": metrics.records_accepted,
                "charged": metrics.buffer_bytes / 2**20,
                "grown": gauge.peak - gauge.base,
                "waiting": metrics.callers_waiting,
            }
        ),
        flush=True,
    )
    os.kill(SETTINGS["pid"], signal.SIGCONT)
    # Nobody waits for the rest of this.
    os._exit(0)


async def flood_async():
    producer = AsyncProducer(SETTINGS["servers"], **OPTIONS)
    await producer.start()
    await producer.partitions_for("t")
    gauge = stop_broker()
    end = time.monotonic() + SETTINGS["seconds"]
    if SETTINGS["waiters"]:
        tasks = [
            asyncio.create_task(producer.send(TOPIC, VALUE, **RECORD))
            for _ in range(SETTINGS["waiters"])
        ]
        await asyncio.sleep(SETTINGS["seconds"])
        kept.extend(tasks)
    await asyncio.sleep(0)
    while time.monotonic() < end:
        try:
            delivery = await producer.enqueue(TOPIC, VALUE, **RECORD)
        except BufferFull:
            if SETTINGS["once"]:
                break
            continue
        if SETTINGS["keep"]:
            kept.append(delivery)
    report(producer, gauge)


def flood_threads():
    producer = SyncProducer(SETTINGS["servers"], **OPTIONS)
    producer.partitions_for("t")
    gauge = stop_broker()
    end = time.monotonic() + SETTINGS["seconds"]

    def work():
        while time.monotonic() < end:
            try:
                delivery = producer.enqueue(TOPIC, VALUE, **RECORD)
            except BufferFull:
                if SETTINGS["once"]:
                    break
                continue
            if SETTINGS["keep"]:
                kept.append(delivery)

    threads = [threading.Thread(target=work) for _ in range(SETTINGS["threads"])]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    report(producer, gauge)


logging.disable(logging.CRITICAL)
if SETTINGS["threads"]:
    flood_threads()
else:
    asyncio.run(flood_async())
