"""Which topics the engine asks about, and what it does where one is another than before."""

from __future__ import annotations

from uuid import UUID

import pytest

from pyproducer.core.effects import Send
from pyproducer.errors import DeliveryTimeout, TopicAuthorizationFailed, UnknownTopic
from pyproducer.protocol.error_codes import ErrorCode
from pyproducer.protocol.messages.metadata import MetadataRequest
from tests.helpers.engine_rig import Rig, TopicSpec

E = ErrorCode


def questions(rig: Rig) -> list[list[str]]:
    """The topics of each metadata request."""
    return [
        [topic.name for topic in effect.message.topics]
        for effect in rig.effects
        if isinstance(effect, Send) and isinstance(effect.message, MetadataRequest)
    ]


def settle(rig: Rig, topic: str = "t", **how) -> None:
    """Have a record of the topic acknowledged."""
    rig.send(b"x", topic=topic, **how)
    for sent in rig.turn():
        rig.answer(sent)


def test_new_topic_is_asked_for_alone():
    """
    The thousandth topic costs a question about one topic, not about a thousand.
    """
    names = [f"t{number}" for number in range(20)]
    rig = Rig({name: [1] for name in names}, linger=0.0)
    rig.turn()
    for name in names:
        settle(rig, name)

    assert [[], *[[name] for name in names]] == questions(rig)


def test_unknown_topic_is_asked_for_alone():
    """
    While a topic is waited for, those that are known are left in peace.
    """
    rig = Rig({"t": [1]}, linger=0.0, auto_create=True)
    settle(rig)
    rig.send(b"a", topic="soon")
    rig.advance(10)
    rig.topics["soon"] = TopicSpec([1], [0])
    rig.advance(2)

    assert {("soon",)} == {tuple(names) for names in questions(rig)[2:]}
    assert [b"a"] == rig.sent[-1].values


def test_leader_that_moved_has_everything_asked():
    """
    A failure is seldom one partition's alone: all topics are asked for.
    """
    rig = Rig({"t": [1], "u": [1]}, linger=0.0)
    settle(rig)
    settle(rig, "u")
    rig.advance(1)
    rig.send(b"a")
    rig.answer(rig.turn()[0], E.NOT_LEADER_OR_FOLLOWER)

    assert ["t", "u"] == questions(rig)[-1]


def test_unused_topic_is_asked_for_no_more():
    """
    After long without a record a topic leaves the questions; the next record is sent by what was
    known, and has it asked for at once (KIP-526).
    """
    rig = Rig({"t": [1], "u": [1]}, linger=0.0, metadata_max_age=60.0, metadata_max_idle=300.0)
    settle(rig)
    settle(rig, "u")
    for _ in range(10):
        rig.advance(50)
        settle(rig)
    assert ["t"] == questions(rig)[-1]
    rig.advance(400)
    assert [] == questions(rig)[-1]
    before = len(questions(rig))
    rig.send(b"late", topic="u")
    [sent] = rig.turn()
    assert [["u"]] == questions(rig)[before:]
    rig.answer(sent)
    rig.advance(61)

    assert ["u"] == questions(rig)[-1]


def test_topic_with_records_is_never_unused():
    """
    A topic whose records wait for their leader is asked for until their time is up.
    """
    rig = Rig({"t": [-1]}, linger=0.0, metadata_max_idle=10.0, delivery_timeout=1000.0)
    rig.send(b"a")
    rig.advance(900)
    rig.lead(2)
    [sent] = rig.advance(3)

    assert [b"a"] == sent.values


def test_topic_that_nobody_waits_for_any_more():
    """
    A topic that does not come is asked for no more, long after the last who wanted it.
    """
    rig = Rig({}, auto_create=True, metadata_max_idle=60.0, delivery_timeout=30.0)
    rig.send(b"a")
    rig.advance(70)
    asked = len(questions(rig))
    rig.advance(200)

    assert len(questions(rig)) <= asked + 1
    assert {} == rig.engine.cluster.unknown_since


