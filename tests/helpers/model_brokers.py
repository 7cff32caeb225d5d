"""The brokers of the model cluster: who leads what, what is answered, and what is told of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING
from uuid import UUID

from pyproducer.protocol.error_codes import ErrorCode
from pyproducer.protocol.messages.init_producer_id import (
    InitProducerIdRequest,
    InitProducerIdResponse,
)
from pyproducer.protocol.messages.metadata import (
    MetadataRequest,
    MetadataResponse,
    MetadataResponseBroker,
    MetadataResponsePartition,
    MetadataResponseTopic,
)
from pyproducer.protocol.messages.produce import (
    BatchIndexAndErrorMessage,
    LeaderIdAndEpoch,
    NodeEndpoint,
    PartitionProduceResponse,
    ProduceResponse,
    TopicProduceResponse,
)
from pyproducer.records import reader
from tests.helpers.engine_rig import Sent
from tests.helpers.model_log import Amnesia, ModelPartition

if TYPE_CHECKING:
    from tests.helpers.model_cluster import ModelCluster
    from tests.helpers.model_coordinator import ModelCoordinator

E = ErrorCode

#: What a broker answers before it appends anything, and what may be sent again.
REFUSALS = [
    E.NOT_ENOUGH_REPLICAS,
    E.CORRUPT_MESSAGE,
    E.UNKNOWN_TOPIC_OR_PARTITION,
    E.LEADER_NOT_AVAILABLE,
    E.REQUEST_TIMED_OUT,
    E.KAFKA_STORAGE_ERROR,
    E.THROTTLING_QUOTA_EXCEEDED,
    E.FENCED_LEADER_EPOCH,
]

#: What a broker answers that will never take the batch.
REJECTIONS = [
    E.INVALID_RECORD,
    E.POLICY_VIOLATION,
    E.INVALID_TIMESTAMP,
    E.TOPIC_AUTHORIZATION_FAILED,
    E.UNKNOWN_SERVER_ERROR,
]

#: What a broker answers although it appended the batch.
DOUBTS = [
    E.REQUEST_TIMED_OUT,
    E.NOT_ENOUGH_REPLICAS_AFTER_APPEND,
    E.NOT_LEADER_OR_FOLLOWER,
    E.KAFKA_STORAGE_ERROR,
    E.UNKNOWN_SERVER_ERROR,
    E.NETWORK_EXCEPTION,
]

#: What a broker answers whose idea of the producer is another; nothing is appended.
ESTRANGED = [E.INVALID_PRODUCER_EPOCH, E.OUT_OF_ORDER_SEQUENCE_NUMBER, E.UNKNOWN_PRODUCER_ID]

#: What a broker answers that cannot give a producer id now.
NO_IDENTITY = [
    E.COORDINATOR_LOAD_IN_PROGRESS,
    E.COORDINATOR_NOT_AVAILABLE,
    E.NOT_COORDINATOR,
    E.CONCURRENT_TRANSACTIONS,
    E.REQUEST_TIMED_OUT,
]


@dataclass(slots=True)
class ModelTopic:
    """A topic: whether it is there, and which of its name it is."""

    partitions: list[ModelPartition]
    exists: bool = True
    life: int = 1


@dataclass(slots=True)
class Appended:
    """A batch in the leader's log, and in whose time that was."""

    part: ModelPartition
    generation: int
    end: int
    answer: PartitionProduceResponse
    duplicate: bool

    def replicate(self) -> bool:
        """The followers have it now; False where the leader went before they had."""
        if self.part.generation != self.generation:
            return False
        self.part.committed = max(self.part.committed, self.end)
        return True


