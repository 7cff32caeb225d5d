"""Avro: a schema says what a value is, and what is not gets refused.

Plain framing writes the value alone: reader and writer agree on the schema beforehand. The
single-object encoding begins with the schema's fingerprint, so that a reader with several
schemas can tell which one a value was written with.

    python examples/serialize_avro.py [BOOTSTRAP_SERVERS]
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from _cluster import Cluster, cluster

from pyproducer import AsyncProducer, SerializationError
from serializers import AvroDeserializer, AvroSerializer

FIRST = {
    "type": "record",
    "name": "Reading",
    "fields": [{"name": "sensor", "type": "string"}, {"name": "celsius", "type": "double"}],
}
SECOND = {
    **FIRST,
    "fields": [*FIRST["fields"], {"name": "battery", "type": ["null", "int"], "default": None}],
}


@dataclass
class Reading:
    """What the first schema describes."""

    sensor: str
    celsius: float


async def main(place: Cluster) -> None:
    """Send readings of two schemas, and read all of them with the newer one."""
    old = AvroSerializer(FIRST, framing="single_object")
    new = AvroSerializer(SECOND, framing="single_object")
    async with AsyncProducer(place.bootstrap_servers) as producer:
        plain = producer.topic("readings-plain", value_serializer=AvroSerializer(FIRST))
        await plain.send(Reading("hall", 19.5), key="hall")
        try:
            await plain.send({"sensor": "hall", "celsius": "warm"})
        except SerializationError as error:
            print(f"refused: {error}")
        else:
            raise AssertionError("a text went out as a double")

        # Two schemas in one topic are a decision, so it has to be said.
        both = {old.format, new.format}
        before = producer.topic("readings", value_serializer=old, allow_formats=both)
        after = producer.topic("readings", value_serializer=new, allow_formats=both)
        await before.send(Reading("hall", 19.5))
        await after.send({"sensor": "roof", "celsius": -3.0, "battery": 87})

    if place.broker:
        [record] = place.arrived("readings-plain")
        assert record.value == b"\x08hall\x00\x00\x00\x00\x00\x80\x33\x40"
        read = AvroDeserializer[object](SECOND, framing="single_object", writer_schemas=[FIRST])
        assert [read(record.value or b"") for record in place.arrived("readings")] == [
            {"sensor": "hall", "celsius": 19.5, "battery": None},
            {"sensor": "roof", "celsius": -3.0, "battery": 87},
        ]
    print("three readings sent, one refused; both schemas are read with the newer one")


if __name__ == "__main__":
    with cluster({"readings-plain": 1, "readings": 1}) as found:
        asyncio.run(main(found))
