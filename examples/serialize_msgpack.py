"""MessagePack: as easy as JSON, smaller, and with bytes and times of its own.

python examples/serialize_msgpack.py [BOOTSTRAP_SERVERS]
"""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime

from _cluster import Cluster, cluster

from pyproducer import AsyncProducer
from serializers import MsgpackDeserializer, MsgpackSerializer

TOPIC = "measurements"
MEASUREMENTS = [
    {"sensor": n % 7, "celsius": 18.5 + n % 10, "at": datetime(2024, 1, 1, n % 24, tzinfo=UTC)}
    for n in range(200)
]


async def main(place: Cluster) -> None:
    """Send the measurements, read them back, and compare the size with JSON's."""
    async with AsyncProducer(place.bootstrap_servers) as producer:
        measurements = producer.topic(TOPIC, value_serializer=MsgpackSerializer())
        await measurements.send_many(MEASUREMENTS)

    if place.broker:
        packed = [record.value or b"" for record in place.arrived(TOPIC)]
        unpack = MsgpackDeserializer[object]()
        assert [unpack(value) for value in packed] == MEASUREMENTS
        as_json = sum(len(json.dumps(one, default=str)) for one in MEASUREMENTS)
        print(f"{sum(map(len, packed))} bytes as MessagePack, {as_json} as JSON")
    print(f"{len(MEASUREMENTS)} measurements sent")


if __name__ == "__main__":
    with cluster({TOPIC: 1}) as found:
        asyncio.run(main(found))
