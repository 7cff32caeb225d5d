"""Quotas in force: who is throttled, for how long, and what it sees of that."""

from __future__ import annotations

import asyncio
import socket
import threading
from pathlib import Path

import pytest

from pyproducer import AsyncProducer
from pyproducer.broker import Broker
from pyproducer.protocol.error_codes import ErrorCode
from pyproducer.protocol.messages.api_versions import ApiVersionsRequest
from pyproducer.protocol.messages.create_partitions import (
    CreatePartitionsRequest,
    CreatePartitionsTopic,
)
from pyproducer.protocol.messages.create_topics import CreatableTopic, CreateTopicsRequest
from pyproducer.protocol.messages.delete_topics import DeleteTopicsRequest, DeleteTopicState
from pyproducer.protocol.messages.fetch import FetchPartition, FetchRequest, FetchTopic
from pyproducer.protocol.messages.heartbeat import HeartbeatRequest
from pyproducer.protocol.messages.produce import (
    PartitionProduceData,
    ProduceRequest,
    TopicProduceData,
)
from tests.helpers.partition_logs import batch
from tests.helpers.quota_requests import quotas, set_quotas
from tests.helpers.virtual_time import VirtualTime
from tests.helpers.wire_client import WireClient

USER = "ANONYMOUS"


class SteadyWork(VirtualTime):
    """A clock by which each look at it takes a millisecond, so that all work takes time."""

    def monotonic(self) -> float:
        self.now += 0.001
        return self.now


def produced(client: WireClient, size: int, *, acks: int = -1) -> int:
    """For how long a client is throttled that sends records of about that size."""
    client.send(produce(size, acks=acks), 9)
    if acks == 0:
        client._sent.pop()
        return 0
    answer = client.receive()
    assert answer.responses[0].partition_responses[0].error_code == 0
    return answer.throttle_time_ms


def produce(size: int, *, acks: int = -1) -> ProduceRequest:
    part = PartitionProduceData(index=0, records=batch(value=b"v" * size))
    data = TopicProduceData(name="orders", partition_data=[part])
    return ProduceRequest(acks=acks, timeout_ms=5000, topic_data=[data])


def is_silent(client: WireClient) -> bool:
    """Nothing has come for a while, though something was asked."""
    client.socket.settimeout(0.2)
    try:
        client.socket.recv(1, socket.MSG_PEEK)
    except TimeoutError:
        return True
    finally:
        client.socket.settimeout(10)
    return False


@pytest.fixture
def clock() -> VirtualTime:
    """Time that stands still."""
    return VirtualTime()


@pytest.fixture
def broker(clock: VirtualTime):
    """A broker whose time stands still."""
    with Broker({"orders": 1}, clock=clock) as running:
        yield running


@pytest.fixture
def client(broker: Broker):
    """A connection to it."""
    with WireClient(broker.bootstrap_servers, client_id="app") as connected:
        yield connected


def test_producer_beyond_its_rate_is_answered_at_once_and_then_muted(
    broker: Broker, client: WireClient
):
    """
    KIP-219: the answer says for how long, and what the client sends before that is over is worked
    on when it is.
    """
    set_quotas(client, {"client-id": "app"}, producer_byte_rate=1000)
    assert 0 == produced(client, 5_000)
    # About 15 kB in what counts as ten seconds are half as much as too much.
    wait = produced(client, 10_000)
    assert 5_000 < wait < 6_000
    client.send(ApiVersionsRequest(), 0)
    assert is_silent(client)
    with WireClient(broker.bootstrap_servers, client_id="other") as other:
        assert 0 == produced(other, 50_000)
    broker.tick(milliseconds=wait - 1)
    assert is_silent(client)
    broker.tick(milliseconds=1)
    assert client.receive().error_code == 0
    # As in Kafka the time that has to pass is counted from a whole window, so that there is more.
    broker.tick(seconds=6)
    assert 0 == produced(client, 10)


