"""Other clients' options mean here what they meant there, or are refused with the reason."""

from __future__ import annotations

import dataclasses

import pytest

from pyproducer.config import ProducerConfig, SecurityConfig, config_table
from pyproducer.config.dialects import _NAMES
from pyproducer.errors import ConfigError

from_kafka = ProducerConfig.from_kafka


def test_java_options_are_read():
    """
    Java's dotted names set their options, text is parsed, and the brokers come along.
    """
    config = from_kafka(
        {
            "bootstrap.servers": "a:1,b:2",
            "acks": "1",
            "linger.ms": "20",
            "batch.size": 16384,
            "buffer.memory": "33554432",
            "enable.idempotence": "false",
            "compression.type": "zstd",
            "compression.zstd.level": "7",
            "compression.gzip.level": "-1",
            "max.request.size": "100000",
            "retries": "2147483647",
            "max.block.ms": "500",
        },
        "java",
    )

    assert config == ProducerConfig(
        bootstrap_servers="a:1,b:2",
        acks=1,
        linger_ms=20,
        batch_size=16384,
        buffer_memory=33554432,
        enable_idempotence=False,
        compression_type="zstd",
        compression_level=7,
        max_request_size=100_000,
        max_block_ms=500,
    )


def test_librdkafka_aliases_are_read():
    """
    librdkafka's aliases and units set the same options, and keys keep librdkafka's partitions.
    """
    config = from_kafka(
        {
            "metadata.broker.list": "a:1",
            "request.required.acks": "-1",
            "queue.buffering.max.ms": 5.0,
            "queue.buffering.max.kbytes": "2048",
            "batch.num.messages": 100,
            "message.max.bytes": "1000000",
            "message.timeout.ms": "300000",
            "message.send.max.retries": 3,
            "max.in.flight": "1",
            "compression.codec": "lz4",
            "compression.level": -1,
            "topic.metadata.refresh.interval.ms": 1000,
        },
        "librdkafka",
    )

    assert config == ProducerConfig(
        bootstrap_servers="a:1",
        buffer_memory=2 * 2**20,
        batch_max_records=100,
        max_request_size=1_000_000,
        delivery_timeout_ms=300_000,
        retries=3,
        max_in_flight_requests_per_connection=1,
        compression_type="lz4",
        metadata_max_age_ms=1000,
        partitioner="crc32",
    )


def test_default_partitioner_is_the_dialects():
    """
    Without a word about partitions, keys stay where the other client put them.
    """
    assert from_kafka({}, "java").partitioner == "murmur2"
    assert from_kafka({}, "librdkafka").partitioner == "crc32"
    assert from_kafka({"partitioner": "consistent_random"}, "librdkafka").partitioner == "crc32"
    assert from_kafka({"partitioner": "murmur2_random"}, "librdkafka").partitioner == "murmur2"
    assert (
        from_kafka(
            {"partitioner.class": "org.apache.kafka.clients.producer.RoundRobinPartitioner"}, "java"
        ).partitioner
        == "round_robin"
    )


@pytest.mark.parametrize("dialect", ["java", "librdkafka"])
def test_nothing_given_is_the_default(dialect):
    """
    An empty mapping is this library's defaults, the partitioner aside.
    """
    assert ProducerConfig() == from_kafka({}, dialect).replace(partitioner="murmur2")


@pytest.mark.parametrize(
    ("dialect", "mapping", "expected"),
    [
        ("java", {"buffer.memory": 65536}, {"batch_size": 65536, "max_request_size": 65536}),
        ("java", {"batch.size": 2_000_000}, {"max_request_size": 2_000_000}),
        ("java", {"max.request.size": 2**27}, {"buffer_memory": 2**27, "batch_size": 1_000_000}),
        ("java", {"request.timeout.ms": 120_000}, {"delivery_timeout_ms": 120_005}),
        ("java", {"retry.backoff.ms": 5000}, {"retry_backoff_max_ms": 5000}),
        ("java", {"reconnect.backoff.max.ms": 10}, {"reconnect_backoff_ms": 10}),
        ("librdkafka", {"message.timeout.ms": 10_000}, {"request_timeout_ms": 9_995}),
        ("librdkafka", {"message.timeout.ms": 4}, {"linger_ms": 2, "request_timeout_ms": 2}),
        ("librdkafka", {"message.timeout.ms": 0}, {"delivery_timeout_ms": 2**31 - 1}),
    ],
)
def test_defaults_give_way_to_what_is_given(dialect, mapping, expected):
    """
    A default of ours never makes a mapping fail that its own client takes.
    """
    config = from_kafka(mapping, dialect)

    assert expected == {name: getattr(config, name) for name in expected}


