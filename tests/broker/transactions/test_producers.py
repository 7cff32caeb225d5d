"""What producers of transactions are told: X1 to X3, X6 and X8, on the wire."""

from __future__ import annotations

import time

import pytest

from pyproducer.broker import Broker
from pyproducer.model import TopicPartition
from pyproducer.protocol.error_codes import ErrorCode
from pyproducer.protocol.messages.describe_producers import DescribeProducersRequest, TopicRequest
from pyproducer.protocol.messages.list_transactions import ListTransactionsRequest
from pyproducer.protocol.messages.produce import (
    PartitionProduceData,
    ProduceRequest,
    TopicProduceData,
)
from tests.helpers.partition_logs import batch
from tests.helpers.transactional_client import (
    TransactionalProducer,
    another,
    describe,
    fetch,
    latest_offset,
    values_read,
)
from tests.helpers.wire_client import WireClient

O0 = TopicPartition("orders", 0)
O1 = TopicPartition("orders", 1)


def listed(client: WireClient, version: int = 1, **filters) -> dict[str, str]:
    answer = client.ask(ListTransactionsRequest(**filters), version)
    return {one.transactional_id: one.transaction_state for one in answer.transaction_states}


@pytest.mark.parametrize("version", range(6))
def test_x2_init_in_every_version(client: WireClient, version: int):
    """
    X2: each request for a name gives its id and the next epoch.
    """
    producer = TransactionalProducer(client)
    given = []
    for _ in range(3):
        assert 0 == producer.init(version=version)
        given.append((producer.producer_id, producer.epoch))

    assert [(given[0][0], epoch) for epoch in range(3)] == given


def test_x2_bad_requests(client: WireClient):
    """
    X2: an empty name and half an identity get 42, a timeout out of range 50.
    """
    invalid = ErrorCode.INVALID_REQUEST

    assert invalid == TransactionalProducer(client, "").init()
    assert invalid == TransactionalProducer(client, producer_id=3).init(resume=True)
    for timeout_ms in (0, 900_001):
        wrong = TransactionalProducer(client, timeout_ms=timeout_ms)
        assert ErrorCode.INVALID_TRANSACTION_TIMEOUT == wrong.init()


def test_x2_fenced_producers_hear_it_in_their_own_words(producer: TransactionalProducer):
    """
    X2, KIP-588: 90 for those who know it, 47 for older clients and for every Produce.
    """
    zombie = producer.twin()
    producer.write(O0)
    assert 0 == producer.init()
    fenced, old = ErrorCode.PRODUCER_FENCED, ErrorCode.INVALID_PRODUCER_EPOCH

    assert [[old], [old], [fenced], [fenced]] == [zombie.add(O0, version=v) for v in range(4)]
    assert [old, old, fenced, fenced] == [zombie.end(commit=True, version=v) for v in range(4)]
    assert [old, old, fenced, fenced] == [zombie.add_offsets("g", version=v) for v in range(4)]
    assert [old, fenced] == [zombie.twin().init(version=v, resume=True) for v in (3, 4)]
    assert [old, old, old] == [zombie.send(O0, version=v) for v in (3, 9, 12)]


def test_x1_requests_of_strangers(producer: TransactionalProducer):
    """
    X1: a name that nobody holds, or another's producer id, gets 49; an empty name 42.
    """
    stranger = producer.twin()
    stranger.producer_id += 1
    nobody = producer.twin()
    nobody.transactional_id = "nobody"
    empty = producer.twin()
    empty.transactional_id = ""
    mapping, invalid = ErrorCode.INVALID_PRODUCER_ID_MAPPING, ErrorCode.INVALID_REQUEST

    for wrong, code in ((stranger, mapping), (nobody, mapping), (empty, invalid)):
        assert [code] == wrong.add(O0)
        assert code == wrong.end(commit=True) == wrong.add_offsets("g")


def test_x1_all_partitions_are_added_or_none(producer: TransactionalProducer):
    """
    X1: beside a partition that does not exist (3) the others are not attempted (55).
    """
    nowhere = TopicPartition("orders", 9)

    assert [ErrorCode.OPERATION_NOT_ATTEMPTED, 3] == producer.add(O0, nowhere)
    assert ErrorCode.INVALID_TXN_STATE == producer.end(commit=True)


def test_x1_end_is_answered_again(producer: TransactionalProducer):
    """
    X1: the same EndTxn twice is fine, the opposite one, or one without a transaction, gets 48.
    """
    invalid = ErrorCode.INVALID_TXN_STATE
    assert invalid == producer.end(commit=True) == producer.end(commit=False)
    for commit in (True, False):
        producer.write(O0)
        answers = [producer.end(commit=how) for how in (commit, commit, not commit)]
        assert [0, 0, invalid] == answers