def test_refused_topic_is_not_asked_for_without_a_pause():
    """
    A program that goes on sending to a topic it may not use costs a few questions a second.
    """
    rig = Rig({"t": []}, linger=0.0)
    rig.topics["t"].error = int(E.TOPIC_AUTHORIZATION_FAILED)
    failed = 0
    for _ in range(1000):
        delivery = rig.send(b"a")
        rig.advance(0.002)
        failed += delivery.done()

    assert len(questions(rig)) <= 30
    assert failed > 900 or rig.advance(1) == []
    rig.assert_idle()
    assert TopicAuthorizationFailed is type(delivery.exception())


# Topics made anew.


def test_topic_made_anew_with_fewer_partitions():
    """
    Records go to the partitions that there are now; those for one that is gone wait until their
    time is up.
    """
    rig = Rig({"t": [1, 1, 1, 1]}, linger=0.0, partitioner="murmur2", delivery_timeout=60.0)
    rig.topics["t"].topic_id = UUID(int=1)
    for number in range(4):
        settle(rig, partition=number)
    rig.topics["t"] = TopicSpec([2, 2], [0, 0], topic_id=UUID(int=2))
    stuck = rig.send(b"for the third", partition=2)
    [sent] = rig.turn()
    rig.answer(sent, E.UNKNOWN_TOPIC_OR_PARTITION)
    rig.advance(1)
    deliveries = [rig.send(b"v", key=str(number)) for number in range(50)]
    for sent in rig.advance(1):
        rig.answer(sent)

    assert {0, 1} == {delivery.result().partition for delivery in deliveries}
    with pytest.raises(UnknownTopic, match="no partition 3: it has 2"):
        rig.send(b"a", partition=3)
    rig.advance(70)
    assert DeliveryTimeout is type(stuck.exception())
    rig.assert_idle()


def test_fewer_partitions_of_the_same_topic_are_an_old_answer():
    """
    A topic does not shrink: partitions that an answer leaves out are kept.
    """
    rig = Rig({"t": [1, 1, 1]}, linger=0.0)
    rig.topics["t"].topic_id = UUID(int=1)
    settle(rig)
    rig.topics["t"].leaders, rig.topics["t"].epochs = [1], [0]
    rig.engine.cluster.refresh(rig.now)
    rig.turn()
    rig.send(b"a", partition=2)
    [sent] = rig.turn()

    assert 2 == next(iter(sent.batches))[1]


def test_partitions_that_come_back():
    """
    A topic that was made smaller and then larger takes records in all its partitions.
    """
    rig = Rig({"t": [1, 1, 1]}, linger=0.0)
    rig.topics["t"].topic_id = UUID(int=1)
    settle(rig)
    for number, leaders in enumerate(([2], [1, 2, 3, 1])):
        epochs = [0] * len(leaders)
        rig.topics["t"] = TopicSpec(leaders, epochs, topic_id=UUID(int=2 + number))
        rig.engine.cluster.refresh(rig.now)
        rig.turn()
    deliveries = [rig.send(b"v", partition=number) for number in range(4)]
    for sent in rig.turn():
        rig.answer(sent)

    assert [0, 1, 2, 3] == [delivery.result().partition for delivery in deliveries]
    rig.assert_idle()


def test_new_log_is_tried_with_one_batch():
    """
    The logs of a topic made anew know nothing of the producer: one batch goes alone, so that the
    second cannot be there before the first.
    """
    rig = Rig({"t": [1]}, linger=0.0)
    rig.topics["t"].topic_id = UUID(int=1)
    rig.prove()
    rig.topics["t"] = TopicSpec([2], [0], topic_id=UUID(int=2))
    rig.engine.cluster.refresh(rig.now)
    rig.turn()
    for value in (b"a", b"b", b"c"):
        rig.send(value)
        rig.turn()
    assert [[b"a"]] == [sent.values for sent in rig.sent]
    rig.answer(rig.sent[0])

    assert [[b"a"], [b"b", b"c"]] == [sent.values for sent in rig.sent]
