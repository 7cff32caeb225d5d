"""A topic's configuration that is altered holds for its open log at once (N4)."""

from __future__ import annotations

import pytest

from pyproducer.model import TimestampType
from pyproducer.protocol.error_codes import ErrorCode
from pyproducer.records.codec import Codec
from tests.helpers.admin_requests import SET, TOPIC, alter_configs_by
from tests.helpers.log_files import batches_on_disk, segment_files
from tests.helpers.statement_servers import KAFKA_LOOKS_SOON, Server, eventually
from tests.helpers.wire_client import WireClient
from tests.statements.conftest import Servers

E = ErrorCode
MIB = 1 << 20

#: A broker that looks often whether something is too old or too much.
LOOKS_OFTEN = {"log.retention.check.interval.ms": "500"}


def alter(client: WireClient, topic: str, **configs: str | int) -> None:
    """The topic is told to be so from now on."""
    changes = [(name.replace("_", "."), SET, str(value)) for name, value in configs.items()]
    answer = alter_configs_by(client, TOPIC, topic, *changes)
    assert answer.error_code == 0, answer.error_message


def obeys(server: Server, client: WireClient, topic: str, code: int, records: bytes) -> None:
    """Records like these are answered so, at once by ours and soon by Kafka."""

    def answer() -> bool:
        return client.produce(topic, records).error_code == code

    # Kafka answers an alteration before the broker that leads has heard of it.
    assert answer() if server.ours else eventually(answer)


def test_n4_largest_batch_at_once(server: Server, client: WireClient):
    """
    max.message.bytes is that of the next batch, smaller or larger.
    """
    topic, records = server.topic(), server.batch(b"x" * 500)
    obeys(server, client, topic, 0, records)
    alter(client, topic, max_message_bytes=300)
    obeys(server, client, topic, E.MESSAGE_TOO_LARGE, records)
    alter(client, topic, max_message_bytes=3000)
    obeys(server, client, topic, 0, records)


def test_n4_times_at_once(server: Server, client: WireClient):
    """
    The bounds of times, and whose time it is, are those of the next batch.
    """
    topic, old = server.topic(), server.batch(b"x", ago_ms=100_000)
    obeys(server, client, topic, 0, old)
    alter(client, topic, message_timestamp_before_max_ms=50_000)
    obeys(server, client, topic, E.INVALID_TIMESTAMP, old)
    ahead = server.batch(b"x", ago_ms=-100_000)
    obeys(server, client, topic, 0, ahead)
    alter(client, topic, message_timestamp_after_max_ms=50_000)
    obeys(server, client, topic, E.INVALID_TIMESTAMP, ahead)
    alter(client, topic, message_timestamp_type="LogAppendTime")
    obeys(server, client, topic, 0, old)
    *_, last = batches_on_disk(server.data_dir, topic)
    assert last.header.timestamp_type is TimestampType.LOG_APPEND_TIME


def test_n4_codec_at_once(server: Server, client: WireClient):
    """
    compression.type is that of the next batch.
    """
    topic = server.topic()
    client.produce(topic, server.batch(b"x" * 100))
    alter(client, topic, compression_type="zstd")

    def packed() -> bool:
        assert client.produce(topic, server.batch(b"x" * 100)).error_code == 0
        *_, last = batches_on_disk(server.data_dir, topic)
        return last.header.codec == Codec.ZSTD

    assert packed() if server.ours else eventually(packed)


def test_n4_policy_at_once(server: Server, client: WireClient):
    """
    A topic that begins to be compacted takes no more records without keys, and later takes them
    again.
    """
    topic, keyless = server.topic(), server.batch(b"x", key=None)
    obeys(server, client, topic, 0, keyless)
    alter(client, topic, cleanup_policy="compact")
    obeys(server, client, topic, E.INVALID_RECORD, keyless)
    alter(client, topic, cleanup_policy="delete")
    obeys(server, client, topic, 0, keyless)


def test_n4_size_of_segments_at_once(server: Server, client: WireClient):
    """
    A smaller segment.bytes ends the open segment at the next batch.
    """
    topic = server.topic(max_message_bytes=2 * MIB)
    for _ in range(3):
        client.produce(topic, server.batch(b"x" * (MIB // 2)))
    assert len(segment_files(server.data_dir, topic, ".log")) == 1
    alter(client, topic, segment_bytes=MIB)

    def rolled() -> bool:
        assert client.produce(topic, server.batch(b"x")).error_code == 0
        return len(segment_files(server.data_dir, topic, ".log")) > 1

    assert rolled() if server.ours else eventually(rolled)


@pytest.mark.parametrize("config", [{"retention_ms": 1000}, {"retention_bytes": MIB}])
def test_n4_retention_at_once(servers: Servers, config: dict[str, int]):
    """
    A retention that is set later holds for what is in the log already.
    """
    server = servers.own(LOOKS_OFTEN, kafka=KAFKA_LOOKS_SOON)
    topic = server.topic(segment_bytes=MIB, retention_ms=-1)
    with server.connect() as client:
        for _ in range(4):
            client.produce(topic, server.batch(b"x" * (MIB // 2), ago_ms=5000))
        before = segment_files(server.data_dir, topic, ".log")
        server.pass_time(2)
        assert segment_files(server.data_dir, topic, ".log") == before
        alter(client, topic, **config)
        server.pass_time(1)
        eventually(lambda: not before[0].exists())
