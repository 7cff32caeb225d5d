"""Idempotence in trouble: new epochs, batches in doubt, numbers that must not be missing."""

from __future__ import annotations

import pytest

from pyproducer.errors import BrokerRejected, DeliveryTimeout
from pyproducer.protocol.error_codes import ErrorCode
from pyproducer.protocol.messages.produce import LeaderIdAndEpoch
from tests.helpers.engine_rig import Rig

E = ErrorCode


def known(topics=None, **options) -> Rig:
    """A rig that sends one record per batch, at once, and whose brokers know the producer."""
    return Rig(topics, **({"batch_max_records": 1, "linger": 0.0} | options)).prove()


def five_in_flight(rig: Rig):
    """Five records, each in a request of its own; their handles and requests."""
    handles = [rig.send(b"%d" % number) for number in range(5)]
    sent = rig.turn()
    assert 5 == len(sent)
    return handles, sent


def values(sent) -> list[bytes]:
    return [value for one in sent for value in one.values]


def test_out_of_order_at_the_head_begins_a_new_epoch():
    """
    A head that the broker's idea of the sequence does not fit is sent under the next epoch.
    """
    rig = known()
    handles, sent = five_in_flight(rig)
    for one in sent:
        rig.answer(one, E.OUT_OF_ORDER_SEQUENCE_NUMBER)
    again = rig.advance(1)
    assert [b"0"] == values(again)
    again += rig.answer(again[0])
    assert [b"0", b"1", b"2", b"3", b"4"] == values(again)
    assert [(7, 1, number) for number in range(5)] == [one.identity for one in again]
    for one in again[1:]:
        rig.answer(one)

    assert [0, 1, 2, 3, 4] == [handle.result().offset for handle in handles]
    assert 1 == rig.engine.stats.epoch_bumps
    rig.assert_idle()


@pytest.mark.parametrize("code", [E.UNKNOWN_PRODUCER_ID, E.INVALID_PRODUCER_EPOCH])
def test_forgotten_producer_begins_a_new_epoch(code):
    """
    A broker that does not know the producer any more gets the batch under the next epoch.
    """
    rig = known()
    delivery = rig.send(b"a")
    [sent] = rig.turn()
    rig.answer(sent, code)
    rig.advance(1)
    again = rig.sent[1]
    assert (7, 1, 0) == again.identity
    rig.answer(again)

    assert 0 == delivery.result().offset
    rig.assert_idle()


def test_recovery_is_not_tried_without_pause():
    """
    A broker that refuses every epoch is not asked as fast as it can answer.
    """
    rig = known(delivery_timeout=10.0, request_timeout=5.0)
    delivery = rig.send(b"a")
    rig.turn()
    while not delivery.done():
        if len(rig.sent) > 100:
            pytest.fail("more than 100 attempts in 10 seconds")
        sent = rig.sent[-1]
        if not rig.answer(sent, E.OUT_OF_ORDER_SEQUENCE_NUMBER):
            while not rig.advance(0.1) and not delivery.done():
                pass

    assert isinstance(delivery.exception(), DeliveryTimeout)


def test_other_partitions_keep_their_epoch():
    """
    An epoch is raised for the partition that needs it; others go on with their numbers.
    """
    rig = known({"t": [1, 1]})
    rig.send(b"a", partition=0)
    rig.send(b"b", partition=1)
    rig.turn()
    [sent] = rig.sent
    rig.answer(sent, parts={("t", 0): {"error_code": E.OUT_OF_ORDER_SEQUENCE_NUMBER}})
    rig.advance(1)
    rig.send(b"c", partition=1)
    rig.turn()
    found = [
        (tp, b.header.producer_epoch, b.header.base_sequence)
        for s in rig.sent[1:]
        for tp, b in s.batches.items()
    ]

    assert [(("t", 0), 1, 0), (("t", 1), 0, 1)] == found


def test_partition_that_lags_takes_the_newest_epoch():
    """
    The second partition to recover takes the epoch that is there, not one more.
    """
    rig = known({"t": [1, 1]})
    rig.send(b"a", partition=0)
    rig.send(b"b", partition=1)
    rig.turn()
    rig.answer(rig.sent[0], E.OUT_OF_ORDER_SEQUENCE_NUMBER)
    rig.advance(1)
    epochs = [b.header.producer_epoch for one in rig.sent[1:] for b in one.batches.values()]

    assert [1, 1] == epochs