@pytest.mark.parametrize(
    ("dialect", "mapping", "text"),
    [
        ("python", {}, "dialect='python' must be 'java' or 'librdkafka'"),
        ("java", {"lingr.ms": 1}, "'lingr.ms' is not .* java dialect; did you mean 'linger.ms'"),
        ("java", {"linger_ms": 1}, "did you mean 'linger.ms'"),
        ("java", {"qqq": 1}, r"dialect\.$"),
        ("java", {"message.timeout.ms": 1}, "but of the librdkafka one"),
        ("librdkafka", {"buffer.memory": 1}, "but of the java one"),
        ("librdkafka", {"linger.ms": 1, "queue.buffering.max.ms": 1}, "two names of one option"),
        ("java", {"linger.ms": "soon"}, "linger.ms='soon' is not a whole number"),
        ("java", {"linger.ms": "1_0"}, "not a whole number"),
        ("librdkafka", {"linger.ms": "0.5"}, "not a whole number"),
        ("librdkafka", {"linger.ms": 0.5}, "linger_ms=0.5 must be an int"),
        ("java", {"enable.idempotence": "maybe"}, "neither true nor false"),
        ("java", {"acks": "0", "enable.idempotence": "true"}, "conflicts with acks=0"),
        ("java", {"ssl.protocol": "SSLv3"}, "TLS 1.2 and later are spoken"),
        ("java", {"value.serializer": "x"}, "pass value_serializer="),
        ("librdkafka", {"queue.buffering.max.messages": 1}, "queue.buffering.max.kbytes"),
        ("librdkafka", {"partitioner": "murmur2"}, "differs from 'murmur2_random'"),
        ("librdkafka", {"partitioner": "fnv1a"}, "no counterpart here: use"),
        ("java", {"partitioner.class": "com.example.Mine"}, "Java class without a counterpart"),
        ("java", {3: 1}, "option names are text"),
        ("java", {"linger.ms": True}, "linger_ms=True must be an int"),
    ],
)
def test_refusals_have_reasons(dialect, mapping, text):
    """
    What has no meaning here is refused with the reason or the nearest name.
    """
    with pytest.raises(ConfigError, match=text):
        from_kafka(mapping, dialect)


def test_idle_values_are_accepted():
    """
    A value that asks for what happens anyway is no reason to fail.
    """
    given = {
        "security.protocol": "PLAINTEXT",
        "partitioner.ignore.keys": "false",
        "metadata.recovery.strategy": "rebootstrap",
        "client.dns.lookup": "use_all_dns_ips",
    }

    assert ProducerConfig() == from_kafka(given, "java")


@pytest.mark.parametrize(
    ("name", "value", "reason"),
    [
        ("metadata.recovery.strategy", "none", "bootstrap servers are always asked again"),
        ("metadata.recovery.rebootstrap.trigger.ms", "300000", "as soon as one broker does not"),
        ("client.dns.lookup", "resolve_canonical_bootstrap_servers_only", "for Kerberos only"),
    ],
)
def test_one_way_to_find_brokers(name, value, reason):
    """
    What is decided about finding brokers is told to those who would have it otherwise.
    """
    with pytest.raises(ConfigError, match=reason):
        from_kafka({name: value}, "java")


@pytest.mark.parametrize(("value", "milliseconds"), [("-1", None), ("0", None), ("9000", 9000)])
@pytest.mark.parametrize("dialect", ["java", "librdkafka"])
def test_connections_that_are_never_closed_unused(dialect, value, milliseconds):
    """
    Both clients' ways to say never mean never.
    """
    config = from_kafka({"connections.max.idle.ms": value}, dialect)

    assert milliseconds == config.connections_max_idle_ms


@pytest.mark.parametrize("dialect", ["java", "librdkafka"])
def test_table_and_dialects_agree(dialect):
    """
    The foreign names that the documentation shows are the names that are read.
    """
    shown = {}
    secured = {one.name for one in dataclasses.fields(SecurityConfig)}
    for row in config_table():
        if row.name in secured:
            # Read by a module, and tested by a file, of their own.
            continue
        names = row.kafka if dialect == "java" else row.librdkafka
        shown.update(dict.fromkeys(filter(None, names.split(", ")), row.name))

    assert shown.items() <= {name: t.option for name, t in _NAMES[dialect].items()}.items()
    assert set(shown.values()) == {target.option for target in _NAMES[dialect].values()}
