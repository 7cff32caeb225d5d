"""One run of an engine in the model cluster: everything about it is drawn from one number.

Records are sent at random times while faults happen, then there is peace. Each schedule has some
kinds of faults and not others, so that a rare one is not always hidden behind a frequent one.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from pyproducer.core.appender import Delivery
from pyproducer.core.identity import Identity
from pyproducer.errors import DeliveryTimeout, ProducerClosed, ProducerError
from pyproducer.records.batch import SEQUENCE_MODULUS
from pyproducer.records.codec import Codec
from tests.helpers.engine_rig import Waiter
from tests.helpers.model_cluster import NODES, ModelCluster
from tests.helpers.model_log import Amnesia

__all__ = ["BY_CHANCE", "BY_TIME", "Outcome", "Schedule", "Told"]

#: Faults that happen where a die says so, each with the share of schedules that have it.
BY_CHANCE = {
    "slow": 0.5,
    "hang": 0.3,
    "refused": 0.5,
    "reset": 0.5,
    "black": 0.4,
    "unanswered": 0.3,
    "compression": 0.5,
    "hidden": 0.4,
    "stale": 0.4,
    "identity": 0.4,
    "throttle": 0.3,
    "omitted": 0.2,
    "replication": 0.5,
    "refusal": 0.5,
    "rejection": 0.3,
    "record_errors": 0.3,
    "estranged": 0.3,
    "doubt": 0.5,
    "duplicate": 0.4,
    "fatal": 0.04,
    Amnesia.EXPIRED.value: 0.3,
    Amnesia.STRICT.value: 0.06,
    Amnesia.LENIENT.value: 0.06,
}

#: Faults that come at some time, each with the share of schedules that have it.
BY_TIME = {
    "break": 0.4,
    "move": 0.5,
    "leaderless": 0.3,
    "crash": 0.4,
    "pause": 0.3,
    "outage": 0.1,
    "frozen": 0.25,
    "deleted": 0.06,
    "grown": 0.2,
    "unborn": 0.2,
    "close": 0.12,
    "left": 0.3,
    "large": 0.25,
    "last_epoch": 0.15,
    "last_sequence": 0.25,
}

#: Faults of sessions that end, so that connections have to prove anew who the client is; each with
#: its share. Drawn by themselves: a schedule without them is the same as if they did not exist.
BY_SESSION = {"sessions": 0.25, "unproven": 0.6, "unauthenticated": 0.6, "denied": 0.6}

#: Seconds in which records are sent and faults happen, and until when all is in the network.
SENDING, FAULTS, TROUBLE = 4.0, 6.0, 7.0

#: So often a record may fail in peace because a connection turns out to be gone.
ROUNDS = 3


class LateIdentity(Identity):
    """A producer that has sent nearly 2^31 records already, as its brokers would not know."""

    __slots__ = ()

    def _begin(self, queue: Any) -> None:
        super()._begin(queue)
        # A raised epoch begins at 0, which alone brokers take.
        if queue.epoch in FIRST_EPOCHS:
            queue.next_sequence = SEQUENCE_MODULUS - 9


#: What a cluster gives with a producer id; no epoch that is raised to reaches these again.
FIRST_EPOCHS = (0, 32765)


@dataclass(slots=True, eq=False)
class Told:
    """A record that was accepted, and what became known of it."""

    value: bytes
    topic: str
    delivery: Delivery | None = None
    accepted: float = 0.0
    place: int = -1
    times: int = 0
    at: float = -1.0
    watched: bool = True
    waiter: Waiter | None = None


@dataclass
class Outcome:
    """What many schedules came to."""

    schedules: int = 0
    records: int = 0
    acknowledged: int = 0
    failed: int = 0
    maybe: int = 0
    refused: int = 0
    faults: int = 0


class Schedule:
    """One run.

    Args:
        seed: the number.
        only: kinds of faults that may happen; the others are switched off.
        trace: where to write what happens, if anywhere.
    """

    by_chance = BY_CHANCE
    by_time = BY_TIME
    by_session = BY_SESSION

    def __init__(
        self,
        seed: int,
        *,
        only: Collection[str] | None = None,
        trace: list[str] | None = None,
    ) -> None:
        draw = random.Random(~seed)
        level = draw.choice([0.0, 0.02, 0.05, 0.1, 0.1, 0.2, 0.3])
        chosen = [
            kind
            for kind, share in (self.by_chance | self.by_time).items()
            if draw.random() < share and level and (only is None or kind in only)
        ]
        more = random.Random(f"sessions {seed}")
        chosen += [
            kind
            for kind, share in self.by_session.items()
            if more.random() < share and level and (only is None or kind in only)
        ]
        self.options = self.draw_options(draw)
        self.topics = {f"t{n}": draw.choice([1, 1, 2, 3, 6]) for n in range(draw.choice([1, 1, 2]))}
        self.seed = seed
        self.faults = frozenset(chosen)
        self.cluster = ModelCluster(
            seed, topics=self.topics, faults=chosen, level=level, trace=trace, **self.options
        )
        if trace is not None:
            trace.append(f"seed {seed}: level {level}, {self.topics}, {self.options}")
            trace.append(f"faults: {', '.join(sorted(chosen)) or 'none'}")
        if self.options["linger"] is None:
            # Then nothing but a full batch, or a flush, sends.
            self.cluster.at(TROUBLE, self.flush, client=True)
        self.told: list[Told] = []
        self.waiting: dict[bytes, tuple[int, list[bool]]] = {}
        self.refused: list[bytes] = []
        self.flushes: list[list[bool]] = []
        self.order: list[Told] = []
        self.sent = 0
        self.closed = False
        self.peace = False
        self.healed_at = 0.0
        self.probes: list[Told] = []

    def draw_options(self, draw: random.Random) -> dict[str, Any]:
        """Options of the engine."""
        idempotent = draw.random() < 0.75
        return {
            "acks": -1 if idempotent else draw.choice([-1, 1, 1, 0]),
            "idempotent": idempotent,
            "retries": 3 if draw.random() < 0.1 else None,
            "batch_max_records": draw.choice([1, 2, 3, 5, 9]),
            "batch_size": draw.choice([200, 1000, 1000]),
            "max_in_flight": draw.choice([1, 2, 5, None]),
            "max_request_size": draw.choice([1500, 10_000]),
            "linger": draw.choice([0.0, 0.005, 0.05, None]),
            "codec": Codec.GZIP if draw.random() < 0.2 else Codec.NONE,
            "delivery_timeout": draw.choice([0.6, 4.0, 4.0, 15.0]),
            "request_timeout": draw.choice([0.5, 3.0]),
            "buffer_memory": draw.choice([3000, 1 << 20, 1 << 20]),
            "retry_backoff": (0.05, 0.4),
            "reconnect_backoff": (0.02, 0.2),
            "metadata_max_age": draw.choice([1.0, 300.0]),
        }

    @property
    def fatal(self) -> bool:
        """The producer as a whole was refused."""
        return self.cluster.engine.fatal_error is not None

    @property
    def may_refuse(self) -> bool:
        """New records are refused for good reason."""
        return self.closed or self.fatal

    def run(self) -> None:
        """Send, suffer, recover."""
        cluster = self.cluster
        self.plan()
        cluster.run(TROUBLE)
        cluster.run(cluster.frozen_until - cluster.now)
        cluster.heal()
        self.peace = True
        self.healed_at = cluster.now
        cluster.run(self.patience, self.is_idle)
        for _ in range(ROUNDS):
            # A connection that is silently gone is found out when something is sent on it.
            probes = self.probe()
            cluster.run(self.patience, self.is_idle)
            cluster.run(0.5)
            if all(told.delivery and not told.delivery.exception() for told in probes):
                break
        self.probes = self.probe()
        cluster.run(2.0)

    @property
    def recovery(self) -> float:
        """Seconds of peace after which nothing is in the way of a record any more.

        Two silent connections found out, one after the other, and the pauses between attempts.
        """
        return 2 * float(self.options["request_timeout"]) + 4.0

    @property
    def patience(self) -> float:
        """Seconds of peace after which nothing can be left."""
        return 2 * self.options["request_timeout"] + self.options["delivery_timeout"] + 12.0

    def is_idle(self) -> bool:
        """Nothing is left to wait for."""
        engine = self.cluster.engine
        if engine.settler.live or engine.in_flight or self.waiting or engine.waiters:
            return False
        links = engine._links
        if links.meta.in_flight or any(node.connecting for node in (links.meta, *links)):
            return False
        # A leader may be unknown to nobody's harm, until somebody sends to it.
        return all(
            part.queue.leader >= 0
            for topic in self.cluster.appender.topics.values()
            for part in topic.partitions or ()
        )

    def plan(self) -> None:
        """Have it all happen at random times."""
        self.work()
        for kind in self.by_time:
            for _ in range(self.cluster.random.randint(1, 3)):
                at = self.cluster.random.uniform(0, FAULTS)
                event = self._event(kind)
                if kind in self.faults and event is not None:
                    client = kind in {"break", "close"}
                    self.cluster.at(at, self._counted(kind, event), client=client)
        self._begin_late()

    def work(self) -> None:
        """Have callers do what they do."""
        cluster, rand = self.cluster, self.cluster.random
        total = rand.randint(3, 50)
        burst = rand.random() < 0.3
        at = 0.0
        for _ in range(total):
            if not burst or rand.random() < 0.2:
                at = rand.uniform(0, SENDING)
            cluster.at(at, self.put, client=True)
        for _ in range(rand.randint(0, 3)):
            cluster.at(rand.uniform(0, SENDING), self.flush, client=True)

    def _begin_late(self) -> None:
        cluster, rand, world = self.cluster, self.cluster.random, self.cluster.world
        if "unborn" in self.faults:
            name = rand.choice(list(self.topics))
            world.topics[name].exists = False
            cluster.at(rand.uniform(0.1, 4.5), lambda: world.create(name))
            cluster.injected["unborn"] += 1
        if "last_epoch" in self.faults:
            world.first_epoch = 32765
            cluster.injected["last_epoch"] += 1
        if "last_sequence" in self.faults:
            cluster.engine._identity.__class__ = LateIdentity
            cluster.injected["last_sequence"] += 1

    def _counted(self, kind: str, event: Any) -> Any:
        def happen() -> None:
            self.cluster.injected[kind] += 1
            event()

        return happen

    def _event(self, kind: str) -> Any:
        cluster, rand, world = self.cluster, self.cluster.random, self.cluster.world
        seconds = rand.choice([0.1, 0.5, 1.0, 2.0])
        node = rand.choice(NODES)
        name = rand.choice(list(self.topics))
        silently = rand.random() < 0.3
        limit = rand.choice([150, 300, 800, 1 << 20])
        parts = world.topics[name].partitions
        part = rand.choice(parts)

        def unless_absent(event: Any) -> Any:
            return lambda: event() if world.topics[name].exists else None

        match kind:
            case "break":
                return lambda: cluster.break_link(rand.choice([-1, *NODES]))
            case "move":
                return unless_absent(lambda: world.move(part))
            case "leaderless":
                return unless_absent(lambda: world.elect(part, seconds))
            case "crash":
                return lambda: world.crash(node, seconds, silently=silently)
            case "pause":
                return lambda: world.pause(node, seconds)
            case "outage":
                return lambda: [world.crash(one, seconds, silently=silently) for one in NODES]
            case "frozen":
                # Longer than some delivery timeouts and request timeouts.
                return lambda: cluster.freeze(seconds * rand.choice([1, 1, 4]))
            case "deleted":
                return lambda: world.delete(name, seconds)
            case "grown":
                return unless_absent(lambda: world.grow(name))
            case "large":
                return lambda: setattr(world, "max_bytes", limit)
            case "close":
                return lambda: self.close(seconds)
        return None

    # The callers.

    def put(self) -> Told | None:
        """A caller sends a record."""
        cluster, rand = self.cluster, self.cluster.random
        name = rand.choice(list(self.topics))
        value = b"%d" % self.sent + b"." * rand.choice([0, 0, 100, 600])
        self.sent += 1
        state = cluster.appender.topics.get(name)
        known = len(state.partitions or ()) if state is not None else self.topics[name]
        partition = rand.choice([None, rand.randrange(max(1, known))])
        made = self._put(
            value,
            name,
            partition,
            key=rand.choice([None, b"k%d" % rand.randrange(3)]),
            urgent=rand.random() < 0.3,
        )
        if made is not None and made.delivery is not None and rand.random() < 0.2:
            self._await(made)
        return made

    def _put(
        self,
        value: bytes,
        topic: str,
        partition: int | None,
        *,
        key: bytes | None = None,
        urgent: bool = True,
    ) -> Told | None:
        cluster, rand = self.cluster, self.cluster.random
        told = Told(value, topic)
        told.watched = rand.random() < 0.8

        def tell(delivery: Delivery) -> None:
            told.times += 1
            told.at = cluster.now
            self.order.append(told)

        try:
            made = cluster.accept(
                value,
                topic=topic,
                key=key,
                partition=partition,
                urgent=urgent,
                on_delivery=tell if told.watched else None,
            )
        except ProducerError:
            if not self.may_refuse:
                raise
            self.refused.append(value)
            return None
        if isinstance(made, Delivery):
            return self._accepted(told, made)

        def admitted(outcome: Delivery | Exception) -> None:
            first = next((name for name, (_, left) in self.waiting.items() if not left), value)
            del self.waiting[value]
            if isinstance(outcome, Delivery):
                assert first == value, "V11: who came later was served before"
                self._accepted(told, outcome)
            else:
                assert self.may_refuse, outcome
                self.refused.append(value)

        left: list[bool] = []
        ticket = cluster.engine.waiters.join(made, admitted, lambda: not left)
        self.waiting[value] = (ticket, left)
        if "left" in self.faults and not self.peace:
            # He goes, and the line learns of it a little later.
            cluster.at(
                rand.uniform(0.01, 5),
                lambda: (
                    left.append(True),
                    cluster.at(0.001, lambda: self.leave(value), client=True),
                ),
                client=True,
            )
        else:
            cluster.at(20.0, lambda: self.leave(value), client=True)
        return told

    def _accepted(self, told: Told, delivery: Delivery) -> Told:
        # Accepted, thus in a batch, in this order.
        told.delivery = delivery
        told.accepted = self.cluster.now
        told.place = len(self.told)
        self.told.append(told)
        self.cluster.note("accepted", told.value.rstrip(b".").decode(), "of", told.topic)
        return told

    def _await(self, told: Told) -> None:
        assert told.delivery is not None
        if told.delivery.done():
            return
        waiter = next(told.delivery.__await__())
        assert isinstance(waiter, Waiter)
        told.waiter = waiter
        if "left" in self.faults:
            self.cluster.at(self.cluster.random.uniform(0, 3), waiter.cancel, client=True)

    def leave(self, value: bytes) -> None:
        """A caller gives up waiting for room."""
        place = self.waiting.pop(value, None)
        if place is not None:
            self.cluster.injected["left"] += 1
            self.cluster.engine.waiters.leave(place[0])
            self.refused.append(value)

    def flush(self) -> None:
        """A caller flushes."""
        done: list[bool] = []
        before = list(self.told)
        self.flushes.append(done)

        def flushed() -> None:
            done.append(True)
            for told in before:
                assert told.delivery is not None
                assert told.delivery.done(), "V11: flushed, and a record has no outcome"

        self.cluster.engine.flush(self.cluster.now, flushed)

    def close(self, seconds: float) -> None:
        """The producer is closed, and gives its records so many seconds."""
        cluster = self.cluster
        if self.closed:
            return
        cluster.note("the producer is closed, with", f"{seconds:.2f} s")
        self.closed = True
        cluster.appender.refusal = lambda: ProducerClosed("closed")
        cluster.engine.waiters.dismiss(lambda: ProducerClosed("closed"))
        self.flush()
        cluster.at(seconds, self.end, client=True)

    def end(self) -> None:
        """What is left has failed."""
        cluster = self.cluster
        cluster.note("the producer ends")

        def make(
            topic: str, partition: int | None, elapsed: float, maybe: bool, attempts: int
        ) -> Exception:
            return DeliveryTimeout("closed", topic=topic, partition=partition, maybe_written=maybe)

        cluster.engine.fail_all(make, cluster.now)
        assert all(told.delivery and told.delivery.done() for told in self.told), (
            "V11: the end left a record open"
        )

    def probe(self) -> list[Told]:
        """Send a record to each partition, to see that nothing is stuck."""
        if self.closed or self.fatal:
            return []
        probes = []
        for topic, count in self.topics.items():
            for number in range(count):
                self.sent += 1
                made = self._put(b"probe %d" % self.sent, topic, number)
                if made is not None:
                    probes.append(made)
        self.flush()
        return probes

    def add_to(self, outcome: Outcome, faults: Counter[str]) -> None:
        """Count it among others."""
        outcome.schedules += 1
        outcome.records += self.sent
        outcome.refused += len(self.refused)
        outcome.faults += sum(self.cluster.injected.values())
        faults.update(self.cluster.injected)
        for told in self.told:
            error = told.delivery and told.delivery.exception()
            if error is None:
                outcome.acknowledged += 1
            elif getattr(error, "maybe_written", False):
                outcome.maybe += 1
            else:
                outcome.failed += 1
