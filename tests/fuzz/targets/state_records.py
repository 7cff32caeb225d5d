"""Records of the broker's own topics, read at its start, and what members tell a group.

The input is records: flags, key, value, in a row.
"""

from __future__ import annotations

from collections.abc import Iterator

from pyproducer.broker.groups.model import CommittedOffset, GroupImage, MemberImage
from pyproducer.broker.groups.offsets import Replay, group_record, offset_record
from pyproducer.broker.groups.subscription import subscribed_topics
from pyproducer.broker.state_topic import KeyValue, PendingKeyValue, StateEntry, TransactionEnd
from pyproducer.broker.transactions.records import replay, transaction_record
from pyproducer.broker.transactions.transaction import Transaction
from pyproducer.model import TopicPartition
from tests.fuzz.bites import Bites
from tests.fuzz.target import Target


def run(data: bytes) -> None:
    """Broken records are passed over; the others count."""
    bites = Bites(data)
    records: list[StateEntry] = []
    while bites:
        kind = bites.byte()
        if kind & 3 == 3:
            records.append(TransactionEnd(kind >> 4, bool(kind & 4)))
            continue
        key = bites.some()
        value = None if kind & 8 else bites.some()
        records.append(PendingKeyValue(key, value, kind >> 4) if kind & 1 else KeyValue(key, value))
        if value is not None:
            subscribed_topics(value)
    state = Replay()
    state.apply_all(records)
    assert len(state.group_ids) <= len(records)
    assert len(replay(records)) <= len(records)


def _entry(kind: int, record: KeyValue) -> bytes:
    key, value = record.key, record.value or b""
    return bytes((kind, len(key))) + key + bytes((len(value),)) + value


def seeds() -> Iterator[bytes]:
    """What the broker writes, and what members say."""
    member = MemberImage(
        member_id="m",
        instance_id=None,
        client_id="c",
        client_host="h",
        rebalance_timeout_ms=1000,
        session_timeout_ms=1000,
        subscription=b"\x00\x01\x00\x00\x00\x01\x00\x01t\x00\x00\x00\x00",
        assignment=b"",
    )
    image = GroupImage(
        protocol_type="consumer",
        generation=1,
        protocol="range",
        leader="m",
        state_timestamp_ms=1,
        members=(member,),
    )
    committed = CommittedOffset(
        offset=5, leader_epoch=1, metadata="x", commit_timestamp_ms=1, expire_timestamp_ms=-1
    )
    offset = offset_record("g", TopicPartition("t", 0), committed)
    yield _entry(0, group_record("g", image)) + _entry(0, offset)
    yield _entry(0x11, offset) + b"\x17" + _entry(0x21, offset) + b"\x23"
    yield _entry(8, group_record("g", None))[:-1]
    transaction = Transaction(
        transactional_id="x", producer_id=7, epoch=1, timeout_ms=1000, update_ms=1
    )
    yield _entry(0, transaction_record(transaction))
    yield bytes((0, 0, len(member.subscription))) + member.subscription


TARGET = Target(run, seeds)
