"""What enqueue returns: a coroutine to whoever looks at it, in both twins."""

from __future__ import annotations

import asyncio
import inspect
import sys
import warnings
from collections.abc import Awaitable, Coroutine, Generator
from contextlib import suppress
from typing import Any

import pytest

from pyproducer.errors import (
    RecordTooLarge,
    SerializationError,
    UnknownTopic,
    UsageError,
    WrongLoop,
)
from tests.helpers.door import Door


@pytest.fixture
def door(twin) -> Door:
    """
    An appender that knows topic "t" of three partitions.
    """
    return Door(twin, topics={"t": 3})


@pytest.mark.filterwarnings("default")
def test_never_awaited(door):
    """
    A call that is dropped without a step says so, by name, and queues nothing.
    """
    with pytest.warns(RuntimeWarning, match=r"'\w+\.enqueue' was never awaited"):
        door.appender.enqueue("t", b"x")

    assert 0 == door.appender.records


def test_never_awaited_as_an_error(door, monkeypatch):
    """
    Where warnings are errors it is one that nobody can catch; whoever keeps what it was about
    keeps an object that can still be looked at.
    """
    kept = []
    monkeypatch.setattr(sys, "unraisablehook", kept.append)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for _ in range(200):
            door.appender.enqueue("t", b"x", on_delivery=kept.append)
        # The memory of those that are kept must not be anybody else's now.
        awaited = [door.appender.enqueue("t", b"x") for _ in range(200)]
        for call in awaited:
            call.close()
    found = [one.object for one in kept]

    assert [RuntimeWarning] * 200 == [one.exc_type for one in kept]
    assert len(set(map(id, found + awaited))) == 400
    for call in found:
        assert "enqueue" in repr(call).lower()
        call.close()
    assert 0 == door.appender.records


class Slot:
    """Room that comes when the test says so."""

    def __init__(self) -> None:
        self.left = 0
        self.asked: list[Any] = []

    async def room(self, made: Any) -> Any:
        self.asked.append(made)
        try:
            return await self
        except GeneratorExit:
            self.left += 1
            raise
        except ArithmeticError:
            # One who is stopped may say that it came through all the same.
            return "came through"
        except ValueError:
            self.left += 1
            return await self

    def __await__(self) -> Generator[str, Any, Any]:
        sent = yield "waits"
        return sent


@pytest.fixture
def slot(door) -> Slot:
    """
    Every call has to wait for room.
    """
    slot = Slot()
    door.appender.room = slot.room
    door.appender.waiting = 1
    return slot


def outcome(call: Any, sent: Any = None) -> Any:
    """What a coroutine's last step returns."""
    with pytest.raises(StopIteration) as caught:
        call.send(sent)
    return caught.value.value


def states(call: Any) -> tuple[str, bool, bool]:
    return inspect.getcoroutinestate(call), call.cr_frame is None, call.cr_running


@pytest.mark.parametrize("of", ["producer", "topic"])
def test_is_a_coroutine(door, of):
    """
    asyncio and abstract types see a coroutine, and one that can be awaited.
    """
    if of == "producer":
        call = door.appender.enqueue("t", b"x")
    else:
        call = door.appender.entry("t").enqueue(b"x")

    assert asyncio.iscoroutine(call)
    assert isinstance(call, Coroutine)
    assert isinstance(call, Awaitable)
    assert inspect.isawaitable(call)
    assert call.__await__() is not None
    call.close()


def test_states(door):
    """
    Tools that ask for a coroutine's state are told: created, suspended, closed.
    """
    call = door.appender.enqueue("t", b"x")
    assert ("CORO_CREATED", False, False) == states(call)
    assert "enqueue" == call.cr_frame.f_code.co_name == call.cr_code.co_name
    door.appender.since_turn = 1 << 20
    assert call.send(None) is None
    assert ("CORO_SUSPENDED", False, False) == states(call)
    assert call.cr_origin is None
    delivery = outcome(call)

    assert ("CORO_CLOSED", True, False) == states(call)
    assert (door.twin.Delivery, 1) == (type(delivery), door.appender.records)


