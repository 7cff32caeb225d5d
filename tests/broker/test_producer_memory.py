"""How long a broker remembers a producer, and what it makes of one that it does not."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest

from pyproducer import AsyncProducer
from pyproducer.broker import Broker
from pyproducer.model import TopicPartition
from pyproducer.protocol.error_codes import ErrorCode
from tests.helpers.partition_logs import batch
from tests.helpers.transactional_client import batches_in, fetch
from tests.helpers.virtual_time import VirtualTime
from tests.helpers.wire_client import WireClient

DAY_MS = 86_400_000


@pytest.fixture
def clock() -> VirtualTime:
    """A clock that stands still, at this moment."""
    stopped = VirtualTime()
    stopped.now += int(time.time()) - stopped.wall_ms() // 1000
    return stopped


def broker_of(clock: VirtualTime, **options: Any) -> Broker:
    """A broker with one partition whose time passes by ticks alone."""
    return Broker({"orders": 1}, clock=clock, **options)


def values(broker: Broker) -> list[bytes | None]:
    return [record.value for record in broker.records("orders")]


@pytest.mark.parametrize("strict", [False, True])
async def test_producer_idle_for_days_goes_on(clock: VirtualTime, strict: bool):
    """
    It has been forgotten: a strict broker costs it an epoch, another nothing, and neither a record.
    """
    with broker_of(clock, strict_unknown_producer=strict) as broker:
        async with AsyncProducer(broker.bootstrap_servers) as producer:
            for value in (b"0", b"1"):
                await producer.send("orders", value)
            await asyncio.to_thread(broker.tick, days=2)
            for value in (b"2", b"3"):
                await producer.send("orders", value)

            assert producer.metrics().epoch_bumps == int(strict)
        assert values(broker) == [b"0", b"1", b"2", b"3"]


def test_strict_broker_names_the_code(clock: VirtualTime):
    """
    UNKNOWN_PRODUCER_ID for all but the first sequence, of those never seen and those forgotten.
    """
    with (
        broker_of(clock, strict_unknown_producer=True) as broker,
        WireClient(broker.bootstrap_servers) as client,
    ):

        def send(sequence: int) -> tuple[int, int]:
            data = batch(producer=(5, 0, sequence), time=clock.wall_ms())
            answer = client.produce("orders", data)
            return answer.error_code, answer.base_offset

        assert send(1) == (ErrorCode.UNKNOWN_PRODUCER_ID, -1)
        assert send(0) == (0, 0)
        assert send(1) == (0, 1)
        broker.tick(days=1)
        assert send(2) == (ErrorCode.UNKNOWN_PRODUCER_ID, -1)
        assert send(0) == (0, 2)


@pytest.mark.parametrize(
    ("counted_from", "offset"), [("append", 0), ("record", 1)], ids=["append", "record"]
)
async def test_producer_of_old_records(clock: VirtualTime, counted_from: Any, offset: int):
    """
    It is remembered, so that its batch sent again has its offset; where the age of its records
    counts, as in Kafka, it is forgotten at the next look, and the batch is there twice.
    """
    old = clock.wall_ms() - 2 * DAY_MS
    with broker_of(clock, producer_expiry_clock=counted_from) as broker:
        async with AsyncProducer(broker.bootstrap_servers) as producer:
            await producer.send("orders", b"value", timestamp_ms=old)
        broker.tick(minutes=10)
        with WireClient(broker.bootstrap_servers) as client:
            [sent] = batches_in(fetch(client, TopicPartition("orders", 0)))
            again = batch(producer=(sent.header.producer_id, 0, 0), time=old)
            answer = client.produce("orders", again)

        assert (answer.error_code, answer.base_offset) == (0, offset)
