"""Offsets and groups are taken from any consumer, and refused where they are of no use."""

from __future__ import annotations

import time
import warnings
from collections.abc import Iterator
from types import SimpleNamespace

import pytest
from confluent_kafka import Consumer
from confluent_kafka import TopicPartition as ConfluentPlace
from hypothesis import given
from hypothesis import strategies as st

from pyproducer import (
    GroupMetadata,
    OffsetAndMetadata,
    SyncProducer,
    TopicPartition,
    TransactionAborted,
    TransactionError,
    UsageError,
)
from pyproducer.broker import Broker
from pyproducer.offsets import group_of, offsets_of

with warnings.catch_warnings():
    # It reads its message schemas by a deprecated function.
    warnings.simplefilter("ignore", DeprecationWarning)
    from kafka import KafkaConsumer
    from kafka.structs import ConsumerGroupMetadata
    from kafka.structs import OffsetAndMetadata as KafkaPythonOffset
    from kafka.structs import TopicPartition as KafkaPythonPlace

T0, T1 = TopicPartition("t", 0), TopicPartition("t", 1)

#: As confluent-kafka 2.16 writes them: without and with a static id, and before the group is joined.
DYNAMIC = b"CGMDv2:\x01\x00\x00\x00tills\0rdkafka-c0aa\0\x01"
STATIC = b"CGMDv2:\x07\x00\x00\x00tills\0till-7-bfe8\0\0till-7\0"
UNJOINED = b"CGMDv2:\xff\xff\xff\xfftills\0\0\x01"


# Offsets


@pytest.mark.parametrize(
    "given",
    [
        {("t", 0): 5, ("t", 1): 0},
        {T0: 5, T1: 0},
        {("t", 0): OffsetAndMetadata(5), T1: OffsetAndMetadata(0)},
        {KafkaPythonPlace("t", 0): 5, KafkaPythonPlace("t", 1): KafkaPythonOffset(0, "", -1)},
        [ConfluentPlace("t", 0, 5), ConfluentPlace("t", 1, 0)],
        iter([SimpleNamespace(topic="t", partition=0, offset=5), ConfluentPlace("t", 1, 0)]),
    ],
    ids=["tuples", "places", "with_metadata", "kafka_python", "confluent_kafka", "any_iterable"],
)
def test_forms(given):
    """
    Whatever form the offsets have, they are the same offsets.
    """
    assert {T0: OffsetAndMetadata(5), T1: OffsetAndMetadata(0)} == offsets_of(given)


def test_metadata_and_epoch_come_along():
    """
    A note and a leader epoch are kept, from whichever client's object.
    """
    expected = {T0: OffsetAndMetadata(5, "till 7", 3)}

    assert expected == offsets_of({T0: OffsetAndMetadata(5, "till 7", 3)})
    assert expected == offsets_of({T0: KafkaPythonOffset(5, "till 7", 3)})
    assert expected == offsets_of([ConfluentPlace("t", 0, 5, "till 7", 3)])


def test_partition_without_a_position_is_left_out():
    """
    What confluent-kafka's position() tells of a partition nothing was read from is no offset.
    """
    untouched = ConfluentPlace("t", 1)

    assert -1001 == untouched.offset
    assert {T0: OffsetAndMetadata(5)} == offsets_of([ConfluentPlace("t", 0, 5), untouched])
    assert {} == offsets_of([untouched])


@pytest.mark.parametrize("given", [{}, [], iter(())])
def test_none_at_all(given):
    """
    No offsets are no mistake.
    """
    assert {} == offsets_of(given)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ("t", "must map.*got 't'"),
        (b"t", "must map.*got b't'"),
        (None, "must map.*got None"),
        (5, "must map.*got 5"),
        ({"t": 5}, r"\(topic, partition\).*got 't'"),
        ({("t", "0"): 5}, r"got \('t', '0'\)"),
        ({("t", True): 5}, r"got \('t', True\)"),
        ({("t", -1): 5}, r"got \('t', -1\)"),
        ({(b"t", 0): 5}, r"got \(b't', 0\)"),
        ({("t", 0, 5): 5}, r"got \('t', 0, 5\)"),
        ([("t", 0, 5)], r"got \('t', 0, 5\)"),
        ([T0], r"the offset of t-0 must be.*got TopicPartition"),
        ({T0: -1}, "the offset of t-0 must be an int of 0 or more.*got -1"),
        ({T0: -1001}, "the offset of t-0.*got -1001"),
        ({T0: 5, T1: "6"}, "the offset of t-1.*got '6'"),
        ({T0: None}, "the offset of t-0.*got None"),
        ({T0: 5.0}, "the offset of t-0.*got 5.0"),
        ({T0: True}, "the offset of t-0.*got True"),
        ({T0: OffsetAndMetadata(-5)}, "the offset of t-0.*offset=-5"),
        ({T0: 2**63}, "the offset of t-0.*got 9223372036854775808"),
        ({T0: OffsetAndMetadata(5, b"note")}, "the metadata of t-0 must be a str, got b'note'"),
        ({T0: OffsetAndMetadata(5, "", "3")}, "the leader epoch of t-0 must be an int, got '3'"),
        ([ConfluentPlace("t", 0, -2)], "the offset of t-0.*offset=-2"),
        ([SimpleNamespace(topic="t", offset=5)], "must be given for .*namespace"),
    ],
)
def test_bad_offsets(given, words):
    """
    What cannot be committed is refused at the call, and the text names the place.
    """
    with pytest.raises(UsageError, match=words):
        offsets_of(given)


