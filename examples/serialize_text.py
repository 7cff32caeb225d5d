"""Text and raw bytes as keys and values.

A producer without serializers takes bytes and str (as UTF-8) as they are. StringSerializer is
for other encodings, and for refusing what is not text.

    python examples/serialize_text.py [BOOTSTRAP_SERVERS]
"""

from __future__ import annotations

import asyncio

from _cluster import Cluster, cluster

from pyproducer import AsyncProducer, SerializationError
from serializers import BytesSerializer, StringDeserializer, StringSerializer

GREETINGS = {"de": "Gr\u00fc\u00df Gott", "el": "\u03b3\u03b5\u03b9\u03b1", "en": "hello"}


async def main(place: Cluster) -> None:
    """Send text in two encodings and bytes as they are, and read them back."""
    async with AsyncProducer(place.bootstrap_servers) as producer:
        for language, text in GREETINGS.items():
            await producer.send("greetings", text, key=language)

        utf16 = producer.topic("greetings-utf16", value_serializer=StringSerializer("utf-16-le"))
        await utf16.send_many(list(GREETINGS.values()))

        pictures = producer.topic("pictures", value_serializer=BytesSerializer())
        await pictures.send(memoryview(b"\x89PNG\r\n"))
        try:
            await pictures.send("not a picture")  # type: ignore[arg-type]
        except SerializationError as error:
            print(f"refused: {error}")
        else:
            raise AssertionError("text went out as a picture")

    if place.broker:
        plain = [(record.key, record.value) for record in place.arrived("greetings")]
        assert plain == [(key.encode(), text.encode()) for key, text in GREETINGS.items()]
        decode = StringDeserializer("utf-16-le")
        texts = [decode(record.value or b"") for record in place.arrived("greetings-utf16")]
        assert texts == list(GREETINGS.values())
        assert [record.value for record in place.arrived("pictures")] == [b"\x89PNG\r\n"]
    print(f"{len(GREETINGS)} greetings in UTF-8 and UTF-16, and one picture")


if __name__ == "__main__":
    with cluster({"greetings": 1, "greetings-utf16": 1, "pictures": 1}) as found:
        asyncio.run(main(found))
