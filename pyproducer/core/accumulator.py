# cython: annotation_typing=False, nonecheck=True, binding=False, freethreading_compatible=True
"""Closed batches by partition, and the partitions of each broker that have something to send.

Readiness is pushed: whatever makes a partition sendable (a batch closed, a pause over, an answer
come, a leader known) puts it into its leader's line once. Taking a request's worth of batches
costs as many steps as it takes partitions, however many partitions there are.
"""

from __future__ import annotations

from bisect import insort
from collections import deque
from typing import Final

from pyproducer.core.appender import CLOSED, PartitionState
from pyproducer.core.batch import SealedBatch
from pyproducer.core.window import Window

__all__ = ["MAX_UNRESOLVED", "NO_LEADER", "Node", "PartitionQueue"]

NO_LEADER: Final = -1

#: A broker remembers this many batches of a producer per partition: one more unresolved, and it
#: could not tell a duplicate any more.
MAX_UNRESOLVED: Final = 5


class PartitionQueue:
    """The batches of one partition, in order, from closed to settled.

    Attributes:
        state: the append end.
        topic: the topic's name.
        number: the partition's number.
        leader: the broker that takes its batches, or NO_LEADER.
        leader_epoch: of the metadata that said so; older news is ignored.
        waiting: closed, not under way; retried batches come back to their place.
        in_flight: written, unanswered, in order.
        held: settled before one ahead of them, with callbacks that wait for its callbacks.
        line: True while it stands in its leader's line.
        due: serial of the open batch whose time is over; 0 for none.
        muted_until: monotonic seconds before which nothing is sent, after a refusal.
        producer_id, epoch, next_sequence: the identity its next batch is stamped with.
        proven: a broker took a batch of this epoch. Until then one batch is under way at a time:
            a broker that knows nothing of a producer id takes any first sequence number, so that
            the second batch could be in the log before a first that was refused.
        stamped: batches with a sequence number that are not settled.
        recovering: no new batch is stamped until the unresolved ones are settled; then the
            next epoch begins.
    """

    __slots__ = (
        "due",
        "epoch",
        "held",
        "in_flight",
        "leader",
        "leader_epoch",
        "line",
        "muted_until",
        "next_order",
        "next_sequence",
        "number",
        "producer_id",
        "proven",
        "recovering",
        "stamped",
        "state",
        "topic",
        "waiting",
    )

    def __init__(self, state: PartitionState) -> None:
        self.state = state
        self.topic: str = state.topic.name
        self.number: int = state.number
        self.leader = NO_LEADER
        self.leader_epoch = -1
        self.waiting: list[SealedBatch] = []
        self.in_flight: list[SealedBatch] = []
        self.held: list[SealedBatch] = []
        self.line = False
        self.due = 0
        self.muted_until = 0.0
        self.producer_id = -1
        self.epoch = -1
        self.next_sequence = 0
        self.next_order = 0
        self.stamped = 0
        self.proven = False
        self.recovering = False

    def has_work(self) -> bool:
        """True where a batch waits to be sent, or should be closed for it."""
        # Asked again and again, of partitions that mostly have nothing open.
        return bool(self.waiting) or self.open_is_due()

    def open_is_due(self) -> bool:
        """True where the open batch should be closed as soon as it can be sent."""
        batch = self.state.open
        if batch is None:
            return False
        if batch.serial == self.due:
            return True
        # A caller waits for it, and it has nobody to wait for: lingering would only delay him.
        return batch.urgent and not self.in_flight and not self.waiting

    def place(self) -> int:
        """The place of the next closed batch."""
        self.next_order += 1
        return self.next_order

    def is_behind(self, sealed: SealedBatch) -> bool:
        """True while a batch ahead of this one has no outcome."""
        if self.waiting:
            other = self.waiting[0]
            if other.precedes(sealed):
                return True
        for other in self.in_flight:
            if other.precedes(sealed) and other.batch.state <= CLOSED:
                return True
        return False

    def put_back(self, sealed: SealedBatch) -> None:
        """Put a batch that has to be sent again where it belongs."""
        insort(self.waiting, sealed)

    def takes_new(self, idempotent: bool) -> bool:
        """True where a batch that was never sent may be sent now."""
        if not self.in_flight:
            return not (idempotent and (self.recovering or self.stamped >= MAX_UNRESOLVED))
        for sealed in self.in_flight:
            if sealed.in_doubt:
                # It may be in the log already, with others behind it that were acknowledged: each
                # new batch brings it nearer to the end of what the broker remembers.
                return False
        # Without idempotence, two under way and a refusal of the first would reorder them.
        return idempotent and self.proven and not self.recovering and self.stamped < MAX_UNRESOLVED

    def next(self, now: float, idempotent: bool) -> SealedBatch | None:
        """The batch that may be sent now, or None. It stays where it is."""
        if now < self.muted_until or not self.waiting:
            return None
        head = self.waiting[0]
        if head.body is None:
            return None
        if not head.stamped and not self.takes_new(idempotent):
            return None
        if self.in_flight and not self.proven:
            return None
        if self.recovering:
            # Only what the log may have is sent again, under its old identity, to learn its fate.
            for sealed in self.waiting:
                if sealed.in_doubt:
                    return sealed
            return None
        if self.in_flight:
            last = self.in_flight[-1]
            if head.precedes(last):
                # It came back while later ones are still out: their answers decide.
                return None
        return head


