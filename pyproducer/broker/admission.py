"""Which connections are taken: how many there may be, from where, and how fast they may come.

Whoever is one too many is disconnected at once, and counted by the limit that it met. Where they
come faster than they may, each is taken up later: it is connected, and what it sends is not read
until its time has come, as if it stood in Kafka's accept queue. One that comes faster than its own
address may is kept waiting likewise, and then disconnected, so that it does not try at once again.
"""

from __future__ import annotations

import logging
import resource
from collections import Counter, deque
from functools import lru_cache
from typing import TYPE_CHECKING, Final, NamedTuple

from pyproducer.broker.addresses import address_of
from pyproducer.broker.quotas.meters import Rate, Window

if TYPE_CHECKING:
    from pyproducer.broker.configs import BrokerConfig
    from pyproducer.broker.node import Node

__all__ = ["Admission", "Verdict", "counted", "quota_window"]

log = logging.getLogger(__name__)

#: Kafka's value of every limit on connections that is none.
UNLIMITED: Final = 2**31 - 1
#: Open files that connections leave to logs, which open their indexes for a moment at a time.
_FILES_LEFT: Final = 32


class Verdict(NamedTuple):
    """What becomes of a connection.

    Attributes:
        limit: Name of the limit that it is beyond; None if it is taken.
        delay: Seconds after which it is taken up, or turned away.
    """

    limit: str | None = None
    delay: float = 0.0


class Admission:
    """Counts a server's connections and judges who wants to be one more.

    Args:
        node: Whose clock and settings are used.
    """

    def __init__(self, node: Node) -> None:
        self._node = node
        self._addresses: Counter[str] = Counter()
        self._total = 0
        self._window = quota_window(node.config)
        self._listeners: Counter[str] = Counter()
        # Of all connections, and of each listener's.
        self._rate = Rate(self._window)
        self._rates: dict[str, Rate] = {}
        # When those are taken up that wait for it, of each listener, oldest first.
        self._starts: dict[str, deque[int]] = {}
        self._out_of_files = False

    def enter(self, listener: str, host: str, descriptor: int) -> Verdict:
        """One more connection, from that address: counted if it is taken.

        Args:
            listener: Where it came in.
            host: Address of the client.
            descriptor: The number of its open file.
        """
        address = counted(host)
        limit = self._limit_met(listener, address, descriptor)
        quotas = self._node.quotas
        if limit is None and quotas.of_addresses and (wait := quotas.connected(address)):
            return Verdict("connection_creation_rate", wait / 1000)
        delay = 0.0
        if limit is None and (rates := self._limited_rates(listener)):
            limit, delay = self._later(listener, rates)
        if limit is not None:
            return Verdict(limit)
        self._total += 1
        self._addresses[address] += 1
        self._listeners[listener] += 1
        return Verdict(None, delay)

    def leave(self, listener: str, host: str) -> None:
        """A connection that was taken is gone."""
        address = counted(host)
        self._total -= 1
        self._listeners[listener] -= 1
        self._addresses[address] -= 1
        if not self._addresses[address]:
            del self._addresses[address]

    def _limit_met(self, listener: str, address: str, descriptor: int) -> str | None:
        config = self._node.config
        if self._total >= config.int("max.connections"):
            return "max.connections"
        own = self._own(listener, "max.connections")
        if own is not None and self._listeners[listener] >= own:
            return _name(listener, "max.connections")
        overrides = counts_by_address(config.get("max.connections.per.ip.overrides") or "")
        most = overrides.get(address)
        if most is None:
            most = config.int("max.connections.per.ip")
        if self._addresses[address] >= most:
            return "max.connections.per.ip"
        return None if self._leaves_files(descriptor) else "open files"

    def _own(self, listener: str, name: str) -> int | None:
        """A limit of one listener, or None."""
        value = self._node.config.get(_name(listener, name))
        return None if value is None else int(value)

    def _limited_rates(self, listener: str) -> list[tuple[Rate, int]]:
        """The rates that connections there may not exceed, with what they may be."""
        found = []
        name = "max.connection.creation.rate"
        most = self._node.config.int(name)
        if most < UNLIMITED:
            found.append((self._rate, most))
        own = self._own(listener, name)
        if own is not None and own < UNLIMITED:
            found.append((self._rates.setdefault(listener, Rate(self._window)), own))
        return found

    def _later(self, listener: str, rates: list[tuple[Rate, int]]) -> Verdict:
        """When this connection may be taken up, behind those that wait already."""
        now_ms = int(self._node.clock.monotonic() * 1000)
        starts = self._starts.setdefault(listener, deque())
        while starts and starts[0] <= now_ms:
            starts.popleft()
        if len(starts) >= self._node.config.int("socket.listen.backlog.size"):
            return Verdict("max.connection.creation.rate")
        # As in Kafka, where one that waits holds up those behind it, but for one sample at most.
        at_ms = starts[-1] if starts else now_ms
        wait_ms = 0
        for rate, most in rates:
            rate.record(1, at_ms)
            wait_ms = max(wait_ms, rate.throttle_ms(most, at_ms))
        at_ms += min(wait_ms, self._window.sample_ms)
        if at_ms > now_ms:
            starts.append(at_ms)
        return Verdict(None, (at_ms - now_ms) / 1000)

    def _leaves_files(self, descriptor: int) -> bool:
        """Whether this process can open some more files beside this one."""
        # The system gives the lowest number that is free, so that a high one says how many are
        # in use. Without room for another file a log cannot roll, and an index cannot be read.
        limit = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
        left = min(self._node.config.int("socket.listen.backlog.size") + _FILES_LEFT, limit // 4)
        short = limit != resource.RLIM_INFINITY and descriptor >= limit - left
        if short and not self._out_of_files:
            log.warning(
                "refusing connections: the process may open %d files, and %d are left to logs; "
                "raise its limit (ulimit -n)",
                limit,
                left,
            )
        self._out_of_files = short
        return not short


def _name(listener: str, name: str) -> str:
    return f"listener.name.{listener.lower()}.{name}"


def quota_window(config: BrokerConfig) -> Window:
    """The window of all quotas but that of controller mutations."""
    return Window(config.int("quota.window.num"), config.int("quota.window.size.seconds") * 1000)


def counted(host: str) -> str:
    """The address under which a client is counted, whatever network card it came in by."""
    return address_of(host.partition("%")[0])


@lru_cache(4)
def counts_by_address(text: str) -> dict[str, int]:
    """The value of `max.connections.per.ip.overrides`, which was checked."""
    pairs = (item.strip().rpartition(":") for item in text.split(",") if item.strip())
    return {counted(host.strip().strip("[]")): int(count) for host, _, count in pairs}