def test_producer_without_acknowledgements_is_muted_too(broker: Broker, client: WireClient):
    """
    With acks=0 nothing is answered, and what comes next waits all the same.
    """
    set_quotas(client, {"client-id": "app"}, producer_byte_rate=1000)
    produced(client, 20_000, acks=0)
    client.send(ApiVersionsRequest(), 0)
    assert is_silent(client)
    assert 1 == len(broker.records("orders"))
    broker.tick(seconds=15)
    assert client.receive().error_code == 0


def test_quota_that_goes_throttles_nobody_any_more(client: WireClient):
    """
    A change is in force from the next request on.
    """
    set_quotas(client, {"client-id": None}, producer_byte_rate=10_000)
    assert 0 == produced(client, 50_000)
    set_quotas(client, {"client-id": None}, producer_byte_rate=None)
    assert 0 == produced(client, 500_000)


LEVELS = [
    {"user": USER, "client-id": "app"},
    {"user": USER, "client-id": None},
    {"user": USER},
    {"user": None, "client-id": "app"},
    {"user": None, "client-id": None},
    {"user": None},
    {"client-id": "app"},
    {"client-id": None},
]


@pytest.mark.parametrize("at", range(len(LEVELS)))
def test_most_specific_quota_counts(broker: Broker, client: WireClient, at: int):
    """
    Of the levels that have one, the first in Kafka's order counts, whatever the others are.
    """
    for place, level in enumerate(LEVELS[at:]):
        # The first is the only one that 50 kB are too much for, and then it is the only one not.
        set_quotas(client, level, producer_byte_rate=1000 if place == 0 else 1_000_000)
    with WireClient(broker.bootstrap_servers, client_id="app") as one:
        assert produced(one, 50_000) > 0
    for place, level in enumerate(LEVELS[at:]):
        set_quotas(client, level, producer_byte_rate=10**9 if place == 0 else 1)
    with WireClient(broker.bootstrap_servers, client_id="app") as one:
        assert produced(one, 50_000) == 0


def test_clients_of_one_user_share_its_quota(broker: Broker, client: WireClient):
    """
    A user's quota is one for all its client ids, a client id's default is one for each.
    """
    set_quotas(client, {"client-id": None}, producer_byte_rate=1000)
    with WireClient(broker.bootstrap_servers, client_id="other") as other:
        assert [0, 0] == [produced(one, 8_000) for one in (client, other)]
        set_quotas(client, {"user": None}, producer_byte_rate=1000)
        assert 0 == produced(client, 8_000)
        assert produced(other, 8_000) > 0


def test_client_without_an_id_has_its_users_quota_alone(broker: Broker, client: WireClient):
    """
    As in Kafka no quota of client ids, not even the default, counts for one that has none.
    """
    set_quotas(client, {"client-id": None}, producer_byte_rate=1)
    set_quotas(client, {"user": USER, "client-id": None}, producer_byte_rate=1)
    with WireClient(broker.bootstrap_servers, client_id=None) as nameless:
        assert 0 == produced(nameless, 50_000)
        set_quotas(client, {"user": USER}, producer_byte_rate=1000)
        assert produced(nameless, 50_000) > 0


def fetch(max_bytes: int = 1 << 20, *, session_id: int = 0, epoch: int = -1) -> FetchRequest:
    part = FetchPartition(partition=0, partition_max_bytes=max_bytes)
    topics = [FetchTopic(topic="orders", partitions=[part])]
    return FetchRequest(
        max_bytes=max_bytes, topics=topics, session_id=session_id, session_epoch=epoch
    )


def test_consumer_beyond_its_rate_gets_nothing_until_it_may(broker: Broker, client: WireClient):
    """
    A throttled fetch is answered at once, empty, and what it would have got does not count.
    """
    for _ in range(12):
        produced(client, 1_000)
    set_quotas(client, {"user": None}, consumer_byte_rate=1000)
    first = client.ask(fetch(6_000), 11)
    assert 0 == first.throttle_time_ms
    assert 0 < len(first.responses[0].partitions[0].records) <= 6_000
    second = client.ask(fetch(6_000), 11)
    assert 0 < second.throttle_time_ms < 3_000
    assert [] == second.responses
    broker.tick(milliseconds=second.throttle_time_ms)
    # Nothing of the throttled one counts: half a window's worth is still free.
    third = client.ask(fetch(3_000), 11)
    assert 0 == third.throttle_time_ms
    assert len(third.responses[0].partitions[0].records) > 1_000


