"""What a batch and its records must be, and what becomes of one that is not (P3, P4, P5)."""

from __future__ import annotations

from typing import Any

import pytest

from pyproducer.protocol.error_codes import ErrorCode
from pyproducer.records.builder import encode_record, seal_batch
from pyproducer.records.codec import Codec
from pyproducer.records.compression import compress
from pyproducer.records.record import Record
from tests.helpers.log_files import batches_on_disk
from tests.helpers.statement_servers import Server
from tests.helpers.wire_client import WireClient

E = ErrorCode

#: Where the fields of a header are.
LENGTH, MAGIC, CRC = 8, 16, 17


def changed(data: bytes, at: int, new: bytes) -> bytes:
    """The batch with other bytes at a place."""
    return data[:at] + new + data[at + len(new) :]


def sealed(server: Server, count: int = 2, **fields: Any) -> bytes:
    """A batch with a right checksum and whatever else is said, of records that it counts or not.

    Args:
        count: How many records there are.
        fields: Fields of the header, ``codec``, ``deltas`` of the offsets, ``tail`` behind the
            records, or ``body`` instead of them.
    """
    body = bytearray()
    for delta in fields.pop("deltas", range(count)):
        encode_record(body, Record(0, 0, key=b"k", value=b"v"), delta, 0)
    body += fields.pop("tail", b"")
    codec = Codec(fields.pop("codec", Codec.NONE))
    block = fields.pop("body", None)
    if block is None:
        block = body if codec is Codec.NONE else compress(codec, body)
    header = {
        "record_count": count,
        "last_offset_delta": count - 1,
        "attributes": int(codec),
        "base_timestamp": server.now_ms,
        "max_timestamp": server.now_ms,
    }
    return seal_batch(block, **(header | fields))


def refusal(server: Server, client: WireClient, records: bytes, **configs: str | int) -> int:
    """The code with which a new topic refuses the records, of which it then has none."""
    topic = server.topic(**configs)
    answer = client.produce(topic, records)
    if answer.error_code:
        assert answer.base_offset == -1
        assert list(batches_on_disk(server.data_dir, topic)) == []
    return answer.error_code


def test_p3_base_offset_is_0(server: Server, client: WireClient):
    """
    A client's batch begins at offset 0.
    """
    assert refusal(server, client, server.batch(b"x", base_offset=1)) == E.INVALID_RECORD


def test_p3_largest_batch(server: Server, client: WireClient):
    """
    A batch may have max.message.bytes, as it comes, with its 12-byte prefix; not one byte more.
    """
    records = server.batch(b"x" * 300)
    limit = len(records)

    assert refusal(server, client, records, max_message_bytes=limit) == 0
    assert refusal(server, client, records, max_message_bytes=limit - 1) == E.MESSAGE_TOO_LARGE


def test_p3_size_is_as_compressed(server: Server, client: WireClient):
    """
    It is the compressed size of a batch that counts.
    """
    records = server.batch(b"x" * 10_000, codec=Codec.GZIP)

    assert refusal(server, client, records, max_message_bytes=1000) == 0


def test_p3_checksum(server: Server, client: WireClient):
    """
    A batch whose checksum is not that of its bytes is corrupt.
    """
    records = server.batch(b"x")

    assert refusal(server, client, changed(records, CRC, b"\0\0\0\0")) == E.CORRUPT_MESSAGE
    assert refusal(server, client, changed(records, len(records) - 1, b"!")) == E.CORRUPT_MESSAGE


@pytest.mark.parametrize("magic", [3, 127, 255])
def test_p3_format_that_does_not_exist(server: Server, client: WireClient, magic: int):
    """
    A record format that does not exist is a corrupt batch.
    """
    records = changed(server.batch(b"x"), MAGIC, bytes([magic]))

    assert refusal(server, client, records) == E.CORRUPT_MESSAGE


@pytest.mark.parametrize("size", [20, 45, 55])
def test_p3_shorter_than_its_header(server: Server, client: WireClient, size: int):
    """
    A batch that ends within its header is corrupt.
    """
    records = changed(server.batch(b"x")[:size], LENGTH, (size - 12).to_bytes(4, "big"))
    code = refusal(server, client, records)

    if size != 45:
        assert code == E.CORRUPT_MESSAGE
    else:
        assert code == server.differs(
            ours=E.CORRUPT_MESSAGE,
            kafka=E.UNKNOWN_SERVER_ERROR,
            reason="Kafka looks for the producer's id before it knows that it is there",
        )


