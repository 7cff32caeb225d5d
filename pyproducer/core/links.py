# cython: annotation_typing=False, nonecheck=True, binding=False, freethreading_compatible=True
"""The connections to the brokers: wanted, made, lost, and what is written on them unanswered."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from pyproducer.core.accumulator import Node
from pyproducer.core.backoff import Backoff
from pyproducer.core.batch import SealedBatch
from pyproducer.core.effects import (
    COORDINATOR_NODE,
    GROUP_NODE,
    METADATA_NODE,
    Connect,
    Disconnect,
    Effect,
    Send,
)
from pyproducer.core.metadata import Cluster
from pyproducer.core.sessions import Sessions
from pyproducer.core.stats import Stats
from pyproducer.core.window import Window
from pyproducer.errors import ProducerError, SaslExpected
from pyproducer.protocol.schema import Message

__all__ = ["NEVER", "NEWEST_PRODUCE", "Links", "Loss"]

logger = logging.getLogger("pyproducer.engine")

#: Later than every deadline.
NEVER: Final = float("inf")

#: Version 13 names topics by id, which asks for a topic's identity to be kept across requests.
NEWEST_PRODUCE: Final = 12

#: So many addresses that could not be used, and reasons that were logged, are remembered.
_REMEMBERED: Final = 1024

#: So many connections in a row that end at their first request are no accident.
_CERTAIN: Final = 3


@dataclass(frozen=True, slots=True)
class Loss:
    """A connection that is gone.

    Attributes:
        node: whose it was.
        reason: why, in words.
        owed: the batches of each produce request that it leaves unanswered.
    """

    node: Node
    reason: str
    owed: list[list[SealedBatch]]


class Links:
    """One connection to each broker that leads something, one for metadata, two for transactions.

    Attributes:
        meta: the connection for metadata, producer ids, and the question where a coordinator is.
        coordinator: the connection to the transactions' coordinator; its host is empty while
            nobody has said where that is.
        group: likewise for the coordinator of the group whose offsets are committed.
        brokers: those that take records; new ones are added at the end.
        features: finalized level of each of the cluster's features, by name.
        newest_produce: newest Produce version to be used.
        contacted: True once a broker told its versions.
        heard: True once a broker answered more than that.
        hang_ups: how many connections have ended at their first request since a broker answered.
        failed_addresses: each address that could not be reached since a broker was last, with
            the newest reason, the newest last.
        refusals: of those, what security failed by, by address: TLS, or who we are.
        sessions: when each connection has to prove anew who we are.
    """

    def __init__(
        self,
        cluster: Cluster,
        effects: list[Effect],
        stats: Stats,
        *,
        backoff: Backoff,
        setup_timeout: Backoff,
        max_idle: float,
        request_timeout: float,
        max_in_flight: int | None,
        expect_acks: bool,
        sessions: Sessions,
    ) -> None:
        self.meta = Node(METADATA_NODE, "", 0)
        self.coordinator = Node(COORDINATOR_NODE, "", 0)
        self.group = Node(GROUP_NODE, "", 0)
        self._special = {node.node_id: node for node in (self.meta, self.coordinator, self.group)}
        self.features: Mapping[str, int] = {}
        self.newest_produce = NEWEST_PRODUCE
        self._features_epoch = -1
        self.contacted = self.heard = False
        self.hang_ups = 0
        self.failed_addresses: list[tuple[str, str]] = []
        self.refusals: dict[str, ProducerError] = {}
        self.sessions = sessions
        self._cluster = cluster
        self._effects = effects
        self._stats = stats
        self._backoff = backoff
        self._setup_timeout = setup_timeout
        self._max_idle = max_idle
        self._logged: set[tuple[int, str, str]] = set()
        self._request_timeout = request_timeout
        self._max_in_flight = max_in_flight or 0
        self._expect_acks = expect_acks
        self.brokers: list[Node] = []
        self._nodes: dict[int, Node] = {}
        self._tags = 0
        self._sent_at: dict[int, float] = {}

    def __iter__(self) -> Iterator[Node]:
        return iter(self.brokers)

    @property
    def in_flight(self) -> int:
        """Produce requests without an answer."""
        return sum(len(node.in_flight) for node in self.brokers)

    def node(self, node_id: int) -> Node:
        """The broker of this id; it must be known to the cluster."""
        if node_id < 0:
            return self._special[node_id]
        node = self._nodes.get(node_id)
        if node is None:
            host, port = self._cluster.brokers[node_id]
            node = self._nodes[node_id] = Node(node_id, host, port)
            self.brokers.append(node)
        return node

    def connect(self, node: Node, now: float) -> None:
        """Ask for a connection, unless one is being made or the last failure is too fresh."""
        if node.connecting or node.retry_at > now:
            return
        if node is self.meta:
            inhabited = [(one.host, one.port) for one in self.brokers if one.connected]
            node.host, node.port = self._cluster.contacts.choose(inhabited)
        else:
            # An address may have changed since the node was first seen.
            node.host, node.port = self._cluster.brokers.get(node.node_id, (node.host, node.port))
        node.connecting = True
        node.at = node.host, node.port
        node.used_at = now
        node.idle_at = now + self._max_idle
        # Longer after each failure (KIP-601): a network may be slower than the first guess.
        failures = self._cluster.contacts.rounds if node is self.meta else node.failures
        timeout = self._setup_timeout.after(failures)
        self._effects.append(Connect(node.node_id, node.host, node.port, timeout))

    def start_over(self) -> None:
        """Nothing was reached so far; what could not be is forgotten."""
        self.contacted = self.heard = False
        self._forget_failures()

    def point(self, node: Node, host: str, port: int) -> None:
        """Where a coordinator is now; a connection to somewhere else is dropped."""
        if (node.connected or node.connecting) and node.at != (host, port):
            node.connected = node.connecting = False
            self._effects.append(Disconnect(node.node_id, "the coordinator has moved"))
        node.host, node.port = node.at = host, port

    def connected(
        self,
        node_id: int,
        features: Mapping[str, int],
        features_epoch: int,
        session: float,
        now: float,
    ) -> None:
        """A connection is up and ready, for ``session`` seconds; it told the cluster's features."""
        if features_epoch >= self._features_epoch:
            # A broker that lags behind must not take back what another has told.
            self.features, self._features_epoch = features, features_epoch
        node = self.node(node_id)
        node.connected, node.connecting = True, False
        node.window = Window()
        self.sessions.begun(node, session, now)
        self.contacted = True
        if not self.hang_ups:
            # Who hangs up on the first question tells its versions each time before.
            self._forget_failures()

    def lost(
        self, node_id: int, reason: str, now: float, error: ProducerError | None = None
    ) -> Loss:
        """A connection is gone, or was never made; what it owed is not answered any more."""
        node = self.node(node_id)
        used = node.connected
        node.connected = node.connecting = False
        node.failures += 1
        node.trouble = reason
        if node is self.meta:
            self._leave_contact(now)
        else:
            node.retry_at = now + self._backoff.delay(node.failures)
        if isinstance(error, SaslExpected):
            self.hang_ups += 1
            if self.hang_ups < _CERTAIN:
                # A broker that goes down may do the same, once or twice.
                error = None
        if error is not None:
            self.refusals[node.address] = error
        else:
            self.refusals.pop(node.address, None)
        self._note(node, reason, logging.INFO if used and not node.in_flight else logging.WARNING)
        if used:
            self._stats.connections_lost += 1
        owed = [batches for _, batches in node.in_flight.values()]
        self._forget_requests(node)
        return Loss(node, f"no answer from broker {node_id} ({node.address}): {reason}", owed)

    def _note(self, node: Node, reason: str, level: int) -> None:
        address = node.address
        self.failed_addresses[:] = [one for one in self.failed_addresses if one[0] != address]
        self.failed_addresses.append((address, reason))
        if len(self.failed_addresses) > _REMEMBERED:
            del self.failed_addresses[0]
        # One line for each address and reason; a broker that stays down says no more.
        line = node.node_id, address, reason
        if line not in self._logged:
            if len(self._logged) >= _REMEMBERED:
                self._logged.clear()
            told = any(one[1:] == line[1:] for one in self._logged)
            self._logged.add(line)
            if not told:
                logger.log(level, "no connection to %s: %s", address, reason)

    def trouble(self, node_id: int) -> str:
        """Why there is no connection to a broker that takes records; "" if there is one."""
        node = self._nodes.get(node_id)
        if node is None or not node.trouble or (node.connected and not self.hang_ups):
            return ""
        return f"no connection to broker {node_id} ({node.address}): {node.trouble}"

    def send(
        self,
        node: Node,
        message: Message,
        batches: list[SealedBatch],
        now: float,
        max_version: int | None = None,
    ) -> None:
        """Have a request written; ``batches`` is empty where it is no Produce request."""
        self._tags += 1
        tag = self._tags
        node.in_flight[tag] = (now + self._request_timeout, batches)
        self._sent_at[tag] = node.used_at = now
        if batches:
            effect = Send(node.node_id, message, tag, self._expect_acks, self.newest_produce)
        else:
            effect = Send(node.node_id, message, tag, max_version=max_version)
        self._effects.append(effect)

    def answered(self, node_id: int, tag: int, now: float) -> tuple[Node, list[SealedBatch]]:
        """A request is answered: its node, and the batches that were in it."""
        node = self.node(node_id)
        if node.failures:
            # Not when it was connected: a peer that takes connections and drops them is down.
            logger.info("connected to %s", node.address)
            node.failures = 0
            self._logged = {line for line in self._logged if line[0] != node_id}
        if self.hang_ups or not self.heard:
            self.heard = True
            self._forget_failures()
        node.used_at = now
        took = now - self._sent_at.pop(tag)
        full = len(node.in_flight) >= node.window.size
        _, batches = node.in_flight.pop(tag)
        if batches:
            node.window.answered(took, full)
        self._stats.round_trip(took)
        return node, batches

    def look_after(self, node: Node, now: float) -> Loss | None:
        """Drop the connection where it is of no use any more.

        That is: its oldest request has waited for too long (that alone is a loss); or nothing is
        under way on it, and nothing was for long, or the broker has moved to another address.
        """
        if node.renew_at <= now:
            reason = self.sessions.due(node, now)
            if reason:
                self._effects.append(Disconnect(node.node_id, reason))
                return self.lost(node.node_id, reason, now)
        if node.in_flight:
            if node.oldest_deadline() > now:
                return None
            reason = f"a request stayed unanswered for {self._request_timeout:g} s"
            self._effects.append(Disconnect(node.node_id, reason))
            return self.lost(node.node_id, reason, now)
        if node.connecting and self._has_moved(node):
            # The old address may well take all the time there is, and not answer.
            node.connecting = False
            node.retry_at = now
            self._effects.append(Disconnect(node.node_id, "the broker has moved"))
        if not node.connected:
            return None
        if self._has_moved(node):
            self._let_go(node, "the broker has moved to another address")
        elif node.idle_at <= now:
            node.idle_at = node.used_at + self._max_idle
            if node.idle_at <= now:
                self._let_go(node, f"unused for {self._max_idle:g} s")
        return None

    def move_on(self, reason: str, now: float) -> Loss:
        """Ask another one for metadata than until now."""
        meta = self.meta
        logger.info("asking another than %s for metadata: %s", meta.address, reason)
        self._leave_contact(now)
        self._let_go(meta, reason)
        self._forget_requests(meta)
        return Loss(meta, reason, [])

    def _leave_contact(self, now: float) -> None:
        """The one asked for metadata is of no use: the next at once, unless all were tried."""
        meta, contacts = self.meta, self._cluster.contacts
        over = contacts.failed((meta.host, meta.port))
        meta.retry_at = now + self._backoff.delay(contacts.rounds) if over else now

    def _forget_failures(self) -> None:
        self.hang_ups = 0
        self.failed_addresses.clear()
        self.refusals.clear()

    def _forget_requests(self, node: Node) -> None:
        for tag in node.in_flight:
            del self._sent_at[tag]
        node.in_flight.clear()

    def _let_go(self, node: Node, reason: str) -> None:
        node.connected = False
        self._effects.append(Disconnect(node.node_id, reason))

    def _has_moved(self, node: Node) -> bool:
        brokers = self._cluster.brokers
        if node.settled_in is brokers:
            # News of brokers come as another table.
            return False
        where = brokers.get(node.node_id)
        if where is not None and where != (node.host, node.port):
            return True
        node.settled_in = brokers
        return False

    def limit(self, node: Node) -> int:
        """How many produce requests may be unanswered on the connection."""
        return self._max_in_flight or node.window.size

    def may_send(self, node: Node, now: float) -> bool:
        """True where the broker takes one more produce request now."""
        return (
            node.connected
            and now >= node.throttled_until
            and len(node.in_flight) < self.limit(node)
            # What is under way is waited for; then the next is sent to the new address.
            and not self._has_moved(node)
        )

    def deadline(self, node: Node) -> float:
        """When the connection needs a look though nothing happened; NEVER for not at all."""
        at = NEVER
        if node.in_flight:
            at = node.oldest_deadline()
        elif node.connected:
            at = node.idle_at
        if node.connected and node.renew_at < at:
            at = node.renew_at
        if node.line:
            if not node.connected:
                at = at if node.connecting else min(at, node.retry_at)
            elif len(node.in_flight) < self.limit(node) and not self._has_moved(node):
                # Nothing but its throttling keeps the line from being served.
                at = min(at, node.throttled_until)
        return at
