"""A rig whose engine has transactions, and a coordinator that answers as the test says."""

from __future__ import annotations

from collections import defaultdict, deque
from typing import Any

from pyproducer.core.effects import Connect, Effect, Send
from pyproducer.core.transaction import State
from pyproducer.core.transaction_requests import OffsetCommit
from pyproducer.core.transactions import Transactions
from pyproducer.model import GroupMetadata, OffsetAndMetadata, TopicPartition
from pyproducer.protocol.api import ApiKey
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
from pyproducer.protocol.schema import Message
from tests.helpers.engine_rig import Rig
from tests.helpers.transaction_answers import answer_with

_QUESTIONS = (
    FindCoordinatorRequest,
    InitProducerIdRequest,
    AddPartitionsToTxnRequest,
    AddOffsetsToTxnRequest,
    TxnOffsetCommitRequest,
    EndTxnRequest,
)


class TransactionRig(Rig):
    """See the module.

    Attributes:
        codes: error codes of the next answers, by API; then there are none.
        asked: every question to a coordinator, or about one: when, its API, and the request.
        two: True where the cluster has transaction protocol 2.
        epoch: what the coordinator gives next.
    """

    def __init__(self, *, two: bool = False, **options: Any) -> None:
        self.codes: defaultdict[ApiKey, deque[int]] = defaultdict(deque)
        self.asked: list[tuple[float, ApiKey, Message]] = []
        self.two = two
        self.epoch = -1
        super().__init__(**({"transactional_id": "tx", "linger": 0.0} | options))

    @property
    def transactions(self) -> Transactions:
        """The engine's."""
        found = self.engine.transactions
        assert found is not None
        return found

    @property
    def state(self) -> State:
        """Where the producer stands."""
        return self.transactions.state

    def apis(self, since: int = 0) -> list[ApiKey]:
        """What was asked, in order."""
        return [api for _, api, _ in self.asked[since:]]

    def begin(self) -> TransactionRig:
        """Initialise if need be, and open a transaction."""
        if self.state is State.UNREADY:
            self.transactions.initialise()
            self.turn()
        self.transactions.begin(self.now)
        self.turn()
        return self

    def commit_offsets(self) -> OffsetCommit:
        """Make an offset part of the transaction."""
        commit = OffsetCommit(
            {TopicPartition("in", 0): OffsetAndMetadata(7)}, GroupMetadata("group")
        )
        self.transactions.send_offsets(commit)
        self.turn()
        return commit

    def _perform(self, effect: Effect) -> None:
        match effect:
            case Connect(node=node) if node not in self.down:
                self.engine.on_connected(node, {"transaction.version": 2 if self.two else 1}, 1)
            case Send(message=message) if isinstance(message, _QUESTIONS):
                api = ApiKey(message.api_key)
                self.asked.append((self.now, api, message))
                code = int(self.codes[api].popleft()) if self.codes[api] else 0
                answer = self._answer(message, code)
                self.engine.on_answer(effect.node, effect.tag, answer, self.now)
            case _:
                super()._perform(effect)

    def _answer(self, message: Message, code: int) -> Message:
        match message:
            case FindCoordinatorRequest():
                return FindCoordinatorResponse(
                    error_code=code, node_id=1, host="coordinator", port=9092
                )
            case InitProducerIdRequest() if not code:
                self.epoch += 1
                return InitProducerIdResponse(
                    producer_id=self.produce_id, producer_epoch=self.epoch
                )
            case EndTxnRequest() if self.two and not code:
                self.epoch += 1
                return EndTxnResponse(producer_id=self.produce_id, producer_epoch=self.epoch)
        return answer_with(message, code)
