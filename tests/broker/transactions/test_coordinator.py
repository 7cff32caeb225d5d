"""The coordinator on a store in memory, in virtual time."""

from __future__ import annotations

from itertools import count

import pytest

from pyproducer.broker.errors import Refused
from pyproducer.broker.log.producer_state import EndMarker
from pyproducer.broker.state_topic import partition_of
from pyproducer.broker.transactions.config import TransactionConfig
from pyproducer.broker.transactions.coordinator import TransactionCoordinator
from pyproducer.broker.transactions.records import replay
from pyproducer.broker.transactions.transaction import Identity, Transaction
from pyproducer.model import TopicPartition
from pyproducer.protocol.error_codes import ErrorCode
from tests.helpers.memory_markers import MemoryMarkers
from tests.helpers.memory_store import MemoryStore
from tests.helpers.virtual_time import VirtualTime

T0 = TopicPartition("t", 0)
T1 = TopicPartition("t", 1)
#: What MemoryStore says.
COORDINATOR_EPOCH = 3


class Desk:
    """A coordinator that can be started anew on what it stored."""

    def __init__(self, **config) -> None:
        self.store = MemoryStore()
        self.markers = MemoryMarkers()
        self.time = VirtualTime()
        self.ids = count(100)
        self.config = TransactionConfig(**config)
        self.restart()

    def restart(self) -> None:
        self.coordinator = TransactionCoordinator(
            self.config, self.store, self.markers, lambda: next(self.ids), self.time
        )
        self.coordinator.start()

    @property
    def state(self) -> str:
        return str(self.coordinator.describe("tx").state)

    def stored(self) -> Transaction:
        """What a coordinator that starts now would know."""
        records = self.store.read(partition_of("tx", self.store.partitions))
        return replay(records)["tx"]

    def init(self, holder: Identity | None = None, timeout_ms: int = 1000) -> Identity:
        return self.coordinator.initialise("tx", timeout_ms, holder)

    def code(self, action, *args, **options) -> int:
        try:
            action(*args, **options)
        except Refused as refused:
            return refused.code
        return 0


@pytest.fixture
def desk() -> Desk:
    return Desk()


def test_x1_a_move_is_stored_before_it_is_answered(desk: Desk):
    """
    X1: after each answer a coordinator that starts anew knows the same.
    """
    holder = desk.init()
    for act, state in (
        (lambda: None, "Empty"),
        (lambda: desk.coordinator.add("tx", holder, [T0, T1]), "Ongoing"),
        (lambda: desk.coordinator.end("tx", holder, commit=True), "CompleteCommit"),
        (lambda: desk.coordinator.add("tx", holder, [T0]), "Ongoing"),
        (lambda: desk.coordinator.end("tx", holder, commit=False), "CompleteAbort"),
    ):
        act()
        before = desk.coordinator.describe("tx")
        desk.restart()

        assert state == desk.state
        assert before == desk.coordinator.describe("tx")


def test_x1_a_move_that_is_not_stored_did_not_happen(desk: Desk):
    """
    X1: where the store refuses, the producer hears 15 and everything is as before.
    """
    holder = desk.init()
    desk.coordinator.add("tx", holder, [T0])
    before = desk.coordinator.describe("tx")
    desk.store.failure = Refused(ErrorCode.KAFKA_STORAGE_ERROR, "disk")
    for action in (
        lambda: desk.init(),
        lambda: desk.coordinator.add("tx", holder, [T1]),
        lambda: desk.coordinator.end("tx", holder, commit=True),
    ):
        assert ErrorCode.COORDINATOR_NOT_AVAILABLE == desk.code(action)
        assert before == desk.coordinator.describe("tx")
    assert [] == desk.markers.written
    desk.store.failure = None

    assert holder == desk.coordinator.end("tx", holder, commit=True)


def test_x1_a_partition_that_cannot_be_read_is_not_served(desk: Desk, monkeypatch):
    """
    X1: its ids are refused with 15, not taken for new; those of others are served.
    """
    desk.init()
    broken = partition_of("tx", desk.store.partitions)
    other = next(name for name in "abcdef" if partition_of(name, 3) != broken)
    read = desk.store.read

    def failing(partition: int):
        if partition == broken:
            raise Refused(ErrorCode.KAFKA_STORAGE_ERROR)
        return read(partition)

    monkeypatch.setattr(desk.store, "read", failing)
    desk.restart()

    assert ErrorCode.COORDINATOR_NOT_AVAILABLE == desk.code(desk.init)
    assert 0 == desk.coordinator.initialise(other, 1000, None).epoch


