"""What the engine learns of topics, leaders and brokers, and when it asks."""

from __future__ import annotations

from uuid import UUID

import pytest

from pyproducer.core.effects import METADATA_NODE, Connect
from pyproducer.errors import TopicAuthorizationFailed, UnknownTopic
from pyproducer.protocol.error_codes import ErrorCode
from pyproducer.protocol.messages.metadata import MetadataRequest
from pyproducer.protocol.messages.produce import LeaderIdAndEpoch
from tests.helpers.engine_rig import Rig

E = ErrorCode


def values(sent) -> list[bytes]:
    return [value for one in sent for value in one.values]


def connects(rig: Rig) -> list[tuple[int, str]]:
    return [(e.node, e.host) for e in rig.effects if isinstance(e, Connect)]


def test_nothing_is_asked_about_topics_nobody_uses():
    """
    The first question names no topic; the next one names those that are used.
    """
    rig = Rig({"t": [1], "u": [1]})
    rig.turn()
    rig.send(b"a")
    rig.turn()
    asked = [
        [topic.name for topic in effect.message.topics]
        for effect in rig.effects
        if isinstance(getattr(effect, "message", None), MetadataRequest)
    ]

    assert [[], ["t"]] == asked


def test_metadata_grows_old():
    """
    Metadata is asked for anew when it reaches its greatest age, also in peace.
    """
    rig = Rig(metadata_max_age=60.0)
    rig.turn()
    rig.advance(59)
    assert 1 == len(rig.metadata_asked)
    rig.advance(2)
    assert 2 == len(rig.metadata_asked)
    rig.advance(600)
    assert 12 == len(rig.metadata_asked)


def test_auto_creation_is_asked_for_only_if_wanted():
    """
    Brokers may create a topic only where the producer was told to let them.
    """
    for wanted in (False, True):
        rig = Rig(auto_create=wanted)
        rig.send(b"a")
        rig.turn()
        questions = [e.message for e in rig.effects if hasattr(e, "message")]
        found = [q for q in questions if isinstance(q, MetadataRequest)]
        assert {wanted} == {question.allow_auto_topic_creation for question in found}


def test_topic_in_creation_is_waited_for():
    """
    With auto-creation a topic may take longer than the grace for unknown topics to be there.
    """
    rig = Rig({}, auto_create=True, linger=0.0)
    delivery = rig.send(b"a")
    rig.advance(10)
    assert not delivery.done()
    rig.topics = Rig({"t": [1]}).topics
    [sent] = rig.advance(2)
    rig.answer(sent)

    assert 0 == delivery.result().offset


def test_unknown_topic_is_asked_for_ever_less_often():
    """
    Questions about a topic that is not there come at growing distances, up to the longest pause.
    """
    rig = Rig({}, auto_create=True)
    rig.send(b"a")
    rig.advance(20)
    gaps = [b - a for a, b in zip(rig.metadata_asked, rig.metadata_asked[1:], strict=False)]

    assert 20 < len(gaps) < 30
    assert all(gap <= 1.2 for gap in gaps)
    assert [1.0] * 5 == pytest.approx(gaps[-5:])


@pytest.mark.parametrize(
    ("code", "kind", "text"),
    [
        (E.INVALID_TOPIC_EXCEPTION, UnknownTopic, "does not accept 't'"),
        (E.TOPIC_AUTHORIZATION_FAILED, TopicAuthorizationFailed, "grant it Describe and Write"),
    ],
)
def test_refused_topic_fails_at_once(code, kind, text):
    """
    A topic that no waiting will make usable fails its records with the first answer.
    """
    rig = Rig({"t": []})
    rig.topics["t"].error = int(code)
    delivery = rig.send(b"a")
    rig.turn()

    assert kind is type(delivery.exception())
    assert text in str(delivery.exception())
    assert rig.engine.is_unknown("t")
    rig.assert_idle()
    asked = len(rig.metadata_asked)
    rig.advance(100)
    assert len(rig.metadata_asked) <= asked + 2


def test_refused_topic_can_be_tried_again():
    """
    A topic that was refused and then granted is used by the next record.
    """
    rig = Rig({"t": []}, linger=0.0)
    rig.topics["t"].error = int(E.TOPIC_AUTHORIZATION_FAILED)
    rig.send(b"a")
    rig.turn()
    rig.topics = Rig({"t": [1]}).topics
    rig.advance(1)
    rig.send(b"b")
    [sent] = rig.advance(1)

    assert [b"b"] == sent.values
    assert not rig.engine.is_unknown("t")


