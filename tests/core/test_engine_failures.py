"""How records end that are not delivered: timeouts in every state, splits, refusals, the end."""

from __future__ import annotations

import copy

import pytest

from pyproducer.errors import (
    BrokerRejected,
    ClusterAuthorizationFailed,
    DeliveryError,
    DeliveryTimeout,
    UnknownTopic,
)
from pyproducer.protocol.error_codes import ErrorCode
from pyproducer.protocol.messages.produce import BatchIndexAndErrorMessage
from pyproducer.records.codec import Codec
from tests.helpers.engine_rig import Rig

E = ErrorCode


def known(topics=None, **options) -> Rig:
    """A rig that knows its topics, brokers and producer id, and sends at once."""
    rig = Rig(topics, **({"linger": 0.0} | options))
    for topic in rig.topics:
        rig.engine.want(topic, rig.now)
    rig.turn()
    return rig


def timed_out(rig: Rig, delivery, *, maybe: bool, attempts: int, after: float = 120.0):
    """Let the delivery's time pass; it fails not before, and in the way named."""
    begun = rig.now
    rig.advance(after - 0.001)
    assert not delivery.done()
    rig.advance(0.002)
    error = delivery.exception()
    assert isinstance(error, DeliveryTimeout)
    assert (maybe, attempts) == (error.maybe_written, error.attempts)
    assert error.retriable
    assert after == pytest.approx(error.elapsed, abs=0.01)
    assert begun + after == pytest.approx(rig.now, abs=0.01)
    return error


def test_timeout_on_the_shelf():
    """
    A record whose topic nobody can tell about fails in time, never sent.
    """
    rig = Rig()
    rig.down = {-1}
    delivery = rig.send(b"a")
    error = timed_out(rig, delivery, maybe=False, attempts=0)

    assert "refused" in str(error)
    assert "seed:9092" in str(error)
    rig.assert_idle()


def test_timeout_in_an_open_batch():
    """
    A record of a batch that nothing closed fails in time.
    """
    rig = known(linger=None)
    delivery = rig.send(b"a")
    rig.turn()
    timed_out(rig, delivery, maybe=False, attempts=0)
    rig.assert_idle()


def test_timeout_during_compression():
    """
    A record whose batch is being compressed fails in time; the late body is ignored.
    """
    rig = known(codec=Codec.GZIP)
    rig.hold_compression = True
    delivery = rig.send(b"a" * 100)
    rig.turn()
    timed_out(rig, delivery, maybe=False, attempts=0)
    rig.engine.on_compressed(rig.compressing[0].sealed, b"squeezed")
    assert [] == rig.advance(1)
    rig.assert_idle()


def test_timeout_while_waiting_for_a_leader():
    """
    A record of a partition without a leader fails in time, and says so.
    """
    rig = known({"t": [1, -1]})
    delivery = rig.send(b"a", partition=1)
    rig.turn()
    error = timed_out(rig, delivery, maybe=False, attempts=0)

    assert "no leader is known" in str(error)
    rig.assert_idle()


def test_timeout_while_waiting_for_a_connection():
    """
    A record whose broker is down fails in time.
    """
    rig = known()
    rig.down = {1}
    delivery = rig.send(b"a")
    rig.turn()
    timed_out(rig, delivery, maybe=False, attempts=0)
    rig.assert_idle()


def test_timeout_in_flight():
    """
    A record that is under way when its time is up may be written.
    """
    rig = known(delivery_timeout=20.0)
    delivery = rig.send(b"a")
    [sent] = rig.turn()
    timed_out(rig, delivery, maybe=True, attempts=1, after=20.0)
    assert 0 == rig.appender.used
    [unresolved] = rig.appender.topics["t"].partitions[0].queue.in_flight
    assert None is unresolved.body
    rig.answer(sent)
    rig.assert_idle()