def test_fetch_asks_for_no_more_than_a_window_has(client: WireClient):
    """
    A consumer that could have more at once than its quota ever allows gets as much as it does.
    """
    for _ in range(20):
        produced(client, 1_000)
    set_quotas(client, {"user": None}, consumer_byte_rate=1000)
    answer = client.ask(fetch(), 11)
    assert 5_000 < len(answer.responses[0].partitions[0].records) <= 10_000


def test_session_outlives_a_throttled_fetch(broker: Broker, client: WireClient):
    """
    In a session the throttled answer keeps it, and what is new is told by the next one.
    """
    session = client.ask(fetch(epoch=0), 11).session_id
    assert session
    for _ in range(3):
        produced(client, 3_000)
    set_quotas(client, {"user": None}, consumer_byte_rate=1000)
    request = FetchRequest(max_bytes=9_900, session_id=session, session_epoch=1)
    assert 1 == len(client.ask(request, 11).responses)
    request = FetchRequest(max_bytes=9_900, session_id=session, session_epoch=2)
    throttled = client.ask(request, 11)
    assert (session, []) == (throttled.session_id, throttled.responses)
    assert throttled.throttle_time_ms > 0
    broker.tick(minutes=1)
    request = FetchRequest(max_bytes=9_900, session_id=session, session_epoch=3)
    assert 1 == len(client.ask(request, 11).responses)


def test_time_on_requests_is_limited():
    """
    request_percentage: who takes too much of the broker's time waits, a second at most.
    """
    with (
        Broker({"orders": 1}, clock=SteadyWork()) as broker,
        WireClient(broker.bootstrap_servers, client_id="busy") as busy,
        WireClient(broker.bootstrap_servers, client_id="calm") as calm,
    ):
        set_quotas(calm, {"client-id": "busy"}, request_percentage=0.001)
        answer = busy.ask(HeartbeatRequest(group_id="g", member_id="m"), 3)
        assert 0 < answer.throttle_time_ms <= 1000
        broker.tick(seconds=2)
        nothing = busy.ask(fetch(), 11)
        assert nothing.throttle_time_ms > 0
        assert [] == nothing.responses
        answer = calm.ask(HeartbeatRequest(group_id="g", member_id="m"), 3)
        assert 0 == answer.throttle_time_ms


def test_waiting_is_no_work():
    """
    request_percentage: a fetch that waits for records does not use up what its client has.
    """
    with (
        Broker({"orders": 1}) as broker,
        WireClient(broker.bootstrap_servers, client_id="app") as client,
        WireClient(broker.bootstrap_servers, client_id="writer") as writer,
    ):
        # A tenth of each second, that is a second of the ten of a window.
        set_quotas(client, {"client-id": "app"}, request_percentage=10)
        request = fetch()
        request.max_wait_ms, request.min_bytes = 60_000, 1
        client.send(request, 11)
        while not broker._node().partition("orders", 0).watches:
            threading.Event().wait(0.005)
        broker.tick(seconds=30)
        produced(writer, 100)
        assert 0 == client.receive().throttle_time_ms


def creation(name: str, partitions: int) -> CreateTopicsRequest:
    topic = CreatableTopic(name=name, num_partitions=partitions, replication_factor=1)
    return CreateTopicsRequest(topics=[topic], timeout_ms=5000)


