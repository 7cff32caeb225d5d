"""Interceptors: every record on its way in, and every outcome."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from pyproducer import (
    AsyncProducer,
    BufferFull,
    Interceptor,
    NotStarted,
    ProducerRecord,
    RecordMetadata,
    SerializationError,
    SyncProducer,
    UnknownTopic,
    UsageError,
)
from pyproducer.protocol.api import ApiKey
from tests.helpers.scripted_broker import ScriptedBroker, Silence


class Notes(Interceptor):
    """Writes down what it is told."""

    def __init__(self, name="n"):
        self.name = name
        self.sent = []
        self.done = []

    def on_send(self, record):
        self.sent.append(record)
        return replace(record, headers=[*(record.headers or ()), ("by", self.name)])

    def on_acknowledgement(self, record, metadata, error):
        self.done.append((record, metadata, error))


async def test_sees_and_changes(broker):
    """
    Interceptors see each record in turn, may change it, and hear its outcome once.
    """
    first, second = Notes("1"), Notes("2")
    async with AsyncProducer(
        broker.bootstrap_servers, interceptors=[first, second], value_serializer=str
    ) as producer:
        meta = await producer.send("one", 5, key=b"k", timestamp_ms=7, partition=0)

    assert [ProducerRecord("one", 5, b"k", None, 0, 7)] == first.sent
    assert [("by", "1")] == second.sent[0].headers
    assert (
        [(meta, None)] == [(m, e) for _, m, e in first.done] == [(m, e) for _, m, e in second.done]
    )
    assert (("by", b"1"), ("by", b"2")) == broker.records("one")[0].headers


async def test_hooks_left_as_they_are_cost_nothing(broker, monkeypatch):
    """
    A hook that an interceptor does not override is never called.
    """
    called = []

    class OnSend(Interceptor):
        def on_send(self, record):
            called.append("own on_send")
            return record

    class OnAcknowledgement(Interceptor):
        def on_acknowledgement(self, record, metadata, error):
            called.append("own on_acknowledgement")

    async with AsyncProducer(
        broker.bootstrap_servers, interceptors=[OnSend(), OnAcknowledgement()]
    ) as producer:
        for name in ("on_send", "on_acknowledgement"):
            monkeypatch.setattr(Interceptor, name, lambda *_, name=name: called.append(name))
        await producer.send("one", b"v")

    assert ["own on_send", "own on_acknowledgement"] == called


async def test_every_call(broker):
    """
    Every way to send goes through the interceptors, those of topic handles too.
    """
    notes = Notes()
    told = []
    async with AsyncProducer(broker.bootstrap_servers, interceptors=[notes]) as producer:
        topic = producer.topic("one")
        await producer.send("one", "0")
        await producer.enqueue("one", "1", on_delivery=told.append)
        producer.enqueue_nowait("one", "2", on_delivery=told.append)
        await producer.send_many("one", ["3", "4"])
        await (await producer.enqueue_many("one", ["5"]))
        await topic.send("6")
        await topic.enqueue("7")
        topic.enqueue_nowait("8")
        await topic.send_many(["9"])

    assert [str(n) for n in range(10)] == [record.value for record in notes.sent]
    assert [str(n) for n in range(10)] == [record.value for record, _, _ in notes.done]
    assert len(told) == 2


async def test_hears_failures(broker):
    """
    A record that fails, at the door or later, is told with its error.
    """
    notes = Notes()
    async with AsyncProducer(broker.bootstrap_servers, interceptors=[notes]) as producer:
        with pytest.raises(SerializationError):
            await producer.send("one", 5)
        with pytest.raises(UnknownTopic):
            await producer.send("t", b"x", partition=9)
        with pytest.raises(UsageError):
            producer.enqueue_nowait("t", b"x", timestamp_ms=-1)

    assert [SerializationError, UnknownTopic, UsageError] == [type(e) for _, _, e in notes.done]
    assert [None] * 3 == [metadata for _, metadata, _ in notes.done]


async def test_hears_of_a_full_buffer():
    """
    A record that finds no room is told too, refused at once, after waiting, or cancelled.
    """
    notes = Notes()
    with ScriptedBroker(script={ApiKey.PRODUCE: lambda _: Silence()}) as broker:
        producer = AsyncProducer(
            broker.bootstrap_servers,
            interceptors=[notes],
            max_block_ms=50,
            buffer_memory=20_000,
            max_request_size=20_000,
            batch_size=20_000,
        )
        await producer.start()
        producer.enqueue_nowait("t", b"x" * 15_000, on_delivery=lambda d: None)
        with pytest.raises(BufferFull):
            producer.enqueue_nowait("t", b"y" * 15_000)
        with pytest.raises(BufferFull):
            await producer.send("t", b"y" * 15_000)
        waiting = asyncio.create_task(producer.send("t", b"y" * 15_000))
        await asyncio.sleep(0)
        waiting.cancel()
        await asyncio.wait([waiting])
        assert [BufferFull, BufferFull, asyncio.CancelledError] == [
            type(e) for _, _, e in notes.done
        ]
        await asyncio.gather(producer.close(0), return_exceptions=True)

    assert len(notes.done) == len(notes.sent) == 4


async def test_raising_interceptor(broker, caplog):
    """
    An interceptor that raises is logged and changes nothing: its record is sent, the others
    hear of it.
    """

    class Bad(Interceptor):
        def on_send(self, record):
            raise ZeroDivisionError("in on_send")

        def on_acknowledgement(self, record, metadata, error):
            raise ZeroDivisionError("in on_ack")

    notes = Notes()
    async with AsyncProducer(broker.bootstrap_servers, interceptors=[Bad(), notes]) as producer:
        meta = await producer.send("one", b"x")

    assert isinstance(meta, RecordMetadata)
    assert len(notes.done) == 1
    assert "in on_send" in caplog.text
    assert "in on_ack" in caplog.text


@pytest.mark.parametrize(
    "made", [None, 5, ProducerRecord("other", b"x")], ids=["nothing", "number", "topic"]
)
async def test_what_on_send_may_not_return(broker, caplog, made):
    """
    on_send that returns no record of the topic is logged, and its answer left out.
    """

    class Forgetful(Interceptor):
        def on_send(self, record):
            return made

    async with AsyncProducer(broker.bootstrap_servers, interceptors=[Forgetful()]) as producer:
        await producer.send("one", b"x")

    assert [b"x"] == [r.value for r in broker.records("one")]
    assert "on_send" in caplog.text


async def test_order_and_callbacks(broker):
    """
    The interceptors hear of an outcome before the record's own callback.
    """
    order = []

    class First(Interceptor):
        def on_acknowledgement(self, record, metadata, error):
            order.append(("interceptor", record.value))

    async with AsyncProducer(broker.bootstrap_servers, interceptors=[First()]) as producer:
        for value in ("a", "b"):
            producer.enqueue_nowait(
                "one", value, on_delivery=lambda d, value=value: order.append(("callback", value))
            )

    assert [
        ("interceptor", "a"),
        ("callback", "a"),
        ("interceptor", "b"),
        ("callback", "b"),
    ] == order


async def test_bad_callback_is_refused(broker):
    """
    on_delivery is checked behind interceptors as it is without.
    """

    async def coroutine_function(delivery):
        raise AssertionError

    notes = Notes()
    async with AsyncProducer(broker.bootstrap_servers, interceptors=[notes]) as producer:
        with pytest.raises(UsageError, match="callback"):
            producer.enqueue_nowait("one", b"x", on_delivery=coroutine_function)
    assert notes.sent == []


async def test_before_start():
    """
    A producer that is not started shows its interceptors nothing.
    """
    notes = Notes()
    producer = AsyncProducer("localhost:1", interceptors=[notes])
    with pytest.raises(NotStarted):
        producer.enqueue_nowait("one", b"x")
    with pytest.raises(NotStarted):
        await producer.send("one", b"x")

    assert notes.sent == []


def test_blocking_producer(broker):
    """
    A blocking producer has interceptors too.
    """
    notes = Notes()
    with SyncProducer(broker.bootstrap_servers, interceptors=[notes]) as producer:
        producer.send("one", "0")
        producer.enqueue_nowait("one", "1")
        producer.topic("one").enqueue("2")
        producer.send_many("one", ["3"])

    assert ["0", "1", "2", "3"] == [record.value for record, _, _ in notes.done]
