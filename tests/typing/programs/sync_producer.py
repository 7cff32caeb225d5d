"""A user's program around SyncProducer: the same names, without await."""

from __future__ import annotations

from typing import assert_type

from pyproducer import (
    BufferFull,
    BulkError,
    Delivery,
    DeliveryError,
    FlushReport,
    RecordMetadata,
    SyncProducer,
)

producer = SyncProducer("localhost:9092", acks=1, partitioner="crc32")


def work() -> None:
    try:
        meta = producer.send("orders", b"1", key=b"a", timestamp_ms=1_700_000_000_000)
        assert_type(meta, RecordMetadata)
        delivery = producer.enqueue_nowait("orders", "2")
        assert_type(delivery, Delivery)
        assert_type(delivery.result(timeout=1.5), RecordMetadata)
        assert_type(producer.flush(), FlushReport)
    except BufferFull as error:
        assert_type(error.limit, int)
    except BulkError as error:
        for index, reason in error.failures:
            print(index, reason)
    except DeliveryError as error:
        assert_type(error.maybe_written, bool)


with producer:
    work()