# Groups


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("tills", GroupMetadata("tills")),
        (GroupMetadata("tills", 7, "m", "i"), GroupMetadata("tills", 7, "m", "i")),
        (DYNAMIC, GroupMetadata("tills", 1, "rdkafka-c0aa")),
        (STATIC, GroupMetadata("tills", 7, "till-7-bfe8", "till-7")),
        (UNJOINED, GroupMetadata("tills")),
        (ConsumerGroupMetadata("tills", 7, "m", None), GroupMetadata("tills", 7, "m")),
        (ConsumerGroupMetadata("tills", 7, "m", "i"), GroupMetadata("tills", 7, "m", "i")),
    ],
)
def test_groups(given, expected):
    """
    A group is its id, or what a consumer says of its membership.
    """
    assert expected == group_of(given)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ("", "non-empty str, got ''"),
        (GroupMetadata(""), "non-empty str, got ''"),
        (ConsumerGroupMetadata(None), "non-empty str, got None"),
        (None, "a group id, a GroupMetadata.*got NoneType"),
        (7, "got int"),
        (b"tills", "bytes that are not what consumer_group_metadata"),
        (b"CGMDv1:tills\0", "bytes that are not"),
        (GroupMetadata("tills", "7", "m"), "generation must be an int, got '7'"),
        (GroupMetadata("tills", 7, None), "member id must be a str, got None"),
        (GroupMetadata("tills", 7, "m", 3), "instance id must be a str or None, got 3"),
    ],
)
def test_bad_groups(given, words):
    """
    What is no group is refused at the call.
    """
    with pytest.raises(UsageError, match=words):
        group_of(given)


@given(st.sampled_from([DYNAMIC, STATIC, UNJOINED]), st.integers(0, 40), st.binary(max_size=4))
def test_damaged_bytes(whole, cut, tail):
    """
    Bytes of confluent-kafka that were cut or changed give a group or a UsageError, never another.
    """
    try:
        found = group_of(whole[:cut] + tail)
    except UsageError:
        return

    assert found.group_id


# Consumers as they are


@pytest.fixture
def broker() -> Iterator[Broker]:
    """A broker with two partitions of orders, one of them with records."""
    with Broker({"orders": 2}) as one:
        with SyncProducer(one.bootstrap_servers) as producer:
            producer.send_many("orders", ["one tea", "two teas"], partitions=[0, 0])
        yield one


def confluent(broker: Broker, group: str, instance: str | None) -> Consumer:
    settings = {
        "bootstrap.servers": broker.bootstrap_servers,
        "group.id": group,
        "auto.offset.reset": "earliest",
        "enable.auto.commit": False,
    }
    if instance:
        settings["group.instance.id"] = instance
    consumer = Consumer(settings)
    consumer.subscribe(["orders"])
    return consumer


def assert_fenced(producer: SyncProducer, offsets: object, group: GroupMetadata) -> None:
    """The broker refuses the same member of a later generation."""
    late = GroupMetadata(
        group.group_id, group.generation_id + 1, group.member_id, group.group_instance_id
    )
    with (
        pytest.raises(TransactionAborted, match="ILLEGAL_GENERATION"),
        producer.transaction() as tx,
        pytest.raises(TransactionError, match="ILLEGAL_GENERATION"),
    ):
        tx.send_offsets(offsets, late)


@pytest.mark.parametrize("instance", [None, "till-7"])
def test_confluent_kafka(broker, instance):
    """
    position() and consumer_group_metadata() go in as they come, and the coordinator knows them.
    """
    consumer = confluent(broker, "tills", instance)
    try:
        read = 0
        deadline = time.monotonic() + 30
        while read < 2 and time.monotonic() < deadline:
            read += consumer.poll(0.5) is not None
        assert read == 2
        places = consumer.position(consumer.assignment())
        raw = consumer.consumer_group_metadata()
        with SyncProducer(broker.bootstrap_servers, transactional_id="t") as producer:
            assert_fenced(producer, places, group_of(raw))
            with producer.transaction() as tx:
                tx.send_offsets(places, raw)
        committed = {place.partition: place.offset for place in consumer.committed(places, 10)}
    finally:
        consumer.close()

    assert group_of(raw).group_instance_id == instance
    assert group_of(raw).generation_id > 0
    assert {0: 2, 1: -1001} == committed


def test_kafka_python(broker):
    """
    group_metadata() goes in as it comes, and the coordinator knows it.
    """
    consumer = KafkaConsumer(
        "orders",
        bootstrap_servers=broker.bootstrap_servers,
        group_id="tills",
        auto_offset_reset="earliest",
        enable_auto_commit=False,
    )
    try:
        read = 0
        deadline = time.monotonic() + 30
        while read < 2 and time.monotonic() < deadline:
            read += sum(map(len, consumer.poll(500).values()))
        places = {place: consumer.position(place) for place in consumer.assignment()}
        member = consumer.group_metadata()
        with SyncProducer(broker.bootstrap_servers, transactional_id="t") as producer:
            assert_fenced(producer, places, group_of(member))
            with producer.transaction() as tx:
                tx.send_offsets(places, member)
        committed = {place.partition: consumer.committed(place) for place in places}
    finally:
        consumer.close()

    assert {0: 2, 1: 0} == committed
