"""The straight path of the usual Produce request and answer, held to the general one."""

from __future__ import annotations

from importlib import import_module

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyproducer.errors import ProtocolError
from pyproducer.protocol.frame import decode_response_header, encode_request, encode_response
from pyproducer.protocol.messages.produce import (
    BatchIndexAndErrorMessage,
    LeaderIdAndEpoch,
    NodeEndpoint,
    PartitionProduceData,
    PartitionProduceResponse,
    ProduceRequest,
    ProduceResponse,
    TopicProduceData,
    TopicProduceResponse,
)
from tests.helpers.accelerator import is_built

COMPILED = "pyproducer.protocol._shortcut"

FLEXIBLE = (9, 10, 11, 12)
INT16 = st.integers(-(2**15), 2**15 - 1)
INT32 = st.integers(-(2**31), 2**31 - 1)
INT64 = st.integers(-(2**63), 2**63 - 1)
NAMES = st.text(max_size=5) | st.text("ab", min_size=115, max_size=140)
BUFFERS = st.binary(max_size=5) | st.binary(min_size=60, max_size=140) | st.just(bytes(20_000))
RECORDS = st.none() | st.binary(max_size=3) | st.lists(BUFFERS, max_size=3)

REQUESTS = st.builds(
    ProduceRequest,
    transactional_id=st.none() | NAMES,
    acks=INT16,
    timeout_ms=INT32,
    topic_data=st.lists(
        st.builds(
            TopicProduceData,
            name=NAMES,
            partition_data=st.lists(
                st.builds(PartitionProduceData, index=INT32, records=RECORDS), max_size=2
            ),
        ),
        max_size=2,
    ),
)
USUAL_REQUESTS = st.builds(
    lambda request, name, index, header, body: request.replace(
        topic_data=[
            TopicProduceData(
                name=name,
                partition_data=[PartitionProduceData(index=index, records=[header, body])],
            )
        ]
    ),
    REQUESTS,
    NAMES,
    INT32,
    st.binary(min_size=1, max_size=70),
    BUFFERS.filter(len),
)
MANY_REQUESTS = st.builds(
    lambda request, topics: request.replace(
        topic_data=[
            TopicProduceData(
                name=name,
                partition_data=[
                    PartitionProduceData(index=index, records=[header, body])
                    for index, header, body in parts
                ],
            )
            for name, parts in topics
        ]
    ),
    REQUESTS,
    st.lists(
        st.tuples(
            NAMES,
            st.lists(
                st.tuples(INT32, st.binary(min_size=1, max_size=70), BUFFERS.filter(len)),
                min_size=1,
                max_size=4,
            ),
        ),
        min_size=1,
        max_size=3,
    ),
)
PARTITIONS = st.builds(
    PartitionProduceResponse,
    index=INT32,
    error_code=INT16,
    base_offset=INT64,
    log_append_time_ms=INT64,
    log_start_offset=INT64,
)
ODD_PARTITIONS = st.builds(
    PartitionProduceResponse,
    record_errors=st.lists(st.builds(BatchIndexAndErrorMessage), max_size=1),
    error_message=st.none() | st.text(max_size=3),
    current_leader=st.none() | st.builds(LeaderIdAndEpoch, leader_id=INT32),
)
USUAL_ANSWERS = st.builds(
    lambda name, part, throttle: ProduceResponse(
        responses=[TopicProduceResponse(name=name, partition_responses=[part])],
        throttle_time_ms=throttle,
    ),
    NAMES,
    PARTITIONS,
    INT32,
)
MANY_ANSWERS = st.builds(
    ProduceResponse,
    responses=st.lists(
        st.builds(
            TopicProduceResponse,
            name=NAMES,
            partition_responses=st.lists(PARTITIONS, max_size=4)
            | st.lists(PARTITIONS, min_size=128),
        ),
        max_size=3,
    ),
    throttle_time_ms=INT32,
)
ANSWERS = st.builds(
    ProduceResponse,
    responses=st.lists(
        st.builds(
            TopicProduceResponse,
            name=NAMES,
            partition_responses=st.lists(PARTITIONS | ODD_PARTITIONS, max_size=2),
        ),
        max_size=2,
    ),
    throttle_time_ms=INT32,
    node_endpoints=st.lists(st.builds(NodeEndpoint, node_id=INT32), max_size=1),
)


