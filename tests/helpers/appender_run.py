"""One twin of the appender through a list of operations, everything worth comparing noted."""

from __future__ import annotations

import functools
import inspect
import re
import threading
from collections.abc import Callable
from typing import Any

from pyproducer.errors import ProducerError
from tests.helpers.door import Door, coroutine_function, is_settled


class Told:
    """Callbacks of every kind there is, each of which notes whom it was told of."""

    def __init__(self, told: list[Any], number: int) -> None:
        self.told = told
        self.number = number

    def method(self, delivery: Any) -> None:
        self.told.append((self.number, delivery.partition))

    def __call__(self, delivery: Any) -> None:
        self.method(delivery)

    async def coroutine_method(self, delivery: Any) -> None:
        self.method(delivery)

    def fail(self, delivery: Any) -> None:
        self.method(delivery)
        raise ValueError(self.number)

    def generator(self, delivery: Any) -> Any:
        yield self.method(delivery)

    def kind(self, name: str) -> Any:
        """The callback of a name; those that nobody may give are among them."""
        if name == "with attributes":

            def function(delivery: Any) -> None:
                self.method(delivery)

            function.note = name  # type: ignore[attr-defined]
            return function
        if name == "marked":

            def marked(delivery: Any) -> None:
                self.method(delivery)

            mark: Callable[[Any], Any] = getattr(inspect, "markcoroutinefunction", lambda f: f)
            return mark(marked)
        return {
            "none": None,
            "note": self.method,
            "raise": self.fail,
            "lambda": lambda delivery: self.method(delivery),
            "object": self,
            "partial": functools.partial(self.method),
            "partial of partial": functools.partial(functools.partial(Told.method, self)),
            "builtin": [].append,
            "class": Noted,
            "generator": self.generator,
            "coroutine": coroutine_function,
            "coroutine method": self.coroutine_method,
            "partial of coroutine": functools.partial(functools.partial(coroutine_function)),
            "no callable": 7,
        }[name]


class Noted:
    """A class as callback."""

    def __init__(self, delivery: Any) -> None:
        self.partition = delivery.partition


