"""What a broker shows of itself: its state, waiting for it, and comparing logs."""

from __future__ import annotations

import dataclasses
import json
import threading
import urllib.request

import pytest

from pyproducer import ConfigError, UnknownTopic, UsageError
from pyproducer.broker import Broker, BrokerRecord
from pyproducer.model import TopicPartition
from tests.helpers.partition_logs import batch
from tests.helpers.transactional_client import TransactionalProducer
from tests.helpers.wire_client import WireClient

O0 = TopicPartition("orders", 0)


def test_partitions(broker: Broker, client: WireClient):
    """
    Offsets, epochs, segments and producers with their windows are what the log has.
    """
    for sequence in range(7):
        client.produce("orders", batch(2, producer=(9, 1, sequence * 2)), partition=1)

    one = broker.state().partition("orders", 1)

    assert (0, 14, 14, 14) == (
        one.log_start_offset,
        one.log_end_offset,
        one.high_watermark,
        one.last_stable_offset,
    )
    [segment] = one.segments
    assert (0, 14, one.bytes) == (segment.base_offset, segment.next_offset, segment.bytes)
    [producer] = one.producers
    assert (9, 1, None, ()) == (
        producer.producer_id,
        producer.epoch,
        producer.open_since,
        one.open_transactions,
    )
    assert [(n, n + 1) for n in range(4, 14, 2)] == [
        (window.first_sequence, window.last_sequence) for window in producer.batches
    ]
    assert [(n, n + 1) for n in range(4, 14, 2)] == [
        (window.first_offset, window.last_offset) for window in producer.batches
    ]
    assert one.failure is None


def test_transactions_groups_and_connections(broker: Broker, client: WireClient):
    """
    An open transaction holds the stable offset back; transactional ids, offsets of groups and
    connections are all there.
    """
    producer = TransactionalProducer(client)
    producer.init()
    producer.write(O0)
    producer.end(commit=True)
    producer.write(O0)
    producer.add_offsets("g")
    producer.commit_offset("g", O0, 1)
    state = broker.state()

    one = state.partition("orders")
    assert (3, 2) == (one.log_end_offset, one.last_stable_offset)
    [open_one] = one.open_transactions
    assert (producer.producer_id, 2) == (open_one.producer_id, open_one.open_since)
    [transaction] = state.transactions
    assert ("tx", "Ongoing", True) == (
        transaction.transactional_id,
        transaction.state,
        "orders-0" in transaction.partitions,
    )
    [connection] = state.connections
    assert f"127.0.0.1:{client.socket.getsockname()[1]}" == connection.peer

    producer.end(commit=True)
    group = broker.state().group("g")
    assert group is not None
    assert ({"orders-0": 1}, "Empty", ()) == (group.offsets, group.state, group.members)
    assert broker.state().group("none") is None


def test_topics_and_clock(broker: Broker):
    """
    Topics have what was set for them, and the clock says how far ticks have moved it.
    """
    before = broker.state().clock
    broker.tick(days=1)
    state = broker.state()

    assert {"cleanup.policy": "compact"} == state.topic("keyed").configs
    assert [0, 1, 2] == [one.partition for one in state.topic("orders").partitions]
    assert 86_400 == state.clock.ahead_seconds
    assert 86_400_000 <= state.clock.time_ms - before.time_ms < 86_500_000
    with pytest.raises(UnknownTopic, match="no nowhere"):
        state.topic("nowhere")
    with pytest.raises(UnknownTopic, match="no orders-3"):
        state.partition("orders", 3)


def test_state_is_a_value(broker: Broker, client: WireClient):
    """
    A state does not change with the broker, nobody changes it, and two alike are equal.
    """
    before = broker.state().topics
    assert before == broker.state().topics
    client.produce("orders", batch())

    assert 0 == next(one for one in before if one.name == "orders").partitions[0].log_end_offset
    assert before != broker.state().topics
    with pytest.raises(dataclasses.FrozenInstanceError):
        before[0].name = "other"