@pytest.fixture(params=["pyproducer.protocol._shortcut_py", COMPILED], scope="module")
def straight(request):
    """
    Each twin that is there.
    """
    if request.param == COMPILED and not is_built(COMPILED):
        pytest.skip("there is no compiled twin")
    return import_module(request.param)


@given(USUAL_REQUESTS, st.sampled_from(FLEXIBLE), INT32, st.text(max_size=5))
def test_the_usual_request_has_the_general_bytes(straight, request, version, number, client):
    """One batch is encoded, and its records are passed on as they are."""
    general = encode_request(request, version, number, client)

    short = straight.encode_batches(request, version, number, client)

    assert short is not None
    assert b"".join(general) == b"".join(short)
    header, body = request.topic_data[0].partition_data[0].records
    assert short[1] is header
    assert short[2] is body


@given(REQUESTS, st.integers(3, 12), INT32, st.text(max_size=5))
def test_any_other_request_has_the_general_bytes_or_none(
    straight, request, version, number, client
):
    """What the straight path takes, it encodes alike."""
    short = straight.encode_batches(request, version, number, client)

    if short is not None:
        general = encode_request(request, version, number, client)
        assert b"".join(general) == b"".join(short)


@given(MANY_REQUESTS, st.sampled_from(FLEXIBLE), INT32, st.text(max_size=5))
def test_many_batches_have_the_general_bytes(straight, request, version, number, client):
    """Large records are passed on as they are, and small ones stand between them."""
    general = encode_request(request, version, number, client)

    short = straight.encode_batches(request, version, number, client)

    assert short is not None
    assert b"".join(general) == b"".join(short)
    bodies = [part.records[1] for topic in request.topic_data for part in topic.partition_data]
    if len(bodies) > 1:
        large = [body for body in bodies if len(body) >= 16384]
        assert len(short) == 2 * len(large) + 1
        assert all(one is other for one, other in zip(short[1::2], large, strict=True))


@pytest.mark.parametrize(
    "wrong",
    [{"index": 1 << 31}, {"records": None}, {"records": [b"header", b""]}, {"records": [b"one"]}],
    ids=lambda wrong: "-".join(f"{name}={value}" for name, value in wrong.items()),
)
def test_one_odd_partition_leaves_all_to_the_general_way(straight, wrong):
    """Wherever it stands among usual ones."""
    usual = PartitionProduceData(index=0, records=[b"header", b"body"])
    for place in range(3):
        parts = [usual] * 2
        parts.insert(place, usual.replace(**wrong))
        request = ProduceRequest(topic_data=[TopicProduceData(name="t", partition_data=parts)])

        assert straight.encode_batches(request, 12, 1, "me") is None


@pytest.mark.parametrize("name", [None, "\ud800", "n" * 32768], ids=["none", "surrogate", "long"])
def test_one_odd_topic_leaves_all_to_the_general_way(straight, name):
    """The general way says what is wrong with its name."""
    usual = PartitionProduceData(index=0, records=[b"header", b"body"])
    topics = [TopicProduceData(name=one, partition_data=[usual]) for one in ("t", name)]

    assert straight.encode_batches(ProduceRequest(topic_data=topics), 12, 1, "me") is None


@pytest.mark.parametrize(
    "wrong",
    [
        {"acks": 1 << 15},
        {"timeout_ms": "soon"},
        {"transactional_id": "t" * 32768},
        {"transactional_id": "\ud800"},
    ],
)
def test_what_cannot_be_encoded_is_left_to_the_general_way(straight, wrong):
    """It says which field is wrong."""
    part = PartitionProduceData(index=0, records=[b"header", b"body"])
    topic = TopicProduceData(name="t", partition_data=[part])

    request = ProduceRequest(**({"acks": 1, "topic_data": [topic]} | wrong))

    assert straight.encode_batches(request, 12, 1, "me") is None
    with pytest.raises(ValueError, match=f"cannot be encoded: .*{next(iter(wrong))}"):
        encode_request(request, 12, 1, "me")