def test_states_while_it_waits(door, slot):
    """
    Also where it waits for room, and then it tells for what.
    """
    call = door.appender.enqueue("t", b"x")
    assert "waits" == call.send(None)
    assert ("CORO_SUSPENDED", False, False) == states(call)
    assert call.cr_await.__name__ == "room"
    assert "given" == outcome(call, "given")
    assert ("CORO_CLOSED", True, False) == states(call)
    assert call.cr_await is None


@pytest.mark.parametrize("way", ["send", "throw", "close"])
def test_steps_within_a_step(door, way):
    """
    Code that runs within a step and finds its way back to the call is refused; the record is
    queued once.
    """
    states_seen = []

    def serializer(value: bytes) -> bytes:
        states_seen.append(states(call))
        args = {"send": (None,), "throw": (KeyError(),), "close": ()}[way]
        with pytest.raises(ValueError, match="already executing"):
            getattr(call, way)(*args)
        return value

    call = door.entry(door.appender.topic("t"), None, serializer).enqueue(b"x")
    delivery = outcome(call)

    assert [("CORO_RUNNING", False, True)] == states_seen
    assert (1, 0) == (door.appender.records, delivery._index)


def test_the_first_send_is_of_none(door):
    """
    A call that has not begun cannot be sent anything but None, and begins all the same later.
    """
    call = door.appender.enqueue("t", b"x")
    with pytest.raises(TypeError, match="just-started"):
        call.send(1)
    assert 0 == door.appender.records
    outcome(call)

    assert 1 == door.appender.records


@pytest.mark.parametrize("thrown", [ValueError("v"), ValueError])
def test_throw_before_the_first_step(door, thrown):
    """
    What is thrown into a call that has not begun comes out, and nothing is queued.
    """
    call = door.appender.enqueue("t", b"x")
    with pytest.raises(ValueError):
        call.throw(thrown)
    for again in (lambda: call.throw(thrown), lambda: call.send(None)):
        with pytest.raises(RuntimeError, match="already awaited"):
            again()
    call.close()

    assert 0 == door.appender.records


def test_throw_after_a_turn_was_given(door):
    """
    Thrown into a call that only gave the loop its turn, it comes out; the record is queued.
    """
    door.appender.since_turn = 1 << 20
    call = door.appender.enqueue("t", b"x")
    assert call.send(None) is None
    with pytest.raises(KeyError):
        call.throw(KeyError("k"))

    assert ("CORO_CLOSED", 1) == (states(call)[0], door.appender.records)


def test_throw_while_it_waits(door, slot):
    """
    Thrown into one that waits for room it goes to that wait, which may end, or go on waiting, or
    come through.
    """
    calls = [door.appender.enqueue("t", b"x") for _ in range(3)]
    for call in calls:
        call.send(None)
    with pytest.raises(KeyError):
        calls[0].throw(KeyError("k"))
    assert "waits" == calls[1].throw(ValueError("v"))
    assert "CORO_SUSPENDED" == states(calls[1])[0]
    assert "given" == outcome(calls[1], "given")
    with pytest.raises(StopIteration) as caught:
        calls[2].throw(ArithmeticError("a"))

    assert "came through" == caught.value.value
    assert ["CORO_CLOSED"] * 3 == [states(call)[0] for call in calls]


def test_close(door, slot):
    """
    Closed before its first step a call queues nothing, and says nothing; closed while it waits it
    leaves its place; closed once it is over, or twice, it is fine.
    """
    for steps in range(2):
        call = door.appender.enqueue("t", b"x")
        for _ in range(steps):
            call.send(None)
        call.close()
        call.close()
        assert ("CORO_CLOSED", steps) == (states(call)[0], slot.left)

    assert 0 == door.appender.records


