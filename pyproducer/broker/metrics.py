"""Counters of a running broker, read by the HTTP side and by tests."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from dataclasses import dataclass, field

#: Upper bounds, in seconds, of the request latency buckets; the last bucket is open.
LATENCY_BOUNDS = (0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0)


@dataclass(slots=True)
class RequestCounters:
    """Requests of one API: how many, how long in all, and how they spread."""

    count: int = 0
    seconds: float = 0.0
    buckets: list[int] = field(default_factory=lambda: [0] * (len(LATENCY_BOUNDS) + 1))


@dataclass(slots=True)
class TopicCounters:
    """Traffic of one topic since the broker started, in records and batch bytes."""

    records_in: int = 0
    bytes_in: int = 0
    bytes_out: int = 0


class BrokerMetrics:
    """All counters of one broker. Written by the loop thread only.

    Attributes:
        connections_rejected: Connections that were not taken, by the limit that they met.
        connections_closed: Connections that the broker has ended, by why it has.
    """

    def __init__(self) -> None:
        self.connections_open = 0
        self.connections_total = 0
        self.connections_rejected: Counter[str] = Counter()
        self.connections_closed: Counter[str] = Counter()
        self.handshakes_failed = 0
        self.authentications = 0
        self.authentications_failed = 0
        self.reauthentications = 0
        self.reauthentications_failed = 0
        self.sessions_expired = 0
        self.requests: dict[int, RequestCounters] = {}
        self.topics: dict[str, TopicCounters] = {}

    def topic(self, name: str) -> TopicCounters:
        """The counters of a topic, from zero at the first call."""
        counters = self.topics.get(name)
        if counters is None:
            counters = self.topics[name] = TopicCounters()
        return counters

    def count_request(self, api_key: int, seconds: float) -> None:
        """Adds one answered request of the API."""
        counters = self.requests.get(api_key)
        if counters is None:
            counters = self.requests[api_key] = RequestCounters()
        counters.count += 1
        counters.seconds += seconds
        counters.buckets[bisect_left(LATENCY_BOUNDS, seconds)] += 1
