"""An engine with its appender on virtual time, where the test is the world around it.

The rig connects, answers metadata, hands out producer ids and compresses by itself, unless told
not to; Produce requests are the test's to answer. After every poll it holds the engine to what
must always be true: it asks for no poll at a time already passed, and does not wake its runner
over and over while nothing happens.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from pyproducer.core.appender import Appender, Batch, Delivery, Prepared, TopicAppender
from pyproducer.core.delivery import Ledger
from pyproducer.core.effects import METADATA_NODE, Compress, Connect, Disconnect, Effect, Send
from pyproducer.core.engine import Engine, EngineOptions
from pyproducer.errors import NotDone
from pyproducer.partitioner import resolve
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
    PartitionProduceResponse,
    ProduceRequest,
    ProduceResponse,
    TopicProduceResponse,
)
from pyproducer.records import reader
from pyproducer.records.codec import Codec
from pyproducer.records.compression import compress

#: What brokers say that know no topic ids.
NO_ID = UUID(int=0)

WALL_MS = 1_700_000_000_000

#: So many polls in a row, each asked for by the one before, are a busy loop.
MOST_POLLS = 20


class Waiter:
    """A future without a loop: it is what ``await`` on a delivery is woken by."""

    def __init__(self) -> None:
        self._done = False
        self._cancelled = False

    def done(self) -> bool:
        return self._done or self._cancelled

    def cancelled(self) -> bool:
        return self._cancelled

    def cancel(self) -> None:
        self._cancelled = True

    def set_result(self, result: object) -> None:
        assert not self.done()
        self._done = True

    def __iter__(self) -> Generator[Waiter, None, None]:
        while not self._done:
            yield self


class Host:
    """The appender's host: notes what it is asked for."""

    def __init__(self) -> None:
        self.woken = 0
        self.full: list[int] = []
        self.seen: list[str] = []
        self.later: list[tuple[Callable[[Delivery], object], Delivery]] = []
        self.ledger: Ledger | None = None

    def wake(self) -> None:
        self.woken += 1

    def filled(self, batch: Batch) -> None:
        self.full.append(batch.serial)

    def future(self) -> Waiter:
        return Waiter()

    def soon(self, callback: Callable[[Delivery], object], delivery: Delivery) -> None:
        self.later.append((callback, delivery))

    def block(self, delivery: Delivery, timeout: float | None) -> None:
        raise NotDone("not yet")

    def saw(self, batch: Batch) -> None:
        self.seen.append(batch.topic)
        if self.ledger is not None:
            self.ledger.saw(batch.topic)


@dataclass(eq=False)
class Sent:
    """A Produce request on its way."""

    at: float
    node: int
    tag: int
    message: ProduceRequest
    expect_response: bool = True
    max_version: int = 12

    @property
    def batches(self) -> dict[tuple[str, int], reader.Batch]:
        """The batch of each partition, checksums verified."""
        found = {}
        for topic in self.message.topic_data:
            for part in topic.partition_data:
                [batch] = reader.iter_batches(b"".join(part.records))
                batch.verify()
                assert (topic.name, part.index) not in found
                found[topic.name, part.index] = batch
        return found

    @property
    def batch(self) -> reader.Batch:
        """The only batch."""
        [batch] = self.batches.values()
        return batch

    @property
    def values(self) -> list[bytes | None]:
        """The values of all records, in order."""
        return [record.value for batch in self.batches.values() for record in batch.records()]

    @property
    def identity(self) -> tuple[int, int, int]:
        """Producer id, epoch and sequence of the only batch."""
        header = self.batch.header
        return header.producer_id, header.producer_epoch, header.base_sequence

    @property
    def size(self) -> int:
        """Bytes of all batches."""
        return sum(len(batch.view) for batch in self.batches.values())


def hand_over(engine: Engine, node: int, tag: int, response: Any, now: float) -> None:
    """Give the engine an answer, and hold it to its word where it says that nothing is to do."""
    before = engine.deadline()
    if engine.on_answer(node, tag, response, now) or (before is not None and before <= now):
        return
    done = engine.poll(now)
    assert not done, f"there was something to do after an answer that said otherwise: {done}"
    at = engine.deadline()
    assert at is None or (before is not None and at >= before), f"deadline {before} became {at}"