def test_state_over_http(client: WireClient):
    """
    GET /state is the same as JSON.
    """
    with (
        Broker({"orders": 1}, http_port=0) as broker,
        WireClient(broker.bootstrap_servers) as own,
    ):
        own.produce("orders", batch(producer=(1, 0, 0)))
        with urllib.request.urlopen(
            f"http://127.0.0.1:{broker.http_port}/state", timeout=10
        ) as answer:
            told = json.load(answer)

        state = json.loads(json.dumps(broker.state().as_dict()))
        assert state["topics"] == told["topics"]
        assert state["connections"] == told["connections"]


def test_wait_until(broker: Broker):
    """
    Waiting ends with what it waited for, whoever brings it about, and gives that state.
    """

    def produce() -> None:
        with WireClient(broker.bootstrap_servers) as client:
            for _ in range(5):
                client.produce("orders", batch())

    other = threading.Thread(target=produce)
    other.start()
    state = broker.wait_until(lambda state: state.partition("orders").high_watermark >= 5)
    other.join()

    assert 5 == state.partition("orders").high_watermark
    broker.wait_until(lambda state: not state.connections)


def test_wait_until_fails(broker: Broker, client: WireClient):
    """
    If it does not come, the error says what is there instead; what the predicate raises is raised.
    """
    client.produce("orders", batch())
    with pytest.raises(TimeoutError, match="orders-0: offsets 0 to 1, stable to 1, 0 producers"):
        broker.wait_until(lambda state: False, timeout=0.01)
    with pytest.raises(ZeroDivisionError):
        broker.wait_until(lambda state: 1 / 0)
    with pytest.raises(UsageError, match="not running"):
        Broker().state()


def test_assert_log_passes(broker: Broker, client: WireClient):
    """
    A log is compared by values, keys and values, or whole records.
    """
    client.produce("orders", batch(key=b"k", value=b"one"))
    client.produce("orders", batch(key=None, value=None))

    [first, _] = broker.records("orders")
    broker.assert_log("orders", 0, ["one", None])
    broker.assert_log("orders", 0, [("k", b"one"), (None, None)])
    broker.assert_log("orders", 0, [first, None])
    broker.assert_log("orders", 1, [])


def test_assert_log_fails_readably(broker: Broker, client: WireClient):
    """
    A difference is shown where it is, with what is around it.
    """
    for value in (b"one", b"two", b"three", b"four"):
        client.produce("orders", batch(key=None, value=value))

    def failing(*expected) -> list[str]:
        with pytest.raises(AssertionError) as caught:
            broker.assert_log("orders", 0, list(expected))
        return str(caught.value).splitlines()

    assert [
        "orders-0 holds 4 records instead of 4 ('-' was expected, '+' is there):",
        "    offset 0  key None  value b'one'",
        "  - value b'2'",
        "  + offset 1  key None  value b'two'",
        "    offset 2  key None  value b'three'",
        "    offset 3  key None  value b'four'",
    ] == failing("one", "2", "three", "four")
    assert ["  + offset 3  key None  value b'four'"] == failing("one", "two", "three")[-1:]
    assert ["  - key b'k'  value b'five'"] == failing("one", "two", "three", "four", ("k", "five"))[
        -1:
    ]
    assert 5 == len(failing())
    other = BrokerRecord(0, 0, 1, None, b"one", ())
    assert any("offset 0" in line for line in failing(other, "two", "three", "four"))
    with pytest.raises(ConfigError, match="not 1"):
        broker.assert_log("orders", 0, [1])
    with pytest.raises(ConfigError, match="no \\(key, value\\)"):
        broker.assert_log("orders", 0, [("a", "b", "c")])


def test_long_logs_are_shortened(broker: Broker, client: WireClient):
    """
    What is as expected is not shown at length.
    """
    client.produce("orders", batch(100, key=None))

    with pytest.raises(AssertionError) as caught:
        broker.assert_log("orders", 0, ["value"] * 99)

    assert "    ... 93 more as expected" in str(caught.value).splitlines()


def test_committed_logs(broker: Broker, client: WireClient):
    """
    committed=True compares what a reader of committed records gets.
    """
    producer = TransactionalProducer(client)
    producer.init()
    producer.write(O0, b"aborted")
    producer.end(commit=False)
    producer.write(O0, b"kept")
    producer.end(commit=True)

    broker.assert_log("orders", 0, ["kept"], committed=True)
    broker.assert_log("orders", 0, ["aborted", "kept"])
