"""A cluster small enough to be believed: logs, Kafka's rules for sequences, and a bad network.

It judges what an engine does under a schedule of delays, losses, refusals and leader moves drawn
from one seed. Replication is perfect: a leader that moves takes its log and what it knows of
producers along, so that an acknowledged record must never be missing.
"""

from __future__ import annotations

import heapq
import random
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from pyproducer.core.effects import METADATA_NODE, Compress, Connect, Disconnect, Effect, Send
from pyproducer.protocol.api import ApiKey
from pyproducer.protocol.error_codes import ErrorCode
from pyproducer.protocol.messages.metadata import MetadataRequest
from pyproducer.protocol.messages.produce import (
    LeaderIdAndEpoch,
    NodeEndpoint,
    PartitionProduceResponse,
    ProduceRequest,
    ProduceResponse,
    TopicProduceResponse,
)
from pyproducer.records import reader
from pyproducer.records.codec import Codec
from tests.helpers.engine_rig import Rig, Sent

E = ErrorCode

#: Errors that a broker gives before it appends anything.
BEFORE = [
    E.NOT_ENOUGH_REPLICAS,
    E.NOT_ENOUGH_REPLICAS,
    E.CORRUPT_MESSAGE,
    E.UNKNOWN_TOPIC_OR_PARTITION,
    E.LEADER_NOT_AVAILABLE,
    E.REQUEST_TIMED_OUT,
    E.KAFKA_STORAGE_ERROR,
    E.INVALID_RECORD,
    E.POLICY_VIOLATION,
    E.UNKNOWN_SERVER_ERROR,
]

#: Errors that a broker gives although it appended the batch.
AFTER = [
    E.REQUEST_TIMED_OUT,
    E.NOT_ENOUGH_REPLICAS_AFTER_APPEND,
    E.NOT_LEADER_OR_FOLLOWER,
    E.KAFKA_STORAGE_ERROR,
    E.UNKNOWN_SERVER_ERROR,
]


@dataclass
class ProducerEntry:
    """What a partition knows of a producer id: its epoch and its last five batches."""

    epoch: int
    batches: deque[tuple[int, int, int]] = field(default_factory=lambda: deque(maxlen=5))
    #: The entry was expired: nothing but a newer epoch is taken (as brokers before 2.5 did).
    expired: bool = False


class ModelPartition:
    """One partition's log."""

    def __init__(self, leader: int) -> None:
        self.leader = leader
        self.epoch = 0
        self.log: list[bytes] = []
        self.producers: dict[int, ProducerEntry] = {}

    def append(self, batch: reader.Batch) -> tuple[int, int]:
        """Error code and base offset of an append."""
        header = batch.header
        if header.producer_id < 0:
            return 0, self._write(batch)
        entry = self.producers.get(header.producer_id)
        first, last = header.base_sequence, header.last_sequence
        if entry is None:
            entry = self.producers[header.producer_id] = ProducerEntry(header.producer_epoch)
        elif header.producer_epoch < entry.epoch:
            return int(E.INVALID_PRODUCER_EPOCH), -1
        elif header.producer_epoch > entry.epoch:
            if first != 0:
                return int(E.OUT_OF_ORDER_SEQUENCE_NUMBER), -1
            entry = self.producers[header.producer_id] = ProducerEntry(header.producer_epoch)
        elif entry.expired:
            return int(E.UNKNOWN_PRODUCER_ID), -1
        else:
            for known_first, known_last, base in entry.batches:
                if (known_first, known_last) == (first, last):
                    return 0, base
            if entry.batches and first != (entry.batches[-1][1] + 1) % 2**31:
                return int(E.OUT_OF_ORDER_SEQUENCE_NUMBER), -1
        base = self._write(batch)
        entry.batches.append((first, last, base))
        return 0, base

    def _write(self, batch: reader.Batch) -> int:
        base = len(self.log)
        self.log += [record.value or b"" for record in batch.records()]
        return base


@dataclass
class Link:
    """One connection: requests are handled in order, answers come back in order."""

    node: int
    alive: bool = True
    handled_at: float = 0.0
    answered_at: float = 0.0