@dataclass
class TopicSpec:
    """A topic of the rig's cluster: an error, or a leader (and epoch) for each partition."""

    leaders: list[int]
    epochs: list[int]
    error: int = 0
    topic_id: UUID = NO_ID


class Rig:
    """See the module."""

    def __init__(
        self,
        topics: dict[str, list[int]] | None = None,
        *,
        brokers: tuple[int, ...] = (1, 2, 3),
        partitioner: Any = "murmur2",
        batch_size: int = 1000,
        batch_max_records: int = 10_000,
        buffer_memory: int = 1 << 20,
        max_request_size: int = 10_000,
        on_failure: Callable[..., object] | None = None,
        lock: Any = None,
        random: Callable[[], float] = lambda: 0.5,
        **options: Any,
    ) -> None:
        self.now = 100.0
        self.sent: list[Sent] = []
        self.brokers = {node: (f"broker{node}", 9092) for node in brokers}
        self.topics = {
            name: TopicSpec(list(leaders), [0] * len(leaders))
            for name, leaders in ({"t": [1]} if topics is None else topics).items()
        }
        self.down: set[int] = set()
        self.hold_metadata = False
        self.hold_identity = False
        self.hold_compression = False
        self.identity_error = 0
        self.produce_id = 7
        self.effects: list[Effect] = []
        self.metadata_asked: list[float] = []
        self.held: list[Send] = []
        self.compressing: list[Compress] = []
        self.offsets: dict[tuple[str, int], int] = {}
        self.chosen = 0
        self.host = Host()
        self.appender = Appender(
            batch_size=batch_size,
            batch_max_records=batch_max_records,
            largest_record=min(max_request_size, buffer_memory),
            largest_record_name="max_request_size",
            buffer_memory=buffer_memory,
            partitioner=resolve(partitioner),
            choose=self._choose,
            wall_ns=lambda: (WALL_MS + round(self.now * 1000)) * 1_000_000,
            is_coroutine_function=lambda function: False,
            thread_ident=lambda: 1,
            make_entry=lambda state: TopicAppender(state, None, 0, None, 0, _context, None),
            host=self.host,
            lock=lock,
        )
        self.ledger = self.host.ledger = Ledger(on_failure)
        self.options = EngineOptions(
            **{
                "bootstrap": [("seed", 9092)],
                "acks": -1,
                "idempotent": True,
                "linger": 0.005,
                "codec": Codec.NONE,
                "delivery_timeout": 120.0,
                "request_timeout": 30.0,
                "max_request_size": max_request_size,
                "max_in_flight": 5,
                "retries": None,
                "retry_backoff": (0.1, 1.0),
                "reconnect_backoff": (0.05, 1.0),
                "metadata_max_age": 300.0,
                "auto_create": False,
            }
            | options
        )
        self.engine = Engine(self.options, self.appender, self.ledger, random)

    def _choose(self, count: int) -> int:
        # Sticky partitions in turn: a test can tell where the next record goes.
        self.chosen += 1
        return (self.chosen - 1) % count

    # The callers.

    def send(
        self,
        value: Any = b"v",
        *,
        topic: str = "t",
        key: Any = None,
        headers: Any = None,
        partition: int | None = None,
        timestamp_ms: int | None = None,
        on_delivery: Callable[[Delivery], object] | None = None,
        urgent: bool = False,
    ) -> Delivery:
        """Queue a record; it must find room."""
        made = self.accept(
            value,
            topic=topic,
            key=key,
            headers=headers,
            partition=partition,
            timestamp_ms=timestamp_ms,
            on_delivery=on_delivery,
            urgent=urgent,
        )
        assert isinstance(made, Delivery)
        return made

    def accept(
        self,
        value: Any = b"v",
        *,
        topic: str = "t",
        key: Any = None,
        headers: Any = None,
        partition: int | None = None,
        timestamp_ms: int | None = None,
        on_delivery: Callable[[Delivery], object] | None = None,
        urgent: bool = False,
    ) -> Delivery | Prepared:
        """Queue a record, or get it back prepared."""
        return self.appender.entry(topic).accept(
            value, key, headers, partition, timestamp_ms, on_delivery, urgent
        )

    # The world.

    def poll(self) -> list[Effect]:
        """Poll once, perform nothing, and hold the engine to its invariants."""
        self.host.woken = 0
        effects = self.engine.poll(self.now)
        self.effects += effects
        at = self.engine.deadline()
        later = at is None or at > self.now
        assert later or self.engine.has_more, f"deadline {at} is not after {self.now}"
        return effects

    def turn(self) -> list[Sent]:
        """Poll and perform until nothing more happens now; the Produce requests are returned."""
        before = len(self.sent)
        for _ in range(MOST_POLLS):
            effects = self.poll()
            for effect in effects:
                self._perform(effect)
            self.tell()
            if not effects and not self.host.woken:
                return self.sent[before:]
        raise AssertionError("the engine has itself polled again and again")

    def tell(self) -> None:
        """Run what callers asked to be told."""
        self.engine.settler.deliveries.run(lambda: self.now, 1.0)
        later, self.host.later = self.host.later, []
        for callback, delivery in later:
            callback(delivery)

    def advance(self, seconds: float) -> list[Sent]:
        """Let time pass from deadline to deadline; the Produce requests are returned."""
        before = len(self.sent)
        end = self.now + seconds
        self.turn()
        while (at := self.engine.deadline()) is not None and at <= end:
            self.now = at
            self.turn()
        # Not polled here: who forgot to name a deadline is not polled by the runner either.
        self.now = end
        return self.sent[before:]

    def _perform(self, effect: Effect) -> None:
        match effect:
            case Connect(node=node):
                if node in self.down:
                    self.engine.on_disconnected(node, "refused", self.now)
                else:
                    self.engine.on_connected(node)
            case Send(message=ProduceRequest() as message):
                made = Sent(self.now, effect.node, effect.tag, message, effect.expect_response)
                self.sent.append(made)
                if not effect.expect_response:
                    self.engine.on_answer(effect.node, effect.tag, None, self.now)
            case Send(message=MetadataRequest()):
                self.metadata_asked.append(self.now)
                if self.hold_metadata:
                    self.held.append(effect)
                else:
                    self.answer_metadata(effect)
            case Send(message=InitProducerIdRequest()):
                if self.hold_identity:
                    self.held.append(effect)
                else:
                    self.answer_identity(effect)
            case Compress():
                if self.hold_compression:
                    self.compressing.append(effect)
                else:
                    self.finish_compression(effect)
            case Disconnect():
                pass

    def finish_compression(self, effect: Compress) -> None:
        """Compress as the runner would."""
        sealed = effect.sealed
        body = bytes(sealed.batch.body())
        made = compress(sealed.codec, body)
        self.engine.on_compressed(sealed, made if len(made) < len(body) else None)

    def metadata(self, request: MetadataRequest) -> MetadataResponse:
        """What the cluster says of the topics asked for."""
        topics = []
        for asked in request.topics or []:
            spec = self.topics.get(asked.name or "")
            if spec is None:
                code = int(ErrorCode.UNKNOWN_TOPIC_OR_PARTITION)
                topics.append(MetadataResponseTopic(name=asked.name, error_code=code))
                continue
            topics.append(
                MetadataResponseTopic(
                    name=asked.name,
                    error_code=spec.error,
                    topic_id=spec.topic_id,
                    partitions=[
                        MetadataResponsePartition(
                            partition_index=number,
                            leader_id=leader,
                            leader_epoch=epoch,
                            error_code=0 if leader >= 0 else int(ErrorCode.LEADER_NOT_AVAILABLE),
                        )
                        for number, (leader, epoch) in enumerate(
                            zip(spec.leaders, spec.epochs, strict=True)
                        )
                    ],
                )
            )
        return MetadataResponse(
            brokers=[
                MetadataResponseBroker(node_id=node, host=host, port=port)
                for node, (host, port) in self.brokers.items()
            ],
            topics=topics,
        )

    def answer_metadata(self, effect: Send) -> None:
        """Answer a metadata request from the rig's cluster."""
        assert isinstance(effect.message, MetadataRequest)
        response = self.metadata(effect.message)
        self.engine.on_answer(METADATA_NODE, effect.tag, response, self.now)

    def answer_identity(self, effect: Send) -> None:
        """Answer an InitProducerId request."""
        response = InitProducerIdResponse(
            error_code=self.identity_error, producer_id=self.produce_id, producer_epoch=0
        )
        self.engine.on_answer(METADATA_NODE, effect.tag, response, self.now)

    def prove(self) -> Rig:
        """Have a record of every partition acknowledged, and its numbers come round to 0 again.

        A partition sends one batch at a time until its broker took the first of an epoch.
        """
        for name, spec in self.topics.items():
            self.engine.want(name, self.now)
            self.turn()
            for number in range(len(spec.leaders)):
                self.send(b"first", topic=name, partition=number)
        self.engine.flush(self.now, lambda: None)
        for sent in self.turn():
            self.answer(sent)
        for topic in self.appender.topics.values():
            for part in topic.partitions or []:
                part.queue.next_sequence = 0
        self.assert_idle()
        self.sent.clear()
        self.offsets.clear()
        return self

    def release(self) -> None:
        """Answer what was held."""
        held, self.held = self.held, []
        for effect in held:
            if isinstance(effect.message, MetadataRequest):
                self.answer_metadata(effect)
            else:
                self.answer_identity(effect)

    def lead(self, leader: int, *, topic: str = "t", partition: int = 0) -> None:
        """Move a partition's leader; the engine learns of it when it asks."""
        spec = self.topics[topic]
        spec.leaders[partition] = leader
        spec.epochs[partition] += 1

    # Answers.

    def response(
        self,
        sent: Sent,
        error: int = 0,
        *,
        parts: dict[tuple[str, int], dict[str, Any]] | None = None,
        throttle_ms: int = 0,
        **fields: Any,
    ) -> ProduceResponse:
        """A response to all partitions of a request: offsets in turn, or errors."""
        topics: dict[str, TopicProduceResponse] = {}
        for (name, number), batch in sent.batches.items():
            given = dict({"error_code": error} | fields)
            given |= (parts or {}).get((name, number), {})
            if not given["error_code"]:
                base = self.offsets.get((name, number), 0)
                self.offsets[name, number] = base + batch.header.record_count
                given.setdefault("base_offset", base)
            else:
                given.setdefault("base_offset", -1)
            topic = topics.setdefault(name, TopicProduceResponse(name=name))
            given["error_code"] = int(given["error_code"])
            topic.partition_responses.append(PartitionProduceResponse(index=number, **given))
        return ProduceResponse(responses=list(topics.values()), throttle_time_ms=throttle_ms)

    def answer(
        self,
        sent: Sent,
        error: int = 0,
        *,
        response: ProduceResponse | None = None,
        **how: Any,
    ) -> list[Sent]:
        """Answer a request; what is sent at once thereupon is returned."""
        if response is None:
            response = self.response(sent, error, **how)
        hand_over(self.engine, sent.node, sent.tag, response, self.now)
        return self.turn()

    def lose(self, node: int = 1, reason: str = "connection reset") -> None:
        """Break a connection."""
        self.engine.on_disconnected(node, reason, self.now)

    # Looks.

    def assert_idle(self) -> None:
        """Nothing is left: no record, no byte of the buffer, no request, no caller to tell."""
        engine = self.engine
        assert {} == engine.settler.live
        assert 0 == self.appender.used
        assert 0 == engine.in_flight
        assert not engine.settler.deliveries
        assert 0 == len(engine.waiters)
        for topic in self.appender.topics.values():
            for part in topic.partitions or []:
                queue = part.queue
                state = (part.open, queue.waiting, queue.in_flight, queue.stamped)
                assert (None, [], [], 0) == state


def _context(topic: str, field: str, headers: Any) -> tuple[str, str, Any]:
    return topic, field, headers
