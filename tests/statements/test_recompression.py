"""What ``compression.type`` of a topic does to a batch (Z1 to Z4)."""

from __future__ import annotations

from itertools import product

import cramjam
import pytest

from pyproducer.protocol.error_codes import ErrorCode
from pyproducer.records.batch import pack_attributes
from pyproducer.records.builder import build_batch, encode_record, seal_batch
from pyproducer.records.codec import CODEC_NAMES, CODECS_BY_NAME, Codec
from pyproducer.records.reader import Batch, Record
from tests.helpers.log_files import batches_on_disk, segment_files
from tests.helpers.statement_servers import Server
from tests.helpers.wire_client import WireClient

E = ErrorCode

TYPES = ("producer", "uncompressed", "gzip", "snappy", "lz4", "zstd")
PRODUCER = {"producer_id": 4711, "producer_epoch": 2, "base_sequence": 10}
HEADERS = (("name", b"value"), ("null", None), ("name", b""))


def records(server: Server, count: int = 20) -> list[Record]:
    """Records of all shapes, that codecs make smaller."""
    now = server.now_ms
    return [
        Record(
            i, now - i, key=None if i % 3 else b"k", value=b"value " * i, headers=HEADERS[: i % 4]
        )
        for i in range(count)
    ]


def only_batch(server: Server, topic: str) -> Batch:
    [batch] = batches_on_disk(server.data_dir, topic)
    return batch


def without_offset(found: list[Record]) -> list[tuple]:
    return [(one.timestamp_ms, one.key, one.value, one.headers) for one in found]


@pytest.mark.parametrize(("kept", "sent"), list(product(TYPES, Codec)))
def test_z1_codec_of_the_topic(server: Server, client: WireClient, kept: str, sent: Codec):
    """
    A batch is stored with the topic's codec, else byte for byte as it came, and its records and
    its producer's numbers are the same either way.
    """
    topic = server.topic(compression_type=kept)
    wanted = {"producer": sent, "uncompressed": Codec.NONE}.get(kept)
    wanted = CODECS_BY_NAME[kept] if wanted is None else wanted
    given = records(server)
    data = build_batch(given, codec=sent, **PRODUCER)
    assert client.produce(topic, data).base_offset == 0
    batch = only_batch(server, topic)
    header = batch.header

    assert CODEC_NAMES[Codec(header.codec)] == CODEC_NAMES[wanted]
    assert without_offset(list(batch.records())) == without_offset(given)
    assert {name: getattr(header, name) for name in PRODUCER} == PRODUCER
    assert header.max_timestamp == given[0].timestamp_ms
    [log] = segment_files(server.data_dir, topic, ".log")
    if wanted is sent:
        assert log.read_bytes()[16:] == data[16:]


@pytest.mark.parametrize(
    ("codec", "low", "high"), [("gzip", 1, 9), ("lz4", 1, 17), ("zstd", 1, 19)]
)
def test_z1_levels(server: Server, client: WireClient, codec: str, low: int, high: int):
    """
    The topic's level is what the broker compresses with.
    """
    sizes = []
    data = build_batch(records(server, 300))
    for level in (low, high):
        topic = server.topic(**{"compression_type": codec, f"compression_{codec}_level": level})
        assert client.produce(topic, data).error_code == 0
        sizes.append(only_batch(server, topic).header.batch_length)

    assert sizes[1] < sizes[0] < len(data)


def test_z1_transactional_mark_is_kept(server: Server, client: WireClient):
    """
    Compressing anew keeps whose time a batch carries.
    """
    topic = server.topic(compression_type="zstd", message_timestamp_type="LogAppendTime")
    answer = client.produce(topic, build_batch(records(server), codec=Codec.GZIP, **PRODUCER))
    batch = only_batch(server, topic)

    assert batch.header.max_timestamp == answer.log_append_time_ms
    assert {one.timestamp_ms for one in batch.records()} == {answer.log_append_time_ms}


def test_z2_size_as_it_comes_and_as_it_is_kept(server: Server, client: WireClient):
    """
    A batch is measured as it comes, and again when it is packed anew.
    """
    given = records(server, 100)
    packed, plain = build_batch(given, codec=Codec.GZIP), build_batch(given)
    limit = (len(packed) + len(plain)) // 2
    grows = server.topic(compression_type="uncompressed", max_message_bytes=limit)
    shrinks = server.topic(compression_type="gzip", max_message_bytes=limit)
    stays = server.topic(compression_type="producer", max_message_bytes=limit)

    assert client.produce(grows, packed).error_code == E.MESSAGE_TOO_LARGE
    assert client.produce(shrinks, plain).error_code == E.MESSAGE_TOO_LARGE
    assert client.produce(stays, packed).error_code == 0


def test_z2_segment_has_no_room(server: Server, client: WireClient):
    """
    A batch that no segment of the topic can hold is too large as a list of records.
    """
    size = 1 << 20
    topic = server.topic(
        segment_bytes=size, max_message_bytes=2 * size, compression_type="uncompressed"
    )
    packed = server.batch(b"x" * size, codec=Codec.ZSTD)

    assert client.produce(topic, packed).error_code == E.RECORD_LIST_TOO_LARGE
    assert client.produce(topic, server.batch(b"x" * size)).error_code == E.RECORD_LIST_TOO_LARGE
    assert client.produce(topic, server.batch(b"x" * (size - 200))).error_code == 0


@pytest.mark.parametrize("codec", [one for one in Codec if one is not Codec.NONE])
def test_z3_packed_records_are_counted(server: Server, client: WireClient, codec: Codec):
    """
    A packed batch that keeps its codec is unpacked and counted all the same.
    """
    header = server.batch(b"a", b"b", codec=codec)
    counted = build_batch(records(server, 3), codec=codec)[61:]
    lying = seal_batch(
        counted,
        record_count=2,
        last_offset_delta=1,
        attributes=pack_attributes(codec),
        base_timestamp=server.now_ms,
        max_timestamp=server.now_ms,
    )
    topic = server.topic()

    assert client.produce(topic, lying).error_code == E.INVALID_RECORD
    assert client.produce(topic, header).error_code == 0


@pytest.mark.parametrize("kept", ["producer", "uncompressed"])
def test_z3_raw_snappy(server: Server, client: WireClient, kept: str):
    """
    Snappy is read without its framing too.
    """
    body = bytearray()
    encode_record(body, Record(0, 0, key=b"k", value=b"value" * 10), 0, 0)
    raw = seal_batch(
        bytes(cramjam.snappy.compress_raw(bytes(body))),
        record_count=1,
        last_offset_delta=0,
        attributes=pack_attributes(Codec.SNAPPY),
        base_timestamp=server.now_ms,
        max_timestamp=server.now_ms,
    )
    topic = server.topic(compression_type=kept)

    assert client.produce(topic, raw).error_code == 0
    [record] = only_batch(server, topic).records()
    assert record.value == b"value" * 10


@pytest.mark.parametrize("kept", TYPES)
def test_z4_duplicate_of_a_batch_that_was_packed_anew(
    server: Server, client: WireClient, kept: str
):
    """
    A batch sent again is known by its sequence, whatever was made of its bytes.
    """
    topic = server.topic(compression_type=kept)
    data = build_batch(records(server), codec=Codec.GZIP, **PRODUCER | {"base_sequence": 0})
    client.produce(topic, server.batch(b"first"))
    first, again = (client.produce(topic, data) for _ in range(2))

    assert (first.error_code, first.base_offset) == (again.error_code, again.base_offset) == (0, 1)
    assert len(list(batches_on_disk(server.data_dir, topic))) == 2
