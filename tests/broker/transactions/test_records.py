"""Records of `__transaction_state`, byte for byte."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from pyproducer.broker.state_topic import KeyValue
from pyproducer.broker.transactions.records import replay, transaction_record
from pyproducer.broker.transactions.state import DEAD, EMPTY, PREPARE_EPOCH_FENCE, STATES
from pyproducer.broker.transactions.transaction import Transaction
from pyproducer.model import TopicPartition

names = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
int16 = st.integers(-1, 2**15 - 1)
int64 = st.integers(-1, 2**63 - 1)
places = st.builds(TopicPartition, names, st.integers(0, 2**31 - 1))
transactions = st.builds(
    Transaction,
    transactional_id=names,
    producer_id=int64,
    epoch=int16,
    previous_producer_id=int64,
    next_producer_id=int64,
    timeout_ms=st.integers(1, 2**31 - 1),
    state=st.sampled_from([one for one in STATES if one not in {DEAD, PREPARE_EPOCH_FENCE, EMPTY}]),
    partitions=st.frozensets(places, max_size=5),
    start_ms=int64,
    update_ms=int64,
    version=st.integers(0, 2),
)


def test_layout_is_kafkas():
    """
    Key version 0: the name. Value version 1: fixed fields, compact arrays, tags 0 to 2.
    """
    transaction = Transaction(
        transactional_id="tx",
        producer_id=5,
        previous_producer_id=4,
        epoch=3,
        timeout_ms=60_000,
        state=STATES[1],
        partitions=frozenset({TopicPartition("t", 1), TopicPartition("t", 0)}),
        start_ms=7,
        update_ms=8,
        version=2,
    )
    key, value = transaction_record(transaction)

    assert b"\0\0\0\2tx" == key
    assert (
        b"\0\1"
        + (5).to_bytes(8, "big")
        + (3).to_bytes(2, "big")
        + (60_000).to_bytes(4, "big")
        + b"\1"  # Ongoing
        + b"\2" + b"\2t" + b"\3" + b"\0\0\0\0" + b"\0\0\0\1" + b"\0"
        + (8).to_bytes(8, "big")
        + (7).to_bytes(8, "big")
        + b"\2" + b"\0\x08" + (4).to_bytes(8, "big") + b"\2\2" + b"\0\2"
    ) == value  # fmt: skip


def test_version_0_is_read():
    """
    What an older broker wrote is understood; an empty transaction has null for partitions.
    """
    value = (
        b"\0\0"
        + (5).to_bytes(8, "big")
        + b"\0\3"
        + (1000).to_bytes(4, "big")
        + b"\0"
        + b"\xff\xff\xff\xff"
        + (8).to_bytes(8, "big")
        + b"\xff" * 8
    )
    found = replay([KeyValue(b"\0\0\0\2tx", value)])

    assert {
        "tx": Transaction(
            transactional_id="tx", producer_id=5, epoch=3, timeout_ms=1000, update_ms=8
        )
    } == found


@given(transactions)
def test_round_trip(transaction: Transaction):
    """
    Everything but the epoch to resume from comes back.
    """
    record = transaction_record(transaction)

    assert {transaction.transactional_id: transaction} == replay([record])


def test_tombstones_and_what_cannot_be_read():
    """
    A dead id is a tombstone; a record of an unknown kind or state is passed over.
    """
    alive = Transaction(transactional_id="tx", producer_id=5, timeout_ms=1, update_ms=8)
    record = transaction_record(alive)
    assert record.value is not None
    broken = [
        KeyValue(b"\0\7\0\2tx", record.value),
        KeyValue(record.key, b"\0\7"),
        KeyValue(record.key, record.value[:16] + b"\x63" + record.value[17:]),
        KeyValue(b"", b""),
    ]

    assert {"tx": alive} == replay([record, *broken])
    assert {} == replay([record, transaction_record(alive.expired(9))])