def test_a_partition_that_cannot_be_encoded_is_left_to_the_general_way(straight):
    """Its number does not fit into 32 bits."""
    part = PartitionProduceData(index=1 << 31, records=[b"header", b"body"])
    request = ProduceRequest(topic_data=[TopicProduceData(name="t", partition_data=[part])])

    assert straight.encode_batches(request, 12, 1, "me") is None


def test_records_of_wide_items_are_left_to_the_general_way(straight):
    """The length of such a view is not its bytes."""
    wide = memoryview(bytes(8)).cast("q")
    part = PartitionProduceData(index=0, records=[b"header", wide])
    request = ProduceRequest(topic_data=[TopicProduceData(name="t", partition_data=[part])])

    assert straight.encode_batches(request, 12, 1, "me") is None


def test_a_request_is_the_one_made_by_name(straight):
    """All fields are there, with the same values, and each topic is there once."""

    def part(index):
        return PartitionProduceData(index=index, records=[b"header", b"%d" % index])

    named = ProduceRequest(
        transactional_id="x",
        acks=-1,
        timeout_ms=5,
        topic_data=[
            TopicProduceData(name="t", partition_data=[part(3), part(4), part(1)]),
            TopicProduceData(name="u", partition_data=[part(3)]),
        ],
    )
    batches = [
        (topic, index, [b"header", b"%d" % index])
        for topic, index in (("t", 3), ("t", 4), ("u", 3), ("t", 1))
    ]

    assert named == straight.request_of("x", -1, 5, batches)


def general(frame, version):
    number, body = decode_response_header(frame, ProduceRequest.api_key, version)
    return number, ProduceResponse.decode(body, version, whole=False)


@given(USUAL_ANSWERS, st.sampled_from(FLEXIBLE), INT32)
def test_the_usual_answer_is_read_as_in_general(straight, answer, version, number):
    """One partition, whatever the code: read as the general way reads it."""
    frame = memoryview(b"".join(encode_response(answer, version, number))[4:])

    short = straight.read_answers(frame, version)

    assert general(frame, version) == short == (number, answer)


@given(MANY_ANSWERS, st.sampled_from(FLEXIBLE), INT32)
def test_an_answer_about_many_is_read_as_in_general(straight, answer, version, number):
    """Any number of topics and of partitions, and any codes."""
    frame = memoryview(b"".join(encode_response(answer, version, number))[4:])

    assert straight.read_answers(frame, version) == (number, answer)


@given(ANSWERS, st.integers(10, 12), INT32)
def test_any_other_answer_is_read_as_in_general_or_not(straight, answer, version, number):
    """What the straight path takes, it reads alike."""
    frame = memoryview(b"".join(encode_response(answer, version, number))[4:])

    short = straight.read_answers(frame, version)

    if short is not None:
        assert general(frame, version) == short


@given(USUAL_ANSWERS | MANY_ANSWERS, st.data())
def test_broken_answers_are_left_to_the_general_way(straight, answer, data):
    """Bytes changed, lost or added: the straight path takes only what the general one takes."""
    frame = bytearray(b"".join(encode_response(answer, 12, 7))[4:])
    for _ in range(data.draw(st.integers(0, 2))):
        frame[data.draw(st.integers(0, len(frame) - 1))] = data.draw(st.integers(0, 255))
    del frame[len(frame) - data.draw(st.integers(0, 3)) :]
    frame += data.draw(st.binary(max_size=2))

    short = straight.read_answers(memoryview(frame), 12)

    if short is not None:
        try:
            assert general(frame, 12) == short
        except ProtocolError:
            pytest.fail("the general way refuses it")