def test_changes_of_topics_are_limited(broker: Broker, client: WireClient):
    """
    controller_mutation_rate: beyond, each topic is refused with THROTTLING_QUOTA_EXCEEDED, and
    nothing is made; after the time that was told it is.
    """
    set_quotas(client, {"user": None}, controller_mutation_rate=1)
    # A window has eleven; one request may overdraw them.
    assert 0 == client.ask(creation("first", 12), 6).topics[0].error_code
    answer = client.ask(creation("second", 1), 6)
    assert ErrorCode.THROTTLING_QUOTA_EXCEEDED == answer.topics[0].error_code
    assert 1000 == answer.throttle_time_ms
    broker.tick(milliseconds=answer.throttle_time_ms)
    assert 0 == client.ask(creation("second", 2), 6).topics[0].error_code
    grow = CreatePartitionsTopic(name="second", count=3, assignments=None)
    refused = client.ask(CreatePartitionsRequest(topics=[grow], timeout_ms=5000), 3)
    assert ErrorCode.THROTTLING_QUOTA_EXCEEDED == refused.results[0].error_code
    broker.tick(milliseconds=refused.throttle_time_ms)
    assert (
        0
        == client.ask(CreatePartitionsRequest(topics=[grow], timeout_ms=5000), 3)
        .results[0]
        .error_code
    )
    delete = DeleteTopicsRequest(topics=[DeleteTopicState(name="first")], timeout_ms=5000)
    refused = client.ask(delete, 6)
    assert ErrorCode.THROTTLING_QUOTA_EXCEEDED == refused.responses[0].error_code
    assert broker.state().topic("first")


def test_old_clients_are_not_refused_but_kept_waiting(broker: Broker, client: WireClient):
    """
    controller_mutation_rate: before KIP-599 a change is made, and the answer says how long to wait.
    """
    set_quotas(client, {"user": None}, controller_mutation_rate=1)
    first = client.ask(creation("first", 15), 5)
    assert (0, 4000) == (first.topics[0].error_code, first.throttle_time_ms)
    client.send(creation("second", 1), 5)
    assert is_silent(client)
    broker.tick(seconds=4)
    assert 0 == client.receive().topics[0].error_code


def test_connections_of_an_address_are_turned_away_a_little_later(
    broker: Broker, clock: VirtualTime
):
    """
    connection_creation_rate: one too many is closed after a while, without an answer.
    """
    with WireClient(broker.bootstrap_servers) as client:
        set_quotas(client, {"ip": "127.0.0.1"}, connection_creation_rate=1)
        welcome = [WireClient(broker.bootstrap_servers) for _ in range(10)]
        for one in welcome:
            assert one.ask(ApiVersionsRequest(), 0).error_code == 0
        with WireClient(broker.bootstrap_servers) as eager:
            eager.send(ApiVersionsRequest(), 0)
            assert is_silent(eager)
            broker.tick(seconds=1)
            assert eager.is_closed()
        for one in welcome:
            assert one.ask(ApiVersionsRequest(), 0).error_code == 0
            one.socket.close()
        assert {"connection_creation_rate": 1} == broker.state().rejected_connections
        set_quotas(client, {"ip": None}, connection_creation_rate=1)
        set_quotas(client, {"ip": "127.0.0.1"}, connection_creation_rate=1000)
        for _ in range(15):
            with WireClient(broker.bootstrap_servers) as one:
                assert one.ask(ApiVersionsRequest(), 0).error_code == 0


def test_broker_stops_with_connections_that_wait_to_be_turned_away(broker: Broker):
    """
    One that is turned away later does not outlive the broker.
    """
    with WireClient(broker.bootstrap_servers) as client:
        set_quotas(client, {"ip": None}, connection_creation_rate=1)
        eager = [WireClient(broker.bootstrap_servers) for _ in range(14)]
        broker.wait_until(lambda state: state.rejected_connections)
        broker.stop()
        assert all(one.is_closed() for one in eager)
        for one in eager:
            one.socket.close()


def test_quotas_outlive_a_restart(tmp_path: Path):
    """
    They are in the metadata file, those of defaults and of addresses too.
    """
    with Broker(data_dir=tmp_path) as broker, WireClient(broker.bootstrap_servers) as client:
        set_quotas(client, {"user": "a", "client-id": None}, producer_byte_rate=5)
        set_quotas(client, {"ip": None}, connection_creation_rate=7)
        before = quotas(client)
    assert 2 == len(before)
    with Broker(data_dir=tmp_path) as broker, WireClient(broker.bootstrap_servers) as client:
        assert before == quotas(client)


