"""What a producer puts in front of its own methods: the appender's, and nothing the user sees."""

from __future__ import annotations

from pyproducer import AsyncProducer, SyncProducer


class Noting(AsyncProducer):
    """Notes what is queued through it."""

    def __init__(self, *args, **options):
        super().__init__(*args, **options)
        self.noted = []

    async def enqueue(self, topic, value, **options):
        self.noted.append(value)
        return await super().enqueue(topic, value, **options)


class SyncNoting(SyncProducer):
    """Notes what is queued through it at once."""

    def __init__(self, *args, **options):
        super().__init__(*args, **options)
        self.noted = []

    def enqueue_nowait(self, topic, value, **options):
        self.noted.append(value)
        return super().enqueue_nowait(topic, value, **options)


async def test_subclass(broker):
    """
    A method that a subclass overrides is called, and may call the one it overrides.
    """
    async with Noting(broker.bootstrap_servers) as producer:
        await (await producer.enqueue("one", b"a", key=b"k"))
        await producer.enqueue_nowait("one", b"b")

    assert [b"a"] == producer.noted
    assert [(b"k", b"a"), (None, b"b")] == [(r.key, r.value) for r in broker.records("one")]


def test_subclass_sync(broker):
    """
    The same goes for the blocking producer.
    """
    with SyncNoting(broker.bootstrap_servers) as producer:
        producer.enqueue("one", b"a").result(5)
        producer.enqueue_nowait("one", b"b").result(5)

    assert [b"b"] == producer.noted
    assert [b"a", b"b"] == [r.value for r in broker.records("one")]


async def test_patched_class(broker, monkeypatch):
    """
    Whoever replaces a method of the class, as tracing libraries do, is called for the producers
    made after it.
    """
    noted = []
    original = AsyncProducer.enqueue

    async def traced(self, topic, value, **options):
        noted.append(value)
        return await original(self, topic, value, **options)

    monkeypatch.setattr(AsyncProducer, "enqueue", traced)
    async with AsyncProducer(broker.bootstrap_servers) as producer:
        await (await producer.enqueue("one", b"a"))

    assert [b"a"] == noted


def test_patched_class_sync(broker, monkeypatch):
    """
    The same goes for the blocking producer, up to its start.
    """
    noted = []
    original = SyncProducer.enqueue

    def traced(self, topic, value, **options):
        noted.append(value)
        return original(self, topic, value, **options)

    monkeypatch.setattr(SyncProducer, "enqueue", traced)
    with SyncProducer(broker.bootstrap_servers) as producer:
        producer.enqueue("one", b"a").result(5)

    assert [b"a"] == noted
