"""The coordinator of one transactional id, and of one consumer group, in the model cluster.

Its state is replicated perfectly: it moves between brokers and forgets nothing. Both protocols are
here. The first is told of each partition, and keeps the epoch from one transaction to the next; the
second (KIP-890) learns of partitions from their leaders, and raises the epoch with every end.
"""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING, Any

from pyproducer.protocol.error_codes import ErrorCode as E
from pyproducer.protocol.messages.add_offsets_to_txn import (
    AddOffsetsToTxnRequest,
)
from pyproducer.protocol.messages.add_partitions_to_txn import (
    AddPartitionsToTxnRequest,
)
from pyproducer.protocol.messages.end_txn import EndTxnRequest, EndTxnResponse
from pyproducer.protocol.messages.find_coordinator import (
    FindCoordinatorRequest,
    FindCoordinatorResponse,
)
from pyproducer.protocol.messages.init_producer_id import (
    InitProducerIdRequest,
    InitProducerIdResponse,
)
from pyproducer.protocol.messages.txn_offset_commit import (
    TxnOffsetCommitRequest,
)
from tests.helpers.transaction_answers import answer_with

if TYPE_CHECKING:
    from tests.helpers.model_brokers import ModelBrokers
    from tests.helpers.model_cluster import ModelCluster

__all__ = ["ModelCoordinator"]

#: The topic that stands for a group's offsets among the partitions of a transaction.
OFFSETS = ("__consumer_offsets", 0)

#: What a coordinator answers that did nothing.
REFUSALS = [
    E.COORDINATOR_LOAD_IN_PROGRESS,
    E.COORDINATOR_NOT_AVAILABLE,
    E.NOT_COORDINATOR,
    E.CONCURRENT_TRANSACTIONS,
]

#: What a coordinator answers whose own log took what it wrote, or did not.
DOUBTS = [E.COORDINATOR_NOT_AVAILABLE, E.NOT_COORDINATOR]

#: From here on a producer id is replaced instead of its epoch raised.
LAST_EPOCH = 32766


class Stage(Enum):
    """Where the transaction stands."""

    EMPTY = "empty"
    ONGOING = "ongoing"
    PREPARED = "prepared"
    COMPLETE = "complete"