def test_timeout_between_attempts():
    """
    A record that was refused again and again, definitely, fails in time and is in no log.
    """
    rig = known(delivery_timeout=2.0, retry_backoff=(0.6, 0.6), request_timeout=1.0)
    delivery = rig.send(b"a")
    rig.turn()
    for _ in range(3):
        rig.answer(rig.sent[-1], E.NOT_ENOUGH_REPLICAS)
        rig.advance(0.6)
    rig.answer(rig.sent[-1], E.NOT_ENOUGH_REPLICAS)
    assert not delivery.done()
    rig.advance(1)
    error = delivery.exception()

    assert isinstance(error, DeliveryTimeout)
    assert (False, 4, "NOT_ENOUGH_REPLICAS") == (
        error.maybe_written,
        error.attempts,
        error.broker_error,
    )
    rig.assert_idle()


def test_timeout_between_attempts_in_doubt():
    """
    A record one of whose attempts went unanswered may be written when its time is up.
    """
    rig = known(delivery_timeout=2.0, request_timeout=1.0)
    delivery = rig.send(b"a")
    rig.turn()
    rig.lose()
    rig.down = {1}
    rig.advance(3)
    error = delivery.exception()

    assert isinstance(error, DeliveryTimeout)
    assert error.maybe_written
    assert "connection reset" in str(error)
    rig.assert_idle()


def test_timeout_counts_from_the_call_across_the_shelf():
    """
    Time spent waiting for metadata is part of the delivery timeout.
    """
    rig = Rig(delivery_timeout=10.0, request_timeout=60.0)
    rig.hold_metadata = True
    delivery = rig.send(b"a")
    rig.advance(9)
    rig.hold_metadata = False
    rig.release()
    rig.turn()
    rig.lose()
    rig.down = {1}
    rig.advance(1.01)

    assert isinstance(delivery.exception(), DeliveryTimeout)
    assert 10 == pytest.approx(delivery.exception().elapsed, abs=0.02)
    rig.assert_idle()


def test_halves_of_a_split_keep_the_time_of_the_whole():
    """
    Records of a batch that was split fail when the whole would have.
    """
    rig = known(delivery_timeout=20.0).prove()
    handles = [rig.send(b"%d" % number) for number in range(4)]
    [sent] = rig.turn()
    rig.advance(5)
    halves = rig.answer(sent, E.MESSAGE_TOO_LARGE)
    assert 2 == len(halves)
    rig.advance(14.9)
    assert not any(handle.done() for handle in handles)
    rig.advance(0.2)

    assert all(isinstance(handle.exception(), DeliveryTimeout) for handle in handles)
    assert [2] * 4 == [handle.exception().attempts for handle in handles]
    assert [20] * 4 == pytest.approx([handle.exception().elapsed for handle in handles], abs=0.1)
    for half in halves:
        rig.answer(half)
    rig.assert_idle()


def test_retries_are_counted():
    """
    With retries set, so many attempts beyond the first are made, and the error says why.
    """
    rig = known(retries=2, idempotent=False)
    refused = rig.send(b"a")
    rig.turn()
    for _ in range(2):
        rig.answer(rig.sent[-1], E.NOT_ENOUGH_REPLICAS)
        rig.advance(2)
    assert 3 == len(rig.sent)
    rig.answer(rig.sent[-1], E.NOT_ENOUGH_REPLICAS)
    error = refused.exception()
    assert isinstance(error, BrokerRejected)
    assert (3, False, True) == (error.attempts, error.maybe_written, error.retriable)
    assert "retries=2" in str(error)

    rig = known(retries=0, idempotent=False)
    lost = rig.send(b"a")
    rig.turn()
    rig.lose()
    error = lost.exception()
    assert type(error) is DeliveryError
    assert (1, True) == (error.attempts, error.maybe_written)
    assert error.broker_error is None
    rig.advance(1)
    rig.assert_idle()


def test_record_errors_name_the_guilty():
    """
    Records that the broker names fail with its words; the others may be sent again.
    """
    rig = known()
    handles = [rig.send(b"%d" % number) for number in range(4)]
    [sent] = rig.turn()
    rig.answer(
        sent,
        E.INVALID_RECORD,
        record_errors=[
            BatchIndexAndErrorMessage(batch_index=2, batch_index_error_message="no key"),
            BatchIndexAndErrorMessage(batch_index=9, batch_index_error_message="nobody"),
        ],
    )
    errors = [handle.exception() for handle in handles]

    assert [True, True, False, True] == [error.retriable for error in errors]
    assert "no key" in str(errors[2])
    assert "no key" == errors[2].reason
    assert "other record" in str(errors[0])
    assert [False] * 4 == [error.maybe_written for error in errors]
    assert [0] * 4 == [error.partition for error in errors]
    rig.assert_idle()


