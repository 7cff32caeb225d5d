"""Rows as CSV: one row a record, the columns in a fixed order, no header, no line terminator.

python examples/serialize_csv.py [BOOTSTRAP_SERVERS]
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import date

from _cluster import Cluster, cluster

from pyproducer import AsyncProducer, SerializationError
from serializers import CsvDeserializer, CsvSerializer

COLUMNS = ["id", "name", "born"]


@dataclass
class Person:
    """One row, as a dataclass."""

    id: int
    name: str
    born: date | None


async def main(place: Cluster) -> None:
    """Send rows in three shapes, in the usual dialect and in one with semicolons."""
    async with AsyncProducer(place.bootstrap_servers) as producer:
        people = producer.topic("people", value_serializer=CsvSerializer(COLUMNS))
        await people.send(Person(1, "Ada", date(1815, 12, 10)), key="1")
        await people.send({"born": None, "name": 'Grace "Amazing"', "id": 2}, key="2")
        await people.send([3, "Hopper, G.", ""], key="3")
        try:
            await people.send({"id": 4, "nmae": "Alan", "born": None})
        except SerializationError as error:
            print(f"refused: {error}")
        else:
            raise AssertionError("a misspelt column went out")

        semicolons = CsvSerializer(COLUMNS, delimiter=";", quoting="nonnumeric", null="NULL")
        await producer.topic("people-excel", value_serializer=semicolons).send([5, "Joan", None])

    if place.broker:
        lines = [(record.value or b"").decode() for record in place.arrived("people")]
        print(*lines, sep="\n")
        assert lines == ["1,Ada,1815-12-10", '2,"Grace ""Amazing""",', '3,"Hopper, G.",""']
        read = CsvDeserializer(COLUMNS, types={"id": int, "born": date.fromisoformat})
        assert read(lines[0].encode()) == {"id": 1, "name": "Ada", "born": date(1815, 12, 10)}
        assert read(lines[1].encode())["born"] is None
        [last] = place.arrived("people-excel")
        assert last.value == b'5;"Joan";NULL'
    print("four rows sent, one refused")


if __name__ == "__main__":
    with cluster({"people": 1, "people-excel": 1}) as found:
        asyncio.run(main(found))