def test_partition_gets_its_leader_later():
    """
    Records of a partition without a leader leave when metadata names one.
    """
    rig = Rig({"t": [1, -1]}, linger=0.0)
    rig.send(b"a", partition=1)
    assert [] == rig.advance(1)
    rig.topics["t"].leaders[1] = 2
    [sent] = rig.advance(1.5)

    assert (2, [b"a"]) == (sent.node, sent.values)


def test_leader_that_no_broker_is_counts_as_none():
    """
    Metadata that names a leader it does not list is asked for again, not believed.
    """
    rig = Rig({"t": [77]}, linger=0.0)
    rig.send(b"a")
    assert [] == rig.advance(1)
    rig.brokers[77] = ("late", 9092)
    [sent] = rig.advance(1.5)

    assert 77 == sent.node


def test_deleted_topic_that_comes_back_is_found_again():
    """
    A topic that vanished and came back elsewhere takes the records that waited for it.
    """
    rig = Rig({"t": [1]}, linger=0.0)
    rig.send(b"a")
    rig.answer(rig.turn()[0])
    spec = rig.topics.pop("t")
    delivery = rig.send(b"b")
    [sent] = rig.turn()
    rig.answer(sent, E.UNKNOWN_TOPIC_OR_PARTITION)
    for _ in range(8):
        for one in rig.advance(1):
            rig.answer(one, E.UNKNOWN_TOPIC_OR_PARTITION)
    assert not delivery.done()
    spec.leaders = [2]
    rig.topics["t"] = spec
    rig.advance(2)
    again = rig.sent[-1]
    assert (2, [b"b"]) == (again.node, again.values)
    rig.answer(again)

    assert delivery.exception() is None


def test_topic_made_anew_begins_with_small_epochs():
    """
    A topic of another id under an old name has leaders whose epochs begin anew.
    """
    rig = Rig({"t": [1]}, linger=0.0)
    rig.topics["t"].epochs = [9]
    rig.topics["t"].topic_id = UUID(int=1)
    rig.send(b"a")
    rig.answer(rig.turn()[0])
    rig.topics["t"].topic_id = UUID(int=2)
    rig.topics["t"].leaders, rig.topics["t"].epochs = [2], [0]
    rig.advance(1)
    rig.send(b"b")
    rig.answer(rig.turn()[0], E.NOT_LEADER_OR_FOLLOWER)
    rig.advance(2)

    assert 2 == rig.sent[-1].node


def test_two_brokers_that_name_each_other_do_not_keep_us_running():
    """
    A hint is believed only if it is newer than what is known.
    """
    rig = Rig({"t": [1]}, linger=0.0)
    rig.topics["t"].epochs = [5]
    rig.send(b"a")
    rig.turn()
    for _ in range(30):
        sent = rig.sent[-1]
        other = LeaderIdAndEpoch(leader_id=3 - sent.node, leader_epoch=5)
        response = rig.response(sent, E.NOT_LEADER_OR_FOLLOWER, current_leader=other)
        if not rig.answer(sent, response=response):
            break
    else:
        pytest.fail("sent 30 times without a pause")
    assert 1 == sent.node


def test_failing_broker_is_tried_ever_less_often():
    """
    Attempts to connect come at growing distances, up to the longest pause.
    """
    rig = Rig({"t": [1]}, reconnect_backoff=(0.1, 2.0), linger=0.0, metadata_max_age=1000.0)
    rig.down = {1}
    rig.send(b"a")
    rig.advance(30)
    attempts = [node for node, _ in connects(rig) if node == 1]

    assert 12 <= len(attempts) <= 22


def test_metadata_is_asked_of_every_address_in_turn():
    """
    When one address fails the next is tried, bootstrap servers among them, again and again.
    """
    rig = Rig(bootstrap=[("seed1", 1), ("seed2", 2)])
    rig.down = {METADATA_NODE}
    rig.turn()
    rig.advance(5)
    hosts = [host for node, host in connects(rig) if node == METADATA_NODE]
    assert ["seed1", "seed2", "seed1", "seed2"] == hosts[:4]
    assert {("seed1:1", "refused"), ("seed2:2", "refused")} == set(rig.engine.failed_addresses)
    assert not rig.engine.contacted

    rig.down = set()
    rig.advance(3)
    assert rig.engine.contacted
    assert [] == rig.engine.failed_addresses
    rig.down = {METADATA_NODE}
    rig.lose(METADATA_NODE)
    before = len(connects(rig))
    rig.engine.want("t", rig.now)
    rig.advance(20)
    assert {"seed1", "seed2", "broker1", "broker2", "broker3"} == {
        host for _, host in connects(rig)[before:]
    }


