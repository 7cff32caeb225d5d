"""Encoding: what is refused, what is dropped, what is passed on uncopied."""

from __future__ import annotations

import pytest

from pyproducer.errors import UnsupportedVersion
from pyproducer.protocol.messages.fetch import (
    FetchableTopicResponse,
    FetchPartition,
    FetchRequest,
    FetchResponse,
    FetchTopic,
    PartitionData,
)
from pyproducer.protocol.messages.join_group import JoinGroupRequest
from pyproducer.protocol.messages.metadata import MetadataRequest, MetadataRequestTopic
from pyproducer.protocol.messages.produce import (
    LeaderIdAndEpoch,
    PartitionProduceData,
    PartitionProduceResponse,
    ProduceRequest,
    ProduceResponse,
    TopicProduceData,
    TopicProduceResponse,
)
from tests.helpers.random_messages import message_classes


def produce(*records, **more):
    partitions = [PartitionProduceData(index=i, records=one) for i, one in enumerate(records)]
    return ProduceRequest(
        acks=-1, topic_data=[TopicProduceData(name="t", partition_data=partitions)], **more
    )


@pytest.mark.parametrize("version", [3, 9, 12])
def test_records_are_passed_on_uncopied(version):
    """The very objects handed over are among the buffers, in order, also out of a list."""
    first, second, third = b"one", memoryview(b"two"), bytearray(b"three")
    buffers = produce(first, [second, b"", third], None).encode(version)

    passed = [b for b in buffers if b is first or b is second or b is third]
    assert [first, second, third] == passed
    decoded = ProduceRequest.decode(b"".join(buffers), version)
    contents = [p.records for p in decoded.topic_data[0].partition_data]
    assert [b"one", b"twothree", None] == contents


def test_long_records_have_a_long_compact_length():
    """Sizes around the steps of the varint come back."""
    for size in (0, 1, 126, 127, 128, 16382, 16383, 16384, 70_000):
        buffers = produce(bytes(size), b"x").encode(9)
        partitions = ProduceRequest.decode(b"".join(buffers), 9).topic_data[0].partition_data
        assert [bytes(size), b"x"] == [p.records for p in partitions]


def test_empty_records_are_not_null():
    """Zero bytes are sent as length 0 (T4), and add no empty buffer."""
    response = FetchResponse(
        responses=[FetchableTopicResponse(topic="t", partitions=[PartitionData(records=b"")])]
    )
    buffers = response.encode(4)
    assert all(len(b) for b in buffers)
    assert b"".join(buffers).endswith(bytes(4))


REFUSED = [
    (ProduceRequest(acks=40_000), 3, "acks or timeout_ms or topic_data: .*format"),
    (ProduceRequest(topic_data=None), 3, "topic_data: None is not allowed"),
    (ProduceRequest(topic_data=[TopicProduceData(name=None)]), 3, r"topic_data\[\].name: None"),
    (ProduceRequest(topic_data=[TopicProduceData(name=b"t")]), 3, r"topic_data\[\].name: .*bytes"),
    (ProduceRequest(transactional_id="\ud800"), 3, "transactional_id: .*surrogate"),
    (MetadataRequest(topics=None), 0, "topics: None is not allowed"),
    (MetadataRequest(topics=[7]), 1, r"topics\[\].name: .*int"),
    (MetadataRequest(topics=[MetadataRequestTopic(name="n" * 40_000)]), 1, r"topics\[\].name"),
    (MetadataRequest(topics=[MetadataRequestTopic(name="n" * 40_000)]), 9, "limit of 32767"),
]


@pytest.mark.parametrize(("message", "version", "reason"), REFUSED)
def test_values_that_do_not_fit_are_refused(message, version, reason):
    """A value outside its field's type is a ValueError that names message, version and field."""
    with pytest.raises(ValueError, match=f"{type(message).__name__} v{version}.*{reason}"):
        message.encode(version)


def test_longest_string():
    """Kafka's longest string fits in both layouts."""
    for version in (1, 9):
        message = MetadataRequest(topics=[MetadataRequestTopic(name="n" * 32_767)])
        assert MetadataRequest.decode(b"".join(message.encode(version)), version) == message


def test_value_that_the_version_cannot_carry_is_refused():
    """Setting a field that would get lost is an error, where losing it changes the meaning."""
    static = JoinGroupRequest(group_instance_id="me")
    assert static.encode(5)
    with pytest.raises(ValueError, match="group_instance_id: version 4 cannot carry"):
        static.encode(4)


def test_value_that_may_be_lost_is_dropped():
    """Fields that Kafka marks ignorable are left out of versions that lack them."""
    request = FetchRequest(
        rack_id="here",
        topics=[FetchTopic(topic="t", partitions=[FetchPartition(current_leader_epoch=3)])],
    )
    decoded = FetchRequest.decode(b"".join(request.encode(4)), 4)
    assert "" == decoded.rack_id
    assert -1 == decoded.topics[0].partitions[0].current_leader_epoch


def test_tagged_struct_is_sent_only_if_set():
    """None leaves a tagged struct out; a struct, even of defaults, is sent."""

    def encoded(leader):
        partition = PartitionProduceResponse(current_leader=leader)
        topic = TopicProduceResponse(name="t", partition_responses=[partition])
        data = b"".join(ProduceResponse(responses=[topic]).encode(10))
        decoded = ProduceResponse.decode(data, 10).responses[0].partition_responses[0]
        assert decoded.current_leader == leader
        return len(data)

    assert encoded(None) + 11 == encoded(LeaderIdAndEpoch())


@pytest.mark.parametrize("cls", list(message_classes()), ids=lambda cls: cls.__name__)
def test_version_that_the_class_lacks(cls):
    """Encoding in a version outside the class's range is UnsupportedVersion."""
    for version in (cls.min_version - 1, cls.max_version + 1):
        with pytest.raises(UnsupportedVersion, match=f"{cls.__name__} has no version {version}"):
            cls().encode(version)
