"""Produce, statement by statement of its admission."""

from __future__ import annotations

import time

import pytest

from pyproducer.broker import Broker
from pyproducer.protocol.error_codes import ErrorCode
from pyproducer.protocol.messages.produce import (
    PartitionProduceData,
    ProduceRequest,
    TopicProduceData,
)
from pyproducer.records.codec import Codec
from tests.helpers.partition_logs import NOW, batch
from tests.helpers.wire_client import WireClient


def request(*parts: tuple[str, int, bytes], acks: int = -1) -> ProduceRequest:
    return ProduceRequest(
        acks=acks,
        timeout_ms=1000,
        topic_data=[
            TopicProduceData(
                name=topic, partition_data=[PartitionProduceData(index=index, records=records)]
            )
            for topic, index, records in parts
        ],
    )


def corrupt(data: bytes) -> bytes:
    return data[:-1] + bytes([data[-1] ^ 1])


@pytest.mark.parametrize("version", range(3, 13))
def test_every_served_version_appends(broker: Broker, client: WireClient, version: int):
    """
    Versions 3 to 12 append a batch and answer with its base offset.
    """
    client.produce("orders", batch(3), version=version)
    answer = client.produce("orders", batch(2), version=version)

    assert (0, 3) == (answer.error_code, answer.base_offset)
    assert 5 == len(broker.records("orders"))


def test_p1_unknown_topic_or_partition(client: WireClient):
    """
    P1: a topic or partition that does not exist gets 3, before anything in the batch is looked at.
    """
    unknown = ErrorCode.UNKNOWN_TOPIC_OR_PARTITION

    assert unknown == client.produce("nowhere", b"not a batch").error_code
    assert unknown == client.produce("orders", batch(), partition=3).error_code
    assert unknown == client.produce("orders", batch(), partition=-1).error_code


def test_p1_acks_must_be_one_of_three(client: WireClient):
    """
    P1: acks other than -1, 0 and 1 get 21.
    """
    assert ErrorCode.INVALID_REQUIRED_ACKS == client.produce("orders", batch(), acks=2).error_code


def test_p1_internal_topics_are_the_brokers_own(broker: Broker, client: WireClient):
    """
    P1: clients do not write to __consumer_offsets: 17.
    """
    from confluent_kafka import Consumer, TopicPartition

    consumer = Consumer({"bootstrap.servers": broker.bootstrap_servers, "group.id": "g"})
    consumer.commit(offsets=[TopicPartition("orders", 0, 0)], asynchronous=False)
    consumer.close()

    answer = client.produce("__consumer_offsets", batch())

    assert ErrorCode.INVALID_TOPIC_EXCEPTION == answer.error_code


def test_p1_transactional_records_need_a_transactional_id(client: WireClient):
    """
    P1: transactional records without a transactional id fail the whole request with 53.
    """
    data = batch(producer=(5, 0, 0), transactional=True)
    answer = client.ask(request(("orders", 0, batch()), ("orders", 1, data)), 9)

    refused = ErrorCode.TRANSACTIONAL_ID_AUTHORIZATION_FAILED
    assert [refused] * 2 == [t.partition_responses[0].error_code for t in answer.responses]


def test_p2_one_batch_per_partition(client: WireClient):
    """
    P2: no batch, or two, get 87; zstd before version 7 gets 76.
    """
    assert ErrorCode.INVALID_RECORD == client.produce("orders", b"").error_code
    assert ErrorCode.INVALID_RECORD == client.produce("orders", None).error_code
    assert ErrorCode.INVALID_RECORD == client.produce("orders", batch() + batch()).error_code
    old = client.produce("orders", batch(codec=Codec.ZSTD), version=6)
    assert ErrorCode.UNSUPPORTED_COMPRESSION_TYPE == old.error_code


def test_p3_size_and_checksum(client: WireClient):
    """
    P3: a batch above max.message.bytes gets 10, a broken one 2.
    """
    assert ErrorCode.MESSAGE_TOO_LARGE == client.produce("small", batch(12)).error_code
    assert ErrorCode.CORRUPT_MESSAGE == client.produce("orders", corrupt(batch())).error_code


