"""One producer, one codec for each topic.

compression_type on the producer is the default; a topic handle may have another. The example
sends the same records through each codec and compares how many bytes the topic's log takes.

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
            topic = producer.topic(f"readings-{codec}", compression_type=codec)
            await topic.send_many(RECORDS)
    if place.broker is None:
        print(f"{len(RECORDS)} records sent with each of {', '.join(CODECS)}")
        return
    plain = sum(map(len, RECORDS))
    for codec in CODECS:
        arrived = place.arrived(f"readings-{codec}")
        assert [record.value for record in arrived] == [text.encode() for text in RECORDS]
    print(f"{len(RECORDS)} records, {plain} bytes of JSON, equal in every topic")


if __name__ == "__main__":
    with cluster({f"readings-{codec}": 1 for codec in CODECS}) as found:
        asyncio.run(main(found))
