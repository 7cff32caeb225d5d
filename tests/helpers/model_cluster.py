"""A cluster small enough to be believed: logs, Kafka's rules for sequences, and a bad network.

It plays the world of an engine under a schedule of delays, losses, refusals, crashes and leader
moves drawn from one seed. What a broker acknowledged with acks=all is replicated and stays; what
is not replicated may go with its leader.

Events of the world happen at their times whatever the client does. Events at the client wait
while it stands still, as a process does that was stopped.
"""

from __future__ import annotations

import heapq
import random
from collections import Counter
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from typing import Any

from pyproducer.core.accumulator import PartitionQueue
from pyproducer.core.appender import ACKED, CLOSED
from pyproducer.core.effects import Authenticate, Compress, Connect, Disconnect, Effect, Send
from pyproducer.errors import CredentialsRefused
from pyproducer.protocol.error_codes import ErrorCode as E
from pyproducer.protocol.messages.init_producer_id import (
    InitProducerIdRequest,
    InitProducerIdResponse,
)
from pyproducer.protocol.messages.metadata import MetadataRequest, MetadataResponse
from pyproducer.protocol.messages.produce import ProduceRequest, ProduceResponse
from pyproducer.records.codec import Codec
from tests.helpers.engine_rig import MOST_POLLS, Rig, Sent, hand_over
from tests.helpers.model_brokers import ModelBrokers
from tests.helpers.model_log import REMEMBERED

NODES = (1, 2, 3)

#: Seconds after which an attempt to connect that nothing answers is given up.
SETUP_TIMEOUT = 2.0


@dataclass(slots=True)
class Link:
    """One connection: requests are handled in order, answers come back in order.

    Attributes:
        node: the engine's name of it.
        broker: who is at the other end.
        life: which life of the broker it was made in.
        alive: neither side dropped it.
        deaf: nothing that the client writes arrives any more.
        mute: nothing that the broker writes arrives any more.
        handled_at: when the last request was, or will be, handled.
        answered_at: when the last answer arrived, or will arrive.
        session_ends: when the broker stops believing who the client is.
        held: what was sent while the client proves that anew; None where it does not.
    """

    node: int
    broker: int
    life: int
    alive: bool = True
    deaf: bool = False
    mute: bool = False
    handled_at: float = 0.0
    answered_at: float = 0.0
    session_ends: float = float("inf")
    held: list[Send] | None = None