def test_p5_record_errors_name_the_guilty(client: WireClient):
    """
    P5: from version 8 on the records at fault are named; the whole batch is refused.
    """
    answer = client.produce("keyed", batch(3, key=None), version=8)
    before = client.produce("keyed", batch(3, key=None), version=7)

    assert ErrorCode.INVALID_RECORD == answer.error_code == before.error_code
    assert [0, 1, 2] == [one.batch_index for one in answer.record_errors]
    assert "key" in answer.record_errors[0].batch_index_error_message
    assert [] == before.record_errors


def test_p6_timestamp_too_far_ahead(client: WireClient):
    """
    P6: a timestamp more than message.timestamp.after.max.ms ahead of the broker gets 32.
    """
    ahead = int(time.time() * 1000) + 7_200_000

    assert ErrorCode.INVALID_TIMESTAMP == client.produce("orders", batch(time=ahead)).error_code


def test_p7_log_append_time(broker: Broker, client: WireClient):
    """
    P7: a LogAppendTime topic answers with, and stores, the broker's time.
    """
    answer = client.produce("stamped", batch(2, times=[NOW, NOW + 1]))
    plain = client.produce("orders", batch())

    assert answer.log_append_time_ms > NOW + 1
    assert {answer.log_append_time_ms} == {r.timestamp_ms for r in broker.records("stamped")}
    assert -1 == plain.log_append_time_ms


def test_p9_partitions_are_independent(broker: Broker, client: WireClient):
    """
    P9: a bad partition has base offset -1 and a message, and does not fail its neighbours.
    """
    answer = client.ask(
        request(("orders", 0, batch()), ("orders", 1, corrupt(batch())), ("nowhere", 0, batch())), 9
    )

    first, second, third = (topic.partition_responses[0] for topic in answer.responses)
    assert (0, 0, 0) == (first.error_code, first.base_offset, first.log_start_offset)
    assert (ErrorCode.CORRUPT_MESSAGE, -1) == (second.error_code, second.base_offset)
    assert "CRC" in second.error_message
    assert (ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, -1) == (third.error_code, third.base_offset)
    assert [0] == [record.partition for record in broker.records("orders")]


def test_p10_acks_0_has_no_answer(broker: Broker, client: WireClient):
    """
    P10: acks=0 is not answered; the next answer on the connection is the next request's.
    """
    client.send(request(("orders", 0, batch(5)), acks=0), 9)
    client._sent.clear()

    assert 5 == client.produce("orders", batch()).base_offset


def test_p10_acks_0_failure_closes_the_connection(broker: Broker, client: WireClient):
    """
    P10: with acks=0 an error closes the connection; what was good in the request is appended.
    """
    client.send(request(("orders", 0, batch()), ("nowhere", 0, batch()), acks=0), 9)

    assert client.is_closed()
    assert 1 == len(broker.wait_for("orders", 1))


@pytest.mark.parametrize("acks", [1, -1])
def test_p11_acknowledged_is_readable(broker: Broker, client: WireClient, acks: int):
    """
    P11: what is acknowledged is below the high watermark.
    """
    client.produce("orders", batch(4), acks=acks)

    assert 4 == len(broker.records("orders", partition=0))


def test_p12_timeout_of_0_does_not_fail_the_only_replica(client: WireClient):
    """
    P12: with one replica there is nothing to wait for, so no timeout is too short.
    """
    assert 0 == client.produce("orders", batch(), timeout_ms=0).error_code


def test_t5_duplicate_gets_its_original_offset(broker: Broker, client: WireClient):
    """
    T5, I2: a batch sent again is answered with success and its first offset, and kept once.
    """
    client.produce("orders", batch())
    first = client.produce("orders", batch(2, producer=(7, 0, 0)))
    client.produce("orders", batch(2, producer=(7, 0, 2)))
    again = client.produce("orders", batch(2, producer=(7, 0, 0)))

    assert (0, 1) == (again.error_code, again.base_offset) == (0, first.base_offset)
    assert 5 == len(broker.records("orders"))


def test_i2_i3_sequence_and_epoch_errors(client: WireClient):
    """
    I3: a gap in the sequence gets 45, an older epoch 47.
    """
    client.produce("orders", batch(producer=(7, 1, 0)))

    gap = client.produce("orders", batch(producer=(7, 1, 5)))
    old = client.produce("orders", batch(producer=(7, 0, 0)))

    assert ErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER == gap.error_code
    assert ErrorCode.INVALID_PRODUCER_EPOCH == old.error_code