def test_partition_left_out_of_the_answer_is_sent_again():
    """
    An answer that is silent about a partition leaves its batch in doubt.
    """
    rig = known({"t": [1, 1]})
    first = rig.send(b"a", partition=0)
    second = rig.send(b"b", partition=1)
    [sent] = rig.turn()
    response = rig.response(sent)
    del response.responses[0].partition_responses[1]
    rig.answer(sent, response=response)
    assert (True, False) == (first.done(), second.done())
    [again] = rig.advance(1)
    assert {("t", 1)} == set(again.batches)
    rig.answer(again)
    rig.assert_idle()


def test_fail_all_settles_every_state():
    """
    At the end everything is settled once: shelf, open, waiting, in flight; counted, and in time.
    """
    rig = known({"t": [1, 1, -1]}, linger=None, batch_max_records=2)
    under_way = [rig.send(b"a", partition=0) for _ in range(2)]
    [sent] = rig.turn()
    waiting = [rig.send(b"b", partition=2) for _ in range(2)]
    opened = [rig.send(b"c", partition=1)]
    shelved = [rig.send(b"d", topic="unknown")]
    asked = []

    def make(topic, partition, elapsed, maybe, attempts):
        asked.append((topic, partition, maybe, attempts))
        return DeliveryTimeout("closed", topic=topic, partition=partition, maybe_written=maybe)

    count = rig.engine.fail_all(make, rig.now)

    assert 6 == count
    assert sorted(
        [("t", 0, True, 1), ("t", 2, False, 0), ("t", 1, False, 0), ("unknown", None, False, 0)],
        key=str,
    ) == sorted(asked, key=str)
    for handle in (*under_way, *waiting, *opened, *shelved):
        assert isinstance(handle.exception(), DeliveryTimeout)
    assert [True, True, False, False, False, False] == [
        handle.exception().maybe_written for handle in (*under_way, *waiting, *opened, *shelved)
    ]
    rig.answer(sent)
    rig.advance(1)
    rig.assert_idle()


def test_fatal_refusal_tells_each_what_it_met():
    """
    What was in flight when another batch met a fatal refusal may be written; the guilty is not.
    """
    rig = known(batch_max_records=1).prove()
    guilty, flying = rig.send(b"a"), rig.send(b"b")
    waiting = [rig.send(b"%d" % number) for number in range(5)]
    shelved = rig.send(b"c", topic="unknown")
    rig.turn()
    rig.answer(rig.sent[0], E.CLUSTER_AUTHORIZATION_FAILED)

    assert not guilty.exception().maybe_written
    assert flying.exception().maybe_written
    assert not waiting[-1].exception().maybe_written
    assert not shelved.exception().maybe_written
    assert "unknown" == shelved.exception().topic
    assert "CLUSTER_AUTHORIZATION_FAILED" == flying.exception().broker_error
    with pytest.raises(BrokerRejected) as one:
        rig.send(b"late")
    with pytest.raises(BrokerRejected) as other:
        rig.send(b"late")
    assert one.value is not other.value
    for sent in rig.sent[1:]:
        rig.answer(sent)
    rig.advance(10)
    rig.assert_idle()


def test_fatal_refusal_waits_for_the_rest_of_its_answer():
    """
    What another partition of the same answer took is acknowledged, whichever comes first.
    """
    rig = known({"t": [1, 1]}, linger=0.005, batch_max_records=10).prove()
    guilty, written = rig.send(b"a", partition=0), rig.send(b"b", partition=1)
    [sent] = rig.advance(0.01)
    answers = {("t", 0): {"error_code": E.CLUSTER_AUTHORIZATION_FAILED}}
    rig.answer(sent, parts=answers)

    assert not guilty.exception().maybe_written
    assert written.exception() is None
    assert rig.engine.fatal_error is not None
    rig.assert_idle()


def test_fatal_refusal_dismisses_those_who_wait_for_room():
    """
    Callers that wait for room are told when the producer stops.
    """
    rig = known(buffer_memory=4096, batch_size=4000)
    rig.send(b"x" * 3000)
    told = []
    rig.engine.waiters.join(rig.accept(b"y" * 3000), told.append)
    [sent] = rig.turn()
    rig.answer(sent, E.CLUSTER_AUTHORIZATION_FAILED)

    assert [ClusterAuthorizationFailed] == [type(one) for one in told]
    rig.assert_idle()