class ModelCluster(Rig):
    """A rig whose world is a cluster with faults.

    Args:
        seed: of everything that happens.
        topics: how many partitions each topic has.
        faults: the kinds that there are.
        level: chance of each fault where one is possible.
        trace: where to write what happens, if anywhere.
        options: of the rig, and of the engine.

    Attributes:
        injected: how often each kind of fault happened.
        frozen_until: until when the client stands still.
        freezes: from when until when it stood still.
        features: the cluster's finalized features.
        caller: goes on with what a caller does as soon as he can; True where he did anything.
        throttled: until when each broker wants nothing.
        refused: for each partition that was refused since it was sent, when and by whom, and
            the leader's epoch.
        idle_polls: polls that were asked for by the engine and did nothing.
        requests: requests written, by API.
    """

    def __init__(
        self,
        seed: int,
        *,
        topics: dict[str, int],
        faults: Collection[str] = (),
        level: float = 0.0,
        trace: list[str] | None = None,
        **options: Any,
    ) -> None:
        self.random = random.Random(seed)
        super().__init__({}, brokers=NODES, random=self.random.random, **options)
        self.faults = frozenset(faults)
        self.level = level
        self.trace = trace
        self.injected: Counter[str] = Counter()
        self.requests: Counter[str] = Counter()
        self.links: dict[int, Link] = {}
        self.attempts: dict[int, int] = {}
        self.events: list[tuple[float, int, bool, Callable[[], object]]] = []
        self.inbox: list[Callable[[], object]] = []
        self.count = 0
        self.frozen_until = 0.0
        self.freezes: list[tuple[float, float]] = []
        self.features: dict[str, int] = {}
        self.caller: Callable[[], bool] = lambda: False
        self.throttled: dict[int, float] = {}
        self.refused: dict[tuple[str, int], tuple[float, int, int]] = {}
        self.polled = 0
        self.idle_polls = 0
        self.world = ModelBrokers(self, topics)

    # What happens, and by chance.

    def note(self, *words: object) -> None:
        """Write down what happens, where somebody will read it."""
        if self.trace is not None:
            self.trace.append(f"{self.now - 100:9.4f}  " + " ".join(map(str, words)))

    def chance(self, kind: str, weight: float = 1.0) -> bool:
        """Whether a fault of this kind happens here.

        A kind that is switched off draws all the same, so that a schedule without it begins
        like the one with it.
        """
        if self.random.random() >= self.level * weight or kind not in self.faults:
            return False
        self.injected[kind] += 1
        return True

    def delay(self) -> float:
        """How long a way across the network takes."""
        if self.chance("slow"):
            return self.random.uniform(0.1, 2.0)
        return self.random.uniform(0.0005, 0.01)

    # Time.

    def at(self, delay: float, event: Callable[[], object], *, client: bool = False) -> None:
        """Have something happen after so many seconds, in the world or at the client."""
        self.count += 1
        heapq.heappush(self.events, (self.now + delay, self.count, client, event))

    def run(self, seconds: float, until: Callable[[], bool] = lambda: False) -> None:
        """Let everything happen that happens in so many seconds, or until something holds."""
        end = self.now + max(0.0, seconds)
        if self.now >= self.frozen_until:
            self.turn()
        while not until():
            frozen = self.now < self.frozen_until
            due = self.frozen_until if frozen else self.engine.deadline()
            at = end if due is None else due
            if self.events and self.events[0][0] < at:
                at = self.events[0][0]
            if at >= end:
                break
            self.now = max(self.now, at)
            news = self._happen()
            if self.now < self.frozen_until:
                continue
            if frozen:
                self._thaw()
            elif news:
                self.turn()
            elif due is not None and due <= self.now:
                before = self.polled
                self.turn()
                self.idle_polls += self.polled == before + 1
        else:
            return
        self.now = end
        if self.now >= self.frozen_until:
            self._thaw() if self.inbox else self.turn()

    def _happen(self) -> bool:
        """All events that are due; true where one of them was the client's."""
        news = False
        while self.events and self.events[0][0] <= self.now:
            _, _, client, event = heapq.heappop(self.events)
            if client and self.now < self.frozen_until:
                self.inbox.append(event)
                continue
            news = news or client
            event()
        return news

    def freeze(self, seconds: float) -> None:
        """The client stands still; then all comes at once."""
        self.note("the client stands still for", f"{seconds:.2f} s")
        self.frozen_until = max(self.frozen_until, self.now + seconds)
        self.freezes.append((self.now, self.frozen_until))

    def _thaw(self) -> None:
        self.note("the client goes on")
        # Timers and sockets are both due: either may come first.
        if self.random.random() < 0.5:
            self.turn()
        inbox, self.inbox = self.inbox, []
        for event in inbox:
            event()
        self.turn()

    def turn(self) -> list[Sent]:
        """Poll and perform until nothing more happens now, and nobody does anything more."""
        while True:
            self._turn()
            if not self.caller():
                return []

    def _turn(self) -> None:
        for _ in range(MOST_POLLS):
            effects = self.poll()
            self.polled += 1
            for effect in effects:
                self._perform(effect)
            self.tell()
            if not effects and not self.host.woken:
                return
            self.effects.clear()
        raise AssertionError("the engine has itself polled again and again")

    # The network.

    def _perform(self, effect: Effect) -> None:
        match effect:
            case Connect(node=node, host=host):
                attempt = self.attempts[node] = self.attempts.get(node, 0) + 1
                self.note("connect", node, "to", host)
                broker = int(host[6:]) if host.startswith("broker") else self.random.choice(NODES)
                if self.chance("hang"):
                    delay, broker = SETUP_TIMEOUT, -1
                else:
                    delay = self.delay()
                self.at(delay, lambda: self._connected(node, broker, attempt), client=True)
            case Disconnect(node=node, reason=reason):
                self.note("the client drops", node, reason)
                self.attempts[node] = self.attempts.get(node, 0) + 1
                self._cut(node)
            case Compress():
                if effect.sealed.codec is Codec.NONE or self.random.random() < 0.5:
                    self.finish_compression(effect)
                else:
                    longest = 1.0 if self.chance("compression", 2) else 0.02
                    delay = self.random.uniform(0, longest)
                    self.at(delay, lambda: self._compressed(effect), client=True)
            case Send():
                self._send(effect)
            case Authenticate(node=node):
                self._authenticate(node)

    def _compressed(self, effect: Compress) -> None:
        if effect.sealed.body is None and effect.sealed.batch.state <= 1:
            self.finish_compression(effect)

    def _connected(self, node: int, broker: int, attempt: int) -> None:
        if attempt != self.attempts[node]:
            return
        self.attempts[node] += 1
        if broker < 0:
            self.note("no answer to connect", node)
            self.engine.on_disconnected(node, "timed out", self.now)
        elif not self.world.up[broker] or self.chance("refused", 2):
            self.note("connect", node, "is refused")
            self.engine.on_disconnected(node, "refused", self.now)
        else:
            link = self.links[node] = Link(node, broker, self.world.lives[broker])
            self.engine.on_connected(node, self.features, 1, self._begin_session(link), self.now)

    def _begin_session(self, link: Link) -> float:
        """How long the broker believes who the client is; 0 is for good."""
        if "sessions" not in self.faults or not self.level:
            link.session_ends = float("inf")
            return 0.0
        self.injected["sessions"] += 1
        lifetime = self.random.uniform(0.2, 2.0)
        link.session_ends = self.now + lifetime
        return lifetime

    def _authenticate(self, node: int) -> None:
        """The client proves anew who it is, or finds that it cannot."""
        link = self.links[node]
        self.note("authenticate", node)
        if self.chance("unproven"):
            self.at(self.delay(), lambda: self._unproven(link), client=True)
            return
        link.held = []
        if link.deaf or self.chance("unauthenticated", 0.3):
            return
        link.handled_at = max(link.handled_at, self.now + self.delay())
        self.at(link.handled_at - self.now, lambda: self._judge_client(link))

    def _unproven(self, link: Link) -> None:
        if link.alive:
            self.note("there is nothing to prove it with", link.node)
            self.engine.on_unproven(link.node, "no token", self.now)

    def _judge_client(self, link: Link) -> None:
        """The broker looks at who the client is, behind the requests before that."""
        if link.life != self.world.lives[link.broker] or not self.world.up[link.broker]:
            return
        denied = self.chance("denied")
        # The broker counts from now, and the client from when it hears of it.
        lifetime = 0.0 if denied else self._begin_session(link)
        if link.mute:
            return
        link.answered_at = max(link.answered_at, self.now + self.delay())
        delay = link.answered_at - self.now
        self.at(delay, lambda: self._judged(link, lifetime, denied=denied), client=True)

    def _judged(self, link: Link, lifetime: float, *, denied: bool) -> None:
        if not link.alive:
            return
        if denied:
            self.note("the broker refuses the client on", link.node)
            self._cut(link.node)
            error = CredentialsRefused("refused")
            self.engine.on_disconnected(link.node, "refused", self.now, error)
            return
        self.note("the broker accepts the client on", link.node)
        self.engine.on_authenticated(link.node, lifetime, self.now)
        held, link.held = link.held or [], None
        for effect in held:
            self._write(link, effect)

    def _cut(self, node: int) -> Link | None:
        link = self.links.pop(node, None)
        if link is not None:
            link.alive = False
        return link

    def break_link(self, node: int) -> None:
        """A connection breaks; what was written on it may still be handled."""
        if self._cut(node) is not None:
            self.note("the connection", node, "breaks")
            self.engine.on_disconnected(node, "reset", self.now)

    def break_links(self, broker: int, *, silently: bool) -> None:
        """Nothing is at the other end any more; the client learns of it, or does not."""
        for node, link in list(self.links.items()):
            if link.broker != broker:
                continue
            link.deaf = link.mute = True
            if not silently:
                self.at(
                    self.delay(), lambda node=node, link=link: self._reset(node, link), client=True
                )

    def _reset(self, node: int, link: Link) -> None:
        if link.alive:
            self.break_link(node)

    def _send(self, effect: Send) -> None:
        node, link = effect.node, self.links[effect.node]
        message = effect.message
        self.requests[type(message).__name__] += 1
        if self.trace is not None:
            self.note("send", f"#{effect.tag}", "to", node, _words(effect))
        if isinstance(message, ProduceRequest):
            self._check(node, message)
        if link.held is None:
            self._write(link, effect)
        else:
            link.held.append(effect)

    def _write(self, link: Link, effect: Send) -> None:
        node = effect.node
        silent = not effect.expect_response
        if silent:
            # Written, which is all that acks=0 asks for.
            self.at(0.0, lambda: self._deliver(link, effect, None), client=True)
        if self.chance("reset", 0.3):
            # Lost with its connection, before or after the broker read it.
            self.at(self.delay(), lambda: self._reset(node, link), client=True)
            if self.random.random() < 0.5:
                self.note("lost on the way", f"#{effect.tag}")
                return
        if self.chance("black", 0.15):
            deaf = self.random.random() < 0.5
            self.note("connection", node, "hears nothing" if deaf else "says nothing", "any more")
            link.deaf, link.mute = link.deaf or deaf, True
        if link.deaf:
            return
        link.handled_at = max(link.handled_at, self.now + self.delay())
        self.at(link.handled_at - self.now, lambda: self._handle(link, effect))

    def _check(self, node: int, message: ProduceRequest) -> None:
        """Hold a Produce request to what a broker may expect of its clients."""
        flying, most = len(self.engine._links.node(node).in_flight), self.options.max_in_flight
        assert most is None or flying <= most, f"V15: {flying} requests under way"
        assert self.now >= self.throttled.get(node, 0.0), f"V15: broker {node} wanted nothing yet"
        for topic in message.topic_data:
            for part in topic.partition_data:
                where = topic.name, part.index
                queue = self.queue(*where)
                flying = len(queue.in_flight)
                if self.options.idempotent:
                    # The halves of a batch in doubt are in doubt because it is.
                    doubtful = {sealed.order for sealed in queue.waiting if sealed.in_doubt}
                    doubtful.update(sealed.order for sealed in queue.in_flight)
                    assert flying <= REMEMBERED, f"V3: {flying} batches under way"
                    assert len(doubtful) <= REMEMBERED, f"V3: {len(doubtful)} may be in the log"
                else:
                    assert flying == 1 or not self.options.acks, f"V5: {flying} batches under way"
                refused = self.refused.pop(where, None)
                if refused is not None and refused[1:] == (node, queue.leader_epoch):
                    shortest = 0.8 * self.options.retry_backoff[0]
                    pause = self.now - refused[0]
                    assert pause >= shortest - 1e-9, f"V15: sent again after {pause:.4f} s"

    def queue(self, topic: str, number: int) -> PartitionQueue:
        """What the engine has for a partition."""
        queue: PartitionQueue = self.appender.topics[topic].partitions[number].queue
        return queue

    def _learn(self, node: int, tag: int, response: ProduceResponse) -> None:
        """Note what the client owes the broker after this answer, and have it answered."""
        if response.throttle_time_ms:
            until = self.now + response.throttle_time_ms / 1000
            self.throttled[node] = max(until, self.throttled.get(node, 0.0))
        owed = {
            (sealed.queue.topic, sealed.queue.number): batch
            for sealed in self.engine._links.node(node).in_flight[tag][1]
            if (batch := sealed.batch).state <= CLOSED
        }
        hand_over(self.engine, node, tag, response, self.now)
        codes = {
            (topic.name, part.index): part.error_code
            for topic in response.responses
            for part in topic.partition_responses
        }
        for where, batch in owed.items():
            if codes.get(where) in {E.NONE, E.DUPLICATE_SEQUENCE_NUMBER}:
                assert batch.state == ACKED, "V1: a batch is in the log, and not acknowledged"
            elif batch.state <= CLOSED:
                # One pause for all that were under way.
                self.refused.setdefault(where, (self.now, node, self.queue(*where).leader_epoch))

    def _handle(self, link: Link, effect: Send) -> None:
        """A request arrived at its broker, which may be another life of the broker by now."""
        if link.life != self.world.lives[link.broker] or not self.world.up[link.broker]:
            return
        paused = self.world.paused_until[link.broker]
        if self.now < paused:
            self.at(paused - self.now, lambda: self._handle(link, effect))
            return
        if self.now > link.session_ends:
            # Whoever comes too late is not heard (KIP-368).
            self.at(self.delay(), lambda: self._reset(link.node, link), client=True)
            return
        message = effect.message
        if isinstance(message, InitProducerIdRequest) and not link.alive:
            # A late one would fence its own producer: nobody can tell it from another's.
            return
        if isinstance(message, MetadataRequest):
            self._answer(link, effect, self.world.describe(message))
        elif isinstance(message, ProduceRequest):
            sent = Sent(
                self.now,
                effect.node,
                effect.tag,
                message,
                effect.expect_response,
                effect.max_version or 12,
            )
            self.world.produce(
                sent, link.broker, lambda response: self._answer(link, effect, response)
            )
        elif self.world.coordinator is not None:
            if not link.alive:
                self.injected["late"] += 1
            done = self.world.coordinator.answer(message, link.broker, effect.max_version)
            self._answer(link, effect, done)
        else:
            assert isinstance(message, InitProducerIdRequest)
            self._answer(link, effect, self.world.identify(message))

    def _answer(self, link: Link, effect: Send, response: object) -> None:
        """The broker writes an answer."""
        if not effect.expect_response or link.life != self.world.lives[link.broker]:
            return
        if self.chance("unanswered", 0.2):
            # The first that is missing: nothing after it can come.
            self.note("connection", link.node, "says nothing any more")
            link.mute = True
        if link.mute:
            return
        link.answered_at = max(link.answered_at, self.now + self.delay())
        delay = link.answered_at - self.now
        self.at(delay, lambda: self._deliver(link, effect, response), client=True)

    def _deliver(self, link: Link, effect: Send, response: Any) -> None:
        if link.alive:
            if self.trace is not None and response is not None:
                self.note("answer", f"#{effect.tag}", "from", link.node, _said(response))
            if isinstance(response, ProduceResponse):
                self._learn(effect.node, effect.tag, response)
            else:
                self.engine.on_answer(effect.node, effect.tag, response, self.now)

    # Peace.

    def heal(self) -> None:
        """No more faults. What is broken and silent stays so until somebody looks."""
        self.note("peace")
        self.level = 0.0
        self.world.heal()


