"""The cleaner of a running broker, with clients that go on reading and writing."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from confluent_kafka import OFFSET_BEGINNING, Consumer
from confluent_kafka import TopicPartition as Position

from pyproducer.broker import Broker, TopicSpec
from pyproducer.model import TopicPartition
from pyproducer.records.builder import build_batch
from pyproducer.records.codec import Codec
from pyproducer.records.reader import iter_batches
from pyproducer.records.record import Record
from tests.helpers.admin_requests import SET, TOPIC, alter_configs_by
from tests.helpers.transactional_client import fetch
from tests.helpers.wire_client import WireClient

CONFIGS = {
    "cleanup.policy": "compact",
    "min.cleanable.dirty.ratio": "0",
    "segment.bytes": "20000",
}
BACKOFF_SECONDS = 16
KEYS = 50
READERS = 2
KEYED = TopicPartition("keyed", 0)
CODECS = (Codec.NONE, Codec.GZIP, Codec.LZ4)


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Broker]:
    """A broker with a compacted topic of small segments."""
    with Broker([TopicSpec("keyed", 1, CONFIGS)], data_dir=tmp_path) as running:
        yield running


def write(client: WireClient, *pairs: tuple[str, str], codec: Codec = Codec.NONE) -> int:
    """Produce one batch; return its first offset."""
    now_ms = time.time_ns() // 1_000_000
    records = [Record(0, now_ms, key=key.encode(), value=value.encode()) for key, value in pairs]
    answer = client.produce("keyed", build_batch(records, codec=codec))
    assert 0 == answer.error_code
    offset: int = answer.base_offset
    return offset


def fill(client: WireClient, rounds: range) -> None:
    """Every key gets the number of each round as its value."""
    for number in rounds:
        write(client, *((f"k{at}", f"{number} {'-' * 20}") for at in range(KEYS)))


def consumed(broker: Broker, count: int) -> dict[str, str]:
    """The last value of each key, as confluent-kafka reads that many records from the start."""
    consumer = Consumer(
        {
            "bootstrap.servers": broker.bootstrap_servers,
            "group.id": "reader",
            "enable.auto.commit": False,
            "check.crcs": True,
        }
    )
    consumer.assign([Position("keyed", 0, OFFSET_BEGINNING)])
    newest: dict[str, str] = {}
    last = -1
    try:
        while count > 0:
            messages = consumer.consume(count, timeout=10)
            assert messages, "records that the broker has did not come"
            for message in messages:
                assert message.error() is None
                assert last < message.offset()
                last = message.offset()
                newest[message.key().decode()] = message.value().decode()
            count -= len(messages)
    finally:
        consumer.close()
    return newest


def test_a_tick_compacts(broker: Broker, client: WireClient):
    """
    After a tick only the newest record of each key in closed segments is left, for `records` and
    for a consumer alike; segments are fewer, and offsets what they were.
    """
    fill(client, range(200))
    before = broker.records("keyed")
    broker.tick(seconds=BACKOFF_SECONDS)

    after = broker.records("keyed")
    assert 200 * KEYS == len(before)
    assert KEYS <= len(after) < len(before) / 10
    assert set(after) <= set(before)
    assert before[-1] == after[-1]
    wanted = {one.key.decode(): one.value.decode() for one in before if one.key and one.value}
    assert wanted == consumed(broker, len(after))
    assert 200 * KEYS == write(client, ("k0", "next"))


class Reader(threading.Thread):
    """Reads the topic from its start to its end again and again.

    Args:
        broker: Where.
        acknowledged: For each key the highest value that is acknowledged; values are numbers.

    Attributes:
        passes: Times that it was through, each without anything wrong.
        wrong: What it raised, if it did.
    """

    def __init__(self, broker: Broker, acknowledged: dict[str, int]) -> None:
        super().__init__()
        self.passes = 0
        self.wrong: BaseException | None = None
        self.ended = threading.Event()
        self._servers = broker.bootstrap_servers
        self._acknowledged = acknowledged

    def run(self) -> None:
        try:
            with WireClient(self._servers) as client:
                while not self.ended.is_set():
                    self._read(client)
                    self.passes += 1
        except BaseException as error:
            self.wrong = error

    def _read(self, client: WireClient) -> None:
        due = dict(self._acknowledged)
        found: dict[str, int] = {}
        offset = 0
        while True:
            answer = fetch(client, KEYED, offset=offset, committed=False, max_wait_ms=0)
            assert 0 == answer.error_code
            batches = list(iter_batches(answer.records))
            if not batches:
                break
            for batch in batches:
                batch.verify()
                last = offset - 1
                for record in batch.records():
                    if record.offset < offset:
                        continue
                    assert last < record.offset
                    last = record.offset
                    key, value = bytes(record.key or b"").decode(), int(bytes(record.value or b""))
                    assert found.get(key, -1) < value, "an older value came after a newer one"
                    found[key] = value
                assert offset < batch.header.next_offset
                offset = batch.header.next_offset
        behind = {key: value for key, value in due.items() if found.get(key, -1) < value}
        assert not behind


class Writer(threading.Thread):
    """Gives every key higher and higher numbers, in batches of changing codecs.

    Args:
        broker: Where.
        acknowledged: For each key the highest value that is acknowledged; kept up.
    """

    def __init__(self, broker: Broker, acknowledged: dict[str, int]) -> None:
        super().__init__()
        self.wrong: BaseException | None = None
        self.ended = threading.Event()
        self._servers = broker.bootstrap_servers
        self._acknowledged = acknowledged

    def run(self) -> None:
        try:
            with WireClient(self._servers) as client:
                number = 0
                while not self.ended.is_set():
                    number += 1
                    keys = [f"k{at}" for at in range(number % 7, KEYS, 7)]
                    pairs = [(key, str(number)) for key in keys]
                    write(client, *pairs, codec=CODECS[number % len(CODECS)])
                    self._acknowledged.update(dict.fromkeys(keys, number))
        except BaseException as error:
            self.wrong = error


def test_readers_and_writers_go_on_meanwhile(broker: Broker, tmp_path: Path):
    """
    While the log is compacted again and again nobody gets a torn batch, an older value after a
    newer one, or misses the last value of a key.
    """
    acknowledged: dict[str, int] = {}
    writer = Writer(broker, acknowledged)
    readers = [Reader(broker, acknowledged) for _ in range(READERS)]
    threads = [writer, *readers]
    for thread in threads:
        thread.start()
    try:
        # Tells up to which offset the log is clean.
        checkpoint = tmp_path / "cleaner-offset-checkpoint"
        cleaned: set[str] = set()
        while len(cleaned) < 3 or min(one.passes for one in readers) < 3:
            broker.tick(seconds=BACKOFF_SECONDS)
            if checkpoint.exists():
                cleaned.add(checkpoint.read_text())
            if any(one.wrong for one in threads):
                break
    finally:
        for thread in threads:
            thread.ended.set()
        for thread in threads:
            thread.join(30)

    assert [None] * len(threads) == [one.wrong for one in threads]
    broker.tick(seconds=BACKOFF_SECONDS)
    left = broker.records("keyed")
    assert {key: str(value) for key, value in acknowledged.items()} == consumed(broker, len(left))


def test_policy_of_a_live_topic(broker: Broker, client: WireClient):
    """
    Data that is there obeys a new cleanup.policy at the next look: kept whole under `delete`,
    compacted under `compact`, and neither compacted nor brought back when it is `delete` again.
    """

    def policy(name: str) -> None:
        change = ("cleanup.policy", SET, name)
        assert 0 == alter_configs_by(client, TOPIC, "keyed", change).error_code

    policy("delete")
    fill(client, range(50))
    broker.tick(seconds=BACKOFF_SECONDS)
    assert 50 * KEYS == len(broker.records("keyed"))

    policy("compact")
    broker.tick(seconds=BACKOFF_SECONDS)
    compacted = len(broker.records("keyed"))
    assert compacted < 25 * KEYS

    policy("delete")
    fill(client, range(50, 100))
    broker.tick(seconds=BACKOFF_SECONDS)
    assert compacted + 50 * KEYS == len(broker.records("keyed"))
    broker.tick(days=8)
    assert [] == broker.records("keyed")

    policy("compact")
    fill(client, range(100, 150))
    broker.tick(seconds=BACKOFF_SECONDS)
    left = broker.records("keyed")
    assert KEYS <= len(left) < 25 * KEYS
    assert {f"k{at}": f"149 {'-' * 20}" for at in range(KEYS)} == consumed(broker, len(left))
