"""What frameworks ask of a method before they call it: enqueue() says that it is to be awaited."""

from __future__ import annotations

import asyncio
import inspect

import pytest

from pyproducer import AsyncProducer


class Own(AsyncProducer):
    """A producer whose enqueue is its own."""

    async def enqueue(self, *args, **options):
        """Queue a record."""
        return await super().enqueue(*args, **options)


@pytest.mark.parametrize("kind", [AsyncProducer, Own])
@pytest.mark.parametrize("of", ["producer", "topic"])
def test_enqueue_is_a_coroutine_function(kind, of):
    """
    Whoever asks whether to await it hears yes, of the method and of a partial.
    """
    producer = kind("localhost:9092")
    face = producer if of == "producer" else producer.topic("t")

    for ask in (inspect.iscoroutinefunction, asyncio.iscoroutinefunction):
        assert ask(face.enqueue)
        assert ask(face.send)
        assert not ask(face.enqueue_nowait)


def test_enqueue_has_its_signature_and_documentation():
    """
    Help and tools that build calls see the method's own parameters.
    """
    producer = AsyncProducer("localhost:9092")

    assert list(inspect.signature(producer.enqueue).parameters) == [
        "topic", "value", "key", "headers", "partition", "timestamp_ms", "on_delivery",
    ]  # fmt: skip
    assert producer.enqueue.__doc__.startswith("Queue a record")
    assert producer.enqueue.__name__ == "enqueue"


async def test_arguments_in_every_way(producer):
    """
    Positional and by name, too few and too many, as any method.
    """
    assert (await (await producer.enqueue("one", b"a"))).topic == "one"
    assert (await (await producer.enqueue(topic="one", value=b"b", key=b"k"))).topic == "one"
    options = {"value": b"c", "headers": {"h": b"1"}}
    assert (await (await producer.enqueue("one", **options))).topic == "one"
    for arguments, names in [
        ((), {}),
        (("one",), {}),
        (("one", b"x", b"k"), {}),
        (("one", b"x"), {"no": 1}),
    ]:
        with pytest.raises(TypeError):
            await producer.enqueue(*arguments, **names)