def test_last_epoch_is_followed_by_a_new_producer_id():
    """
    Where no epoch is left, a new producer id is asked for.
    """
    rig = known()
    rig.send(b"a")
    rig.turn()
    rig.answer(rig.sent[0])
    rig.engine._identity.epoch = 32767
    queue = rig.appender.topics["t"].partitions[0].queue
    queue.epoch = 32767
    rig.produce_id = 8
    rig.send(b"b")
    [sent] = rig.turn()
    assert (7, 32767, 1) == sent.identity
    rig.answer(sent, E.OUT_OF_ORDER_SEQUENCE_NUMBER)
    rig.advance(1)

    assert (8, 0, 0) == rig.sent[-1].identity


def test_in_doubt_batch_is_never_stamped_anew():
    """
    A batch that the log may have fails, told so, when the broker lost track of the producer.
    """
    rig = known()
    delivery = rig.send(b"a")
    rig.turn()
    rig.lose()
    [again] = rig.advance(1)
    rig.answer(again, E.OUT_OF_ORDER_SEQUENCE_NUMBER)

    error = delivery.exception()
    assert isinstance(error, BrokerRejected)
    assert error.maybe_written
    assert 2 == error.attempts
    rig.send(b"b")
    rig.advance(1)
    assert (7, 1, 0) == rig.sent[-1].identity
    rig.answer(rig.sent[-1])
    rig.assert_idle()


def test_in_doubt_follower_waits_for_the_head():
    """
    A follower refused only because the head is not in the log yet waits, in doubt or not.
    """
    rig = known()
    handles = [rig.send(b"0"), rig.send(b"1")]
    rig.turn()
    rig.lose()
    again = rig.advance(1)
    assert [b"0", b"1"] == values(again)
    rig.answer(again[0], E.NOT_ENOUGH_REPLICAS)
    rig.answer(again[1], E.OUT_OF_ORDER_SEQUENCE_NUMBER)
    third = rig.advance(2)
    assert [one.identity for one in again] == [one.identity for one in third]
    for one in third:
        rig.answer(one)

    assert [0, 1] == [handle.result().offset for handle in handles]
    rig.assert_idle()


def test_head_that_another_broker_acknowledges_explains_a_refusal():
    """
    While the head was unanswered the leader changed; the new one refused its followers, and the
    old one, leading again, acknowledged the head: the followers go there under their old numbers.
    """
    rig = known(metadata_max_age=5.0)
    head = rig.send(b"head")
    [first] = rig.turn()
    rig.lead(2)
    assert [] == rig.advance(10)
    followers = [rig.send(b"1"), rig.send(b"2")]
    refused = rig.turn()
    assert [2, 2] == [one.node for one in refused]

    rig.answer(first)
    rig.answer(refused[0], E.OUT_OF_ORDER_SEQUENCE_NUMBER)
    rig.lead(1)
    back = LeaderIdAndEpoch(leader_id=1, leader_epoch=2)
    rig.answer(refused[1], E.NOT_LEADER_OR_FOLLOWER, current_leader=back)
    rig.advance(1)
    again = rig.sent[3:]

    assert [1, 1] == [one.node for one in again]
    assert [one.identity for one in refused] == [one.identity for one in again]
    for one in again:
        rig.answer(one)
    assert [0, 1, 2] == [handle.result().offset for handle in (head, *followers)]
    assert 0 == rig.engine.stats.epoch_bumps
    rig.assert_idle()


def test_refusal_of_a_batch_sent_alone_is_the_brokers_last_word():
    """
    A follower that is refused again with nothing ahead of it any more gets the next epoch.
    """
    rig = known()
    head, follower = rig.send(b"head"), rig.send(b"follower")
    first, second = rig.turn()
    rig.answer(first)
    rig.answer(second, E.OUT_OF_ORDER_SEQUENCE_NUMBER)
    [again] = rig.advance(1)
    assert second.identity == again.identity
    rig.answer(again, E.OUT_OF_ORDER_SEQUENCE_NUMBER)
    [anew] = rig.advance(1)
    assert (7, 1, 0) == anew.identity
    rig.answer(anew)

    assert [0, 1] == [handle.result().offset for handle in (head, follower)]
    rig.assert_idle()


