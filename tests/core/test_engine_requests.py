"""How the engine packs batches into requests, and how much is under way at a time."""

from __future__ import annotations

import pytest

from pyproducer.core.appender_rules import BATCH_HELD, RECORD_HELD
from pyproducer.records.codec import Codec
from tests.helpers.engine_rig import Rig


def known(topics=None, **options) -> Rig:
    """A rig that knows its topics, brokers and producer id, and has sent nothing."""
    rig = Rig(topics, **options)
    for topic in rig.topics:
        rig.engine.want(topic, rig.now)
    rig.turn()
    return rig


def test_one_request_carries_the_ready_partitions_of_a_broker():
    """
    Batches of one broker's partitions share a request; other brokers get their own.
    """
    rig = known({"t": [1, 1, 2], "u": [1]})
    for partition in range(3):
        rig.send(b"%d" % partition, partition=partition)
    rig.send(b"u", topic="u", partition=0)
    sent = {one.node: set(one.batches) for one in rig.advance(0.01)}

    assert {1: {("t", 0), ("t", 1), ("u", 0)}, 2: {("t", 2)}} == sent


def test_request_size_is_kept():
    """
    Batches that together exceed max_request_size go in several requests.
    """
    rig = known({"t": [1] * 6}, max_request_size=3000, batch_size=1000, linger=0.0)
    for partition in range(6):
        rig.send(b"x" * 850, partition=partition)
    sent = rig.turn()

    assert {("t", n) for n in range(6)} == {tp for one in sent for tp in one.batches}
    assert all(one.size <= 3000 - 512 for one in sent)
    assert [2, 2, 2] == [len(one.batches) for one in sent]


def test_thousands_of_partitions_are_served_bit_by_bit():
    """
    However many partitions are ready, one poll sends the batches of a few hundred and asks for
    the next: the event loop has turns in between. None is left out.
    """
    rig = known({"t": [1] * 700}, linger=0.0, max_request_size=1 << 20, buffer_memory=1 << 24)
    for partition in range(700):
        rig.send(b"x", partition=partition)
    more = []
    while effects := rig.poll():
        more.append(rig.engine.has_more)
        for effect in effects:
            rig._perform(effect)

    assert [256, 256, 188] == [len(one.batches) for one in rig.sent]
    # The first one connects.
    assert [False, True, True, False] == more


def test_callers_may_fill_what_has_to_wait():
    """
    While more partitions are ready than a request takes, a caller who never sleeps owes the event
    loop a turn after a megabyte, four times as late as otherwise: fuller batches are fewer.
    """
    rig = known({"t": [1] * 700}, linger=0.0, max_request_size=1 << 20, buffer_memory=1 << 24)
    appender = rig.appender

    def fill() -> int:
        count = 0
        while not appender.turn_due:
            rig.send(b"x" * 500, partition=count % 700)
            count += 1
        return count

    usual = fill()
    for partition in range(700):
        rig.send(b"x", partition=partition)
    rig.engine.begin_turn()
    for effect in rig.poll():
        rig._perform(effect)
    rig.poll()
    more = fill()
    while rig.poll():
        rig.engine.begin_turn()

    assert 3.9 < more / usual < 4.1
    assert usual == fill()


def test_batch_as_large_as_a_request_goes_alone():
    """
    A record of the largest size allowed is sent, not stuck.
    """
    rig = known({"t": [1, 1]}, max_request_size=3000, batch_size=3000, linger=0.0)
    rig.send(b"x" * (3000 - 61 - 31 - 1), partition=0)
    rig.send(b"y" * (3000 - 61 - 31 - 1), partition=1)
    sent = rig.turn()

    assert [1, 1] == [len(one.batches) for one in sent]


def test_partitions_take_turns():
    """
    Partitions that always have something to send get equal shares of the requests.
    """
    rig = known({"t": [1] * 4}, max_request_size=2000, batch_size=1000, linger=0.0, max_in_flight=1)
    for _ in range(6):
        for partition in range(4):
            rig.send(b"x" * 900, partition=partition)
    rig.turn()
    order = []
    for _ in range(24):
        [last] = [rig.sent[-1]]
        order += [number for _, number in last.batches]
        rig.answer(last)

    rounds = [order[at : at + 4] for at in range(0, 24, 4)]
    assert [[0, 1, 2, 3]] * 6 == [sorted(one) for one in rounds]
    rig.assert_idle()


def test_one_partition_has_one_batch_in_a_request():
    """
    Further batches of a partition go with further requests.
    """
    rig = known(batch_max_records=1, linger=0.0).prove()
    for number in range(3):
        rig.send(b"%d" % number)
    sent = rig.turn()

    assert [[b"0"], [b"1"], [b"2"]] == [one.values for one in sent]


def test_max_in_flight_holds_per_connection():
    """
    No more requests are unanswered on a connection than allowed.
    """
    rig = known(
        {"t": [1] * 4}, batch_max_records=1, linger=0.0, max_in_flight=2, max_request_size=1300
    )
    for partition in range(4):
        rig.send(b"x" * 400, partition=partition)
    sent = rig.turn()
    assert 2 == len(sent)
    assert 1 == len(rig.answer(sent[0]))
    assert 1 == len(rig.answer(sent[1]))


