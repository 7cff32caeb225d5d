"""Which connections are taken: how many there may be, from where, and how fast they may come.

Whoever is one too many is disconnected at once, and counted by the limit that it met. Where they
come faster than they may, each is taken up later: it is connected, and what it sends is not read
until its time has come, as if it stood in Kafka's accept queue. One that comes faster than its own
address may is kept waiting likewise, and then disconnected, so that it does not try at once again.
"""

from __future__ import annotations

import ipaddress
import logging
import resource
from collections import Counter, deque
from functools import lru_cache
from typing import TYPE_CHECKING, Final, NamedTuple

from pyproducer.broker.quotas.meters import Rate, Window

if TYPE_CHECKING:
    from pyproducer.broker.configs import BrokerConfig
    from pyproducer.broker.node import Node

__all__ = ["Admission", "Verdict", "address_of", "quota_window"]

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
        self._rate = Rate(self._window)
        # When those are taken up that wait for it, oldest first.
        self._starts: deque[int] = deque()
        self._out_of_files = False

    def enter(self, host: str, descriptor: int) -> Verdict:
        """One more connection, from that address: counted if it is taken.

        Args:
            host: Address of the client.
            descriptor: The number of its open file.
        """
        address = address_of(host)
        limit = self._limit_met(address, descriptor)
        quotas = self._node.quotas
        if limit is None and quotas.of_addresses and (wait := quotas.connected(address)):
            return Verdict("connection_creation_rate", wait / 1000)
        delay = 0.0
        if limit is None and self._node.config.int("max.connection.creation.rate") < UNLIMITED:
            limit, delay = self._later()
        if limit is not None:
            return Verdict(limit)
        self._total += 1
        self._addresses[address] += 1
        return Verdict(None, delay)

    def leave(self, host: str) -> None:
        """A connection that was taken is gone."""
        address = address_of(host)
        self._total -= 1
        self._addresses[address] -= 1
        if not self._addresses[address]:
            del self._addresses[address]

    def _limit_met(self, address: str, descriptor: int) -> str | None:
        config = self._node.config
        if self._total >= config.int("max.connections"):
            return "max.connections"
        overrides = counts_by_address(config.get("max.connections.per.ip.overrides") or "")
        most = overrides.get(address)
        if most is None:
            most = config.int("max.connections.per.ip")
        if self._addresses[address] >= most:
            return "max.connections.per.ip"
        return None if self._leaves_files(descriptor) else "open files"

    def _later(self) -> Verdict:
        """When this connection may be taken up, behind those that wait already."""
        config = self._node.config
        now_ms = int(self._node.clock.monotonic() * 1000)
        while self._starts and self._starts[0] <= now_ms:
            self._starts.popleft()
        if len(self._starts) >= config.int("socket.listen.backlog.size"):
            return Verdict("max.connection.creation.rate")
        # As in Kafka, where one that waits holds up those behind it, but for one sample at most.
        at_ms = self._starts[-1] if self._starts else now_ms
        self._rate.record(1, at_ms)
        wait_ms = self._rate.throttle_ms(config.int("max.connection.creation.rate"), at_ms)
        at_ms += min(wait_ms, self._window.sample_ms)
        if at_ms > now_ms:
            self._starts.append(at_ms)
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


def quota_window(config: BrokerConfig) -> Window:
    """The window of all quotas but that of controller mutations."""
    return Window(config.int("quota.window.num"), config.int("quota.window.size.seconds") * 1000)


@lru_cache(1024)
def address_of(host: str) -> str:
    """The address as it is counted: an IPv4 address is itself, however it is written."""
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return host
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        return str(address.ipv4_mapped)
    return str(address)


@lru_cache(4)
def counts_by_address(text: str) -> dict[str, int]:
    """The value of `max.connections.per.ip.overrides`, which was checked."""
    pairs = (item.strip().rpartition(":") for item in text.split(",") if item.strip())
    return {address_of(host.strip().strip("[]")): int(count) for host, _, count in pairs}
