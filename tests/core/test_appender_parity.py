"""The twins do the same: bytes, places, accounts and refusals, on whatever they are given."""

from __future__ import annotations

from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pyproducer.errors import ProducerError
from tests.helpers.door import Door, coroutine_function, is_settled


class Text(str):
    """A str that is not exactly str."""

    __slots__ = ()


class Data(bytes):
    """bytes that are not exactly bytes."""

    __slots__ = ()


def by_length(key: bytes | None, count: int) -> int:
    return 0 if key is None else len(key) % count


def out_of_range(key: bytes | None, count: int) -> int:
    return count - 2 + len(key or b"")


def no_number(key: bytes | None, count: int) -> Any:
    return True if key is None else "0"


def angry(key: bytes | None, count: int) -> int:
    if key is None:
        raise LookupError("no key")
    return 0


PARTITIONERS = ["murmur2", "crc32", "round_robin", by_length, out_of_range, no_number, angry]

blobs = st.one_of(
    st.none(),
    st.sampled_from([b"", "", b"a", "text", "\u00e9\u20ac", "\ud800", Text("sub"), Data(b"sub")]),
    st.binary(max_size=200),
    st.binary(max_size=60).map(bytearray),
    st.binary(max_size=60).map(lambda data: memoryview(data)[::-1]),
    st.text(max_size=40),
    st.integers(100, 700).map(lambda size: b"x" * size),
    st.sampled_from([1, 2.5, object, ["list"]]),
)

header_values = st.one_of(
    st.none(), st.binary(max_size=80), st.text(max_size=9), st.just(bytearray(b"ba")), st.just(3)
)
header_pairs = st.lists(
    st.one_of(
        st.tuples(st.one_of(st.text(max_size=9), st.just("\ud800"), st.just(b"n")), header_values),
        st.tuples(st.just("list"), header_values).map(list),
        st.just(("alone",)),
        st.just("ab"),
    ),
    max_size=4,
)
headers = st.one_of(
    st.none(),
    st.dictionaries(st.text(max_size=9), header_values, max_size=4),
    header_pairs,
    header_pairs.map(tuple),
    st.sampled_from(["text", b"bytes", 7]),
)

timestamps = st.one_of(
    st.none(),
    st.integers(0, 1 << 40),
    st.sampled_from([0, 1, 63, 64, (1 << 63) - 1, 1 << 63, -1, True, 1.0, "0"]),
)

partitions = st.one_of(
    st.none(),
    st.none(),
    st.integers(0, 4),
    st.sampled_from([-1, True, 1.0, (1 << 31) - 1, 1 << 31]),
)

callbacks = st.sampled_from(["none", "none", "note", "raise", "coroutine", "no callable"])

sends = st.fixed_dictionaries(
    {
        "op": st.sampled_from(["put", "put", "put", "accept", "urgent"]),
        "topic": st.sampled_from(["t", "t", "u", "shelf", "no/name", 5]),
        "value": blobs,
        "key": blobs,
        "headers": headers,
        "partition": partitions,
        "timestamp_ms": timestamps,
        "callback": callbacks,
    }
)

# Mostly sound records: batches fill, close and move on, which a wrong header would prevent.
plain_sends = st.fixed_dictionaries(
    {
        "op": st.sampled_from(["put", "put", "accept", "urgent"]),
        "topic": st.sampled_from(["t", "t", "t", "u", "shelf"]),
        "value": st.integers(0, 400).map(lambda size: b"x" * size),
        "key": st.one_of(st.none(), st.none(), st.binary(max_size=3)),
        "headers": st.just(None),
        "partition": st.sampled_from([None, None, None, 0, 1, 2]),
        "timestamp_ms": st.one_of(st.none(), st.integers(0, 300)),
        "callback": st.sampled_from(["none", "note"]),
    }
)

others = st.one_of(
    st.fixed_dictionaries(
        {
            "op": st.just("adopt"),
            "topic": st.sampled_from(["t", "u", "shelf"]),
            "count": st.integers(1, 4),
            "leaders": st.lists(st.integers(0, 3), max_size=3, unique=True),
        }
    ),
    st.fixed_dictionaries({"op": st.sampled_from(["take", "turn", "wait", "nobody", "settle"])}),
    st.fixed_dictionaries({"op": st.just("close"), "number": st.integers(0, 9)}),
    st.fixed_dictionaries({"op": st.just("split"), "number": st.integers(0, 9)}),
    st.fixed_dictionaries({"op": st.just("admit")}),
    st.fixed_dictionaries({"op": st.just("refuse shelf")}),
    st.fixed_dictionaries({"op": st.just("clock"), "ms": st.integers(-1, 3)}),
)


