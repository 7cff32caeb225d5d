"""Foreign clients subscribe to topics of our broker: the same scenarios for each of them."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import ExitStack, closing

import pytest
from confluent_kafka import Producer

from pyproducer.broker.broker import Broker
from tests.helpers.group_consumers import CLIENTS, Confluent, step_until
from tests.helpers.processes import ChildProcess, accepts_connections, free_ports

# Python clients forget sockets whose connection is refused, as while a broker is away.
pytestmark = pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning")

TOPIC = "orders"
PARTITIONS = 4


@pytest.fixture
def broker() -> Iterator[Broker]:
    with Broker(topics={TOPIC: PARTITIONS}) as running:
        yield running


@pytest.fixture(params=CLIENTS, ids=lambda client: client.name)
def client(request):
    return request.param


def produce(servers: str, per_partition: int) -> None:
    """Put so many records into each partition."""
    producer = Producer({"bootstrap.servers": servers, "log_level": 0})
    for number in range(per_partition):
        for partition in range(PARTITIONS):
            producer.produce(TOPIC, value=b"%d" % number, partition=partition)
    assert producer.flush(10) == 0


def all_of(start: int, end: int) -> list[tuple[int, int]]:
    """Return every (partition, offset) with these offsets, sorted."""
    return [(partition, offset) for partition in range(PARTITIONS) for offset in range(start, end)]


def test_two_consumers_share_and_one_takes_over(broker, client):
    """
    Two members split the partitions; when one leaves, the other gets all and reads on.
    """
    servers = broker.bootstrap_servers
    with ExitStack() as stack:
        first = stack.enter_context(closing(client(servers, "g", TOPIC)))
        step_until(lambda: len(first.partitions()) == PARTITIONS, first)
        second = client(servers, "g", TOPIC)
        with closing(second):
            step_until(
                lambda: len(first.partitions()) == len(second.partitions()) == PARTITIONS // 2,
                first,
                second,
            )
            assert first.partitions() | second.partitions() == set(range(PARTITIONS))
            produce(servers, 5)
            step_until(lambda: len(first.seen) + len(second.seen) == 20, first, second)
            assert sorted(first.seen + second.seen) == all_of(0, 5)
            first.commit()
            second.commit()
        step_until(lambda: len(first.partitions()) == PARTITIONS, first)
        before = len(first.seen)
        produce(servers, 1)
        step_until(lambda: len(first.seen) == before + PARTITIONS, first)

        assert sorted(first.seen[before:]) == all_of(5, 6)


def test_restarted_consumer_goes_on_where_it_committed(broker, client):
    """
    What was committed is not read again, what was not is.
    """
    servers = broker.bootstrap_servers
    produce(servers, 5)
    with closing(client(servers, "g", TOPIC)) as consumer:
        step_until(lambda: len(consumer.seen) == 20, consumer)
        consumer.commit()
        produce(servers, 2)
        step_until(lambda: len(consumer.seen) == 28, consumer)
    with closing(client(servers, "g", TOPIC)) as consumer:
        step_until(lambda: len(consumer.seen) == 8, consumer)

        assert sorted(consumer.seen) == all_of(5, 7)


def test_consumer_lives_through_a_broker_restart(tmp_path, client):
    """
    The group and its offsets are there again after a restart; its member reads on and commits.
    """
    [port] = free_ports(1)
    with ExitStack() as stack:
        with Broker(topics={TOPIC: PARTITIONS}, data_dir=tmp_path, port=port) as broker:
            servers = broker.bootstrap_servers
            produce(servers, 3)
            consumer = stack.enter_context(closing(client(servers, "g", TOPIC)))
            step_until(lambda: len(consumer.seen) == 12, consumer)
            consumer.commit()
        with Broker(data_dir=tmp_path, port=port):
            produce(servers, 2)
            step_until(lambda: len(consumer.seen) == 20, consumer)
            assert sorted(consumer.seen) == all_of(0, 5)
            consumer.commit()
            stack.close()
            produce(servers, 1)
            with closing(client(servers, "g", TOPIC)) as successor:
                step_until(lambda: len(successor.seen) == 4, successor)

                assert sorted(successor.seen) == all_of(5, 6)


def test_offsets_survive_a_killed_broker(tmp_path):
    """
    A commit that was answered holds after kill -9 of the broker's process.
    """
    [port] = free_ports(1)
    servers = f"127.0.0.1:{port}"
    command = [sys.executable, "-m", "pyproducer.broker", "--port", str(port)]
    command += ["--data-dir", str(tmp_path / "data"), "--topic", f"{TOPIC}:{PARTITIONS}"]

    def start() -> ChildProcess:
        process = ChildProcess(command, log=tmp_path / "broker.log")
        process.wait_until(lambda: accepts_connections(port), timeout=20)
        return process

    with start() as process:
        produce(servers, 5)
        with closing(Confluent(servers, "g", TOPIC)) as consumer:
            step_until(lambda: len(consumer.seen) == 20, consumer)
            consumer.commit()
            process.kill()
            with start():
                produce(servers, 1)
                step_until(lambda: len(consumer.seen) == 24, consumer)
                consumer.close()
                with closing(Confluent(servers, "g", TOPIC)) as successor:
                    step_until(lambda: len(successor.seen) == 4, successor)

                    assert sorted(successor.seen) == all_of(5, 6)


def test_static_member_restarts_without_a_rebalance(broker):
    """
    A member with group.instance.id comes back to its partitions while the other keeps its own.
    """
    servers = broker.bootstrap_servers
    with ExitStack() as stack:
        other = stack.enter_context(closing(Confluent(servers, "g", TOPIC, "a")))
        static = Confluent(servers, "g", TOPIC, "b")
        step_until(lambda: len(other.partitions()) == len(static.partitions()) == 2, other, static)
        held, member_id = static.partitions(), static.member_id()
        # librdkafka does not send LeaveGroup for a static member.
        static.close()
        again = stack.enter_context(closing(Confluent(servers, "g", TOPIC, "b")))
        step_until(lambda: bool(again.partitions()), other, again)

        assert again.partitions() == held
        assert again.member_id() != member_id
        assert other.partitions() == set(range(PARTITIONS)) - held
