"""What a task in ``await enqueue`` waits for room on: a future to the task, woken without a handle."""

from __future__ import annotations

import asyncio
import contextvars
from collections import deque
from typing import Any

import pytest

from tests.helpers.door import Door

twin = pytest.importorskip("pyproducer.core._appender", exc_type=ImportError)


class Line:
    """Takes note of who leaves."""

    def __init__(self) -> None:
        self.left: list[Any] = []

    def leave(self, wait: Any) -> None:
        self.left.append(wait)

    def cancelled(self, message: object) -> BaseException:
        return asyncio.CancelledError(message)


class Room:
    """An appender whose callers have to wait, and the records that do."""

    def __init__(self) -> None:
        self.door = Door(twin, topics={"t": 1})
        self.line = Line()
        self.woken: deque[Any] = deque()
        self.waits: list[Any] = []
        self.door.appender.room = self.wait
        self.door.appender.waiting = 1

    def wait(self, made: Any) -> Any:
        loop = asyncio.get_running_loop()
        self.waits.append(twin.RoomWait(self.line, loop, self.woken, made, 1.0))
        return self.waits[-1]

    def call(self) -> Any:
        return self.door.appender.enqueue("t", b"x")

    def serve(self) -> Any:
        """Append for the first of those who wait."""
        wait = self.waits.pop(0)
        delivery = self.door.appender.admit(wait.made, True)
        wait.set_result(delivery)
        return delivery


@pytest.fixture
def room() -> Room:
    """
    A buffer without room.
    """
    return Room()


async def test_woken_together(room):
    """
    Tasks go on in the order of the line as soon as they are woken, each in its own context, and
    may wait again at once.
    """
    name = contextvars.ContextVar("name")
    seen = []

    async def sender(number):
        name.set(number)
        for _ in range(2):
            seen.append((name.get(), await room.call()))

    tasks = [asyncio.create_task(sender(number)) for number in range(3)]
    await asyncio.sleep(0)
    made = [room.serve() for _ in range(3)]
    loop = asyncio.get_running_loop()
    loop.call_soon(lambda: [room.woken.popleft().wake() for _ in range(3)])
    await asyncio.sleep(0)

    assert [(0, made[0]), (1, made[1]), (2, made[2])] == seen
    assert 3 == len(room.waits)
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks)
    assert 3 == len(room.line.left)


async def test_cancelled(room):
    """
    One who is cancelled leaves the line with the message he was given, and counts as done before.
    """
    task = asyncio.create_task(room.call())
    await asyncio.sleep(0)
    [wait] = room.waits
    task.cancel("enough")
    assert wait.done()
    with pytest.raises(asyncio.CancelledError, match="enough"):
        await task

    assert [wait] == room.line.left
    assert not wait.cancel()
    assert 0 == room.door.appender.records


async def test_no_room(room):
    """
    What keeps a record out is raised where its call is awaited.
    """
    task = asyncio.create_task(room.call())
    await asyncio.sleep(0)
    room.waits[0].set_exception(ArithmeticError("none"))

    with pytest.raises(ArithmeticError, match="none"):
        await task


async def test_cancelled_with_room(room):
    """
    Cancelled between the room's coming and the waking, the caller is told so; the record is queued.
    """
    task = asyncio.create_task(room.call())
    await asyncio.sleep(0)
    room.serve()
    task.cancel()
    room.woken.popleft().schedule()
    with pytest.raises(asyncio.CancelledError):
        await task

    assert 1 == room.door.appender.records


async def test_context_in_use(room):
    """
    A task whose context something runs in at the moment is woken in a later turn.
    """
    context = contextvars.copy_context()
    task = asyncio.create_task(room.call(), context=context)
    await asyncio.sleep(0)
    delivery = room.serve()
    asyncio.get_running_loop().call_soon(room.woken[0].wake, context=context)

    assert delivery is await task


async def test_callback_that_raises(room):
    """
    What somebody's callback raises goes to the event loop's handler, and the next is woken.
    """
    loop = asyncio.get_running_loop()
    told = []
    loop.set_exception_handler(lambda _, details: told.append(details["exception"]))
    waiting = room.call()
    wait = waiting.send(None)
    wait.add_done_callback(lambda wait: 1 // 0)
    room.serve()
    room.woken.popleft().wake()
    with pytest.raises(StopIteration) as end:
        waiting.send(None)

    assert [ZeroDivisionError] == [type(error) for error in told]
    assert isinstance(end.value.value, twin.Delivery)


async def test_many_callbacks(room):
    """
    All that were added and not removed are called, in order, and one that comes late, too.
    """
    seen = []
    wait = room.call().__await__().send(None)
    for name in ("first", "second", "third"):
        wait.add_done_callback(lambda wait, name=name: seen.append(name))
    wait.add_done_callback(seen.append)
    assert 1 == wait.remove_done_callback(seen.append)
    assert 0 == wait.remove_done_callback(seen.append)
    room.serve()
    room.woken.popleft().wake()
    wait.add_done_callback(lambda wait: seen.append("late"))
    await asyncio.sleep(0)

    assert ["first", "second", "third", "late"] == seen