class ModelBrokers:
    """All brokers, and what they agree upon.

    Attributes:
        up: whether each runs.
        lives: how often each was started.
        paused_until: until when each stands still.
        topics: all, by name.
        max_bytes: the largest batch that is taken.
        coordinator: of the producer's transactions, if it has a transactional id.
        first_epoch: of the first producer id given; later ones begin at 0.
    """

    def __init__(self, cluster: ModelCluster, topics: dict[str, int]) -> None:
        self._cluster = cluster
        self._random = cluster.random
        self._nodes = list(cluster.brokers)
        self.up = dict.fromkeys(self._nodes, True)
        self.lives = dict.fromkeys(self._nodes, 1)
        self.paused_until = dict.fromkeys(self._nodes, 0.0)
        self.topics = {
            name: ModelTopic([self._partition(name, number) for number in range(count)])
            for name, count in topics.items()
        }
        self.max_bytes = 1 << 20
        self.first_epoch = 0
        self._ids = 1000
        self.coordinator: ModelCoordinator | None = None

    def _partition(self, topic: str, number: int) -> ModelPartition:
        return ModelPartition(topic, number, self._random.choice(self._nodes))

    @property
    def partitions(self) -> list[ModelPartition]:
        """Those of all topics."""
        return [part for topic in self.topics.values() for part in topic.partitions]

    # Faults that come by themselves.

    def crash(self, node: int, seconds: float, *, silently: bool = False) -> None:
        """A broker dies, its partitions are led by others, and it comes back."""
        cluster = self._cluster
        if not self.up[node]:
            return
        cluster.note("broker", node, "crashes, for", f"{seconds:.2f} s")
        self.up[node] = False
        self.lives[node] += 1
        cluster.break_links(node, silently=silently)
        for part in self.partitions:
            if part.leader == node:
                self.elect(part, self._random.uniform(0.02, 1.0))
        if self.coordinator is not None:
            self.coordinator.lost(node)
        cluster.at(seconds, lambda: self.restart(node))

    def restart(self, node: int) -> None:
        """A broker is there again."""
        self._cluster.note("broker", node, "is up")
        self.up[node] = True

    def elect(self, part: ModelPartition, seconds: float) -> None:
        """A partition is without a leader for so long."""
        self._cluster.note(f"{part.topic}-{part.number}", "has no leader")
        part.lead(-1, self._cluster.now)
        generation = part.generation
        self._cluster.at(seconds, lambda: self._elected(part, generation))

    def _elected(self, part: ModelPartition, generation: int) -> None:
        if part.generation != generation:
            return
        if not self._take_over(part, [node for node in self._nodes if self.up[node]]):
            self._cluster.at(0.1, lambda: self._elected(part, generation))

    def move(self, part: ModelPartition) -> None:
        """Another broker leads a partition."""
        self._take_over(
            part, [node for node in self._nodes if self.up[node] and node != part.leader]
        )

    def _take_over(self, part: ModelPartition, candidates: list[int]) -> bool:
        if not candidates:
            return False
        rand, cluster = self._random, self._cluster
        lag = rand.uniform(0, 0.5) if rand.random() < 0.5 else 0.0
        zombie = rand.uniform(0, 0.5) if rand.random() < 0.5 else 0.0
        part.lead(rand.choice(candidates), cluster.now, lag=lag, zombie=zombie)
        # The new leader may or may not have what is not committed.
        gone = part.truncate() if rand.random() < 0.5 else 0
        part.committed = part.end
        where = f"{part.topic}-{part.number}"
        cluster.note(where, "is led by", part.leader, f"epoch {part.epoch}, {gone} records gone")
        return True

    def pause(self, node: int, seconds: float) -> None:
        """A broker stands still."""
        self._cluster.note("broker", node, "stands still for", f"{seconds:.2f} s")
        self.paused_until[node] = self._cluster.now + seconds

    def delete(self, name: str, seconds: float) -> None:
        """A topic is deleted, and another of its name made after so many seconds."""
        topic = self.topics[name]
        if not topic.exists:
            return
        self._cluster.note("topic", name, "is deleted")
        topic.exists = False
        topic.life += 1
        for part in topic.partitions:
            part.delete()
        self._cluster.at(seconds, lambda: self.create(name))

    def create(self, name: str) -> None:
        """A topic is there (again)."""
        self._cluster.note("topic", name, "is created")
        topic = self.topics[name]
        topic.exists = True
        for part in topic.partitions:
            part.begin(self._random.choice(self._nodes))

    def grow(self, name: str) -> None:
        """A topic gets one more partition."""
        parts = self.topics[name].partitions
        self._cluster.note("topic", name, "grows")
        parts.append(self._partition(name, len(parts)))

    def heal(self) -> None:
        """Everything is there, and nobody pretends."""
        now = self._cluster.now
        for node in self._nodes:
            self.up[node] = True
            self.paused_until[node] = now
        for name, topic in self.topics.items():
            if not topic.exists:
                self.create(name)
        for part in self.partitions:
            part.leads_from = now
            part.zombie = (-1, 0.0)
            if part.leader < 0:
                self._take_over(part, self._nodes)
                part.leads_from = now
                part.zombie = (-1, 0.0)

    # Metadata and producer ids.

    def describe(self, request: MetadataRequest) -> MetadataResponse:
        """What a broker knows of the topics asked for, and that may be old."""
        chance = self._cluster.chance
        topics = []
        for asked in request.topics or []:
            topic = self.topics.get(asked.name or "")
            code = int(E.NONE)
            if topic is None or not topic.exists:
                code = int(E.UNKNOWN_TOPIC_OR_PARTITION)
            elif chance("hidden", 0.5):
                code = int(
                    self._random.choice([E.UNKNOWN_TOPIC_OR_PARTITION, E.LEADER_NOT_AVAILABLE])
                )
            if code or topic is None:
                topics.append(MetadataResponseTopic(name=asked.name, error_code=code))
                continue
            topics.append(
                MetadataResponseTopic(
                    name=asked.name,
                    topic_id=UUID(int=topic.life),
                    partitions=[self._describe(part) for part in topic.partitions],
                )
            )
        return MetadataResponse(
            brokers=[
                MetadataResponseBroker(node_id=node, host=f"broker{node}", port=9092)
                for node in self._nodes
                if self.up[node] or self._random.random() < 0.5
            ],
            topics=topics,
        )

    def _describe(self, part: ModelPartition) -> MetadataResponsePartition:
        leader, epoch = part.leader, part.epoch
        if len(part.history) > 1 and self._cluster.chance("stale", 2):
            leader, epoch = part.history[-2]
        if self._cluster.chance("hidden", 0.5):
            leader = -1
        return MetadataResponsePartition(
            partition_index=part.number,
            leader_id=leader,
            leader_epoch=epoch,
            error_code=0 if leader >= 0 else int(E.LEADER_NOT_AVAILABLE),
        )

    def identify(self, request: InitProducerIdRequest) -> InitProducerIdResponse:
        """A producer id for a producer without transactions."""
        if self._cluster.chance("identity", 4):
            return InitProducerIdResponse(error_code=int(self._random.choice(NO_IDENTITY)))
        if self._cluster.chance("fatal"):
            return InitProducerIdResponse(error_code=int(E.CLUSTER_AUTHORIZATION_FAILED))
        epoch, self.first_epoch = self.first_epoch, 0
        return InitProducerIdResponse(producer_id=self.new_id(), producer_epoch=epoch)

    def new_id(self) -> int:
        """A producer id, never given before."""
        self._ids += 1
        return self._ids

    # Produce.

    def produce(self, sent: Sent, broker: int, reply: Callable[[ProduceResponse], object]) -> None:
        """Append, replicate, answer."""
        cluster = self._cluster
        response = ProduceResponse(
            throttle_time_ms=self._random.choice([50, 500])
            if cluster.chance("throttle", 0.3)
            else 0,
            node_endpoints=[
                NodeEndpoint(node_id=node, host=f"broker{node}", port=9092) for node in self._nodes
            ],
        )
        topics: dict[str, TopicProduceResponse] = {}
        appended: list[Appended] = []
        for (name, number), batch in sent.batches.items():
            answer = PartitionProduceResponse(index=number, base_offset=-1)
            self._judge(name, broker, batch, answer, appended, sent)
            if cluster.chance("omitted", 0.1):
                continue
            if name not in topics:
                topics[name] = TopicProduceResponse(name=name)
                response.responses.append(topics[name])
            topics[name].partition_responses.append(answer)
        slow = bool(appended) and cluster.chance("replication", 2)
        if not slow:
            for one in appended:
                one.replicate()
            reply(response)
            return
        seconds = self._random.uniform(0.02, 1.5)
        if sent.message.acks != -1:
            cluster.at(seconds, lambda: [one.replicate() for one in appended])
            reply(response)
            return

        def finish() -> None:
            for one in appended:
                if not one.replicate():
                    one.answer.error_code = int(E.NOT_LEADER_OR_FOLLOWER)
                    one.answer.base_offset = -1
            reply(response)

        cluster.at(seconds, finish)

    def _judge(
        self,
        name: str,
        broker: int,
        batch: reader.Batch,
        answer: PartitionProduceResponse,
        appended: list[Appended],
        sent: Sent,
    ) -> None:
        """What becomes of one batch, written into ``answer`` and ``appended``."""
        chance, rand = self._cluster.chance, self._random
        topic = self.topics[name]
        if not topic.exists:
            answer.error_code = int(E.UNKNOWN_TOPIC_OR_PARTITION)
            return
        part = topic.partitions[answer.index]
        now = self._cluster.now
        if part.leader != broker or now < part.leads_from:
            node, until = part.zombie
            if node == broker and now < until and sent.message.acks != -1:
                # It writes, and acknowledges, what nobody will ever read.
                part.lost.update(record.value or b"" for record in batch.records())
                answer.base_offset = part.end
                return
            answer.error_code = int(E.NOT_LEADER_OR_FOLLOWER)
            if part.leader != broker and part.leader >= 0 and rand.random() < 0.5:
                answer.current_leader = LeaderIdAndEpoch(
                    leader_id=part.leader, leader_epoch=part.epoch
                )
            return
        if batch.header.size > self.max_bytes:
            answer.error_code = int(E.MESSAGE_TOO_LARGE)
            return
        if self._refuse(batch, answer):
            return
        for how in Amnesia:
            if chance(how.value, 0.2):
                self._cluster.note(f"{name}-{part.number}", "forgets its producers:", how.value)
                part.forget(how)
        header = batch.header
        epoch = header.producer_epoch
        if self.coordinator is not None and part.open.get(header.producer_id) != epoch:
            where = name, part.number
            answer.error_code = self.coordinator.verify(
                header.producer_id, epoch, where, sent.max_version
            )
            if answer.error_code:
                return
        end = part.end
        code, base = part.append(batch)
        answer.error_code, answer.base_offset = code, base
        if code:
            return
        duplicate = part.end == end
        appended.append(
            Appended(part, part.generation, base + header.record_count, answer, duplicate)
        )
        if chance("doubt"):
            answer.error_code, answer.base_offset = int(rand.choice(DOUBTS)), -1
        elif duplicate and chance("duplicate", 3):
            answer.error_code, answer.base_offset = int(E.DUPLICATE_SEQUENCE_NUMBER), -1

    def _refuse(self, batch: reader.Batch, answer: PartitionProduceResponse) -> bool:
        chance, rand = self._cluster.chance, self._random
        if chance("refusal"):
            answer.error_code = int(rand.choice(REFUSALS))
        elif chance("rejection", 0.3):
            answer.error_code = int(rand.choice(REJECTIONS))
        elif chance("record_errors", 0.3):
            answer.error_code = int(E.INVALID_RECORD)
            count = batch.header.record_count
            answer.record_errors = [
                BatchIndexAndErrorMessage(batch_index=index, batch_index_error_message="bad")
                for index in sorted(rand.sample(range(count), rand.randint(1, count)))
            ]
        elif batch.header.producer_id >= 0 and chance("estranged", 0.3):
            answer.error_code = int(rand.choice(ESTRANGED))
        elif chance("fatal", 0.1):
            answer.error_code = int(E.CLUSTER_AUTHORIZATION_FAILED)
        return bool(answer.error_code)