class Run:
    """One twin and what is done with it.

    Args:
        twin: the module.
        options: for its :class:`Door`.
        slow: every record goes the way of those that are not common.
    """

    def __init__(self, twin: Any, options: dict[str, Any], *, slow: bool = False) -> None:
        self.slow = slow
        self.door = Door(twin, is_coroutine_function=inspect.iscoroutinefunction, **options)
        self.door.adopt("t", 3)
        self.door.appender.room = self.room
        self.door.appender.block_for_room = lambda made: made
        self.handles: list[Any] = []
        self.prepared: list[Any] = []
        self.told: list[Any] = []
        self.turns: list[bool] = []

    async def room(self, made: Any) -> Any:
        return made

    def state(self) -> tuple[Any, ...]:
        appender = self.door.appender
        return (
            appender.used,
            appender.records,
            appender.since_turn,
            appender.turn_ms,
            appender.last_ms,
            appender.asleep,
            appender.starved,
            self.turns,
            self.door.host.woken,
            self.door.chosen,
            [
                (
                    topic.name,
                    topic.sticky,
                    topic.available,
                    None if topic.shelf is None else (topic.shelf.count, topic.shelf.charged),
                    [
                        (part.pending, None if part.open is None else self.batch(part.open))
                        for part in topic.partitions or []
                    ],
                )
                for topic in appender.topics.values()
            ],
        )

    @staticmethod
    def batch(batch: Any) -> tuple[Any, ...]:
        return (
            batch.serial,
            batch.topic,
            batch.partition,
            batch.state,
            batch.count,
            batch.size,
            batch.charged,
            batch.urgent,
            batch.expected,
            batch.base_timestamp,
            batch.max_timestamp,
            len(batch.watchers or ()),
            type(batch.error),
            str(batch.error),
            bytes(batch.body()),
        )

    def step(self, given: dict[str, Any]) -> Any:
        """Do one operation; what it returned or raised, as comparable values."""
        try:
            made = getattr(self, "do_" + given["op"].replace(" ", "_"))(given)
        except Exception as error:
            cause = error.__cause__
            # A function that is refused is named with its address.
            text = re.sub("0x[0-9a-f]+", "0x", str(error))
            return type(error), text, vars(error), type(cause), str(cause)
        if isinstance(made, self.door.twin.Delivery):
            self.handles.append(made)
            return "delivery", made.topic, made.partition, made._index, repr(made)
        if isinstance(made, self.door.twin.Prepared):
            self.prepared.append(made)
            return "prepared", made.size_bound, str(self.door.appender.full(made))
        return made

    def do_put(self, given: dict[str, Any]) -> Any:
        if not self.slow:
            return self.door.put(given["value"], **self.options(given))
        made = self.do_accept(given)
        if isinstance(made, self.door.twin.Prepared):
            raise self.door.appender.full(made)
        return made

    def do_block(self, given: dict[str, Any]) -> Any:
        if self.slow:
            return self.do_accept(given)
        options = self.options(given)
        entry = self.door.appender.entry(options.pop("topic"))
        return entry.enqueue_blocking(given["value"], **options)

    def do_await(self, given: dict[str, Any]) -> Any:
        if self.slow:
            made = self.do_accept(given)
            turn = isinstance(made, self.door.twin.Delivery) and self.door.appender.turn_due
        else:
            call = self.door.appender.enqueue(value=given["value"], **self.options(given))
            turn = False
            while True:
                try:
                    assert call.send(None) is None
                except StopIteration as end:
                    made = end.value
                    break
                turn = True
        self.turns.append(turn)
        return made

    def do_accept(self, given: dict[str, Any]) -> Any:
        return self.door.accept(given["value"], **self.options(given))

    def do_urgent(self, given: dict[str, Any]) -> Any:
        return self.door.accept(given["value"], urgent=True, **self.options(given))

    def options(self, given: dict[str, Any]) -> dict[str, Any]:
        names = ("topic", "key", "headers", "partition", "timestamp_ms")
        return {name: given[name] for name in names} | {
            "on_delivery": Told(self.told, len(self.handles)).kind(given["callback"])
        }

    def do_adopt(self, given: dict[str, Any]) -> Any:
        topic = self.door.appender.topic(given["topic"])
        count = max(given["count"], len(topic.partitions or []))
        leaders = sorted(number for number in given["leaders"] if number < count)
        moved = self.door.adopt(given["topic"], count, leaders)
        self.door.take()
        return None if moved is None else [self.batch(batch) for batch in moved[1]]

    def do_take(self, given: dict[str, Any]) -> Any:
        return [[self.batch(batch) for batch in news] for news in self.door.take()]

    def do_turn(self, given: dict[str, Any]) -> Any:
        return self.door.appender.turn_due

    def do_wait(self, given: dict[str, Any]) -> Any:
        self.door.appender.waiting = 1

    def do_nobody(self, given: dict[str, Any]) -> Any:
        self.door.appender.waiting = 0

    def do_admit(self, given: dict[str, Any]) -> Any:
        if not self.prepared:
            return None
        made = self.door.appender.admit(self.prepared[0], True)
        if made is not None:
            del self.prepared[0]
        return made

    def do_refused(self, given: dict[str, Any]) -> Any:
        self.door.appender.refusal = lambda: ProducerError("refused")
        try:
            return self.do_put(given)
        finally:
            self.door.appender.refusal = None

    def do_behind(self, given: dict[str, Any]) -> Any:
        before, self.door.appender.waiting = self.door.appender.waiting, 1
        try:
            return self.do_put(given)
        finally:
            self.door.appender.waiting = before

    def do_stray(self, given: dict[str, Any]) -> Any:
        self.door.appender.owner = threading.get_ident() + 1
        try:
            return self.do_put(given)
        finally:
            self.door.appender.owner = threading.get_ident()

    def do_clock(self, given: dict[str, Any]) -> Any:
        self.door.ms += given["ms"]

    def do_close(self, given: dict[str, Any]) -> Any:
        open_ones = [
            part
            for topic in self.door.appender.topics.values()
            for part in topic.partitions or []
            if part.open is not None
        ]
        if open_ones:
            self.door.appender.close_open(open_ones[given["number"] % len(open_ones)])

    def closed(self) -> list[Any]:
        self.door.take()
        return [
            batch
            for batch in self.door.batches.values()
            if batch.state == self.door.twin.CLOSED
            and batch.error is None
            and batch.home.number >= 0
        ]

    def do_split(self, given: dict[str, Any]) -> Any:
        found = [batch for batch in self.closed() if batch.count > 1]
        if not found:
            return None
        batch = found[given["number"] % len(found)]
        halves = self.door.split(batch)
        self.door.appender.recharge(batch, 0)
        for half in halves:
            self.door.appender.recharge(half, half.size)
        return [self.batch(half) for half in halves]

    def do_refuse_shelf(self, given: dict[str, Any]) -> Any:
        self.door.take()
        shelf = self.door.appender.refuse_shelf(self.door.appender.topic("shelf"))
        if shelf is None:
            return None
        self.settle(shelf)
        return shelf.count

    def do_settle(self, given: dict[str, Any]) -> Any:
        return [self.settle(batch) for batch in self.closed()]

    def settle(self, batch: Any) -> Any:
        self.door.appender.recharge(batch, 0)
        unseen = None
        if batch.error is not None or batch.serial % 3 == 0 or batch.home.number < 0:
            unseen = batch.fail(batch.error or ProducerError("settled"))
        else:
            batch.acknowledge(batch.serial * 1000, batch.serial if batch.serial % 2 else -1)
        self.door.twin.run_watchers(batch, 1 << 30)
        return unseen

    def end(self) -> Any:
        """Settle all; what became of every record."""
        self.door.appender.waiting = 0
        self.door.take()
        for topic in list(self.door.appender.topics):
            self.door.adopt(topic, max(1, len(self.door.appender.topics[topic].partitions or [])))
        for topic in self.door.appender.topics.values():
            for part in topic.partitions or []:
                self.door.appender.close_open(part)
        self.door.take()
        batches = [self.batch(batch) for batch in self.door.batches.values()]
        read = [
            self.door.records(batch)
            for batch in self.door.opened()
            if batch.state <= 1 and batch.count
        ]
        for batch in list(self.door.batches.values()):
            if not is_settled(batch):
                self.settle(batch)
        outcomes = []
        for handle in self.handles:
            error = handle.exception()
            outcomes.append(
                (handle.partition, handle._index, repr(handle))
                + ((type(error), str(error)) if error else (handle.result(),))
            )
        assert 0 == self.door.appender.used
        return batches, read, outcomes, self.told, self.door.host.seen, self.state()
