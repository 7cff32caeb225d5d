"""The broker's idea of a producer's sequence is not the producer's own."""

from __future__ import annotations

import pytest

from pyproducer import BrokerRejected
from pyproducer.records.batch import SEQUENCE_MODULUS
from tests.helpers.history import ReadBack
from tests.helpers.partition_logs import batch
from tests.helpers.scenario import Scenario
from tests.helpers.wire_client import WireClient

RECOVERED = ["UNKNOWN_PRODUCER_ID", "OUT_OF_ORDER_SEQUENCE_NUMBER", "INVALID_PRODUCER_EPOCH"]

#: Five small batches of a partition under way at once.
SMALL = {"batch_max_records": 2, "request_timeout_ms": 250}


def queue_of(producer, topic: str, partition: int = 0):
    return producer._appender.topic(topic).partitions[partition].queue


@pytest.mark.parametrize("times", [1, 3])
@pytest.mark.parametrize("code", RECOVERED)
async def test_refused_for_its_sequence(rig: Scenario, code: str, times: int):
    """
    The partition goes on under the next epoch, in order, without a restart.
    """
    async with rig.producer(**SMALL) as producer, rig.load(producer) as load:
        await load.acknowledged(20)
        for _ in range(20):
            fault = rig.faults.fail("Produce", code, times=times)
            await rig.struck(fault, times)
            await load.acknowledged(40)
            # One that was written behind another without an outcome is only sent again.
            if producer.metrics().epoch_bumps:
                break
        assert producer.metrics().epoch_bumps

    assert rig.errors() == []
    rig.check()


@pytest.mark.parametrize("code", RECOVERED)
async def test_one_epoch_after_the_other(rig: Scenario, code: str):
    """
    Twenty refusals in turn cost twenty epochs of the same producer id at most.
    """
    async with rig.producer(**SMALL) as producer, rig.load(producer) as load:
        for turn in range(20):
            fault = rig.faults.fail("Produce", code, partition=turn % 3)
            await rig.struck(fault)
            await load.acknowledged(6)
        assert 1 <= producer.metrics().epoch_bumps <= 60

    assert rig.errors() == []
    rig.check()


@pytest.mark.parametrize("code", RECOVERED)
async def test_refused_after_an_attempt_in_doubt(rig: Scenario, code: str):
    """
    A batch that may be in the log is not stamped anew: it fails as maybe written, and is there.
    """
    # Time enough to set the second fault before the batch is sent again.
    options = {**SMALL, "reconnect_backoff_ms": 300, "reconnect_backoff_max_ms": 300}
    async with rig.producer(**options) as producer:
        await rig.history.send(producer, "w", "one")
        cut = rig.faults.cut("Produce")
        entries = await rig.write(producer, 2)
        await rig.struck(cut)
        rig.faults.fail("Produce", code)
        await rig.write(producer, 10)
        await producer.flush()

    assert [True, True] == [
        isinstance(entry.error, BrokerRejected) and entry.error.maybe_written for entry in entries
    ]
    assert {code} == {error.broker_error for error in rig.errors()}
    assert len(rig.errors()) == 2
    assert 13 == rig.check().counts.read_back


async def test_forgotten_by_a_lenient_broker(rig: Scenario):
    """
    Kafka takes any first sequence from a producer it has forgotten: nothing is noticed.
    """
    async with rig.producer(**SMALL) as producer, rig.load(producer) as load:
        for _ in range(10):
            await load.acknowledged(10)
            rig.faults.forget_producers("t")
        assert 0 == producer.metrics().epoch_bumps

    assert rig.errors() == []
    rig.check()


async def test_forgotten_by_a_strict_broker(rig: Scenario):
    """
    UNKNOWN_PRODUCER_ID with several batches under way costs an epoch, and no record.
    """
    async with rig.producer(**SMALL) as producer, rig.load(producer) as load:
        rig.faults.refuse_unknown_producers()
        for _ in range(10):
            await load.acknowledged(10)
            rig.faults.forget_producers("t")
        await load.acknowledged(20)
        assert producer.metrics().epoch_bumps

    assert rig.errors() == []
    rig.check()


async def test_forgotten_while_an_answer_is_lost(rig: Scenario):
    """
    Whether the batch of the lost answer is in the log cannot be found out: it is maybe written.
    """
    options = {**SMALL, "reconnect_backoff_ms": 300, "reconnect_backoff_max_ms": 300}
    async with rig.producer(**options) as producer:
        await rig.history.send(producer, "w", "one")
        rig.faults.refuse_unknown_producers()
        lost = rig.faults.cut("Produce")
        await rig.write(producer, 2)
        await rig.struck(lost)
        rig.faults.forget_producers("one")
        await rig.write(producer, 10)
        await producer.flush()

    assert [("UNKNOWN_PRODUCER_ID", True, 2)] * 2 == [
        (error.broker_error, error.maybe_written, error.attempts) for error in rig.errors()
    ]
    assert 13 == rig.check().counts.read_back


