"""The handles of a bulk call are a list of the deliveries that single calls would have given."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pyproducer.errors import ProducerError
from tests.helpers.door import Door, is_settled

rows = st.tuples(
    st.one_of(st.binary(max_size=90), st.sampled_from([None, "text", "\u00e9", b"x" * 300, 5])),
    st.one_of(st.none(), st.none(), st.binary(max_size=2)),
    st.sampled_from([None, None, 0, 1, 2, 3, -1]),
    st.sampled_from([None, None, None, 7, 1 << 40, -1]),
)

operations = st.one_of(
    st.tuples(
        st.just("many"),
        st.integers(0, 1),
        st.sampled_from(["t", "t", "shelf"]),
        st.lists(rows, max_size=12),
        st.tuples(st.booleans(), st.booleans(), st.booleans()),
        st.sampled_from([None, None, {"h": b"1"}, [("h", bytearray(b"2"))]]),
    ),
    st.tuples(st.just("one")),
    st.tuples(st.just("adopt")),
    st.tuples(st.just("close")),
    st.tuples(st.just("split")),
    st.tuples(st.just("look"), st.integers(0, 1), st.integers(-30, 30)),
    st.tuples(st.just("expect"), st.integers(0, 1)),
    st.tuples(st.just("settle"), st.sampled_from(["acknowledge", "fail", "some"])),
    st.tuples(st.just("settle"), st.sampled_from(["acknowledge", "fail", "some"])),
)


class Side:
    """One appender, with two groups."""

    def __init__(self, twin: Any, *, bulk: bool) -> None:
        self.bulk = bulk
        self.door = Door(twin, batch_size=400, largest_record=350, topics={"t": 3})
        self.groups: list[Any] = [twin.Handles() if bulk else [] for _ in range(2)]
        self.unseen = 0

    def do(self, name: str, *args: Any) -> Any:
        return getattr(self, f"do_{name}")(*args)

    def do_many(
        self, number: int, topic: str, rows: list[Any], given: tuple[bool, ...], headers: Any
    ) -> None:
        """As a bulk call does it: all that can be copied, then the next by itself."""
        values, *columns = ([row[place] for row in rows] for place in range(4))
        columns = [column if use else None for column, use in zip(columns, given, strict=True)]
        entry = self.door.appender.entry(topic)
        handles = self.groups[number]
        position = 0
        while position < len(values):
            if self.bulk:
                position = handles.fill(entry, values, *columns, headers, position)
                if position == len(values):
                    break
            key, partition, timestamp = (column and column[position] for column in columns)
            try:
                made = entry.accept(
                    values[position], key, headers, partition, timestamp, None, False
                )
            except ProducerError as error:
                made = self.door.appender.reject(entry.topic, error)
            handles.append(made)
            position += 1

    def do_one(self) -> None:
        self.door.put(b"alone")

    def do_adopt(self) -> None:
        self.door.adopt("shelf", 2)

    def do_close(self) -> None:
        for topic in self.door.appender.topics.values():
            for part in topic.partitions or []:
                self.door.appender.close_open(part)

    def closed(self) -> list[Any]:
        self.door.take()
        return [b for b in self.door.batches.values() if b.state == self.door.twin.CLOSED]

    def do_split(self) -> None:
        for batch in self.closed():
            if batch.count > 1 and batch.error is None and batch.home.number >= 0:
                halves = self.door.split(batch)
                self.door.appender.recharge(batch, 0)
                for half in halves:
                    self.door.appender.recharge(half, half.size)
                return

    def do_settle(self, way: str) -> None:
        for batch in self.closed():
            self.door.appender.recharge(batch, 0)
            if batch.error is not None:
                self.unseen += batch.fail(batch.error)
            elif way == "acknowledge":
                batch.acknowledge(batch.serial * 1000, batch.serial if batch.serial % 2 else -1)
            elif way == "fail":
                self.unseen += batch.fail(ProducerError(f"batch {batch.serial}"))
            else:
                guilty = {n: ProducerError(f"record {n}") for n in range(0, batch.count, 2)}
                self.unseen += batch.fail(ProducerError("innocent"), guilty)

    def do_expect(self, number: int) -> Any:
        if self.bulk:
            self.groups[number].expect()
        else:
            for delivery in self.groups[number]:
                if not delivery.done():
                    delivery.expect()
        self.door.take()
        return [(b.serial, b.expected) for b in self.door.batches.values() if not is_settled(b)]

    def do_look(self, number: int, index: int) -> Any:
        try:
            delivery = self.groups[number][index]
        except IndexError:
            return None
        assert delivery is self.groups[number][index]
        return self.told(delivery)

    def told(self, delivery: Any) -> Any:
        base = (delivery.topic, delivery.partition, delivery.done(), repr(delivery))
        if not delivery.done():
            return base
        error = delivery.exception()
        return (*base, type(error), str(error), None if error else delivery.result())

    def pending(self, number: int, position: int) -> int:
        """The first from ``position`` on that has no outcome."""
        group = self.groups[number]
        if self.bulk:
            return group.next_pending(position)
        return next((n for n in range(position, len(group)) if not group[n].done()), -1)

    def outcomes(self, number: int) -> Any:
        """All that a group tells once it is done, as values."""
        group = self.groups[number]
        if self.bulk:
            found, failures = group.outcomes()
        else:
            found = [delivery.exception() or delivery.result() for delivery in group]
            failures = [(n, one) for n, one in enumerate(found) if isinstance(one, Exception)]
        return [str(one) for one in found], [(n, str(error)) for n, error in failures]

    def end(self) -> None:
        """Everything gets an outcome."""
        self.do_adopt()
        self.do_close()
        self.do_settle("some" if self.door.appender.records % 2 else "fail")

    def books(self) -> tuple[Any, ...]:
        """The failures that nobody has looked at, and the rest of the accounts."""
        appender = self.door.appender
        return (
            self.unseen - len(self.door.host.seen),
            appender.used,
            appender.records,
            self.door.host.woken,
            [len(group) for group in self.groups],
            [self.pending(number, at) for number in range(2) for at in (0, 3)],
        )


@settings(max_examples=500, suppress_health_check=list(HealthCheck))
@given(steps=st.lists(operations, max_size=25))
def test_a_group_is_a_list_of_deliveries(twins, steps):
    """
    Whatever two groups queue in turns, into the same batches and others, of records sound and
    refused, before metadata and after, and however those batches end: both twins' groups tell the
    same of each record as a handle of its own, and leave the same failures unseen.
    """
    sides = [Side(twin, bulk=bulk) for twin in twins for bulk in (False, True)]
    for step in steps:
        first, *others = (side.do(*step) for side in sides)
        assert all(first == other for other in others), step
        first, *others = (side.books() for side in sides)
        assert all(first == other for other in others), step
    for side in sides:
        side.end()
    for number in range(2):
        first, *others = (side.outcomes(number) for side in sides)
        assert all(first == other for other in others)
    first, *others = (side.books() for side in sides)
    assert all(first == other for other in others)
    # Whoever has asked for the outcomes of a group has seen all of its failures.
    alone = sum(step[0] == "one" for step in steps)
    assert 0 <= first[0] <= alone
    assert 0 == first[1]


def test_nothing_in_it(twin):
    """
    A group of nothing is done and has no outcomes.
    """
    handles = twin.Handles()
    handles.expect()

    assert (0, -1, ([], [])) == (len(handles), handles.next_pending(0), handles.outcomes())
    for index in (0, -1, 1 << 70):
        with pytest.raises(IndexError):
            handles[index]
    for index in ("0", 0.0, slice(1), None):
        with pytest.raises(TypeError):
            handles[index]


def test_many(twin):
    """
    In 200,000 records of many batches each has the place of its call.
    """
    count = 200_000
    door = Door(twin, topics={"t": 1}, batch_size=20_000, buffer_memory=1 << 30)
    handles = twin.Handles()
    entry = door.appender.entry("t")
    values = [b"%d" % number for number in range(count)]
    position = 0
    while position < count:
        position = handles.fill(entry, values, None, None, None, None, position)
        door.appender.since_turn = 0
        if position < count:
            handles.append(entry.accept(values[position], None, None, None, None, None, False))
            position += 1
    door.appender.close_open(door.appender.topics["t"].partitions[0])
    offset = 0
    for batch in door.take()[1]:
        batch.acknowledge(offset, -1)
        offset += batch.count
    results, failures = handles.outcomes()

    assert ([], -1) == (failures, handles.next_pending(0))
    assert list(range(count)) == [result.offset for result in results]
    assert [count - 1, 0, 4711] == [handles[n].result().offset for n in (-1, -count, 4711)]
