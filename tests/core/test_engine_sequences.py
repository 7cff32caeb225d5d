"""Idempotence: sequence numbers through retries, refusals, losses and new epochs."""

from __future__ import annotations

from pyproducer.errors import BrokerRejected
from pyproducer.protocol.error_codes import ErrorCode
from pyproducer.protocol.messages.produce import LeaderIdAndEpoch, NodeEndpoint
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


def test_batches_are_numbered_at_sending():
    """
    A batch's sequence is the number of records sent to the partition before it.
    """
    rig = known({"t": [1, 1]}, batch_max_records=3)
    for _ in range(7):
        rig.send(b"x", partition=0)
    rig.send(b"y", partition=1)
    rig.turn()

    assert [0, 3, 6] == [
        one.batches["t", 0].header.base_sequence for one in rig.sent if ("t", 0) in one.batches
    ]
    assert 0 == rig.sent[0].batches["t", 1].header.base_sequence


def test_sequences_begin_again_after_the_largest():
    """
    After 2147483647 comes 0, also in the middle of a batch.
    """
    rig = known(batch_max_records=4)
    rig.send(b"x")
    rig.turn()
    queue = rig.appender.topics["t"].partitions[0].queue
    rig.answer(rig.sent[0])
    queue.next_sequence = 2**31 - 2
    for _ in range(8):
        rig.send(b"x")
    first, second = rig.turn()

    assert [2**31 - 2, 2] == [first.identity[2], second.identity[2]]
    assert 1 == first.batch.header.last_sequence


def test_nothing_is_sent_without_a_producer_id():
    """
    Batches wait for the producer id, and leave as soon as it is there.
    """
    rig = Rig(linger=0.0)
    rig.hold_identity = True
    rig.send(b"a")
    assert [] == rig.advance(1)
    rig.hold_identity = False
    rig.release()
    [sent] = rig.turn()

    assert (7, 0, 0) == sent.identity


def test_producer_id_is_asked_for_again_after_a_transient_error():
    """
    A coordinator that is loading does not end the producer.
    """
    rig = Rig(linger=0.0)
    rig.identity_error = int(E.COORDINATOR_LOAD_IN_PROGRESS)
    delivery = rig.send(b"a")
    assert [] == rig.advance(3)
    rig.identity_error = 0
    [sent] = rig.advance(2)
    rig.answer(sent)

    assert 0 == delivery.result().offset


def test_refused_producer_id_fails_each_record():
    """
    A client that may not write idempotently is told so, for each record, and rests meanwhile.
    """
    rig = Rig(linger=0.0)
    rig.identity_error = int(E.CLUSTER_AUTHORIZATION_FAILED)
    delivery = rig.send(b"a")
    rig.advance(1)

    error = delivery.exception()
    assert isinstance(error, BrokerRejected)
    assert E.CLUSTER_AUTHORIZATION_FAILED == error.code
    assert "enable_idempotence=False" in str(error)
    assert rig.engine.fatal_error is None
    other = rig.send(b"b")
    rig.advance(1000)
    assert isinstance(other.exception(), BrokerRejected)
    rig.assert_idle()


def test_retry_on_new_leader_keeps_sequence():
    """
    A batch refused by the old leader reaches the new one with its first sequence.
    """
    rig = known({"t": [1]})
    rig.advance(1)
    delivery = rig.send(b"a")
    [first] = rig.turn()
    rig.lead(2)
    [second] = rig.answer(first, E.NOT_LEADER_OR_FOLLOWER)
    assert (2, first.identity) == (second.node, second.identity)
    rig.answer(second)

    assert 0 == delivery.result().offset
    rig.assert_idle()


def test_leader_named_by_the_broker_is_believed_at_once():
    """
    A refusal that names the new leader (KIP-951) is followed without a pause and without asking.
    """
    rig = known({"t": [1]}, brokers=(1,))
    rig.send(b"a")
    [first] = rig.turn()
    asked = len(rig.metadata_asked)
    response = rig.response(
        first,
        E.NOT_LEADER_OR_FOLLOWER,
        current_leader=LeaderIdAndEpoch(leader_id=9, leader_epoch=4),
    )
    response.node_endpoints = [NodeEndpoint(node_id=9, host="nine", port=99)]
    rig.brokers[9] = ("nine", 99)
    rig.topics["t"].leaders, rig.topics["t"].epochs = [9], [4]
    [second] = rig.answer(first, response=response)

    assert (9, first.identity) == (second.node, second.identity)
    assert asked == len(rig.metadata_asked)
    [connect] = [e for e in rig.effects if type(e).__name__ == "Connect" and e.node == 9]
    assert ("nine", 99) == (connect.host, connect.port)