class Node:
    """One broker, as far as sending to it goes.

    Attributes:
        at: where the connection goes that is up or being made.
        connected: a connection is up, its versions are known, and the broker knows who we are.
        connecting: one was asked for.
        retry_at: monotonic seconds before which no new one is asked for.
        failures: connections lost or refused in a row.
        line: partitions with something to send, each once.
        in_flight: requests by tag, in the order of writing.
        throttled_until: monotonic seconds before which the broker wants nothing (KIP-219).
        used_at: monotonic seconds of the last request or answer.
        idle_at: monotonic seconds at which to see whether it has been used since.
        window: how many requests may be under way, where no option says.
        settled_in: the cluster's table of brokers that its address was last compared with, and
            found to be the same.
        renew_at: monotonic seconds at which to prove anew who we are, or to see whether that
            was answered.
        session_ends: monotonic seconds at which the broker stops believing it.
        renewing: it is being proven now.
        renewals: attempts in a row that came to nothing.
        trouble: why the connection is lost, or its session cannot be renewed; "" if all is well.
    """

    __slots__ = (
        "at",
        "connected",
        "connecting",
        "failures",
        "host",
        "idle_at",
        "in_flight",
        "line",
        "node_id",
        "port",
        "renew_at",
        "renewals",
        "renewing",
        "retry_at",
        "session_ends",
        "settled_in",
        "throttled_until",
        "trouble",
        "used_at",
        "window",
    )

    def __init__(self, node_id: int, host: str, port: int) -> None:
        self.node_id = node_id
        self.host = host
        self.port = port
        self.at = (host, port)
        self.connected = False
        self.connecting = False
        self.retry_at = 0.0
        self.failures = 0
        self.line: deque[PartitionQueue] = deque()
        self.in_flight: dict[int, tuple[float, list[SealedBatch]]] = {}
        self.throttled_until = 0.0
        self.used_at = self.idle_at = 0.0
        self.window = Window()
        self.settled_in: object = None
        self.renew_at = self.session_ends = float("inf")
        self.renewing = False
        self.renewals = 0
        self.trouble = ""

    def oldest_deadline(self) -> float:
        """Monotonic seconds by which the oldest request has to be answered; there must be one."""
        # They are in the order of writing.
        return next(iter(self.in_flight.values()))[0]

    @property
    def address(self) -> str:
        """``host:port``."""
        return f"{self.host}:{self.port}"