def test_p3_order_of_checks(server: Server, client: WireClient):
    """
    The base offset is looked at before the size, and the size before the checksum.
    """
    records = changed(server.batch(b"x" * 300, base_offset=7), CRC, b"\0\0\0\0")
    small = {"max_message_bytes": 100}

    assert refusal(server, client, records, **small) == E.INVALID_RECORD
    assert refusal(server, client, changed(records, 0, bytes(8)), **small) == E.MESSAGE_TOO_LARGE


def test_p3_batch_that_is_cut_off(server: Server, client: WireClient):
    """
    A batch that announces more bytes than came is none.
    """
    assert refusal(server, client, server.batch(b"x" * 50)[:-1]) == E.INVALID_RECORD


@pytest.mark.parametrize("tail", [1, 11])
def test_p3_some_bytes_behind_the_batch(server: Server, client: WireClient, tail: int):
    """
    Bytes behind the batch that are too few for another one are left out.
    """
    topic = server.topic()
    records = server.batch(b"x")

    assert client.produce(topic, records + b"\1" * tail).error_code == 0
    assert client.produce(topic, records).base_offset == 1
    assert len(list(batches_on_disk(server.data_dir, topic))) == 2


def test_p3_half_a_batch_behind_the_batch(server: Server, client: WireClient):
    """
    A second batch that was cut off.
    """
    code = refusal(server, client, server.batch(b"x") + server.batch(b"y" * 50)[:-1])

    assert code == server.differs(
        ours=E.INVALID_RECORD,
        kafka=E.NONE,
        reason="Kafka drops the unfinished batch and acknowledges; whoever sent it would never "
        "know, so ours refuses both",
    )


@pytest.mark.parametrize(
    "fields",
    [
        {"record_count": 0, "last_offset_delta": -1, "count": 0},
        {"record_count": -1},
        {"last_offset_delta": 2},
        {"last_offset_delta": 0},
        {"record_count": 3, "last_offset_delta": 2},
        {"record_count": 1, "last_offset_delta": 0},
    ],
    ids=["none", "negative", "delta-more", "delta-less", "count-more", "count-less"],
)
@pytest.mark.parametrize("codec", [Codec.NONE, Codec.ZSTD])
def test_p4_count_and_last_delta(
    server: Server, client: WireClient, codec: Codec, fields: dict[str, Any]
):
    """
    A batch has records, as many as it says, and the last one's delta is one less.
    """
    assert refusal(server, client, sealed(server, codec=codec, **fields)) == E.INVALID_RECORD


@pytest.mark.parametrize("codec", [Codec.NONE, Codec.GZIP])
def test_p4_bytes_behind_the_last_record(server: Server, client: WireClient, codec: Codec):
    """
    Nothing is left when all records that a batch counts are read.
    """
    code = refusal(server, client, sealed(server, codec=codec, tail=b"\0\0\0"))

    assert code == E.INVALID_RECORD


def test_p4_markers_are_the_brokers_own(server: Server, client: WireClient):
    """
    A client's batch is not a control batch.
    """
    control = sealed(server, attributes=0x20)

    assert refusal(server, client, control) == E.INVALID_RECORD


def test_p4_producer_without_a_sequence(server: Server, client: WireClient):
    """
    A batch with a producer id has a sequence.
    """
    records = sealed(server, producer_id=5, producer_epoch=0, base_sequence=-1)

    assert refusal(server, client, records) == E.INVALID_RECORD


#: A record's bytes behind its length: attributes, time and offset deltas, sizes, and what is bad.
MALFORMED = {
    "length-negative": b"\x01",
    "length-beyond": b"\x7e" + bytes(8),
    "key-beyond": b"\x10" + b"\0\0\0" + b"\x50" + b"k" + b"\x01" + b"\0\0",
    "value-beyond": b"\x10" + b"\0\0\0" + b"\x01" + b"\x50" + b"v" + b"\0\0",
    "key-size-negative": b"\x0e" + b"\0\0\0" + b"\x03" + b"\x01" + b"\0\0",
    "headers-negative": b"\x0c" + b"\0\0\0" + b"\x01\x01" + b"\x01",
    "headers-beyond": b"\x0c" + b"\0\0\0" + b"\x01\x01" + b"\x50",
    "header-key-null": b"\x10" + b"\0\0\0" + b"\x01\x01" + b"\x02" + b"\x01\x01",
}