def test_older_metadata_does_not_undo_the_hint():
    """
    Metadata from a broker that has not heard of the new leader yet changes nothing.
    """
    rig = known({"t": [1]})
    rig.send(b"a")
    [first] = rig.turn()
    hint = LeaderIdAndEpoch(leader_id=2, leader_epoch=4)
    [second] = rig.answer(first, response=rig.response(first, 6, current_leader=hint))
    rig.advance(0.5)
    rig.answer(second)
    rig.send(b"b")
    rig.advance(0.5)

    assert [1, 2, 2] == [one.node for one in rig.sent]


def test_order_is_kept_when_the_head_fails():
    """
    A refused head is sent again before all that followed it, under the old numbers.
    """
    rig = known()
    handles, sent = five_in_flight(rig)
    rig.answer(sent[0], E.NOT_ENOUGH_REPLICAS)
    for one in sent[1:]:
        assert [] == rig.answer(one, E.OUT_OF_ORDER_SEQUENCE_NUMBER)
    again = rig.advance(1)
    assert [b"0", b"1", b"2", b"3", b"4"] == values(again)
    assert [one.identity for one in sent] == [one.identity for one in again]
    for one in again:
        rig.answer(one)

    assert [0, 1, 2, 3, 4] == [handle.result().offset for handle in handles]
    rig.assert_idle()


def test_connection_loss_puts_batches_back_in_order():
    """
    What was unanswered when a connection broke is sent again in order, numbers unchanged.
    """
    rig = known()
    handles, sent = five_in_flight(rig)
    rig.answer(sent[0])
    rig.lose()
    again = rig.advance(1)
    assert [one.identity for one in sent[1:]] == [one.identity for one in again]
    for one in again:
        rig.answer(one, E.DUPLICATE_SEQUENCE_NUMBER)

    assert [0, -1, -1, -1, -1] == [handle.result().offset for handle in handles]
    rig.assert_idle()


def test_request_without_answer_drops_the_connection():
    """
    After request_timeout the connection is given up and the batch sent on a new one.
    """
    rig = known(request_timeout=10.0)
    rig.send(b"a")
    [sent] = rig.turn()
    assert [] == rig.advance(9.9)
    assert [] == [e for e in rig.effects if type(e).__name__ == "Disconnect"]
    [again] = rig.advance(1)

    assert [1] == [e.node for e in rig.effects if type(e).__name__ == "Disconnect"]
    assert sent.identity == again.identity
    rig.answer(again)
    rig.assert_idle()


def test_new_batches_wait_behind_a_refused_one():
    """
    A batch that was not yet sent does not overtake one that waits for its next attempt.
    """
    rig = known()
    rig.send(b"a")
    [first] = rig.turn()
    rig.answer(first, E.NOT_ENOUGH_REPLICAS)
    rig.send(b"b")

    assert [b"a", b"b"] == values(rig.advance(1))


def test_refused_head_waits_for_the_answers_of_its_followers():
    """
    A head that comes back while followers are out waits: their answers decide what it gets.
    """
    rig = known()
    _, sent = five_in_flight(rig)
    rig.answer(sent[0], E.REQUEST_TIMED_OUT)
    assert [] == rig.advance(5)
    for one in sent[1:]:
        rig.answer(one)
    rig.advance(1)

    assert [b"0"] == values(rig.sent[5:])


def test_duplicate_is_success_without_an_offset():
    """
    A broker that has the batch already does not say where: offset -1.
    """
    rig = known()
    delivery = rig.send(b"a")
    [sent] = rig.turn()
    rig.answer(sent, E.DUPLICATE_SEQUENCE_NUMBER)

    assert -1 == delivery.result().offset
    rig.assert_idle()


def test_lost_question_for_a_producer_id_is_asked_again():
    """
    A connection that breaks before the producer id came does not leave the producer without.
    """
    rig = Rig(linger=0.0)
    rig.hold_identity = True
    rig.send(b"a")
    rig.turn()
    rig.lose(-1)
    rig.hold_identity = False
    rig.held.clear()

    assert [b"a"] == values(rig.advance(1))


def test_broken_connection_makes_metadata_stale():
    """
    A broker that went away while it owed an answer may lead nothing any more: metadata is asked.
    """
    rig = known()
    rig.advance(1)
    rig.send(b"a")
    rig.turn()
    rig.lead(2)
    rig.lose(1)
    rig.down = {1}
    [again] = rig.advance(1)

    assert 2 == again.node