def test_x2_a_new_holder_shuts_out_the_old_one(desk: Desk):
    """
    X2: the epoch grows by one; whatever the old holder asks gets 90.
    """
    old = desk.init()
    new = desk.init()

    assert (old.producer_id, old.epoch + 1) == new
    for action in (
        lambda: desk.coordinator.add("tx", old, [T0]),
        lambda: desk.coordinator.end("tx", old, commit=True),
        lambda: desk.coordinator.verify("tx", old, T0),
        lambda: desk.init(Identity(old.producer_id, old.epoch - 1)),
    ):
        assert ErrorCode.PRODUCER_FENCED == desk.code(action)


def test_x2_a_new_holder_aborts_what_the_old_one_left(desk: Desk):
    """
    X2: the open transaction is aborted with an epoch between the two, before the answer.
    """
    old = desk.init()
    desk.coordinator.add("tx", old, [T0, T1])
    new = desk.init()

    marker = EndMarker(commit=False, coordinator_epoch=COORDINATOR_EPOCH)
    assert [(T0, *_up(old), marker), (T1, *_up(old), marker)] == desk.markers.written
    assert old.epoch + 2 == new.epoch


def _up(identity: Identity) -> Identity:
    return Identity(identity.producer_id, identity.epoch + 1)


def test_x2_51_until_the_abort_is_done(desk: Desk):
    """
    X2: while a partition cannot be marked, producers hear 51; afterwards the id can be had.
    """
    old = desk.init()
    desk.coordinator.add("tx", old, [T0, T1])
    desk.markers.failing = {T1: ErrorCode.KAFKA_STORAGE_ERROR}

    assert ErrorCode.CONCURRENT_TRANSACTIONS == desk.code(desk.init)
    assert "PrepareAbort" == desk.state
    assert ErrorCode.CONCURRENT_TRANSACTIONS == desk.code(desk.init)
    desk.coordinator.complete_decided()
    assert "PrepareAbort" == desk.state
    desk.markers.failing = {}
    desk.coordinator.complete_decided()
    assert "CompleteAbort" == desk.state
    assert old.epoch + 2 == desk.init().epoch


def test_x2_resuming_inside_a_transaction_aborts_it(desk: Desk):
    """
    X2, KIP-360: the holder itself goes on with a fresh epoch, which it gets again if asked again.
    """
    holder = desk.init()
    desk.coordinator.add("tx", holder, [T0])
    new = desk.init(holder)

    assert holder.epoch + 2 == new.epoch
    assert new == desk.init(holder)
    assert not desk.markers.written[0][3].commit


def test_x2_a_stale_holder_does_not_abort_the_new_ones_transaction(desk: Desk):
    """
    X2: a fenced producer that tries to resume is refused, and what its successor does goes on.
    """
    old = desk.init()
    new = desk.init()
    desk.coordinator.add("tx", new, [T0])

    assert ErrorCode.PRODUCER_FENCED == desk.code(desk.init, old)
    assert "Ongoing" == desk.state


@pytest.mark.parametrize("timeout_ms", [0, -1, 900_001])
def test_x2_timeouts_out_of_range(desk: Desk, timeout_ms: int):
    """
    X2: a timeout beyond transaction.max.timeout.ms, or none, gets 50.
    """
    assert ErrorCode.INVALID_TRANSACTION_TIMEOUT == desk.code(desk.init, None, timeout_ms)
    assert 0 == desk.code(desk.init, None, 900_000)


def test_x3_a_timed_out_transaction_is_aborted(desk: Desk):
    """
    X3: the coordinator raises the epoch and aborts; the old producer gets 90.
    """
    holder = desk.init(timeout_ms=1000)
    desk.coordinator.add("tx", holder, [T0])
    desk.time.pass_time(1)
    desk.coordinator.abort_timed_out()
    assert "Ongoing" == desk.state
    desk.time.pass_time(0.001)
    desk.coordinator.abort_timed_out()

    assert "CompleteAbort" == desk.state
    assert [(T0, *_up(holder), EndMarker(False, COORDINATOR_EPOCH))] == desk.markers.written
    fenced = ErrorCode.PRODUCER_FENCED
    assert fenced == desk.code(desk.coordinator.end, "tx", holder, commit=True)
    assert fenced == desk.code(desk.coordinator.add, "tx", holder, [T0])
    assert fenced == desk.code(desk.init, holder)


def test_x3_a_transaction_times_out_after_a_restart_too(desk: Desk):
    """
    X3: the time runs from when it began, whoever coordinates it.
    """
    holder = desk.init(timeout_ms=1000)
    desk.coordinator.add("tx", holder, [T0])
    desk.restart()
    desk.time.pass_time(1.5)
    desk.coordinator.abort_timed_out()

    assert "CompleteAbort" == desk.state


