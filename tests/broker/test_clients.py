"""Foreign client libraries against the broker: what they write, read and administer."""

from __future__ import annotations

import logging

import pytest

from pyproducer.broker import Broker

COUNT = 300


@pytest.fixture(autouse=True)
def quiet(caplog: pytest.LogCaptureFixture) -> None:
    """The clients' own logs are no part of a report."""
    for name in ("kafka", "aiokafka"):
        caplog.set_level(logging.CRITICAL, name)


def check(broker: Broker) -> None:
    """What a client wrote: COUNT records with keys, values and one header."""
    held = broker.wait_for("orders", COUNT)
    assert {b"v%d" % i for i in range(COUNT)} == {record.value for record in held}
    assert {(("h", b"x"),)} == {record.headers for record in held}


def test_confluent_kafka(broker: Broker):
    """
    confluent-kafka: idempotent produce, assign and read, admin.
    """
    from confluent_kafka import Consumer, KafkaException, Producer, TopicPartition
    from confluent_kafka.admin import (
        AdminClient,
        AlterConfigOpType,
        ConfigEntry,
        ConfigResource,
        NewPartitions,
        NewTopic,
        OffsetSpec,
    )

    where = {"bootstrap.servers": broker.bootstrap_servers, "log_level": 0}
    producer = Producer({**where, "enable.idempotence": True, "compression.type": "zstd"})
    for i in range(COUNT):
        producer.produce("orders", key=b"k%d" % i, value=b"v%d" % i, headers={"h": b"x"})
    assert 0 == producer.flush(20)
    check(broker)

    consumer = Consumer({**where, "group.id": "readers", "isolation.level": "read_committed"})
    consumer.assign([TopicPartition("orders", i, 0) for i in range(3)])
    read: list[bytes] = []
    while len(read) < COUNT:
        read += [message.value() for message in consumer.consume(COUNT, 1.0)]
    low, high = consumer.get_watermark_offsets(TopicPartition("orders", 0), timeout=10)
    consumer.close()
    assert (COUNT, 0) == (len(set(read)), low)

    admin = AdminClient(where)
    admin.create_topics([NewTopic("made", 2, config={"retention.ms": "5"})])["made"].result(10)
    admin.create_partitions([NewPartitions("made", 4)])["made"].result(10)
    assert 4 == len(admin.list_topics("made", timeout=10).topics["made"].partitions)
    resource = ConfigResource(ConfigResource.Type.TOPIC, "made")
    resource.add_incremental_config(
        ConfigEntry("segment.ms", "9", incremental_operation=AlterConfigOpType.SET)
    )
    for future in admin.incremental_alter_configs([resource]).values():
        future.result(10)
    [future] = admin.describe_configs([ConfigResource(ConfigResource.Type.TOPIC, "made")]).values()
    configs = future.result(10)
    assert ("5", "9") == (configs["retention.ms"].value, configs["segment.ms"].value)
    wanted = {TopicPartition("orders", 0): OffsetSpec.latest()}
    [future] = admin.list_offsets(wanted).values()
    assert high == future.result(10).offset
    [future] = admin.delete_records([TopicPartition("orders", 0, 1)]).values()
    assert 1 == future.result(10).low_watermark
    assert 1 == len(admin.describe_cluster().result(10).nodes)
    admin.delete_topics(["made"])["made"].result(10)
    with pytest.raises(KafkaException, match="UNKNOWN_TOPIC"):
        admin.delete_topics(["made"])["made"].result(10)


@pytest.mark.filterwarnings("ignore:.*_text is deprecated:DeprecationWarning")
def test_kafka_python(broker: Broker):
    """
    kafka-python: produce, assign and read, offsets by time, admin.
    """
    from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer, TopicPartition
    from kafka.admin import ConfigResource, ConfigResourceType, NewTopic

    producer = KafkaProducer(bootstrap_servers=broker.bootstrap_servers, compression_type="lz4")
    for i in range(COUNT):
        producer.send("orders", key=b"k%d" % i, value=b"v%d" % i, headers=[("h", b"x")])
    producer.close(timeout=20)
    check(broker)

    consumer = KafkaConsumer(
        bootstrap_servers=broker.bootstrap_servers,
        auto_offset_reset="earliest",
        consumer_timeout_ms=10_000,
    )
    partitions = [TopicPartition("orders", i) for i in range(3)]
    consumer.assign(partitions)
    read = {message.value for _, message in zip(range(COUNT), consumer, strict=False)}
    ends = consumer.end_offsets(partitions)
    found = consumer.offsets_for_times(dict.fromkeys(partitions, 1))
    consumer.close()
    assert (COUNT, COUNT) == (len(read), sum(ends.values()))
    assert {0} == {one.offset for one in found.values()}

    admin = KafkaAdminClient(bootstrap_servers=broker.bootstrap_servers)
    admin.create_topics([NewTopic("made", 2, 1)])
    assert "made" in admin.list_topics()
    made = ConfigResource(ConfigResourceType.TOPIC, "made", configs=None)
    configs = admin.describe_configs([made], config_filter="all")
    assert "retention.ms" in str(configs)
    admin.delete_topics(["made"])
    assert "made" not in admin.list_topics()
    admin.close()


async def test_aiokafka(broker: Broker):
    """
    aiokafka: idempotent produce, assign and read, admin.
    """
    from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
    from aiokafka.admin import AIOKafkaAdminClient, NewTopic

    where = broker.bootstrap_servers
    async with AIOKafkaProducer(bootstrap_servers=where, enable_idempotence=True) as producer:
        for i in range(COUNT):
            await producer.send("orders", key=b"k%d" % i, value=b"v%d" % i, headers=[("h", b"x")])
        await producer.flush()
    check(broker)

    consumer = AIOKafkaConsumer(bootstrap_servers=where, auto_offset_reset="earliest")
    consumer.assign([TopicPartition("orders", i) for i in range(3)])
    async with consumer:
        read = {(await consumer.getone()).value for _ in range(COUNT)}
    assert COUNT == len(read)

    admin = AIOKafkaAdminClient(bootstrap_servers=where)
    await admin.start()
    try:
        await admin.create_topics([NewTopic("made", 2, 1)])
        assert "made" in await admin.list_topics()
        await admin.delete_topics(["made"])
        assert "made" not in await admin.list_topics()
    finally:
        await admin.close()
