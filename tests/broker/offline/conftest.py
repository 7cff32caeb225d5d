"""A stopped broker's data directory with some of everything in it."""

from __future__ import annotations

import shutil
import time
from pathlib import Path

import pytest

from pyproducer.broker import Broker, TopicSpec
from pyproducer.model import TopicPartition
from pyproducer.records.codec import Codec
from tests.helpers.partition_logs import batch
from tests.helpers.transactional_client import TransactionalProducer
from tests.helpers.virtual_time import VirtualTime
from tests.helpers.wire_client import WireClient

SMALL = {"segment.bytes": "8000", "index.interval.bytes": "500"}


@pytest.fixture(scope="session")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The directory, which nobody changes."""
    data_dir = tmp_path_factory.mktemp("written") / "data"
    # The batches of transactions have real time.
    clock = VirtualTime()
    clock.now += int(time.time()) - clock.wall_ms() // 1000
    topics = [TopicSpec("orders", 1, SMALL), TopicSpec("paid", 1)]
    with (
        Broker(topics, data_dir=data_dir, clock=clock) as broker,
        WireClient(broker.bootstrap_servers) as client,
    ):
        for number in range(120):
            clock.now += 1
            data = batch(
                4,
                time=clock.wall_ms(),
                value=b"%d" % number * 20,
                producer=(7, 0, number * 4),
                codec=Codec.GZIP if number % 3 else Codec.NONE,
            )
            assert 0 == client.produce("orders", data).error_code
        client.produce("paid", batch(key=None, value=None, time=clock.wall_ms()))
        producer = TransactionalProducer(client)
        producer.init()
        place = TopicPartition("paid", 0)
        for commit in (True, False):
            producer.write(place, b"\xff\n", count=2)
            producer.end(commit=commit)
        producer.write(place)
    return data_dir


@pytest.fixture
def data(written: Path, tmp_path: Path) -> Path:
    """A copy of it, to be damaged."""
    return shutil.copytree(written, tmp_path / "data")
