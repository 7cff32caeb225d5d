"""Batches that the broker finds too large, in halves: handles, order, sequences and doubt."""

from __future__ import annotations

import pytest

from pyproducer.errors import BrokerRejected
from pyproducer.protocol.error_codes import ErrorCode
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


@pytest.mark.parametrize("codec", [Codec.NONE, Codec.GZIP])
def test_batch_too_large_is_split(codec):
    """
    A batch that the broker finds too large goes in halves, as often as needed, in order.
    """
    rig = known(codec=codec, batch_size=10_000, max_request_size=20_000)
    told = []
    handles = [
        rig.send(
            b"%d" % number * 300,
            key=None if number % 2 else b"k%d" % number,
            headers={"n": b"%d" % number},
            partition=0,
            timestamp_ms=1000 + 7 * (number % 3),
            on_delivery=lambda delivery: told.append(delivery.result().offset),
        )
        for number in range(7)
    ]
    rig.turn()
    pending = list(rig.sent)
    written = []
    while pending:
        sent = pending.pop(0)
        if sent.batch.header.record_count > 2:
            pending += rig.answer(sent, E.MESSAGE_TOO_LARGE)
        else:
            written += [(s.key, s.value, s.headers, s.timestamp_ms) for s in sent.batch.records()]
            pending += rig.answer(sent)

    assert [
        (
            None if number % 2 else b"k%d" % number,
            b"%d" % number * 300,
            (("n", b"%d" % number),),
            1000 + 7 * (number % 3),
        )
        for number in range(7)
    ] == written
    assert list(range(7)) == [handle.result().offset for handle in handles]
    assert list(range(7)) == told
    assert [1000 + 7 * (n % 3) for n in range(7)] == [h.result().timestamp_ms for h in handles]
    rig.assert_idle()


def test_split_keeps_sequences():
    """
    Halves share the numbers of the whole, so that followers under way still fit.
    """
    rig = known(batch_max_records=5).prove()
    for _ in range(10):
        rig.send(b"x")
    first, second = rig.turn()
    assert (0, 5) == (first.identity[2], second.identity[2])
    rig.answer(first, E.MESSAGE_TOO_LARGE)
    rig.answer(second, E.OUT_OF_ORDER_SEQUENCE_NUMBER)
    rig.advance(1)
    later = rig.sent[2:]

    assert [(0, 2), (2, 3), (5, 5)] == [
        (one.identity[2], one.batch.header.record_count) for one in later
    ]
    for one in later:
        rig.answer(one)
    rig.assert_idle()


def test_split_batch_stays_in_doubt():
    """
    Halves of a batch that may be in the log are not stamped anew, for that could double it.
    """
    rig = known().prove()
    handles = [rig.send(b"a"), rig.send(b"b")]
    rig.turn()
    rig.lose()
    [again] = rig.advance(1)
    halves = rig.answer(again, E.MESSAGE_TOO_LARGE)
    assert 2 == len(halves)
    for half in halves:
        rig.answer(half, E.OUT_OF_ORDER_SEQUENCE_NUMBER)
    rig.advance(2)
    while rig.engine.in_flight:
        rig.answer(rig.sent[-1], E.OUT_OF_ORDER_SEQUENCE_NUMBER)
        rig.advance(2)

    assert [True, True] == [handle.exception().maybe_written for handle in handles]
    assert all(one.identity[1] == 0 for one in rig.sent)


def test_single_record_too_large_fails():
    """
    A record that is too large alone fails, and lets those behind it pass.
    """
    rig = known(batch_max_records=1)
    large, small = rig.send(b"a" * 500), rig.send(b"b")
    rig.turn()
    rig.answer(rig.sent[0], E.MESSAGE_TOO_LARGE)
    rig.answer(rig.sent[1], E.OUT_OF_ORDER_SEQUENCE_NUMBER)
    rig.advance(1)
    rig.answer(rig.sent[-1])

    error = large.exception()
    assert isinstance(error, BrokerRejected)
    assert E.MESSAGE_TOO_LARGE == error.code
    assert 0 == small.result().offset
    rig.assert_idle()