def test_five_batches_of_a_partition_are_unresolved_at_most():
    """
    The broker can tell duplicates of a producer's last five batches of a partition, no more.
    """
    rig = known(batch_max_records=1, linger=0.0, max_in_flight=50).prove()
    for number in range(8):
        rig.send(b"%d" % number)
    sent = rig.turn()
    assert 5 == len(sent)
    [sixth] = rig.answer(sent[0])
    assert [b"5"] == sixth.values


def test_five_stay_the_limit_across_connections():
    """
    Batches whose connection broke still count: their fate is open.
    """
    rig = known({"t": [1, 1]}, batch_max_records=1, linger=0.0, max_in_flight=50).prove()
    for number in range(8):
        rig.send(b"%d" % number, partition=0)
    assert 5 == len(rig.turn())
    rig.lose()
    again = rig.advance(5)

    assert [[b"%d" % number] for number in range(5)] == [one.values for one in again]
    assert [0, 1, 2, 3, 4] == [one.identity[2] for one in again]


def test_without_idempotence_one_batch_of_a_partition_is_in_flight():
    """
    Order needs one at a time where sequence numbers do not keep it.
    """
    rig = known(idempotent=False, acks=1, batch_max_records=1, linger=0.0)
    for number in range(3):
        rig.send(b"%d" % number)
    [first] = rig.turn()
    assert (-1, -1, -1) == first.identity
    [again] = rig.answer(first, 19) or rig.advance(1)
    assert [b"0"] == again.values
    [second] = rig.answer(again)
    assert [b"1"] == second.values


def test_acks_zero_is_done_when_written():
    """
    With acks=0 a record is delivered, its offset unknown, once it is written.
    """
    rig = known(idempotent=False, acks=0, linger=0.0)
    delivery = rig.send(b"a")
    [sent] = rig.turn()

    assert not sent.expect_response
    assert 0 == sent.message.acks
    assert -1 == delivery.result().offset
    rig.assert_idle()


def test_throttled_broker_is_left_alone():
    """
    A broker that asks for a pause gets no produce request before it is over (KIP-219).
    """
    rig = known(batch_max_records=1, linger=0.0)
    rig.send(b"a")
    [sent] = rig.turn()
    rig.answer(sent, throttle_ms=2000)
    rig.send(b"b")
    assert [] == rig.advance(1.99)
    [later] = rig.advance(0.02)

    assert [b"b"] == later.values
    assert 2.0 == rig.engine.stats.throttled_s


def test_request_says_acks_and_timeout():
    """
    The request carries the acks wanted and the time the broker has for them.
    """
    rig = known(acks=1, idempotent=False, request_timeout=12.5, linger=0.0)
    rig.send(b"a")
    [sent] = rig.turn()

    assert (1, 12500, None) == (
        sent.message.acks,
        sent.message.timeout_ms,
        sent.message.transactional_id,
    )


@pytest.mark.parametrize("codec", [codec for codec in Codec if codec])
def test_batches_are_compressed(codec):
    """
    What compression shrinks goes out compressed, and is charged at its compressed size and what
    is kept beside it.
    """
    rig = known(codec=codec, linger=0.0)
    deliveries = [rig.send(b"same " * 30) for _ in range(3)]
    [sent] = rig.turn()

    assert codec is sent.batch.header.codec
    assert [b"same " * 30] * 3 == sent.values
    beside = BATCH_HELD + 3 * RECORD_HELD
    assert len(sent.batch.view) - 61 + beside == rig.appender.used
    rig.answer(sent)
    assert [0, 1, 2] == [one.result().offset for one in deliveries]
    rig.assert_idle()


def test_what_does_not_shrink_goes_plain():
    """
    A body that compression makes no smaller is sent as it is.
    """
    rig = known(codec=Codec.GZIP, linger=0.0)
    rig.send(b"x")
    [sent] = rig.turn()

    assert Codec.NONE is sent.batch.header.codec
    rig.answer(sent)
    rig.assert_idle()


def test_topic_may_have_a_codec_of_its_own():
    """
    A topic's compression goes before the producer's.
    """
    rig = known({"t": [1], "u": [1]}, codec=Codec.GZIP, linger=0.0)
    rig.appender.topic("u").codec = Codec.ZSTD
    rig.send(b"same " * 30)
    rig.send(b"same " * 30, topic="u")
    [sent] = rig.turn()

    assert {("t", 0): Codec.GZIP, ("u", 0): Codec.ZSTD} == {
        tp: batch.header.codec for tp, batch in sent.batches.items()
    }


def test_compression_done_out_of_order_keeps_order():
    """
    A batch compressed sooner than the one ahead of it waits for that one.
    """
    rig = known(codec=Codec.GZIP, batch_max_records=2, linger=0.0).prove()
    rig.hold_compression = True
    for value in (b"a", b"b", b"c", b"d"):
        rig.send(value * 100)
    assert [] == rig.turn()
    first, second = rig.compressing
    rig.finish_compression(second)
    assert [] == rig.turn()
    rig.finish_compression(first)
    sent = rig.turn()

    assert [[b"a" * 100, b"b" * 100], [b"c" * 100, b"d" * 100]] == [one.values for one in sent]
    assert [0, 2] == [one.identity[2] for one in sent]


def test_no_broker_is_bothered_without_records():
    """
    A broker that leads partitions nobody sends to is not connected to.
    """
    rig = known({"t": [1, 2]})
    rig.send(b"a", partition=0)
    rig.advance(1)
    nodes = {effect.node for effect in rig.effects if type(effect).__name__ == "Connect"}

    assert {-1, 1} == nodes
