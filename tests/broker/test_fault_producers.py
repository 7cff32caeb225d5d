"""What producers make of faults: ours, librdkafka's and aiokafka's, over real sockets."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Iterator

import pytest
from aiokafka import AIOKafkaProducer
from confluent_kafka import Producer

from pyproducer import AsyncProducer, BrokerRejected, DeliveryTimeout, ProducerError
from pyproducer.broker import Broker
from pyproducer.core.verdict import TABLE, Action
from pyproducer.protocol.error_codes import ErrorCode

RETRIED = [
    code for code, verdict in TABLE.items() if verdict.action in {Action.RETRY, Action.REFRESH}
]
FAILED = [code for code, verdict in TABLE.items() if verdict.action in {Action.FAIL, Action.FATAL}]
QUICK = {"retry_backoff_ms": 5, "retry_backoff_max_ms": 20}


def name(code: int) -> str:
    return ErrorCode(code).name


@pytest.fixture
def broker() -> Iterator[Broker]:
    """A broker with a topic of one partition and one of three."""
    with Broker({"one": 1, "many": 3}) as running:
        yield running


def ours(broker: Broker, **options) -> AsyncProducer:
    """A producer that retries fast."""
    return AsyncProducer(broker.bootstrap_servers, **{**QUICK, **options})


def values(broker: Broker, topic: str = "one") -> list[bytes | None]:
    return [record.value for record in broker.records(topic)]


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("code", RETRIED, ids=name)
async def test_retriable_codes_end_in_exactly_one_record(broker: Broker, code: int, when: str):
    """
    Whether the refused batch was appended or not, its retry is acknowledged and it is there once.
    """
    async with ours(broker) as producer:
        await producer.send("one", b"before")
        fault = broker.faults.fail("Produce", code, when=when)
        meta = await producer.send("one", b"value")

        assert 1 == fault.hits
        assert 1 == producer.metrics().retries
    assert 1 == meta.offset
    assert [b"before", b"value"] == values(broker)


async def test_without_idempotence_a_record_reported_as_failed_is_there_twice(broker: Broker):
    """
    Nobody can tell a retry from another record without sequence numbers.
    """
    async with ours(broker, enable_idempotence=False) as producer:
        broker.faults.fail("Produce", "REQUEST_TIMED_OUT", when="after")
        await producer.send("one", b"value")
        assert [b"value"] * 2 == values(broker)
        broker.faults.fail("Produce", "REQUEST_TIMED_OUT", when="before")
        await producer.send("one", b"once")

    assert [b"value", b"value", b"once"] == values(broker)


@pytest.mark.parametrize("code", FAILED, ids=name)
async def test_final_codes_fail_the_record_with_their_name(broker: Broker, code: int):
    """
    What cannot be helped reaches the caller at once: code, place, attempts, doubt.
    """
    producer = ours(broker)
    await producer.start()
    broker.faults.fail("Produce", code)
    with pytest.raises(BrokerRejected) as caught:
        await producer.send("one", b"value")

    error = caught.value
    assert (code, ErrorCode(code).name) == (error.code, error.broker_error)
    assert ("one", 0, 1) == (error.topic, error.partition, error.attempts)
    assert TABLE[code].maybe_written == error.maybe_written
    if TABLE[code].action is Action.FATAL:
        with pytest.raises(ProducerError):
            await producer.send("one", b"next")
    else:
        # No gap in the sequence: the next record is acknowledged.
        await producer.send("one", b"next")
        assert [b"next"] == values(broker)
    await producer.close()


async def test_oversized_batch_is_split(broker: Broker):
    """
    MESSAGE_TOO_LARGE halves the batch until it fits, in order and without loss.
    """
    sent = [f"{number}".encode() for number in range(64)]
    async with ours(broker) as producer:
        fault = broker.faults.fail("Produce", "MESSAGE_TOO_LARGE", times=3)
        await producer.send_many("one", sent)

        assert 3 == fault.hits
        assert producer.metrics().splits
    assert sent == values(broker)


async def test_lost_answer_is_asked_for_again(broker: Broker):
    """
    The answer never comes, the request times out, and the retry finds the batch in the log.
    """
    async with ours(broker, request_timeout_ms=200) as producer:
        await producer.send("one", b"warm")
        fault = broker.faults.drop_response("Produce")
        meta = await producer.send("one", b"value")

    assert 1 == fault.hits
    assert 1 == meta.offset
    assert [b"warm", b"value"] == values(broker)


async def test_answers_that_never_come_end_in_a_timeout(broker: Broker):
    """
    With every answer lost the record fails in time, and says that it may be written: it is.
    """
    async with ours(broker, request_timeout_ms=100, delivery_timeout_ms=400) as producer:
        await producer.send("one", b"warm")
        with broker.faults.drop_response("Produce", times=None) as fault:
            with pytest.raises(DeliveryTimeout) as caught:
                await producer.send("one", b"value")
            assert fault.hits >= 2
        assert caught.value.maybe_written
        await producer.send("one", b"after")

    assert [b"warm", b"value", b"after"] == values(broker)


@pytest.mark.parametrize("after", [0, 3, 4, 20, None])
async def test_cut_answers(broker: Broker, after: int | None):
    """
    Wherever the answer breaks off, the record is there once.
    """
    async with ours(broker) as producer:
        fault = broker.faults.cut("Produce", after_bytes=after)
        await producer.send("one", b"value")

    assert 1 == fault.hits
    assert [b"value"] == values(broker)


async def test_each_reconnection_can_break_off(broker: Broker):
    """
    A handshake that breaks off or gets no answer is begun again.
    """
    options = {"request_timeout_ms": 200, "socket_connection_setup_timeout_ms": 200}
    async with ours(broker, **options) as producer:
        await producer.send("one", b"before")
        faults = [broker.faults.cut("ApiVersions"), broker.faults.drop_response("ApiVersions")]
        broker.faults.close_connections()
        await producer.send("one", b"value")

    assert [1, 1] == [fault.hits for fault in faults]
    assert [b"before", b"value"] == values(broker)


@pytest.mark.parametrize("api", ["Metadata", "InitProducerId", "Produce"])
async def test_each_step_of_a_start_can_break_off(broker: Broker, api: str):
    """
    A connection that is lost at any step is made anew.
    """
    faults = [broker.faults.cut(api), broker.faults.drop_response(api)]
    options = {"request_timeout_ms": 200, "socket_connection_setup_timeout_ms": 200}
    async with ours(broker, **options) as producer:
        await producer.send("one", b"value")

    assert [1, 1] == [fault.hits for fault in faults]
    assert [b"value"] == values(broker)


@pytest.mark.parametrize(
    ("api", "code"),
    [
        ("Metadata", "LEADER_NOT_AVAILABLE"),
        ("Metadata", "UNKNOWN_TOPIC_OR_PARTITION"),
        ("InitProducerId", "COORDINATOR_LOAD_IN_PROGRESS"),
        ("InitProducerId", "COORDINATOR_NOT_AVAILABLE"),
        ("InitProducerId", "NOT_COORDINATOR"),
        ("InitProducerId", "CONCURRENT_TRANSACTIONS"),
        ("InitProducerId", "REQUEST_TIMED_OUT"),
    ],
)
async def test_a_start_that_is_put_off(broker: Broker, api: str, code: str):
    """
    What the broker does not know yet is asked for again.
    """
    fault = broker.faults.fail(api, code, times=2)
    async with ours(broker) as producer:
        await producer.send("one", b"value")

    assert 2 == fault.hits
    assert [b"value"] == values(broker)


async def test_refused_producer_id_is_told(broker: Broker):
    """
    A producer that may not have an id fails its records by the broker's word.
    """
    broker.faults.fail("InitProducerId", "CLUSTER_AUTHORIZATION_FAILED", times=None)
    producer = ours(broker, delivery_timeout_ms=2000, request_timeout_ms=500)
    await producer.start()
    with pytest.raises(ProducerError, match="CLUSTER_AUTHORIZATION_FAILED"):
        await producer.send("one", b"value")
    await producer.close()


async def test_partition_without_a_leader_waits_for_one(broker: Broker):
    """
    Its records wait, the others go, and it goes on with the leader's return.
    """
    async with ours(broker) as producer:
        await producer.send("many", b"warm", partition=1)
        with broker.faults.leaderless("many", 1) as fault:
            waiting = [await producer.enqueue("many", f"{n}", partition=1) for n in range(3)]
            await asyncio.to_thread(fault.wait)
            await producer.send("many", b"other", partition=0)
            assert not any(delivery.done() for delivery in waiting)

        assert [1, 2, 3] == [(await delivery).offset for delivery in waiting]
    assert [b"warm", b"0", b"1", b"2"] == [r.value for r in broker.records("many", 1)]


async def test_paused_broker(broker: Broker):
    """
    Records wait while the broker stands still; requests that timed out double nothing.
    """
    async with ours(broker, request_timeout_ms=200) as producer:
        await producer.send("one", b"warm")
        with broker.faults.pause() as fault:
            delivery = await producer.enqueue("one", b"value")
            # Once for the request, and again for what came after its time was up.
            await asyncio.to_thread(fault.wait, 2)
            assert not delivery.done()

        assert 1 == (await delivery).offset
    assert [b"warm", b"value"] == values(broker)


async def test_throttle_is_respected(broker: Broker):
    """
    The producer sends nothing to the broker in the time that it was told.
    """
    loop = asyncio.get_running_loop()
    async with ours(broker) as producer:
        broker.faults.throttle("Produce", 300)
        begun = loop.time()
        await producer.send("one", b"first")
        await producer.send("one", b"second")

        assert loop.time() - begun >= 0.3
        assert 300 == pytest.approx(producer.metrics().throttled_ms)


async def test_full_disk(broker: Broker):
    """
    A broker without room is asked again until it has some.
    """
    async with ours(broker) as producer:
        await producer.send("one", b"warm")
        with broker.faults.disk_full() as fault:
            delivery = await producer.enqueue("one", b"value")
            await asyncio.to_thread(fault.wait, 2)
        await delivery

    assert [b"warm", b"value"] == values(broker)


async def test_forgotten_producer_goes_on(broker: Broker):
    """
    As Kafka takes any sequence from a producer it does not know, nothing happens.
    """
    async with ours(broker) as producer:
        await producer.send("one", b"first")
        assert 1 == broker.faults.forget_producers().hits
        await producer.send("one", b"second")

        assert 0 == producer.metrics().epoch_bumps
    assert [b"first", b"second"] == values(broker)


async def test_strict_broker_that_forgot_the_producer(broker: Broker):
    """
    UNKNOWN_PRODUCER_ID costs an epoch, not a record.
    """
    sent = [f"{number}".encode() for number in range(20)]
    async with ours(broker) as producer:
        await producer.send("one", sent[0])
        with broker.faults.refuse_unknown_producers() as fault:
            broker.faults.forget_producers("one")
            for value in sent[1:]:
                await producer.send("one", value)

        assert 1 == fault.hits
        assert 1 == producer.metrics().epoch_bumps
    assert sent == values(broker)


@pytest.mark.parametrize("seed", range(4))
async def test_a_bad_day(broker: Broker, seed: int):
    """
    Under a mix of faults, drawn by lot, every record is there once and in order.
    """
    chance = random.Random(seed)
    faults = broker.faults
    mishaps = [
        lambda: faults.fail("Produce", chance.choice(RETRIED), when="after"),
        lambda: faults.fail("Produce", chance.choice(RETRIED), when="before", partition=1),
        lambda: faults.drop_response("Produce"),
        lambda: faults.cut("Produce", after_bytes=chance.randrange(60)),
        lambda: faults.cut("Metadata"),
        lambda: faults.delay("Produce", 0.05, times=2),
        lambda: faults.throttle("Produce", 30),
        faults.close_connections,
    ]
    sent: dict[int, list[bytes]] = {0: [], 1: [], 2: []}
    async with ours(broker, request_timeout_ms=250, linger_ms=1) as producer:
        deliveries = []
        for number in range(300):
            if number % 20 == 0:
                await asyncio.to_thread(chance.choice(mishaps))
            partition = number % 3
            value = f"{number}".encode()
            sent[partition].append(value)
            deliveries.append(await producer.enqueue("many", value, partition=partition))
            if number % 7 == 0:
                await asyncio.sleep(0.002)
        metas = [await delivery for delivery in deliveries]

    held = {p: [record.value for record in broker.records("many", p)] for p in sent}
    assert sent == held
    for partition in sent:
        offsets = [meta.offset for meta in metas if meta.partition == partition]
        assert list(range(100)) == offsets


def confluent(broker: Broker, **settings) -> Producer:
    return Producer(
        {
            "bootstrap.servers": broker.bootstrap_servers,
            "enable.idempotence": True,
            "retry.backoff.ms": 5,
            "retry.backoff.max.ms": 20,
            "reconnect.backoff.ms": 5,
            "socket.timeout.ms": 1000,
            "log_level": 0,
            **{key.replace("_", "."): value for key, value in settings.items()},
        }
    )


CONFLUENT_FAULTS = {
    "before": lambda f: f.fail("Produce", "NOT_ENOUGH_REPLICAS"),
    "after": lambda f: f.fail("Produce", "NOT_ENOUGH_REPLICAS_AFTER_APPEND", when="after"),
    "leader": lambda f: f.fail("Produce", "NOT_LEADER_OR_FOLLOWER", when="after"),
    "cut": lambda f: f.cut("Produce"),
    "drop": lambda f: f.drop_response("Produce"),
    "throttle": lambda f: f.throttle("Produce", 50),
    "metadata": lambda f: f.fail("Metadata", "LEADER_NOT_AVAILABLE"),
    "id": lambda f: f.fail("InitProducerId", "COORDINATOR_LOAD_IN_PROGRESS"),
}


@pytest.mark.parametrize("make", CONFLUENT_FAULTS.values(), ids=CONFLUENT_FAULTS)
def test_librdkafka_gets_over_it(broker: Broker, make):
    """
    librdkafka with idempotence ends each fault with the record in the log once.
    """
    fault = make(broker.faults)
    producer = confluent(broker)
    outcomes: list[object] = []
    producer.produce("one", b"value", on_delivery=lambda error, message: outcomes.append(error))
    assert 0 == producer.flush(20)

    assert [None] == outcomes
    assert 1 == fault.hits
    assert [b"value"] == values(broker)


def test_librdkafka_without_idempotence_doubles(broker: Broker):
    """
    The log shows what a retry without idempotence does in another client.
    """
    broker.faults.fail("Produce", "NOT_ENOUGH_REPLICAS_AFTER_APPEND", when="after")
    producer = confluent(broker, enable_idempotence=False)
    producer.produce("one", b"value")
    assert 0 == producer.flush(20)

    assert [b"value"] * 2 == values(broker)


def test_librdkafka_reports_what_is_final(broker: Broker):
    """
    A code that no retry helps reaches librdkafka's caller.
    """
    broker.faults.fail("Produce", "TOPIC_AUTHORIZATION_FAILED")
    producer = confluent(broker, enable_idempotence=False)
    outcomes: list[int] = []
    producer.produce("one", b"v", on_delivery=lambda error, message: outcomes.append(error.code()))
    assert 0 == producer.flush(20)

    assert [ErrorCode.TOPIC_AUTHORIZATION_FAILED] == outcomes
    assert [] == values(broker)


@pytest.mark.parametrize("idempotent", [True, False])
async def test_aiokafka_after_the_append(broker: Broker, idempotent: bool):
    """
    aiokafka's retry of a batch that was appended is recognised by its sequence, or doubles.
    """
    fault = broker.faults.fail("Produce", "REQUEST_TIMED_OUT", when="after")
    async with AIOKafkaProducer(
        bootstrap_servers=broker.bootstrap_servers,
        enable_idempotence=idempotent,
        retry_backoff_ms=5,
    ) as producer:
        await producer.send_and_wait("one", b"value")

    assert 1 == fault.hits
    assert [b"value"] * (1 if idempotent else 2) == values(broker)


async def test_aiokafka_waits_for_a_leader(broker: Broker):
    """
    aiokafka sends on when the partition has its leader back.
    """
    async with AIOKafkaProducer(
        bootstrap_servers=broker.bootstrap_servers, retry_backoff_ms=5
    ) as producer:
        await producer.send_and_wait("one", b"warm")
        with broker.faults.leaderless("one") as fault:
            future = await producer.send("one", b"value")
            await asyncio.to_thread(fault.wait)
        await future

    assert [b"warm", b"value"] == values(broker)
