"""The cluster that a command works on."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from pyproducer.cli.cluster import Cluster
from pyproducer.cli.shared import Shared
from pyproducer.clock import SystemClock
from pyproducer.net.security import Security

__all__ = ["on_cluster", "open_cluster"]


def open_cluster(shared: Shared) -> Cluster:
    """The cluster that the shared options name."""
    config = shared.producer_config()
    return Cluster(
        shared.required_servers(),
        client_id=config.client_id,
        request_timeout=config.request_timeout_ms / 1000,
        security=Security.of(config, SystemClock()),
    )


def on_cluster(shared: Shared, work: Callable[[Cluster], Coroutine[Any, Any, None]]) -> None:
    """Do the work on that cluster, open while it is done."""

    async def connected() -> None:
        async with open_cluster(shared) as cluster:
            await work(cluster)

    asyncio.run(connected())
