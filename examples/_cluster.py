"""Where an example sends to: the cluster its user names, or an embedded broker.

A cluster is named by the first argument or by PYPRODUCER_BOOTSTRAP_SERVERS; the topics must
exist there. Without one, a broker starts inside this process, with its log in a temporary
folder, and the example can look at what arrived.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple

from pyproducer.broker import Broker

if TYPE_CHECKING:
    from pyproducer.broker import BrokerRecord


class Cluster(NamedTuple):
    """The address to send to, and the broker behind it if it is ours."""

    bootstrap_servers: str
    broker: Broker | None

    def arrived(self, topic: str) -> list[BrokerRecord]:
        """Return what the topic holds; nothing can be said of a cluster that is not ours."""
        return list(self.broker.records(topic)) if self.broker else []


def argument(position: int) -> str | None:
    """Return a command line argument, or None if it was not given."""
    return sys.argv[position] if len(sys.argv) > position else None


@contextmanager
def cluster(topics: Mapping[str, int], *, position: int = 1) -> Iterator[Cluster]:
    """Yield the cluster to use.

    Args:
        topics: the topics the example writes, each with its partition count.
        position: which command line argument may name the bootstrap servers.
    """
    servers = argument(position) or os.environ.get("PYPRODUCER_BOOTSTRAP_SERVERS")
    if servers:
        yield Cluster(servers, None)
        return
    with Broker(topics=topics) as broker:
        print(f"embedded broker at {broker.bootstrap_servers}")
        yield Cluster(broker.bootstrap_servers, broker)
