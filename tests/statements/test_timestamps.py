"""Whose time a record carries, which times are taken, and what is written of a batch (P6, P7, P8)."""

from __future__ import annotations

from typing import Any

import pytest

from pyproducer.model import TimestampType
from pyproducer.protocol.error_codes import ErrorCode
from pyproducer.records.builder import build_batch
from pyproducer.records.codec import Codec
from pyproducer.records.reader import Batch, Record
from tests.helpers.log_files import batches_on_disk, segment_files
from tests.helpers.statement_servers import Server
from tests.helpers.wire_client import WireClient

E = ErrorCode
HOUR = 3_600_000


def stored(server: Server, client: WireClient, topic: str, records: bytes) -> tuple[Any, Batch]:
    """The answer to the only records of a topic, and the batch as it is in the log."""
    answer = client.produce(topic, records)
    assert answer.error_code == 0, answer
    [batch] = batches_on_disk(server.data_dir, topic)
    return answer, batch


def with_times(*times_ms: int, **fields: Any) -> bytes:
    """A batch of records with these times."""
    return build_batch((Record(0, one, key=b"k", value=b"v") for one in times_ms), **fields)


@pytest.mark.parametrize("codec", [Codec.NONE, Codec.GZIP])
def test_p6_bounds_of_create_time(server: Server, client: WireClient, codec: Codec):
    """
    A record's time is taken if it is within the topic's bounds around the broker's clock.
    """
    topic = server.topic(
        message_timestamp_before_max_ms=HOUR, message_timestamp_after_max_ms=2 * HOUR
    )

    def code(ago_ms: int) -> int:
        records = server.batch(b"x", ago_ms=ago_ms, codec=codec)
        return client.produce(topic, records).error_code

    assert [code(HOUR - 60_000), code(60_000 - 2 * HOUR)] == [0, 0]
    assert [code(HOUR + 60_000), code(-60_000 - 2 * HOUR)] == [E.INVALID_TIMESTAMP] * 2


def test_p6_default_bounds(server: Server, client: WireClient):
    """
    By default any past is taken, and an hour of the future.
    """
    topic = server.topic()

    assert client.produce(topic, with_times(0)).error_code == 0
    assert client.produce(topic, server.batch(b"x", ago_ms=60_000 - HOUR)).error_code == 0
    late = client.produce(topic, server.batch(b"x", ago_ms=-HOUR - 60_000))
    assert late.error_code == E.INVALID_TIMESTAMP


def test_p6_no_time_is_within_any_bounds(server: Server, client: WireClient):
    """
    A record without a time (-1) is taken whatever the bounds.
    """
    topic = server.topic(message_timestamp_before_max_ms=1000)

    assert client.produce(topic, with_times(-1)).error_code == 0


@pytest.mark.parametrize("codec", [Codec.NONE, Codec.GZIP])
def test_p6_brokers_time_from_a_client(server: Server, client: WireClient, codec: Codec):
    """
    A client's batch does not carry the broker's time.
    """
    claim = server.batch(b"x", timestamp_type=TimestampType.LOG_APPEND_TIME, codec=codec)
    stamped = server.topic(message_timestamp_type="LogAppendTime")

    assert client.produce(stamped, claim).error_code == E.INVALID_TIMESTAMP
    assert client.produce(server.topic(), claim).error_code == server.differs(
        ours=E.INVALID_TIMESTAMP,
        kafka=E.NONE,
        reason="Kafka refuses the claim where the topic has the broker's time, and else takes the "
        "bit away without a word, while the header's time stays what the client said",
    )


@pytest.mark.parametrize("codec", [Codec.NONE, Codec.LZ4])
def test_p7_log_append_time(server: Server, client: WireClient, codec: Codec):
    """
    Under LogAppendTime the batch carries the broker's time for all its records, which is answered,
    and what it came with stays beside it.
    """
    topic = server.topic(message_timestamp_type="LogAppendTime")
    sent = with_times(5, 7, 3, codec=codec)
    before = server.now_ms
    answer, batch = stored(server, client, topic, sent)
    header = batch.header

    assert before <= answer.log_append_time_ms <= server.now_ms
    assert header.timestamp_type is TimestampType.LOG_APPEND_TIME
    assert (header.base_timestamp, header.max_timestamp) == (5, answer.log_append_time_ms)
    assert [one.timestamp_ms for one in batch.records()] == [answer.log_append_time_ms] * 3
    [log] = segment_files(server.data_dir, topic, ".log")
    assert log.read_bytes()[61:] == sent[61:]


def test_p7_no_bounds_for_times_that_are_not_kept(server: Server, client: WireClient):
    """
    Under LogAppendTime nobody looks at the times that records came with.
    """
    topic = server.topic(
        message_timestamp_type="LogAppendTime",
        message_timestamp_before_max_ms=1000,
        message_timestamp_after_max_ms=1000,
    )

    assert client.produce(topic, with_times(1)).error_code == 0
    assert client.produce(topic, server.batch(b"x", ago_ms=-10 * HOUR)).error_code == 0


@pytest.mark.parametrize("codec", list(Codec))
def test_p8_a_batch_is_stored_as_it_came(server: Server, client: WireClient, codec: Codec):
    """
    Nothing of a batch is changed but its offset and leader epoch, which no checksum covers.
    """
    topic = server.topic()
    sent = server.batch(b"a", b"b", codec=codec, producer_id=77, producer_epoch=3, base_sequence=0)
    client.produce(topic, server.batch(b"first"))
    first = len(server.batch(b"first"))
    assert client.produce(topic, sent).base_offset == 1
    [log] = segment_files(server.data_dir, topic, ".log")
    kept = log.read_bytes()[first:]

    assert kept[:8] == (1).to_bytes(8, "big")
    assert kept[8:12] == sent[8:12]
    assert int.from_bytes(kept[12:16], "big", signed=True) >= 0
    assert kept[16:] == sent[16:]


def test_p8_largest_time_is_that_of_the_records(server: Server, client: WireClient):
    """
    The largest time in a header is not trusted, but looked for in the records.
    """
    now = server.now_ms
    sent = with_times(now - 3, now - 1, now - 2, max_timestamp=now + 1000)
    _, batch = stored(server, client, server.topic(), sent)

    assert batch.header.max_timestamp == now - 1
    assert [one.timestamp_ms for one in batch.records()] == [now - 3, now - 1, now - 2]