class Run:
    """One twin through a list of operations, everything worth comparing noted."""

    def __init__(self, twin: Any, options: dict[str, Any]) -> None:
        self.door = Door(twin, **options)
        self.door.adopt("t", 3)
        self.handles: list[Any] = []
        self.prepared: list[Any] = []
        self.told: list[Any] = []

    def told_by(self, kind: str) -> Any:
        number = len(self.handles)

        def note(delivery: Any) -> None:
            self.told.append((number, delivery.partition))

        def fail(delivery: Any) -> None:
            self.told.append(number)
            raise ValueError(number)

        return {
            "none": None,
            "note": note,
            "raise": fail,
            "coroutine": coroutine_function,
            "no callable": 7,
        }[kind]

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
            self.door.host.woken,
            self.door.chosen,
            [
                (
                    topic.name,
                    topic.sticky,
                    topic.available,
                    None if topic.shelf is None else (topic.shelf.count, topic.shelf.charged),
                    [
                        None if part.open is None else self.batch(part.open)
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
            len(batch.watchers),
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
            return type(error), str(error), vars(error), type(cause), str(cause)
        if isinstance(made, self.door.twin.Delivery):
            self.handles.append(made)
            return "delivery", made.topic, made.partition, made._index, repr(made)
        if isinstance(made, self.door.twin.Prepared):
            self.prepared.append(made)
            return "prepared", made.size_bound, str(self.door.appender.full(made))
        return made

    def do_put(self, given: dict[str, Any]) -> Any:
        return self.door.put(given["value"], **self.options(given))

    def do_accept(self, given: dict[str, Any]) -> Any:
        return self.door.accept(given["value"], **self.options(given))

    def do_urgent(self, given: dict[str, Any]) -> Any:
        return self.door.accept(given["value"], urgent=True, **self.options(given))

    def options(self, given: dict[str, Any]) -> dict[str, Any]:
        names = ("topic", "key", "headers", "partition", "timestamp_ms")
        return {name: given[name] for name in names} | {
            "on_delivery": self.told_by(given["callback"])
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
        self.door.twin.run_watchers(batch, 0, 1 << 30)
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


@settings(max_examples=250, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    partitioner=st.sampled_from(PARTITIONERS),
    batch_size=st.sampled_from([120, 500, 5000]),
    batch_max_records=st.sampled_from([1, 3, 1 << 30]),
    buffer_memory=st.sampled_from([1500, 4000, 1 << 20]),
    operations=st.lists(st.one_of(sends, plain_sends, plain_sends, others), max_size=50),
)
def test_twins_agree(twins, partitioner, batch_size, batch_max_records, buffer_memory, operations):
    """
    After every call both twins returned or raised the same, and stand alike; in the end every
    batch has the same bytes and every record the same outcome, and no byte stays charged.
    """
    options = {
        "partitioner": partitioner,
        "batch_size": batch_size,
        "batch_max_records": batch_max_records,
        "buffer_memory": buffer_memory,
        "largest_record": 600,
    }
    pure, cython = (Run(twin, options) for twin in twins)
    for operation in operations:
        assert pure.step(operation) == cython.step(operation)
        assert pure.state() == cython.state()
    assert pure.end() == cython.end()


good_blobs = st.one_of(
    st.none(), st.binary(max_size=300), st.text(max_size=60), st.binary(max_size=9).map(bytearray)
)


def as_bytes(blob: Any) -> bytes | None:
    return None if blob is None else blob.encode() if isinstance(blob, str) else bytes(blob)


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    records=st.lists(
        st.tuples(
            good_blobs,
            good_blobs,
            st.lists(st.tuples(st.text(max_size=9), st.one_of(st.none(), st.binary())), max_size=3),
            st.one_of(st.integers(0, 1 << 45), st.sampled_from([0, (1 << 63) - 1])),
            st.one_of(st.none(), st.integers(0, 2)),
        ),
        min_size=1,
        max_size=30,
    ),
    batch_size=st.sampled_from([100, 700, 1 << 20]),
    shelved=st.booleans(),
)
def test_every_record_is_read_back_at_its_place(twin, records, batch_size, shelved):
    """
    Any accepted record is found in the batch and at the index that its handle names, unchanged,
    whether it came before the metadata or after.
    """
    door = Door(twin, batch_size=batch_size, largest_record=10_000)
    if not shelved:
        door.adopt("t", 3)
    handles = [
        door.put(value, key=key, headers=list(pairs), timestamp_ms=timestamp, partition=partition)
        for key, value, pairs, timestamp, partition in records
    ]
    if shelved:
        door.adopt("t", 3)
    read = {batch.serial: door.records(batch) for batch in door.opened()}

    for (key, value, pairs, timestamp, partition), handle in zip(records, handles, strict=True):
        found = read[handle._batch.serial][handle._index]
        assert (as_bytes(key), as_bytes(value), tuple(pairs), timestamp) == found
        assert partition in {None, handle.partition}
    assert len(records) == sum(map(len, read.values()))