def test_definite_failure_of_the_last_leaves_no_gap():
    """
    The next batch takes the numbers of one that is in no log and had no followers.
    """
    rig = known()
    delivery = rig.send(b"a")
    [sent] = rig.turn()
    rig.answer(sent, E.INVALID_RECORD)
    assert not delivery.exception().maybe_written
    rig.send(b"b")
    [later] = rig.turn()

    assert sent.identity == later.identity
    rig.answer(later)
    rig.assert_idle()


def test_definite_failure_ahead_of_others_begins_a_new_epoch():
    """
    Followers of a batch that is gone for good are refused for the gap, and sent under a new epoch.
    """
    rig = known()
    handles, sent = five_in_flight(rig)
    rig.answer(sent[0], E.INVALID_RECORD)
    for one in sent[1:]:
        rig.answer(one, E.OUT_OF_ORDER_SEQUENCE_NUMBER)
    again = rig.advance(1)
    again += rig.answer(again[0])
    assert [b"1", b"2", b"3", b"4"] == values(again)
    assert [(7, 1, number) for number in range(4)] == [one.identity for one in again]
    for one in again[1:]:
        rig.answer(one)

    assert isinstance(handles[0].exception(), BrokerRejected)
    assert [0, 1, 2, 3] == [handle.result().offset for handle in handles[1:]]
    rig.assert_idle()


def test_failure_that_may_be_written_leaves_its_numbers():
    """
    The numbers of a batch that the log may have are not given to another.
    """
    rig = known()
    delivery = rig.send(b"a")
    [sent] = rig.turn()
    rig.answer(sent, E.UNKNOWN_SERVER_ERROR)
    assert delivery.exception().maybe_written
    rig.send(b"b")
    rig.advance(1)

    assert (7, 1, 0) == rig.sent[-1].identity


def test_expired_batch_in_flight_makes_followers_wait_for_its_fate():
    """
    After a batch under way timed out, the partition's next batch begins a new epoch once the
    connection says what became of it.
    """
    rig = known(delivery_timeout=5.0, request_timeout=30.0)
    delivery = rig.send(b"a")
    [sent] = rig.turn()
    rig.advance(6)
    error = delivery.exception()
    assert isinstance(error, DeliveryTimeout)
    assert error.maybe_written
    later = rig.send(b"b")
    assert [] == rig.advance(1)
    [second] = rig.answer(sent)
    assert (7, 1, 0) == second.identity
    rig.answer(second)

    assert 1 == later.result().offset
    rig.assert_idle()


def test_recovery_first_settles_what_the_log_may_have():
    """
    Before a new epoch, batches in doubt are sent again under their old numbers, alone.
    """
    rig = known()
    handles, sent = five_in_flight(rig)
    rig.answer(sent[0], E.INVALID_RECORD)
    rig.lose()
    again = rig.advance(1)
    assert [sent[1].identity] == [again[0].identity]
    old = {one.identity for one in sent}
    assert all(one.identity in old for one in again)
    while len([h for h in handles if h.done()]) < 5:
        todo = [one for one in rig.sent[5:] if one.tag in rig.engine._links.node(1).in_flight]
        if not todo:
            rig.advance(1)
            continue
        rig.answer(todo[0], E.DUPLICATE_SEQUENCE_NUMBER)

    assert [-1] * 4 == [handle.result().offset for handle in handles[1:]]
    rig.send(b"new")
    rig.advance(1)
    assert (7, 1, 0) == rig.sent[-1].identity


def test_doubt_does_not_wait_for_a_batch_that_waits_for_it():
    """
    The head was refused and waits for the next epoch, which waits for the follower in doubt: told
    that it is out of order, the follower fails with its fate open, and the head goes on.
    """
    rig = known()
    head = rig.send(b"head")
    follower = rig.send(b"follower")
    first, second = rig.turn()
    rig.answer(first, E.OUT_OF_ORDER_SEQUENCE_NUMBER)
    rig.lose()
    [again] = rig.advance(1)
    assert second.identity == again.identity
    [anew] = rig.answer(again, E.OUT_OF_ORDER_SEQUENCE_NUMBER)
    rig.answer(anew)

    assert (7, 1, 0) == anew.identity
    assert head.result().offset >= 0
    assert follower.exception().maybe_written
    rig.assert_idle()