def _words(effect: Send) -> str:
    message = effect.message
    if not isinstance(message, ProduceRequest):
        shown = ("producer_id", "producer_epoch", "committed", "v3_and_below_topics")
        fields = [f"{name}={getattr(message, name)}" for name in shown if hasattr(message, name)]
        return " ".join([type(message).__name__.removesuffix("Request"), *fields])
    made = Sent(0.0, effect.node, effect.tag, message)
    return ", ".join(
        f"{topic}-{number} {batch.header.producer_id}/{batch.header.producer_epoch}"
        f"/{batch.header.base_sequence} {_names(record.value for record in batch.records())}"
        for (topic, number), batch in made.batches.items()
    )


def _names(values: Iterable[bytes | None]) -> str:
    return " ".join((value or b"").rstrip(b".").decode() for value in values)


def _said(response: Any) -> str:
    if isinstance(response, InitProducerIdResponse):
        return f"id {response.producer_id}/{response.producer_epoch} error {response.error_code}"
    if hasattr(response, "responses"):
        throttle = f", throttle {response.throttle_time_ms} ms" if response.throttle_time_ms else ""
        return (
            ", ".join(
                f"{topic.name}-{part.index} "
                + (f"error {part.error_code}" if part.error_code else f"at {part.base_offset}")
                for topic in response.responses
                for part in topic.partition_responses
            )
            + throttle
        )
    if not isinstance(response, MetadataResponse):
        return str(response)
    return ", ".join(
        f"{topic.name} "
        + (
            f"error {topic.error_code}"
            if topic.error_code
            else str([part.leader_id for part in topic.partitions])
        )
        for topic in response.topics
    )