@pytest.mark.parametrize("commit", [True, False])
def test_x4_what_was_decided_is_completed_after_a_crash(desk: Desk, commit: bool):
    """
    X4: a coordinator that finds a decision marks every partition, as decided.
    """
    holder = desk.init()
    desk.coordinator.add("tx", holder, [T0, T1])
    desk.markers.failing = {T0: ErrorCode.KAFKA_STORAGE_ERROR, T1: ErrorCode.KAFKA_STORAGE_ERROR}
    desk.coordinator.end("tx", holder, commit=commit)
    assert [] == desk.markers.written
    desk.markers.failing = {}
    desk.restart()

    marker = EndMarker(commit, COORDINATOR_EPOCH)
    assert [(T0, *holder, marker), (T1, *holder, marker)] == desk.markers.written
    assert ("CompleteCommit" if commit else "CompleteAbort") == desk.state
    assert holder == desk.coordinator.end("tx", holder, commit=commit)


@pytest.mark.parametrize(
    "code",
    [
        ErrorCode.UNKNOWN_TOPIC_OR_PARTITION,
        ErrorCode.INVALID_PRODUCER_EPOCH,
        ErrorCode.TRANSACTION_COORDINATOR_FENCED,
    ],
)
def test_x4_partitions_that_are_gone_hold_nothing_up(desk: Desk, code: ErrorCode):
    """
    X4: a deleted topic, or one where somebody newer was, does not keep a transaction open.
    """
    holder = desk.init()
    desk.coordinator.add("tx", holder, [T0, T1])
    desk.markers.failing = {T0: code}
    desk.coordinator.end("tx", holder, commit=True)

    assert "CompleteCommit" == desk.state
    assert [T1] == [one[0] for one in desk.markers.written]


def test_adding_what_is_there_writes_nothing(desk: Desk):
    """
    A partition that is in the transaction is added again for free.
    """
    holder = desk.init()
    desk.coordinator.add("tx", holder, [T0, T1])
    before = [len(log) for log in desk.store.logs]
    desk.coordinator.add("tx", holder, [T1])

    assert before == [len(log) for log in desk.store.logs]


def test_unused_ids_are_forgotten(desk: Desk):
    """
    An id that was idle for transactional.id.expiration.ms is gone, one in a transaction never.
    """
    holder = desk.init()
    desk.coordinator.initialise("busy", 1000, None)
    desk.coordinator.add("busy", Identity(101, 0), [T0])
    desk.time.pass_time(604_799)
    desk.coordinator.expire_ids()
    assert "Empty" == desk.state
    desk.time.pass_time(1)
    desk.coordinator.expire_ids()
    for _ in range(2):
        assert ["busy"] == [one.transactional_id for one in desk.coordinator.transactions()]
        desk.restart()

    mapping = ErrorCode.INVALID_PRODUCER_ID_MAPPING
    assert mapping == desk.code(desk.coordinator.add, "tx", holder, [T0])
    assert ErrorCode.TRANSACTIONAL_ID_NOT_FOUND == desk.code(desk.coordinator.describe, "tx")
    assert 102 == desk.init().producer_id


def test_x8_a_late_end_cannot_end_the_next_transaction(desk: Desk):
    """
    X8: with the new protocol a copy of EndTxn from the transaction before is refused.
    """
    first = desk.init()
    desk.coordinator.add("tx", first, [T0], version=2)
    second = desk.coordinator.end("tx", first, commit=True, bump=True)
    assert second == desk.coordinator.end("tx", first, commit=True, bump=True)
    desk.coordinator.add("tx", second, [T0], version=2)

    late = desk.code(desk.coordinator.end, "tx", first, commit=True, bump=True)
    assert ErrorCode.PRODUCER_FENCED == late
    assert "Ongoing" == desk.state


def test_x8_the_old_protocol_has_that_hole(desk: Desk):
    """
    X8, a demonstration: without new epochs the copy of an EndTxn commits the next transaction.
    """
    holder = desk.init()
    desk.coordinator.add("tx", holder, [T0])
    desk.coordinator.end("tx", holder, commit=True)
    desk.coordinator.add("tx", holder, [T1])
    desk.coordinator.end("tx", holder, commit=True)  # the copy, meant for the first

    assert "CompleteCommit" == desk.state


def test_x8_markers_carry_the_new_epoch(desk: Desk):
    """
    X8: so that nothing the producer sent before can come after them.
    """
    holder = desk.init()
    desk.coordinator.add("tx", holder, [T0], version=2)
    desk.coordinator.end("tx", holder, commit=False, bump=True)

    assert [_up(holder)] == [Identity(*one[1:3]) for one in desk.markers.written]