def test_meters_of_clients_that_are_gone_are_forgotten(broker: Broker, client: WireClient):
    """
    Three thousand client ids, one after the other, leave no more than a thousand meters.
    """
    set_quotas(client, {"client-id": None}, producer_byte_rate=1000)
    node = broker._node()
    for number in range(3000):
        client._client_id = f"client-{number}"
        produced(client, 1, acks=0)
        if number % 500 == 0:
            assert client.ask(ApiVersionsRequest(), 0).error_code == 0
            broker.tick(seconds=60)
    assert client.ask(ApiVersionsRequest(), 0).error_code == 0
    assert len(node.quotas._rates) <= 1000


async def test_our_producer_slows_down_to_its_quota():
    """
    A producer that could send ten times as much sends its quota, and every record arrives.
    """
    rate = 200_000
    async with Broker({"orders": 1}, config={"quota.window.num": "2"}) as broker:
        with WireClient(broker.bootstrap_servers) as admin:
            set_quotas(admin, {"client-id": "app"}, producer_byte_rate=rate)
        clock = broker._node().clock
        async with AsyncProducer(
            broker.bootstrap_servers, client_id="app", batch_size=20_000
        ) as producer:
            begun = clock.monotonic()
            value = b"v" * 1_000
            for _ in range(800):
                await producer.enqueue("orders", value)
            report = await producer.flush(timeout=60)
            seconds = clock.monotonic() - begun
            throttled = producer.metrics().throttled_ms
        assert (800, 0) == (report.delivered, report.failed)
        assert 800 == len(broker.records("orders"))
    # 800 kB: four seconds' worth, of which a window's worth may come at once.
    assert throttled > 0
    assert seconds > 0.5 * 800_000 / rate
    # It waits for its quota and for nothing else; a slow machine makes it later, never earlier.
    assert seconds < 800_000 / rate * 5


def test_confluent_kafka_slows_down_to_its_quota():
    """
    librdkafka is kept to its quota likewise, and tells of no error.
    """
    confluent_kafka = pytest.importorskip("confluent_kafka")
    rate = 200_000
    with Broker({"orders": 1}, config={"quota.window.num": "2"}) as broker:
        with WireClient(broker.bootstrap_servers) as admin:
            set_quotas(admin, {"client-id": "app"}, producer_byte_rate=rate)
        failed: list[object] = []
        clock = broker._node().clock
        producer = confluent_kafka.Producer(
            {
                "bootstrap.servers": broker.bootstrap_servers,
                "client.id": "app",
                "batch.size": 20_000,
                "error_cb": failed.append,
            }
        )
        begun = clock.monotonic()
        for _ in range(800):
            producer.produce(
                "orders",
                b"v" * 1_000,
                on_delivery=lambda error, _: failed.append(error) if error else None,
            )
            producer.poll(0)
        assert 0 == producer.flush(60)
        seconds = clock.monotonic() - begun
        assert [] == failed
        assert 800 == len(broker.records("orders"))
    assert seconds > 0.5 * 800_000 / rate


async def test_consumer_slows_down_to_its_quota():
    """
    aiokafka reads all there is, at the rate that its user has.
    """
    aiokafka = pytest.importorskip("aiokafka")
    rate = 200_000
    async with Broker({"orders": 1}, config={"quota.window.num": "2"}) as broker:
        with WireClient(broker.bootstrap_servers, client_id="writer") as admin:
            for _ in range(40):
                await asyncio.to_thread(produced, admin, 20_000)
            set_quotas(admin, {"user": None, "client-id": "app"}, consumer_byte_rate=rate)
        clock = broker._node().clock
        begun = clock.monotonic()
        consumer = aiokafka.AIOKafkaConsumer(
            "orders",
            bootstrap_servers=broker.bootstrap_servers,
            client_id="app",
            auto_offset_reset="earliest",
            max_partition_fetch_bytes=50_000,
        )
        await consumer.start()
        try:
            for _ in range(40):
                await consumer.getone()
        finally:
            await consumer.stop()
        seconds = clock.monotonic() - begun
    assert seconds > 0.5 * 800_000 / rate
