"""Three Apache Kafka brokers and a controller on loopback, each to be harmed by itself.

Clients are told to go through a `FaultProxy` of each broker's own, so their traffic can be cut,
held or delayed; what brokers say to each other, and what a test asks, does not pass there.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from pyproducer.model import TopicPartition
from pyproducer.protocol.messages.find_coordinator import FindCoordinatorRequest
from pyproducer.protocol.messages.list_offsets import (
    ListOffsetsPartition,
    ListOffsetsRequest,
    ListOffsetsTopic,
)
from pyproducer.protocol.messages.metadata import MetadataRequest, MetadataResponse
from pyproducer.protocol.schema import Message
from tests.helpers.fault_proxy import FaultProxy
from tests.helpers.kafka_node import KafkaNode
from tests.helpers.processes import PeerFailed, free_ports
from tests.helpers.request_trap import RequestTrap
from tests.helpers.topics import create_topics
from tests.helpers.wire_client import WireClient

#: The controller is a node of its own: any number of brokers may be down and leaders still change.
CONTROLLER = 100
REPLICAS = 3
#: Seconds without a word after which the controller takes a broker's leaderships away.
SESSION_SECONDS = 2.0

_COMMON = {
    "controller.listener.names": "CONTROLLER",
    "listener.security.protocol.map": "CLIENT:PLAINTEXT,INSIDE:PLAINTEXT,CONTROLLER:PLAINTEXT",
    "num.network.threads": "1",
    "num.io.threads": "2",
    "broker.session.timeout.ms": str(int(SESSION_SECONDS * 1000)),
    "broker.heartbeat.interval.ms": "400",
    "default.replication.factor": str(REPLICAS),
    "min.insync.replicas": "2",
    "unclean.leader.election.enable": "false",
    # Leaderships go back to the broker that should have them soon after it is back.
    "leader.imbalance.check.interval.seconds": "5",
}
_BROKER = {
    **_COMMON,
    "process.roles": "broker",
    "inter.broker.listener.name": "INSIDE",
    "auto.create.topics.enable": "false",
    "group.initial.rebalance.delay.ms": "0",
    "offsets.topic.num.partitions": "3",
    "offsets.topic.replication.factor": str(REPLICAS),
    "transaction.state.log.num.partitions": "3",
    "transaction.state.log.replication.factor": str(REPLICAS),
    "transaction.state.log.min.isr": "2",
    "replica.lag.time.max.ms": "3000",
    "replica.fetch.backoff.ms": "100",
    "replica.socket.timeout.ms": "3000",
    "controller.socket.timeout.ms": "3000",
    "log.cleaner.enable": "false",
}


class KafkaCluster:
    """Apache Kafka brokers 1, 2, ... for the ``with`` block, with fresh storage.

    Attributes:
        proxies: what stands between clients and each broker.
        nodes: the processes, the controller's too.
        trap: sees every request of clients, to strike at a certain one, if asked for.

    Args:
        brokers: how many.
        properties: settings added to (or replacing) those of every broker.
        features: levels at which features are finalized, where not the newest, as in
            ``{"transaction.version": 0}``.
        trapped: proxies pass whole requests and answers, so that `trap` can be armed.
    """

    def __init__(
        self,
        brokers: int = 3,
        properties: Mapping[str, str] | None = None,
        *,
        features: Mapping[str, int] | None = None,
        trapped: bool = False,
    ) -> None:
        self.proxies = {number: FaultProxy() for number in range(1, brokers + 1)}
        self.nodes: dict[int, KafkaNode] = {}
        self.trap = RequestTrap()
        if trapped:
            for number, proxy in self.proxies.items():
                proxy.watch = self.trap.at(number)
        self._properties = dict(properties or {})
        self._features = dict(features or {})
        self._inside: dict[int, str] = {}
        self._running = ExitStack()

    @property
    def bootstrap_servers(self) -> str:
        """Every broker as clients see it."""
        return ",".join(proxy.address for proxy in self.proxies.values())

    @property
    def inside_servers(self) -> str:
        """The brokers that are alive, past the proxies."""
        return ",".join(self._inside[number] for number in self.alive())

    def alive(self) -> list[int]:
        """The brokers that are neither down nor paused."""
        return [number for number in self.proxies if self.nodes[number].alive]

    def __enter__(self) -> Self:
        try:
            self._make()
            with ThreadPoolExecutor(len(self.nodes)) as pool:
                list(pool.map(lambda node: node.format(self._features), self.nodes.values()))
            for node in self.nodes.values():
                node.start()
            self.wait_healthy()
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for node in self.nodes.values():
            node.kill()
        self._running.close()

    def create_topics(
        self, topics: Mapping[str, int], *, config: Mapping[str, str] | None = None
    ) -> None:
        """Create topics with their numbers of partitions, three replicas each, all in sync."""
        create_topics(self.inside_servers, topics, replicas=REPLICAS, config=config)
        self.wait_healthy()

    # What a test does to a node.

    def kill(self, number: int) -> None:
        """The node is gone at once; its leaderships move when its session has timed out."""
        self.nodes[number].kill()

    def stop(self, number: int) -> None:
        """The node has given its leaderships away and ended in good order."""
        self.nodes[number].stop()

    def pause(self, number: int) -> None:
        """The node stands still; past the session's timeout it is a zombie that knows of nothing."""
        self.nodes[number].pause()

    def resume(self, number: int) -> None:
        """The paused node goes on."""
        self.nodes[number].resume()

    def start(self, number: int, *, wait: bool = True) -> None:
        """The node runs again and, if asked to wait, every replica of a broker is in sync."""
        self.nodes[number].start()
        if wait and number in self.proxies:
            self.wait_in_sync(number)

    def restart(self, number: int) -> None:
        """The node was stopped in good order and is back in sync."""
        self.stop(number)
        self.start(number)

    def cut(self, number: int) -> int:
        """The clients' connections to the broker are reset; returns how many there were."""
        return self.proxies[number].reset()

    def hole(self, number: int, direction: str = "both") -> None:
        """Between clients and the broker nothing arrives any more; `heal` lets it pass."""
        self.proxies[number].hold(direction)

    def heal(self, *numbers: int) -> None:
        """The proxies of these brokers (of all, where none are named) pass everything."""
        for number in numbers or self.proxies:
            self.proxies[number].heal()

    def heal_all(self) -> None:
        """Every node runs, every proxy passes everything, every replica is in sync."""
        self.heal()
        for node in self.nodes.values():
            if not node.running:
                node.start()
            elif not node.alive:
                node.resume()
        self.wait_healthy()

    # What a test asks.

    def leader(self, topic: str, partition: int) -> int:
        """The broker that leads the partition, -1 where none does."""
        return self._partitions()[TopicPartition(topic, partition)].leader_id

    def leaders(self, topic: str) -> dict[int, int]:
        """The leader of each of the topic's partitions, -1 where there is none."""
        found = self._partitions()
        return {place.partition: one.leader_id for place, one in found.items() if place[0] == topic}

    def in_sync(self, topic: str, partition: int) -> list[int]:
        """The brokers whose replicas are in sync."""
        return sorted(self._partitions()[TopicPartition(topic, partition)].isr_nodes)

    def transaction_coordinator(self, transactional_id: str) -> int:
        """The broker that coordinates the transactions of this id; waits until there is one."""
        return self._coordinator(transactional_id, key_type=1)

    def group_coordinator(self, group: str) -> int:
        """The broker that coordinates the group; waits until there is one."""
        return self._coordinator(group, key_type=0)

    def wait_for_leader(
        self, topic: str, partition: int, *, other_than: int, timeout: float = 30
    ) -> int:
        """Return the partition's leader once it is a broker that is alive and not that one."""

        def moved() -> bool:
            leader = self.leader(topic, partition)
            return leader != other_than and leader in self.alive()

        self._wait(moved, f"{topic}-{partition} is led by {other_than}", timeout)
        return self.leader(topic, partition)

    def wait_healthy(self, timeout: float = 60) -> None:
        """Every broker agrees that all are there and all replicas of all partitions in sync."""
        self._wait(
            lambda: all(
                self._sees_all_in_sync(number, list(self.proxies)) for number in self.proxies
            ),
            "the cluster is not healthy",
            timeout,
        )

    def wait_in_sync(self, *numbers: int, timeout: float = 60) -> None:
        """Every broker that is alive agrees that the replicas of these are in sync."""
        self._wait(
            lambda: all(self._sees_all_in_sync(number, numbers) for number in self.alive()),
            f"brokers {numbers} are not in sync",
            timeout,
        )

    def wait_no_transactions(self, topics: Iterable[str], timeout: float = 60) -> None:
        """No partition of the topics holds a transaction that has not ended."""
        wanted = set(topics)
        self._wait(
            lambda: all(
                self._end(one.leader_id, place, 0) == self._end(one.leader_id, place, 1)
                for place, one in self._partitions().items()
                if place.topic in wanted
            ),
            f"{wanted} hold open transactions",
            timeout,
        )

    def ask(self, number: int, message: Message, version: int, *, timeout: float = 3.0) -> Any:
        """Return the broker's answer, asked past its proxy."""
        with WireClient(self._inside[number]) as client:
            client.socket.settimeout(timeout)
            return client.ask(message, version)

    def _make(self) -> None:
        folder = Path(self._running.enter_context(tempfile.TemporaryDirectory(prefix="kafka-")))
        controller, *ports = free_ports(1 + 2 * len(self.proxies))
        voters = {"controller.quorum.voters": f"{CONTROLLER}@127.0.0.1:{controller}"}
        self.nodes[CONTROLLER] = KafkaNode(
            folder / "controller",
            {
                **_COMMON,
                **voters,
                "node.id": str(CONTROLLER),
                "process.roles": "controller",
                "listeners": f"CONTROLLER://127.0.0.1:{controller}",
            },
        )
        for number, proxy in self.proxies.items():
            client, inside = ports.pop(), ports.pop()
            proxy.target = f"127.0.0.1:{client}"
            self._running.enter_context(proxy)
            self._inside[number] = f"127.0.0.1:{inside}"
            own = {
                "node.id": str(number),
                "listeners": f"CLIENT://127.0.0.1:{client},INSIDE://127.0.0.1:{inside}",
                "advertised.listeners": f"CLIENT://{proxy.address},INSIDE://127.0.0.1:{inside}",
            }
            self.nodes[number] = KafkaNode(
                folder / f"broker-{number}", {**_BROKER, **voters, **own, **self._properties}
            )

    def _metadata(self, number: int) -> MetadataResponse:
        request = MetadataRequest(topics=None, allow_auto_topic_creation=False)
        answer: MetadataResponse = self.ask(number, request, 12)
        return answer

    def _partitions(self) -> dict[TopicPartition, Any]:
        """Every partition as the first broker that answers sees it."""
        trouble: Exception | None = None
        for number in self.alive():
            try:
                answer = self._metadata(number)
            except OSError as error:
                trouble = error
                continue
            return {
                TopicPartition(topic.name or "", one.partition_index): one
                for topic in answer.topics
                for one in topic.partitions
            }
        raise PeerFailed("no broker answers") from trouble

    def _end(self, leader: int, place: TopicPartition, isolation: int) -> int:
        """Where readers of that isolation level come to an end."""
        request = ListOffsetsRequest(
            replica_id=-1,
            isolation_level=isolation,
            topics=[
                ListOffsetsTopic(
                    name=place.topic,
                    partitions=[
                        ListOffsetsPartition(partition_index=place.partition, timestamp=-1)
                    ],
                )
            ],
        )
        answer = self.ask(leader, request, 7).topics[0].partitions[0]
        # Two readings that both failed must not look equal.
        return answer.offset if not answer.error_code else -1 - isolation

    def _sees_all_in_sync(self, number: int, wanted: Iterable[int]) -> bool:
        self.nodes[number].process.wait_until(lambda: True, timeout=1)
        try:
            answer = self._metadata(number)
        except OSError:
            return False
        expected = set(wanted)
        partitions = [one for topic in answer.topics for one in topic.partitions]
        return expected <= {one.node_id for one in answer.brokers} and all(
            one.leader_id > 0 and expected <= set(one.isr_nodes) for one in partitions
        )

    def _coordinator(self, key: str, *, key_type: int) -> int:
        request = FindCoordinatorRequest(key_type=key_type, coordinator_keys=[key])
        found = -1

        def known() -> bool:
            nonlocal found
            try:
                (answer,) = self.ask(self.alive()[0], request, 4).coordinators
            except OSError:
                return False
            found = -1 if answer.error_code else answer.node_id
            return found > 0

        self._wait(known, f"no coordinator of {key!r}", 30)
        return found

    def _wait(self, ready: Callable[[], bool], complaint: str, timeout: float) -> None:
        deadline = time.monotonic() + timeout
        while not ready():
            if time.monotonic() > deadline:
                tails = "\n".join(
                    f"--- {name}\n{node.process.output()[-1500:]}"
                    for name, node in self.nodes.items()
                    if node.running
                )
                raise PeerFailed(f"{complaint} after {timeout} s:\n{tails}")
            time.sleep(0.1)
