"""Dataclasses, datetimes and plain mappings as JSON.

python examples/serialize_json.py [BOOTSTRAP_SERVERS]
"""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass
from datetime import UTC, datetime

from _cluster import Cluster, cluster

from pyproducer import AsyncProducer
from serializers import JsonSerializer

TOPIC = "orders"


@dataclass
class Order:
    """What a table ordered, and when."""

    table: int
    items: list[str]
    at: datetime


async def main(place: Cluster) -> None:
    """Send an Order and a mapping to the same topic."""
    order = Order(7, ["tea", "cake"], datetime(2024, 2, 29, 15, 30, tzinfo=UTC))
    async with AsyncProducer(place.bootstrap_servers) as producer:
        orders = producer.topic(TOPIC, value_serializer=JsonSerializer())
        await orders.send(order, key="7")
        await orders.send({"table": 8, "items": [], "at": None}, key="8")
        await orders.send(None, key="8")  # a tombstone: no serializer sees it

    if place.broker:
        values = [record.value and json.loads(record.value) for record in place.arrived(TOPIC)]
        assert values == [
            {"table": 7, "items": ["tea", "cake"], "at": "2024-02-29T15:30:00+00:00"},
            {"table": 8, "items": [], "at": None},
            None,
        ]
    print("an order as a dataclass, one as a mapping, one tombstone")


if __name__ == "__main__":
    with cluster({TOPIC: 1}) as found:
        asyncio.run(main(found))