class ModelCoordinator:
    """See the module.

    Attributes:
        two: the cluster has protocol 2.
        home: the broker that it is on; ``group_home`` the one of the group.
        loading_until: until when it reads its log, after it moved.
        epoch: of the producer that holds the id; ``previous`` that of the one before, or -1.
        commit: how the transaction ends that is prepared or complete.
        offset: the group's committed offset.
    """

    def __init__(
        self, cluster: ModelCluster, world: ModelBrokers, *, two: bool, timeout: float
    ) -> None:
        self._cluster = cluster
        self._world = world
        self._random = cluster.random
        self._timeout = timeout
        self._serial = 0
        self.two = two
        self.home = self._random.choice(list(cluster.brokers))
        self.group_home = self._random.choice(list(cluster.brokers))
        self.loading_until = 0.0
        self.producer_id = -1
        self.epoch = -1
        self.previous = -1
        self.stage = Stage.EMPTY
        self.commit = False
        self.partitions: set[tuple[str, int]] = set()
        self.offset = 0
        self._pending: dict[int, tuple[int, int]] = {}
        #: The producer id before this one, and its last epoch.
        self._replaced = (-2, -1)
        #: Whose transaction was ended last, where that raised the epoch.
        self._ended = (-1, -1)

    # Where it is.

    def move(self) -> None:
        """It is on another broker, which has to load it first."""
        up = [node for node, running in self._world.up.items() if running]
        if not up:
            self._cluster.at(0.2, self.move)
            return
        self.home = self._random.choice(up)
        self.group_home = self._random.choice(up)
        self.loading_until = self._cluster.now + self._random.uniform(0, 0.6)
        self._cluster.note("the coordinator is", self.home, "the group's", self.group_home)

    def lost(self, broker: int) -> None:
        """A broker has gone."""
        if broker in {self.home, self.group_home}:
            self._cluster.at(self._random.uniform(0.05, 0.8), self.move)

    # Requests.

    def answer(self, message: Any, broker: int, version: int | None) -> Any:
        """What a broker answers to a request."""
        chance = self._cluster.chance
        if isinstance(message, FindCoordinatorRequest):
            if chance("coordinator"):
                return FindCoordinatorResponse(error_code=int(E.COORDINATOR_NOT_AVAILABLE))
            home = self.home if message.key_type == 1 else self.group_home
            if chance("stale"):
                home = self._random.choice(list(self._world.up))
            return FindCoordinatorResponse(node_id=home, host=f"broker{home}", port=9092)
        home = self.group_home if isinstance(message, TxnOffsetCommitRequest) else self.home
        code = E.NONE
        if broker != home:
            code = E.NOT_COORDINATOR
        elif self._cluster.now < self.loading_until:
            code = E.COORDINATOR_LOAD_IN_PROGRESS
        elif chance("coordinator"):
            code = self._random.choice(REFUSALS)
        if code:
            return answer_with(message, int(code))
        done = self._do(message, version)
        if chance("coordinator_doubt"):
            return answer_with(message, int(self._random.choice(DOUBTS)))
        return done

    def _do(self, message: Any, version: int | None) -> Any:
        match message:
            case InitProducerIdRequest():
                code = self._init(message.producer_id, message.producer_epoch)
                if code:
                    return InitProducerIdResponse(error_code=code)
                return InitProducerIdResponse(
                    producer_id=self.producer_id, producer_epoch=self.epoch
                )
            case AddPartitionsToTxnRequest():
                found = {
                    (topic.name, number)
                    for topic in message.v3_and_below_topics
                    for number in topic.partitions
                }
                code = self._add(
                    message.v3_and_below_producer_id, message.v3_and_below_producer_epoch, found
                )
                return answer_with(message, code)
            case AddOffsetsToTxnRequest():
                code = self._add(message.producer_id, message.producer_epoch, {OFFSETS})
                return answer_with(message, code)
            case TxnOffsetCommitRequest():
                return answer_with(message, self._take_offsets(message, version))
            case EndTxnRequest():
                code = self._end(
                    message.producer_id,
                    message.producer_epoch,
                    commit=message.committed,
                    two=version == 5,
                )
                if version == 5 and not code:
                    return EndTxnResponse(producer_id=self.producer_id, producer_epoch=self.epoch)
                return EndTxnResponse(error_code=code)
        raise TypeError(type(message).__name__)

    # The state.

    def usurp(self) -> None:
        """Another producer of the same id begins."""
        self._cluster.note("another producer takes the transactional id")
        if self._init(-1, -1):
            self._cluster.at(0.2, lambda: self._init(-1, -1))

    def _init(self, producer_id: int, epoch: int) -> int:
        if (producer_id, epoch) == self._replaced and self.stage is not Stage.ONGOING:
            # The same question once more.
            return int(E.CONCURRENT_TRANSACTIONS) if self.stage is Stage.PREPARED else 0
        if producer_id >= 0 and producer_id != self.producer_id:
            return int(E.PRODUCER_FENCED)
        if self.stage is Stage.PREPARED:
            return int(E.CONCURRENT_TRANSACTIONS)
        if self.stage is Stage.ONGOING:
            if producer_id >= 0 and epoch != self.epoch:
                return int(E.PRODUCER_FENCED)
            # This epoch is never told to anybody.
            self._fence()
            return int(E.CONCURRENT_TRANSACTIONS)
        if producer_id >= 0 and epoch == self.previous:
            # The same question once more.
            return 0
        if producer_id >= 0 and epoch != self.epoch:
            return int(E.PRODUCER_FENCED)
        self.previous = epoch if producer_id >= 0 else -1
        self._raise_epoch()
        self.stage = Stage.EMPTY
        return 0

    def _raise_epoch(self) -> None:
        if self.producer_id < 0 or self.epoch >= LAST_EPOCH:
            self._replaced = self.producer_id, self.epoch
            self.producer_id = self._world.new_id()
            self.epoch, self._world.first_epoch = self._world.first_epoch, 0
            self.previous = -1
        else:
            self.epoch += 1

    def _is_strange(self, producer_id: int, epoch: int) -> int:
        if producer_id != self.producer_id:
            return int(E.INVALID_PRODUCER_ID_MAPPING)
        return 0 if epoch == self.epoch else int(E.PRODUCER_FENCED)

    def _add(self, producer_id: int, epoch: int, found: set[tuple[str, int]]) -> int:
        code = self._is_strange(producer_id, epoch)
        if code:
            return code
        if self.stage is Stage.PREPARED:
            return int(E.CONCURRENT_TRANSACTIONS)
        if self.stage is not Stage.ONGOING:
            self.stage = Stage.ONGOING
            self.partitions = set()
            self._serial += 1
            serial = self._serial
            self._cluster.at(self._timeout, lambda: self._time_out(serial))
        self.partitions |= found
        return 0

    def _time_out(self, serial: int) -> None:
        if self._serial == serial and self.stage is Stage.ONGOING:
            self._cluster.note("the transaction is timed out")
            self._cluster.injected["timed_out"] += 1
            self._fence()

    def _fence(self) -> None:
        """Abort under an epoch that the producer does not have."""
        marker = self.producer_id, self.epoch + 1
        self._raise_epoch()
        self.previous = -1
        self._prepare(*marker, commit=False)

    def verify(self, producer_id: int, epoch: int, where: tuple[str, int], version: int) -> int:
        """Whether a leader may append a batch of a transaction that it does not know yet."""
        if self._cluster.now < self.loading_until or not self._world.up[self.home]:
            return int(E.NOT_ENOUGH_REPLICAS)
        if version >= 12:
            code = self._add(producer_id, epoch, {where})
            return int(E.INVALID_PRODUCER_EPOCH) if code == E.PRODUCER_FENCED else code
        if producer_id == self.producer_id and epoch < self.epoch:
            return int(E.INVALID_PRODUCER_EPOCH)
        if self._is_strange(producer_id, epoch) or self.stage is not Stage.ONGOING:
            return int(E.TRANSACTION_ABORTABLE)
        return 0 if where in self.partitions else int(E.TRANSACTION_ABORTABLE)

    def _take_offsets(self, message: TxnOffsetCommitRequest, version: int | None) -> int:
        known = self._pending.get(message.producer_id, (-1, 0))[0] == message.producer_epoch
        if not known:
            code = self.verify(
                message.producer_id, message.producer_epoch, OFFSETS, 12 if version == 5 else 11
            )
            if code:
                return code
        [topic] = message.topics
        [part] = topic.partitions
        self._pending[message.producer_id] = message.producer_epoch, part.committed_offset
        return 0

    def _end(self, producer_id: int, epoch: int, *, commit: bool, two: bool) -> int:
        again = two and (
            (producer_id, epoch) == self._ended
            or (producer_id, epoch + 1) == (self.producer_id, self.epoch)
        )
        if producer_id != self.producer_id and not again:
            return int(E.INVALID_PRODUCER_ID_MAPPING)
        if epoch != self.epoch and not again:
            return int(E.PRODUCER_FENCED)
        if self.stage is Stage.ONGOING and not again:
            marker = self.producer_id, self.epoch + two
            if two:
                self._pass_on(epoch)
            self._prepare(*marker, commit=commit)
            return 0
        if self.stage is Stage.PREPARED and self.commit is commit:
            return int(E.CONCURRENT_TRANSACTIONS)
        if self.stage is Stage.COMPLETE and self.commit is commit and (again or not two):
            return 0
        if two and not again and not commit and self.stage is not Stage.PREPARED:
            # Nothing arrived of what is aborted.
            self._pass_on(epoch)
            self.stage, self.commit = Stage.COMPLETE, False
            return 0
        return int(E.INVALID_TXN_STATE)

    def _pass_on(self, epoch: int) -> None:
        """The next transaction has another epoch, or another producer id when they are used up."""
        self._ended = self.producer_id, epoch
        self._raise_epoch()
        self.previous = epoch

    def _prepare(self, producer_id: int, epoch: int, *, commit: bool) -> None:
        self._cluster.note("commit" if commit else "abort", f"is decided of {producer_id}/{epoch}")
        self.stage, self.commit = Stage.PREPARED, commit
        longest = 1.0 if self._cluster.chance("slow_markers", 2) else 0.03
        delay = self._random.uniform(0.001, longest)
        missing = set(self.partitions)
        self._cluster.at(delay, lambda: self._mark(producer_id, epoch, missing))

    def _mark(self, producer_id: int, epoch: int, missing: set[tuple[str, int]]) -> None:
        """Write the markers that are not written yet; then the transaction is complete."""
        for where in sorted(missing):
            if where == OFFSETS:
                _, offset = self._pending.pop(producer_id, (-1, self.offset))
                if self.commit:
                    self.offset = offset
                missing.discard(where)
                continue
            part = self._world.topics[where[0]].partitions[where[1]]
            if part.leader >= 0 and self._world.up[part.leader]:
                part.end_transaction(producer_id, epoch, commit=self.commit)
                missing.discard(where)
        if missing:
            self._cluster.at(0.1, lambda: self._mark(producer_id, epoch, missing))
            return
        self._cluster.note("the transaction is complete")
        self.stage = Stage.COMPLETE