def test_transactions_are_shown_to_administrators(broker, client, producer):
    """
    DescribeTransactions and ListTransactions tell state, partitions and age; 105 for a stranger.
    """
    producer.write(O0)
    producer.write(O1)
    idle = another(client, "idle")
    found = describe(client)

    assert ("Ongoing", 60_000) == (found.transaction_state, found.transaction_timeout_ms)
    assert (producer.producer_id, producer.epoch) == (found.producer_id, found.producer_epoch)
    assert [("orders", [0, 1])] == [(one.topic, one.partitions) for one in found.topics]
    assert ErrorCode.TRANSACTIONAL_ID_NOT_FOUND == describe(client, "nobody").error_code
    assert ErrorCode.INVALID_REQUEST == describe(client, "").error_code
    assert {"tx": "Ongoing", "idle": "Empty"} == listed(client) == listed(client, 0)
    assert {"tx": "Ongoing"} == listed(client, state_filters=["Ongoing"])
    assert {"idle": "Empty"} == listed(client, producer_id_filters=[idle.producer_id])
    assert {} == listed(client, duration_filter=60_000)
    answer = client.ask(ListTransactionsRequest(state_filters=["Nonsense"]), 0)
    assert ["Nonsense"] == answer.unknown_state_filters
    request = DescribeProducersRequest(topics=[TopicRequest(name="orders", partition_indexes=[0])])
    [active] = client.ask(request, 0).topics[0].partitions[0].active_producers
    assert (producer.producer_id, 0) == (active.producer_id, active.current_txn_start_offset)


class JumpingClock:
    """The machine's clock, and a number of seconds more."""

    def __init__(self) -> None:
        self.ahead = 0.0

    def monotonic(self) -> float:
        return time.monotonic() + self.ahead

    def wall_ms(self) -> int:
        return int((time.time() + self.ahead) * 1000)


def test_x3_the_broker_aborts_by_itself():
    """
    X3: once its timeout has passed a transaction is aborted, its records stay unread, and its
    producer is shut out.
    """
    clock = JumpingClock()
    with Broker({"orders": 2}, clock=clock) as broker, WireClient(broker.bootstrap_servers) as one:
        producer = TransactionalProducer(one, timeout_ms=20_000)
        producer.init()
        producer.write(O0)
        clock.ahead = 30.0
        deadline = time.monotonic() + 10
        while describe(one).transaction_state != "CompleteAbort" and time.monotonic() < deadline:
            time.sleep(0.05)

        assert "CompleteAbort" == describe(one).transaction_state
        assert ErrorCode.PRODUCER_FENCED == producer.end(commit=True)
        assert ErrorCode.INVALID_PRODUCER_EPOCH == producer.send(O0)
        assert [] == broker.records("orders", committed=True)
        assert 1 == len(broker.records("orders"))


def test_x6_produce_needs_an_open_transaction_with_the_partition(client, producer):
    """
    X6: else 48, or 120 for clients that know it; nothing is appended.
    """
    invalid, abortable = ErrorCode.INVALID_TXN_STATE, ErrorCode.TRANSACTION_ABORTABLE
    told = [invalid, invalid, abortable]
    assert told == [producer.send(O0, version=v) for v in (3, 10, 11)]
    producer.write(O1)
    assert told == [producer.send(O0, version=v) for v in (3, 10, 11)]
    producer.end(commit=True)
    assert told == [producer.send(O1, version=v) for v in (3, 10, 11)]

    assert 0 == latest_offset(client, O0, committed=False)


def test_x6_verification_can_be_switched_off():
    """
    X6: transaction.partition.verification.enable=false lets a late batch open a transaction.
    """
    config = {"transaction.partition.verification.enable": "false"}
    with (
        Broker({"orders": 1}, config=config) as broker,
        WireClient(broker.bootstrap_servers) as client,
    ):
        producer = TransactionalProducer(client)
        producer.init()

        assert 0 == producer.send(O0)
        assert 0 == latest_offset(client, O0, committed=True)


def test_x6_one_producer_id_in_a_request(client, producer):
    """
    X6: transactional batches of two producers in one request fail it as a whole with 49.
    """
    other = another(client, "other")
    producer.add(O0)
    other.add(O1)
    request = ProduceRequest(
        transactional_id="tx",
        acks=-1,
        topic_data=[
            TopicProduceData(
                name="orders",
                partition_data=[
                    PartitionProduceData(
                        index=index,
                        records=batch(producer=(one.producer_id, 0, 0), transactional=True),
                    )
                    for index, one in enumerate([producer, other])
                ],
            )
        ],
    )
    parts = client.ask(request, 9).responses[0].partition_responses

    assert [ErrorCode.INVALID_PRODUCER_ID_MAPPING] * 2 == [part.error_code for part in parts]
    assert 0 == latest_offset(client, O0, committed=False)


def test_x6_a_repeated_batch_is_acknowledged_once(client, producer):
    """
    X6, I2: inside a transaction duplicates are recognised as outside.
    """
    producer.write(O0)
    again = producer.twin()
    again.sequences[O0] = 0

    assert 0 == again.send(O0)
    assert 1 == latest_offset(client, O0, committed=False)


