"""Who takes part: every client, the driver it runs in, and the way it is called."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Client:
    """One client, called in one way.

    Attributes:
        name: as the report prints it.
        driver: module of tests.bench.drivers; or the name of a foreign driver.
        how: the way of calling, in the driver's words.
        ours: True for this project's.
        slow: gets fewer records where their number is fixed, or not yet known.
        foreign: not Python; needs a toolchain.
    """

    name: str
    driver: str
    how: str
    ours: bool = False
    slow: bool = False
    foreign: bool = False
    env: Mapping[str, str] = field(default_factory=dict)


_PURE = {"PYPRODUCER_PURE": "1"}

CLIENTS: dict[str, Client] = {
    "ours.enqueue": Client("pyproducer enqueue", "ours", "enqueue", ours=True),
    "ours.nowait": Client("pyproducer enqueue_nowait, callback", "ours", "nowait", ours=True),
    "ours.many": Client("pyproducer enqueue_many", "ours", "many", ours=True),
    "ours.send": Client("pyproducer send", "ours", "send", ours=True),
    "ours.sync": Client("pyproducer SyncProducer.enqueue", "ours_sync", "enqueue", ours=True),
    "ours.sync_send": Client("pyproducer SyncProducer.send", "ours_sync", "send", ours=True),
    "pure.enqueue": Client(
        "pyproducer enqueue, pure Python", "ours", "enqueue", ours=True, env=_PURE
    ),
    "confluent.callback": Client("confluent-kafka, callback", "confluent", "callback"),
    "confluent.plain": Client("confluent-kafka, no callback", "confluent", "plain"),
    "confluent.aio": Client("confluent-kafka AIOProducer", "confluent_aio", "produce", slow=True),
    "aiokafka": Client("aiokafka", "aiokafka_driver", "enqueue"),
    "aiokafka.send": Client("aiokafka send_and_wait", "aiokafka_driver", "send", slow=True),
    "kafka-python": Client("kafka-python", "kafka_python", "send", slow=True),
    "java": Client("Java's KafkaProducer, callback", "java", "callback", foreign=True),
    "franz-go": Client("franz-go, callback", "franz-go", "callback", foreign=True),
    "floor": Client("bare asyncio", "floor", "busy"),
    "floor.nothing": Client("an empty coroutine", "floor", "nothing"),
    "floor.keeping": Client("bare asyncio, records and results kept", "floor", "keeping"),
    "floor.idle": Client("bare asyncio, idle", "floor", "idle"),
    "floor.batches": Client("batches without a producer", "floor_batches", "batches"),
    "floor.compressing": Client("bare asyncio, two threads compress", "floor", "compressing"),
}
