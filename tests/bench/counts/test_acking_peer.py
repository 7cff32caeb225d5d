from __future__ import annotations

import pytest

from pyproducer.protocol.frame import decode_response_header, encode_request
from pyproducer.protocol.messages.produce import (
    PartitionProduceData,
    ProduceRequest,
    ProduceResponse,
    TopicProduceData,
)
from pyproducer.records.builder import build_batch
from pyproducer.records.record import Record
from tests.bench.counts.acking_peer import AckingPeer

VERSION = 12


class Transport:
    """Keeps what the peer answers."""

    def __init__(self) -> None:
        self.answers: list[bytes] = []

    def deliver(self, data: bytes) -> None:
        self.answers.append(data)


@pytest.fixture
def peer():
    made = AckingPeer({"t": 300})
    made.connected(Transport())
    return made


def batch():
    return build_batch([Record(0, 1_700_000_000_000, 0, None, b"v" * 1000, ())])


def frame(*indexes, acks=-1):
    parts = [
        # As the producer hands it over: the header made for this attempt, then the body itself.
        PartitionProduceData(index=index, records=[batch()[:61], memoryview(batch())[61:]])
        for index in indexes
    ]
    topics = [TopicProduceData(name="t", partition_data=parts)]
    return encode_request(ProduceRequest(acks=acks, topic_data=topics), VERSION, 77, "me")


def acknowledged(answer):
    """The correlation id, and the partitions that were taken."""
    correlation, body = decode_response_header(answer[4:], 0, VERSION)
    assert len(answer) - 4 == int.from_bytes(answer[:4], "big")
    response = ProduceResponse.decode(body, VERSION)
    assert all(one.error_code == 0 for t in response.responses for one in t.partition_responses)
    return correlation, {
        t.name: [p.index for p in t.partition_responses] for t in response.responses
    }


@pytest.mark.parametrize("indexes", [[0], [3, 1], list(range(300))])
def test_every_partition_is_acknowledged(peer, indexes):
    """
    The answer is a sound one for all partitions of the request.
    """
    for part in frame(*indexes):
        peer.receive(part)

    assert [(77, {"t": indexes})] == [acknowledged(one) for one in peer._transport.answers]
    assert (1, len(indexes)) == (peer.requests, peer.batches)


@pytest.mark.parametrize("size", [1, 3, 7, 100, 5000])
def test_pieces_do_not_matter(peer, size):
    """
    Requests are found wherever one write ends and the next begins.
    """
    stream = b"".join(frame(0)) + b"".join(frame(1, 2)) + b"".join(frame(3))
    for at in range(0, len(stream), size):
        peer.receive(stream[at : at + size])

    assert [[0], [1, 2], [3]] == [acknowledged(one)[1]["t"] for one in peer._transport.answers]


def test_bodies_of_their_own_are_not_joined(peer):
    """
    A body that comes as an object of its own counts as uncopied, one within a larger object not.
    """
    head, header, body, *rest = frame(0)
    peer.receive(head + header)
    for part in (body, *rest):
        peer.receive(part)
    assert 0 == peer.joined

    peer.receive(b"".join([bytes(part) for part in frame(0)]))

    assert len(batch()) == peer.joined


def test_nothing_is_said_with_acks_0(peer):
    """
    Who wants no answer gets none.
    """
    for part in frame(0, acks=0):
        peer.receive(part)

    assert ([], 1) == (peer._transport.answers, peer.requests)


def test_a_silent_peer_answers_later(peer):
    """
    What came while it was silent is answered, in order, once it speaks.
    """
    peer.silent = True
    for part in [*frame(4), *frame(5)]:
        peer.receive(part)
    assert [] == peer._transport.answers

    peer.speak()

    assert [[4], [5]] == [acknowledged(one)[1]["t"] for one in peer._transport.answers]
