"""Faults for a `KafkaCluster` under load, in an order that a seed decides.

Each fault is a method that strikes, lasts a while and heals; it returns when every replica is in
sync again, so that a fault never meets a cluster that has one copy of a record left by accident.
"""

from __future__ import annotations

import random
import shutil
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

from tests.helpers.kafka_cluster import CONTROLLER, KafkaCluster

#: What one round consists of: 25 strikes, and more faults, as rolling is one for every broker.
ROUND = {
    "leader killed": 3,
    "leader paused past its session": 3,
    "leader paused within its session": 2,
    "all brokers restarted in turn": 1,
    "connections reset": 2,
    "answer cut in the middle": 2,
    "request cut in the middle": 2,
    "answers held": 3,
    "requests held": 1,
    "both ways held": 1,
    "both ways late": 1,
    "slow link": 1,
    "connections refused": 1,
    "controller killed": 1,
    "leader killed, next one's answers held": 1,
    "disk replaced": 1,
}


@dataclass
class Chaos:
    """Strikes at the leaders of topics.

    Attributes:
        faults: how often each kind has struck.
        log: what was done when, to read beside a failure.
    """

    cluster: KafkaCluster
    topics: dict[str, int]
    seed: int
    faults: Counter[str] = field(default_factory=Counter)
    log: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._random = random.Random(self.seed)
        self._began = time.monotonic()

    @property
    def total(self) -> int:
        """How many faults have struck."""
        return self.faults.total()

    def run(self, round_: dict[str, int] | None = None) -> None:
        """Strike as often as the round says, in a random order, with moments of peace between."""
        kinds = [kind for kind, count in (round_ or ROUND).items() for _ in range(count)]
        self._random.shuffle(kinds)
        for kind in kinds:
            self.strike(kind)
            time.sleep(self._random.uniform(0.2, 1.0))

    def strike(self, kind: str) -> None:
        """One fault of this kind has struck and is healed."""
        topic = self._random.choice(sorted(self.topics))
        partition = self._random.randrange(self.topics[topic])
        leader = self.cluster.leader(topic, partition)
        began = time.monotonic()
        line = f"{began - self._began:7.2f} s  {kind}, broker {leader}"
        self.log.append(line)
        _KINDS[kind](self, topic, partition, leader)
        self.log[-1] = f"{line}, {time.monotonic() - began:.2f} s"

    def _count(self, kind: str) -> None:
        self.faults[kind] += 1

    def _wait(self, low: float, high: float) -> None:
        time.sleep(self._random.uniform(low, high))

    def _healthy(self) -> None:
        self.cluster.wait_healthy()

    # The kinds.

    def _kill(self, topic: str, partition: int, leader: int) -> None:
        self._count("killed")
        self.cluster.kill(leader)
        self.cluster.wait_for_leader(topic, partition, other_than=leader)
        self._wait(0.0, 1.0)
        self.cluster.start(leader)
        self._healthy()

    def _zombie(self, topic: str, partition: int, leader: int) -> None:
        self._count("paused past the session")
        self.cluster.pause(leader)
        self.cluster.wait_for_leader(topic, partition, other_than=leader)
        self._wait(0.0, 1.0)
        self.cluster.resume(leader)
        self._healthy()

    def _blink(self, topic: str, partition: int, leader: int) -> None:
        self._count("paused within the session")
        self.cluster.pause(leader)
        self._wait(0.3, 1.2)
        self.cluster.resume(leader)
        self._healthy()

    def _roll(self, topic: str, partition: int, leader: int) -> None:
        for number in self.cluster.proxies:
            self._count("restarted")
            self.cluster.restart(number)
        self._healthy()

    def _reset(self, topic: str, partition: int, leader: int) -> None:
        self._count("connections cut")
        self.cluster.cut(leader)

    def _cut(self, direction: str) -> Callable[[str, int, int], None]:
        def cut(topic: str, partition: int, leader: int) -> None:
            self._count("connections cut")
            # Small numbers end in a header, larger ones in the body or a few requests later.
            self.cluster.proxies[leader].cut(self._random.choice([1, 40, 300, 3000]), direction)
            self._wait(0.3, 1.0)
            self.cluster.heal(leader)

        return cut

    def _hole(self, direction: str) -> Callable[[str, int, int], None]:
        def hole(topic: str, partition: int, leader: int) -> None:
            self._count("black hole")
            self.cluster.hole(leader, direction)
            self._wait(1.5, 4.0)
            # What was held arrives now, late: requests that were sent again on other connections.
            self.cluster.heal(leader)

        return hole

    def _late(self, topic: str, partition: int, leader: int) -> None:
        self._count("delayed")
        self.cluster.proxies[leader].delay(self._random.uniform(0.05, 0.4))
        self._wait(2.0, 3.0)
        self.cluster.heal(leader)

    def _slow(self, topic: str, partition: int, leader: int) -> None:
        self._count("delayed")
        self.cluster.proxies[leader].rate(20_000, "up")
        self._wait(2.0, 3.0)
        self.cluster.heal(leader)

    def _refuse(self, topic: str, partition: int, leader: int) -> None:
        self._count("connections cut")
        self.cluster.proxies[leader].refuse()
        self.cluster.cut(leader)
        self._wait(1.0, 2.5)
        self.cluster.heal(leader)

    def _controller(self, topic: str, partition: int, leader: int) -> None:
        self._count("killed")
        self.cluster.kill(CONTROLLER)
        self._wait(0.5, 1.5)
        # Without a controller no leader changes, whatever happens to brokers.
        self._reset(topic, partition, leader)
        self.cluster.start(CONTROLLER)
        self._wait(2.0, 3.0)
        self._healthy()

    def _kill_and_hole(self, topic: str, partition: int, leader: int) -> None:
        self._count("killed")
        self._count("black hole")
        other = leader % len(self.cluster.proxies) + 1
        self.cluster.hole(other, "down")
        self.cluster.kill(leader)
        self.cluster.wait_for_leader(topic, partition, other_than=leader)
        self._wait(0.5, 1.5)
        self.cluster.heal(other)
        self.cluster.start(leader)
        self._healthy()

    def _disk(self, topic: str, partition: int, leader: int) -> None:
        self._count("disk replaced")
        self.cluster.kill(leader)
        self.cluster.wait_for_leader(topic, partition, other_than=leader)
        shutil.rmtree(self.cluster.nodes[leader].data_dir)
        self.cluster.nodes[leader].format()
        self.cluster.start(leader)
        self._healthy()


_KINDS: dict[str, Callable[[Chaos, str, int, int], None]] = {
    "leader killed": Chaos._kill,
    "leader paused past its session": Chaos._zombie,
    "leader paused within its session": Chaos._blink,
    "all brokers restarted in turn": Chaos._roll,
    "connections reset": Chaos._reset,
    "answer cut in the middle": lambda chaos, *where: chaos._cut("down")(*where),
    "request cut in the middle": lambda chaos, *where: chaos._cut("up")(*where),
    "answers held": lambda chaos, *where: chaos._hole("down")(*where),
    "requests held": lambda chaos, *where: chaos._hole("up")(*where),
    "both ways held": lambda chaos, *where: chaos._hole("both")(*where),
    "both ways late": Chaos._late,
    "slow link": Chaos._slow,
    "connections refused": Chaos._refuse,
    "controller killed": Chaos._controller,
    "leader killed, next one's answers held": Chaos._kill_and_hole,
    "disk replaced": Chaos._disk,
}