@pytest.mark.parametrize("name", MALFORMED)
@pytest.mark.parametrize("codec", [Codec.NONE, Codec.LZ4])
def test_p4_malformed_records(server: Server, client: WireClient, codec: Codec, name: str):
    """
    Sizes and counts of a record are not negative and stay within it.
    """
    body: bytes = MALFORMED[name]
    if codec is not Codec.NONE:
        body = bytes(compress(codec, body))
    records = sealed(server, count=1, attributes=int(codec), body=body)

    assert refusal(server, client, records) == E.INVALID_RECORD


def test_p4_offset_deltas_out_of_order(server: Server, client: WireClient):
    """
    Offsets of records that do not follow each other.
    """
    packed = refusal(server, client, sealed(server, deltas=[1, 0], codec=Codec.SNAPPY))
    plain = refusal(server, client, sealed(server, deltas=[1, 0]))

    assert (packed, plain) == server.differs(
        ours=(E.INVALID_RECORD, E.INVALID_RECORD),
        kafka=(E.UNKNOWN_SERVER_ERROR, E.NONE),
        reason="Kafka stumbles over a packed batch with -1, and does not look at a plain one, of "
        "which consumers then get offsets twice or never",
    )


@pytest.mark.parametrize("codec", [Codec.GZIP, Codec.SNAPPY, Codec.LZ4, Codec.ZSTD])
def test_p4_block_that_cannot_be_unpacked(server: Server, client: WireClient, codec: Codec):
    """
    A right checksum over a block that is not of its codec.
    """
    code = refusal(server, client, sealed(server, attributes=int(codec), body=b"\1 no such block"))

    assert code == server.differs(
        ours=E.CORRUPT_MESSAGE,
        kafka=E.UNKNOWN_SERVER_ERROR,
        reason="Kafka's -1 tells nobody that the batch is at fault",
    )


def test_p5_compacted_topic_needs_keys(server: Server, client: WireClient):
    """
    A compacted topic refuses the whole batch for a record without a key, and names it.
    """
    topic = server.topic(cleanup_policy="compact")
    body = bytearray()
    for index, key in enumerate([b"a", None, b"b", None]):
        encode_record(body, Record(0, 0, key=key, value=b"v"), index, 0)
    records = sealed(server, count=4, body=bytes(body))
    answer = client.produce(topic, records, version=8)
    before = client.produce(topic, records, version=7)

    assert answer.error_code == before.error_code == E.INVALID_RECORD
    assert answer.error_message
    assert [one.batch_index for one in answer.record_errors] == [1, 3]
    assert all("key" in one.batch_index_error_message for one in answer.record_errors)
    assert (before.record_errors, before.error_message) == ([], None)
    assert list(batches_on_disk(server.data_dir, topic)) == []


def test_p5_an_empty_key_is_a_key(server: Server, client: WireClient):
    """
    A compacted topic takes records with empty keys, and tombstones.
    """
    topic = server.topic(cleanup_policy="compact,delete")

    assert client.produce(topic, server.batch(b"x", key=b"")).error_code == 0
    assert client.produce(topic, server.batch(None, key=b"x")).error_code == 0


def test_p5_times_out_of_bounds_are_named(server: Server, client: WireClient):
    """
    Records whose times are out of bounds are named, and those beside them go nowhere either.
    """
    topic = server.topic(message_timestamp_before_max_ms=60_000)
    now = server.now_ms
    body = bytearray()
    for index, ago in enumerate([0, 3_600_000, 0]):
        encode_record(body, Record(0, 0, key=b"k", value=b"v"), index, -ago)
    records = sealed(server, count=3, body=bytes(body), base_timestamp=now, max_timestamp=now)
    answer = client.produce(topic, records, version=8)

    assert answer.error_code == E.INVALID_TIMESTAMP
    assert [one.batch_index for one in answer.record_errors] == [1]
    assert list(batches_on_disk(server.data_dir, topic)) == []