def test_failures_nobody_saw_are_counted_until_seen():
    """
    The ledger counts failed records without a callback or awaiter, until somebody looks.
    """
    rig = known()
    heard = []
    first = rig.send(b"a")
    rig.send(b"b")
    rig.send(b"c", on_delivery=heard.append)
    [sent] = rig.turn()
    rig.answer(sent, E.POLICY_VIOLATION)
    assert 1 == len(heard)
    assert 2 == rig.ledger.count
    first.exception()
    first.exception()

    assert 1 == rig.ledger.count
    assert {"t": 1} == dict(rig.ledger.by_topic)
    assert isinstance(rig.ledger.first_error, BrokerRejected)


def test_failure_listener_sees_each_batch():
    """
    on_delivery_failure is told how many records of which partition failed and why.
    """
    seen = []
    rig = known(on_failure=seen.append)
    rig.send(b"a")
    rig.send(b"b")
    [sent] = rig.turn()
    rig.answer(sent, E.POLICY_VIOLATION)

    [failure] = seen
    assert ("t", 0, 2) == (failure.topic, failure.partition, failure.count)
    assert isinstance(failure.error, BrokerRejected)
    assert 0 == rig.ledger.count


def test_callback_that_raises_is_no_obstacle(caplog):
    """
    Whatever a callback raises is logged, and those behind it are called.
    """
    rig = known()
    told = []

    class Odd(BaseException):
        """Not an Exception, as a cancellation is none."""

    def raising(error):
        def callback(delivery):
            told.append(delivery)
            raise error

        return callback

    rig.send(b"a", on_delivery=raising(ValueError("mine")))
    rig.send(b"b", on_delivery=raising(Odd("odd")))
    rig.send(b"c", on_delivery=told.append)
    [sent] = rig.turn()
    rig.answer(sent)

    assert 3 == len(told)
    assert 2 == sum("failed for a record of t-0" in record.message for record in caplog.records)
    rig.assert_idle()


def test_errors_of_a_batch_are_raised_without_growing():
    """
    Looking at a failed record many times leaves its traceback as it was.
    """
    rig = known()
    delivery = rig.send(b"a")
    [sent] = rig.turn()
    rig.answer(sent, E.POLICY_VIOLATION)
    depths = []
    for _ in range(3):
        try:
            delivery.result()
        except BrokerRejected as error:
            depth, trace = 0, error.__traceback__
            while trace is not None:
                depth, trace = depth + 1, trace.tb_next
            depths.append(depth)

    assert 1 == len(set(depths))
    assert vars(copy.copy(delivery.exception())) == vars(delivery.exception())


def test_unknown_topic_is_given_time():
    """
    A topic just created may be unknown for a moment; after that its records fail by name.
    """
    rig = Rig({})
    delivery = rig.send(b"a", topic="new")
    rig.advance(2.5)
    assert not delivery.done()
    rig.advance(2)

    assert isinstance(delivery.exception(), UnknownTopic)
    assert "'new' does not exist" in str(delivery.exception())
    assert rig.engine.is_unknown("new")
    rig.assert_idle()


def test_wrong_partition_fails_alone_when_metadata_comes():
    """
    A record for a partition that the topic lacks fails; its neighbours on the shelf are sent.
    """
    rig = Rig({"t": [1]}, linger=0.0)
    rig.hold_metadata = True
    rig.turn()
    good, bad, also = rig.send(b"a"), rig.send(b"b", partition=5), rig.send(b"c")
    rig.turn()
    flush = rig.engine.flush(rig.now, lambda: None)
    rig.hold_metadata = False
    rig.release()
    [sent] = rig.turn()
    assert [b"a", b"c"] == sent.values
    assert isinstance(bad.exception(), UnknownTopic)
    assert 5 == bad.partition
    rig.answer(sent)

    assert (0, 1) == (good.result().offset, also.result().offset)
    assert (2, 1) == (flush.report.delivered, flush.report.failed)
    rig.assert_idle()
