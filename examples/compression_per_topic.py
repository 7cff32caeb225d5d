"""One producer, one codec for each topic.

compression_type on the producer is the default; a topic handle may have another. The example
sends the same records through each codec and shows how many bytes went to the broker.

    python examples/compression_per_topic.py [BOOTSTRAP_SERVERS]
"""

from __future__ import annotations

import asyncio
import json
from typing import get_args

from _cluster import Cluster, cluster

from pyproducer import AsyncProducer
from pyproducer.config import CompressionType

CODECS: tuple[CompressionType, ...] = get_args(CompressionType)
RECORDS = [
    json.dumps({"sensor": f"hall-{n % 7}", "celsius": 18 + n % 50 / 10, "sequence": n})
    for n in range(5_000)
]


async def main(place: Cluster) -> None:
    """Send the records with every codec and print the sizes."""
    async with AsyncProducer(place.bootstrap_servers, compression_type="lz4") as producer:
        for codec in CODECS:
            before = producer.metrics().bytes_sent
            topic = producer.topic(f"readings-{codec}", compression_type=codec)
            await topic.send_many(RECORDS)
            print(f"{codec:>8}: {producer.metrics().bytes_sent - before:7} bytes")
    if place.broker is None:
        print(f"{len(RECORDS)} records sent with each of {', '.join(CODECS)}")
        return
    for codec in CODECS:
        arrived = place.arrived(f"readings-{codec}")
        assert [record.value for record in arrived] == [text.encode() for text in RECORDS]
    print(f"{len(RECORDS)} records are the same in every topic")


if __name__ == "__main__":
    with cluster({f"readings-{codec}": 1 for codec in CODECS}) as found:
        asyncio.run(main(found))