def test_first_batch_of_an_epoch_goes_alone():
    """
    Until a broker took a batch of the epoch, the next one waits: a broker that knows nothing of a
    producer takes any first sequence number, and a first batch refused would come second.
    """
    rig = Rig(batch_max_records=1, linger=0.0)
    handles = [rig.send(b"%d" % number) for number in range(3)]
    rig.advance(1)
    assert [[b"0"]] == [one.values for one in rig.sent]
    assert [] == rig.answer(rig.sent[0], E.NOT_ENOUGH_REPLICAS)
    [again] = rig.advance(1)
    assert [b"0"] == again.values
    followers = rig.answer(again)
    assert [[b"1"], [b"2"]] == [one.values for one in followers]
    for one in followers:
        rig.answer(one)

    assert [0, 1, 2] == [handle.result().offset for handle in handles]


def test_first_batch_to_a_topic_made_anew_goes_alone():
    """
    A topic that was deleted and made again takes any first sequence number: sent together, the
    second batch could be in it before the first, and the first would come behind it.
    """
    rig = known()
    handles, sent = five_in_flight(rig)
    for one in sent:
        rig.answer(one, E.UNKNOWN_TOPIC_OR_PARTITION)
    [again] = rig.advance(1)
    assert [b"0"] == again.values
    assert [] == rig.answer(again, E.UNKNOWN_TOPIC_OR_PARTITION)
    [again] = rig.advance(1)
    followers = rig.answer(again)
    assert [b"1", b"2", b"3", b"4"] == values(followers)
    for one in followers:
        rig.answer(one)

    assert [0, 1, 2, 3, 4] == [handle.result().offset for handle in handles]
    rig.assert_idle()


def test_nothing_new_is_sent_behind_a_batch_in_doubt():
    """
    A broker remembers five batches: one that was appended and called failed must still be among
    them when it is sent again, also where those behind it were acknowledged.
    """
    rig = known()
    handles, sent = five_in_flight(rig)
    handles += [rig.send(b"%d" % number) for number in range(5, 9)]
    rig.answer(sent[0], E.NOT_ENOUGH_REPLICAS_AFTER_APPEND)
    for one in sent[1:]:
        rig.answer(one)
    [again] = rig.advance(1)
    assert [b"0"] == again.values
    assert [b"5", b"6", b"7", b"8"] == values(rig.answer(again))


def test_open_batch_is_not_closed_before_it_can_be_sent():
    """
    While the first batch of an epoch is out, the next one goes on filling.
    """
    rig = Rig(linger=0.0)
    rig.send(b"0")
    [first] = rig.turn()
    rig.send(b"1")
    assert [] == rig.turn()
    rig.send(b"2")
    [second] = rig.answer(first)

    assert [b"1", b"2"] == second.values


def test_halves_of_a_first_batch_go_one_by_one():
    """
    A first batch that is split has its first half in the log before the second is sent.
    """
    rig = Rig(linger=0.0)
    rig.send(b"0")
    rig.send(b"1")
    [whole] = rig.turn()
    [first] = rig.answer(whole, E.MESSAGE_TOO_LARGE)
    assert [b"0"] == first.values
    [second] = rig.answer(first)

    assert [b"1"] == second.values


def test_head_that_waits_for_an_epoch_does_not_keep_the_doubtful_back():
    """
    With the head refused for good under its epoch, a follower in doubt is asked about first.
    """
    rig = known()
    handles = [rig.send(b"0"), rig.send(b"1")]
    sent = rig.turn()
    rig.answer(sent[0], E.UNKNOWN_PRODUCER_ID)
    rig.lose()
    [asked] = rig.advance(1)
    assert sent[1].identity == asked.identity
    rig.answer(asked, E.DUPLICATE_SEQUENCE_NUMBER)
    rig.advance(1)
    assert (7, 1, 0) == rig.sent[-1].identity
    rig.answer(rig.sent[-1])

    assert [0, -1] == [handle.result().offset for handle in handles]
    rig.assert_idle()