def test_refusals_come_when_it_is_awaited(door):
    """
    The call itself raises nothing but a TypeError for arguments that do not fit; what the door
    has against a record is raised by the first step.
    """
    with pytest.raises(TypeError):
        door.appender.enqueue("t")
    with pytest.raises(TypeError):
        door.appender.enqueue("t", b"x", no_such=1)
    for error, args, options in (
        (SerializationError, ("t", 5), {}),
        (UnknownTopic, ("no/name", b"x"), {}),
        (UnknownTopic, ("t", b"x"), {"partition": 3}),
        (UsageError, (5, b"x"), {}),
        (UsageError, (["t"], b"x"), {}),
        (UsageError, (None, b"x"), {}),
        (UsageError, ("t", b"x"), {"partition": True}),
        (UsageError, ("t", b"x"), {"timestamp_ms": -1}),
        (UsageError, ("t", b"x"), {"on_delivery": 5}),
        (RecordTooLarge, ("t", b"x" * 4000), {}),
    ):
        call = door.appender.enqueue(*args, **options)
        with pytest.raises(error):
            call.send(None)
        with pytest.raises(RuntimeError):
            call.send(None)
    door.appender.owner = 1 << 40
    with pytest.raises(WrongLoop):
        door.appender.enqueue("t", b"x").send(None)

    assert 0 == door.appender.records


def test_nobody_else_makes_deliveries(door):
    """
    A Delivery without a batch cannot be made.
    """
    with pytest.raises(TypeError):
        door.twin.Delivery()


def give_back(door: Door, slot: Slot, way: str, **options: Any) -> None:
    """One call through one of its ways."""
    door.appender.waiting = int(way in {"wait", "close waiting", "throw waiting"})
    door.appender.since_turn = (1 << 20) * (way in {"turn", "close turn"})
    call = door.appender.enqueue(**options)
    if way == "close":
        call.close()
    elif way == "throw":
        with suppress(KeyError):
            call.throw(KeyError)
    elif way == "refused":
        door.appender.refusal = KeyError
        with suppress(KeyError):
            call.send(None)
        door.appender.refusal = None
    elif way == "quick":
        with suppress(StopIteration):
            call.send(None)
    else:
        call.send(None)
        if way.startswith("close"):
            call.close()
        elif way == "throw waiting":
            with suppress(KeyError):
                call.throw(KeyError)
        else:
            with suppress(StopIteration):
                call.send(None)
    slot.asked.clear()
    # What was queued is settled, so that only the call itself could hold on to anything.
    for topic in door.appender.topics.values():
        for part in topic.partitions or []:
            door.appender.close_open(part)
    for batch in door.take()[1]:
        door.appender.recharge(batch, 0)
        batch.acknowledge(0, -1)
        batch.watchers = None
    door.batches.clear()


@pytest.mark.parametrize(
    "way",
    [
        "quick", "turn", "wait", "close", "close turn", "close waiting", "throw", "throw waiting",
        "refused",
    ],
)  # fmt: skip
@pytest.mark.parametrize("more", [False, True])
def test_nothing_is_kept(door, slot, way, more):
    """
    However a call ends, it has let go of all that it was given.
    """
    topic = f"top-{more}"
    door.adopt(topic, 1)
    values = [bytearray(b"v"), bytearray(b"k"), {"h": b"1"}, 1 << 40, lambda delivery: None]
    names = ["value", "key", "headers", "timestamp_ms", "on_delivery"]
    options = dict(zip(names[: 5 if more else 1], values, strict=False)) | {"topic": topic}
    for _ in range(3):
        give_back(door, slot, way, **options)
    before = [sys.getrefcount(value) for value in (*values, topic)]
    for _ in range(100):
        give_back(door, slot, way, **options)

    assert before == [sys.getrefcount(value) for value in (*values, topic)]