def test_lost_question_is_asked_again():
    """
    A metadata request whose connection breaks, or that stays unanswered, is repeated.
    """
    rig = Rig(request_timeout=5.0, linger=0.0)
    rig.hold_metadata = True
    rig.send(b"a")
    rig.turn()
    assert 1 == len(rig.held)
    rig.lose(METADATA_NODE)
    rig.advance(1)
    assert 2 == len(rig.held)
    rig.advance(6)
    assert 3 == len(rig.held)
    rig.hold_metadata = False
    rig.held = rig.held[-1:]
    rig.release()

    assert [b"a"] == values(rig.advance(1))


def test_topic_wanted_while_a_question_is_out_is_asked_for_next():
    """
    A topic that comes up while an answer is awaited gets its question right after it.
    """
    rig = Rig({"t": [1], "u": [1]}, linger=0.0)
    rig.hold_metadata = True
    rig.send(b"a")
    rig.turn()
    rig.send(b"b", topic="u")
    rig.turn()
    assert 1 == len(rig.held)
    rig.hold_metadata = False
    rig.release()

    assert {b"a", b"b"} == set(values(rig.turn() + rig.advance(0.01)) + values(rig.sent))


def test_partitions_added_later_are_used():
    """
    New partitions of a topic are adopted with the next metadata.
    """
    rig = Rig({"t": [1]}, metadata_max_age=5.0, linger=0.0)
    rig.send(b"a")
    rig.answer(rig.turn()[0])
    rig.topics["t"].leaders, rig.topics["t"].epochs = [1, 2], [0, 0]
    rig.advance(6)
    rig.send(b"b", partition=1)
    [sent] = rig.turn()

    assert 2 == sent.node


def test_refusals_of_many_batches_ask_once():
    """
    However many batches a moved leader refuses, one question follows, and pauses stay short.
    """
    rig = Rig({"t": [1] * 50}, max_request_size=100_000, linger=0.0)
    rig.engine.want("t", rig.now)
    rig.advance(10)
    for partition in range(50):
        rig.send(b"a", partition=partition)
    [sent] = rig.turn()
    before = len(rig.metadata_asked)
    rig.answer(sent, E.NOT_LEADER_OR_FOLLOWER)
    assert before + 1 == len(rig.metadata_asked)
    for partition in range(50):
        rig.lead(2, partition=partition)
    rig.answer(rig.advance(0.2)[0], E.NOT_LEADER_OR_FOLLOWER)
    rig.advance(0.5)

    assert 2 == rig.sent[-1].node
    assert len(rig.metadata_asked) <= before + 3


def test_broker_is_found_at_its_new_address():
    """
    A broker that moved is connected to where the newest metadata says.
    """
    rig = Rig({"t": [1]}, linger=0.0)
    rig.send(b"a")
    rig.answer(rig.turn()[0])
    rig.brokers[1] = ("moved", 9092)
    rig.send(b"b")
    rig.turn()
    rig.lose(1)
    rig.down = {1}
    rig.advance(3)

    assert (1, "moved") == connects(rig)[-1]


def test_partition_in_the_line_of_a_dead_broker_changes_over():
    """
    A batch that stands in line at a broker that is down leaves by the new leader.
    """
    rig = Rig({"t": [1]}, linger=0.0)
    rig.down = {1}
    rig.send(b"a")
    assert [] == rig.advance(1)
    rig.lead(2)
    [sent] = rig.advance(3)

    assert (2, [b"a"]) == (sent.node, sent.values)
    rig.down = set()
    rig.answer(sent)
    rig.advance(5)
    assert 1 == len(rig.sent)


def test_old_news_of_a_lost_leader_has_it_asked_again():
    """
    A broker that has not heard yet that the leader is gone names it once more; the question is
    put again soon, ever less often, and not only when metadata has grown old.
    """
    rig = Rig({"t": [1]}, linger=0.0)
    rig.send(b"a")
    rig.answer(rig.turn()[0])
    rig.lead(2)
    rig.lead(-1)
    rig.engine.stale(rig.now)
    rig.advance(1)
    spec = rig.topics["t"]
    spec.leaders, spec.epochs = [2], [1]
    rig.send(b"b")
    rig.metadata_asked.clear()
    assert [] == rig.advance(10)
    assert 9 <= len(rig.metadata_asked) <= 14

    spec.epochs = [3]
    [sent] = rig.advance(2)
    assert (2, [b"b"]) == (sent.node, sent.values)
    rig.answer(sent)
    rig.metadata_asked.clear()
    rig.advance(100)
    assert [] == rig.metadata_asked