def test_i5_plain_batches_of_the_producer_do_not_mix_in(client, producer):
    """
    I5: a batch outside the transaction that its producer has open on the partition gets 48.
    """
    producer.write(O0)
    plain = client.produce("orders", batch(producer=(producer.producer_id, 0, 1)))

    assert ErrorCode.INVALID_TXN_STATE == plain.error_code


def test_x6_19_while_it_cannot_be_known(broker, client, producer):
    """
    X6: while the coordinator cannot say, Produce gets 19, which clients simply try again.
    """
    producer.write(O0)
    node = broker._node()
    node.partition("orders", 0).log._health.failure = OSError("disk")
    assert 0 == producer.end(commit=True)
    assert "PrepareCommit" == describe(client).transaction_state

    assert ErrorCode.NOT_ENOUGH_REPLICAS == producer.send(O1)
    assert ErrorCode.CONCURRENT_TRANSACTIONS == producer.send(O1, version=12)
    assert [ErrorCode.CONCURRENT_TRANSACTIONS] == producer.add(O1)
    node.partition("orders", 0).log._health.failure = None
    deadline = time.monotonic() + 10
    while producer.add(O1) != [0] and time.monotonic() < deadline:
        time.sleep(0.05)
    assert 0 == producer.send(O1)
    assert 2 == latest_offset(client, O0, committed=True)


def test_x8_produce_12_adds_the_partition(client, producer):
    """
    X8: no AddPartitionsToTxn is needed; EndTxn 5 gives the next epoch, with sequences from 0.
    """
    for round_, commit in enumerate((True, False, True)):
        assert round_ == producer.epoch
        assert 0 == producer.send(O0, b"%d" % round_, version=12)
        assert 0 == producer.send(O0, b"%d" % round_, version=12)
        assert 0 == producer.end(commit=commit, version=5)

    assert [b"0", b"0", b"2", b"2"] == values_read(fetch(client, O0))


def test_x8_what_was_sent_before_cannot_come_after_the_end(client, producer):
    """
    X8: a batch of the epoch before the end gets 47, wherever it was held up.
    """
    late = producer.twin()
    producer.send(O0, version=12)
    producer.end(commit=True, version=5)
    late.sequences[O0] = 1
    end = latest_offset(client, O0, committed=False)

    assert ErrorCode.INVALID_PRODUCER_EPOCH == late.send(O0, version=12)
    assert ErrorCode.INVALID_PRODUCER_EPOCH == late.send(O1, version=12)
    assert end == latest_offset(client, O0, committed=False)


def test_x8_a_late_end_is_refused(producer):
    """
    X8: the copy of an EndTxn is answered as the first, until the next transaction has begun.
    """
    late = producer.twin()
    producer.send(O0, version=12)
    producer.end(commit=True, version=5)
    copy = late.twin()

    assert 0 == copy.end(commit=True, version=5)
    assert (producer.producer_id, producer.epoch) == (copy.producer_id, copy.epoch)
    producer.send(O0, version=12)
    assert ErrorCode.PRODUCER_FENCED == late.end(commit=True, version=5)
    assert 0 == producer.end(commit=False, version=5)


def test_x8_an_abort_without_anything_gives_an_epoch_too(producer):
    """
    X8: a producer that does not know whether it wrote anything may abort; to commit nothing is 48.
    """
    assert ErrorCode.INVALID_TXN_STATE == producer.end(commit=True, version=5)
    assert 0 == producer.end(commit=False, version=5)
    assert 1 == producer.epoch


@pytest.mark.parametrize("version", [4, 5])
def test_brokers_may_ask_whether_a_partition_is_in_a_transaction(client, producer, version):
    """
    AddPartitionsToTxn 4 and 5: several transactions at once, to be added to or asked about.
    """
    from pyproducer.protocol.messages.add_partitions_to_txn import (
        AddPartitionsToTxnRequest,
        AddPartitionsToTxnTopic,
        AddPartitionsToTxnTransaction,
    )

    def ask(verify: bool, *indexes: int) -> list[int]:
        wanted = AddPartitionsToTxnTransaction(
            transactional_id="tx",
            producer_id=producer.producer_id,
            producer_epoch=0,
            verify_only=verify,
            topics=[AddPartitionsToTxnTopic(name="orders", partitions=[*indexes])],
        )
        request = AddPartitionsToTxnRequest(transactions=[wanted])
        [result] = client.ask(request, version).results_by_transaction
        parts = result.topic_results[0].results_by_partition
        return [part.partition_error_code for part in parts]

    refused = ErrorCode.TRANSACTION_ABORTABLE if version == 5 else ErrorCode.INVALID_TXN_STATE
    assert [refused] == ask(True, 0)
    assert [0] == ask(False, 0)
    assert [0, refused] == ask(True, 0, 1)