@pytest.mark.parametrize(
    "code", ["NOT_LEADER_OR_FOLLOWER", "NOT_ENOUGH_REPLICAS", "KAFKA_STORAGE_ERROR"]
)
@pytest.mark.parametrize("times", [1, 2, 5, 8])
async def test_first_of_five_refused(rig: Scenario, code: str, times: int):
    """
    The broker answers the four behind it with OUT_OF_ORDER_SEQUENCE_NUMBER: they wait for it.
    """
    async with rig.producer(**SMALL) as producer:
        await rig.history.send(producer, "w", "one")
        fault = rig.faults.fail("Produce", code, times=times)
        await rig.write(producer, 30)
        await producer.flush()
        assert times == fault.hits
        # No epoch was needed for it.
        assert 0 == producer.metrics().epoch_bumps

    assert rig.errors() == []
    rig.check()


@pytest.mark.parametrize("before_wrap", [0, 1, 5, 6, 11])
@pytest.mark.parametrize("kind", ["drop_response", "cut"])
async def test_sequence_wraps(rig: Scenario, kind: str, before_wrap: int):
    """
    The sequence number after 2^31 - 1 is 0, also for what is sent twice around it.
    """
    async with rig.producer(**SMALL) as producer:
        await rig.history.send(producer, "w", "one")
        # As if so many records had been sent: the broker takes any number from one it forgot.
        rig.broker.faults.forget_producers("one")
        queue_of(producer, "one").next_sequence = SEQUENCE_MODULUS - 1 - before_wrap
        await rig.history.send(producer, "w", "one")
        getattr(rig.faults, kind)("Produce", times=3)
        await rig.write(producer, 20)
        await producer.flush()
        assert queue_of(producer, "one").next_sequence == 20 - before_wrap

    assert rig.errors() == []
    rig.check()


async def test_epochs_run_out(rig: Scenario):
    """
    After epoch 32767 the producer asks for another id, and goes on under load.
    """
    async with rig.producer(**SMALL) as producer:
        await rig.history.send(producer, "w", "one")
        identity = producer._engine._identity
        old = identity.producer_id
        identity.epoch = 32766
        async with rig.load(producer) as load:
            for partition in (0, 1, 2, 0, 1, 2):
                await load.acknowledged(12)
                fault = rig.faults.fail("Produce", "INVALID_PRODUCER_EPOCH", partition=partition)
                await rig.struck(fault)
            await load.acknowledged(20)
        assert identity.producer_id != old

    assert rig.errors() == []
    rig.check()


async def test_somebody_else_uses_the_id_under_a_later_epoch(rig: Scenario):
    """
    The partition's epoch went up behind the producer's back: it goes beyond, in order.
    """
    async with rig.producer(**SMALL) as producer, rig.load(producer) as load:
        await load.acknowledged(20)
        producer_id = producer._engine._identity.producer_id
        with WireClient(rig.broker.bootstrap_servers) as stranger:
            taken = stranger.produce("t", batch(value=b"stranger", producer=(producer_id, 1, 0)))
            assert 0 == taken.error_code
        rig.injected += 1
        await load.acknowledged(60)
        assert producer.metrics().epoch_bumps >= 1

    assert rig.errors() == []
    own: list[ReadBack] = [one for one in rig.read() if one.value != b"stranger"]
    rig.check(read=own)


@pytest.mark.parametrize("when", ["before", "after"])
async def test_duplicate_is_success(rig: Scenario, when: str):
    """
    DUPLICATE_SEQUENCE_NUMBER says that the batch is there, though not where.
    """
    async with rig.producer(**SMALL) as producer, rig.load(producer) as load:
        await load.acknowledged(20)
        fault = rig.faults.fail("Produce", "DUPLICATE_SEQUENCE_NUMBER", when=when, partition=0)
        await rig.struck(fault)
        await load.acknowledged(20)

    assert rig.errors() == []
    unplaced = [entry for entry in rig.history.entries if entry.at == (0, -1)]
    assert unplaced
    # Before the append it is a lie, and the next batch shows the broker a gap.
    verdict = rig.check(durable=when == "after")
    assert verdict.lost == (unplaced if when == "before" else [])


async def test_gap_of_an_expired_batch(rig: Scenario):
    """
    Batches that ran out of time under way and in line leave nothing that kills their followers.
    """
    options = {**SMALL, "request_timeout_ms": 150, "delivery_timeout_ms": 400}
    async with rig.producer(**options) as producer, rig.load(producer) as load:
        for _ in range(3):
            await load.acknowledged(10)
            with rig.faults.drop_response("Produce", times=None):
                await load.settled(30)
        await load.acknowledged(40)

    assert rig.errors()
    rig.check()