class ModelCluster(Rig):
    """A rig whose world is a cluster with faults.

    Args:
        seed: of everything that happens.
        fault: chance of each fault where one is possible; 0 for a cluster without.
    """

    def __init__(self, seed: int, *, fault: float, partitions: int, **options: object) -> None:
        self.random = random.Random(seed)
        leaders = [self.random.randint(1, 3) for _ in range(partitions)]
        super().__init__({"t": leaders}, random=self.random.random, **options)  # type: ignore[arg-type]
        self.fault = fault
        self.parts = [ModelPartition(leader) for leader in leaders]
        self.links: dict[int, Link] = {}
        self.events: list[tuple[float, int, Callable[[], object]]] = []
        self.count = 0
        self.max_batch = 0

    # Time.

    def at(self, delay: float, event: Callable[[], object]) -> None:
        """Have something happen after so many seconds."""
        self.count += 1
        heapq.heappush(self.events, (self.now + delay, self.count, event))

    def run(self, until: float) -> None:
        """Let everything happen that happens before a time."""
        self.turn()
        while True:
            at = self.engine.deadline()
            following = self.events[0][0] if self.events else None
            times = [time for time in (at, following) if time is not None and time <= until]
            if not times:
                break
            self.now = max(self.now, min(times))
            while self.events and self.events[0][0] <= self.now:
                heapq.heappop(self.events)[2]()
            self.turn()
        self.now = until
        self.turn()

    def chance(self, weight: float = 1.0) -> bool:
        """Whether a fault happens here."""
        return self.random.random() < self.fault * weight

    def delay(self) -> float:
        """How long a way across the network takes."""
        if self.chance():
            return self.random.uniform(0.1, 2.0)
        return self.random.uniform(0.0005, 0.01)

    # The network.

    def _perform(self, effect: Effect) -> None:
        match effect:
            case Connect(node=node):
                self.at(self.delay(), lambda: self._connect(node))
            case Disconnect(node=node):
                self._cut(node)
            case Compress():
                if effect.sealed.codec is Codec.NONE or self.random.random() < 0.5:
                    self.finish_compression(effect)
                else:
                    self.at(self.random.uniform(0, 0.02), lambda: self._compressed(effect))
            case Send():
                self._send(effect)

    def _compressed(self, effect: Compress) -> None:
        if effect.sealed.body is None and effect.sealed.batch.state <= 1:
            self.finish_compression(effect)

    def _connect(self, node: int) -> None:
        if self.chance(2):
            self.engine.on_disconnected(node, "refused", self.now)
            return
        self.links[node] = Link(node)
        self.engine.on_connected(node, {ApiKey.PRODUCE: (0, 12)})

    def _cut(self, node: int) -> Link | None:
        link = self.links.pop(node, None)
        if link is not None:
            link.alive = False
        return link

    def break_link(self, node: int) -> None:
        """A connection breaks; what was written on it may still be handled."""
        if self._cut(node) is not None:
            self.engine.on_disconnected(node, "reset", self.now)

    def _send(self, effect: Send) -> None:
        link = self.links[effect.node]
        if self.chance(0.3):
            # Lost with its connection, before or after the broker read it.
            self.at(self.delay(), lambda: self.break_link(effect.node) if link.alive else None)
            if self.random.random() < 0.5:
                return
        link.handled_at = max(link.handled_at, self.now + self.delay())
        self.at(link.handled_at - self.now, lambda: self._handle(link, effect))

    def _handle(self, link: Link, effect: Send) -> None:
        message = effect.message
        if isinstance(message, MetadataRequest):
            for number, part in enumerate(self.parts):
                hidden = self.chance(0.5)
                self.topics["t"].leaders[number] = -1 if hidden else part.leader
                self.topics["t"].epochs[number] = part.epoch
            response = self.metadata(message)
        elif isinstance(message, ProduceRequest):
            sent = Sent(self.now, effect.node, effect.tag, message)
            self.sent.append(sent)
            response = self._produce(sent)
        else:
            if link.alive:
                self.answer_identity(effect)
            return
        if effect.node != METADATA_NODE and self.chance(0.3):
            return
        link.answered_at = max(link.answered_at, self.now + self.delay())
        self.at(link.answered_at - self.now, lambda: self._deliver(link, effect, response))

    def _deliver(self, link: Link, effect: Send, response: object) -> None:
        if link.alive and effect.tag in self.engine._links.node(effect.node).in_flight:
            self.engine.on_answer(effect.node, effect.tag, response, self.now)  # type: ignore[arg-type]

    # The brokers.

    def _produce(self, sent: Sent) -> ProduceResponse:
        answers = [
            self._judge(sent.node, number, batch) for (_, number), batch in sent.batches.items()
        ]
        return ProduceResponse(
            responses=[TopicProduceResponse(name="t", partition_responses=answers)],
            throttle_time_ms=self.random.choice([50, 500]) if self.chance(0.3) else 0,
            node_endpoints=[
                NodeEndpoint(node_id=node, host=host, port=port)
                for node, (host, port) in self.brokers.items()
            ],
        )

    def _judge(self, node: int, number: int, batch: reader.Batch) -> PartitionProduceResponse:
        part = self.parts[number]

        def answer(code: int, base: int = -1) -> PartitionProduceResponse:
            return PartitionProduceResponse(index=number, error_code=int(code), base_offset=base)

        if part.leader != node:
            made = answer(E.NOT_LEADER_OR_FOLLOWER)
            if self.random.random() < 0.5:
                made.current_leader = LeaderIdAndEpoch(
                    leader_id=part.leader, leader_epoch=part.epoch
                )
            return made
        if self.max_batch and batch.header.record_count > self.max_batch:
            return answer(E.MESSAGE_TOO_LARGE)
        if self.chance():
            return answer(self.random.choice(BEFORE))
        if self.chance(0.2):
            for entry in part.producers.values():
                entry.expired = True
        code, base = part.append(batch)
        if not code and self.chance():
            return answer(self.random.choice(AFTER))
        if not code and base + batch.header.record_count < len(part.log) and self.chance(3):
            return answer(E.DUPLICATE_SEQUENCE_NUMBER)
        return answer(code, base)

    def move(self, number: int) -> None:
        """Another broker leads a partition."""
        part = self.parts[number]
        part.leader = self.random.choice([node for node in (1, 2, 3) if node != part.leader])
        part.epoch += 1
