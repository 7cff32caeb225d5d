"""Many records in one call: columns in, one group of deliveries out."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence, Sized
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar, cast

from pyproducer.core.appender import Delivery, Handles, Prepared, TopicAppender
from pyproducer.errors import BulkError, ProducerError, UsageError
from pyproducer.model import Headers, RecordMetadata

T = TypeVar("T")

if TYPE_CHECKING:
    from pyproducer.assembly import Entry

__all__ = ["Columns", "DeliveryGroup", "columns", "fill"]


class Columns(NamedTuple):
    """What a bulk call was given; the lists are of equal length."""

    values: list[Any]
    keys: list[Any] | None
    partitions: list[int | None] | None
    timestamps_ms: list[int | None] | None
    headers_each: list[Headers | None] | None
    headers: Headers | None

    def row(self, index: int) -> tuple[Any, Any, Any, Any, Any]:
        """(value, key, headers, partition, timestamp) of one record."""
        return (
            self.values[index],
            None if self.keys is None else self.keys[index],
            self.headers if self.headers_each is None else self.headers_each[index],
            None if self.partitions is None else self.partitions[index],
            None if self.timestamps_ms is None else self.timestamps_ms[index],
        )


class DeliveryGroup:
    """The handles of the records of one bulk call, in its order.

    Awaiting it waits for all and returns their metadata, or raises
    :class:`~pyproducer.errors.BulkError` if any failed. A record's own handle is made when it is
    asked for.
    """

    __slots__ = ("_handles",)

    def __init__(self, handles: Handles) -> None:
        self._handles = handles

    def __len__(self) -> int:
        return len(self._handles)

    def __getitem__(self, index: int) -> Delivery:
        return self._handles[index]

    def __iter__(self) -> Iterator[Delivery]:
        handles = self._handles
        return (handles[index] for index in range(len(handles)))

    def __repr__(self) -> str:
        return f"<DeliveryGroup of {len(self)}>"

    def done(self) -> bool:
        """True once every outcome is known."""
        return self._handles.next_pending(0) < 0

    def results(self) -> list[RecordMetadata | BaseException]:
        """Metadata or exception of each record, in order.

        On an event loop's thread this never blocks; elsewhere it waits for the outcomes.

        Raises:
            NotDone: an outcome is not known and this thread must not wait for it.
        """
        return self._handles.outcomes()[0]

    def __await__(self) -> Generator[Any, None, list[RecordMetadata]]:
        self.expect()
        position = 0
        # One wait settles the whole batch of a record, so there are as many as there are batches.
        while (position := self._handles.next_pending(position)) >= 0:
            handle = self._handles[position]
            try:
                yield from handle.__await__()
            except Exception:
                # settled() tells of what became of it.
                if not handle.done():
                    raise
        return self.settled()

    def expect(self) -> None:
        """Somebody waits for all of these: their failures are no news to anybody else."""
        self._handles.expect()

    def settled(self) -> list[RecordMetadata]:
        """The metadata of all, waiting as results() does.

        Raises:
            BulkError: some failed.
        """
        results, failures = self._handles.outcomes()
        if failures:
            index, first = failures[0]
            raise BulkError(
                f"{len(failures)} of {len(results)} records failed; the first, at index {index}: "
                f"{type(first).__name__}: {first}",
                results=results,
                failures=failures,
            )
        return cast("list[RecordMetadata]", results)


def columns(
    values: Iterable[Any],
    keys: Sequence[Any] | None,
    partitions: Sequence[int | None] | None,
    timestamps_ms: Sequence[int | None] | None,
    headers_each: Sequence[Headers | None] | None,
    headers: Headers | None,
) -> Columns:
    """The columns of a bulk call, once they are known to fit together.

    Raises:
        TypeError: a column is one value rather than many, or has no length.
        UsageError: the columns differ in length, or headers are given in both ways.
    """
    given = {
        "values": values,
        "keys": keys,
        "partitions": partitions,
        "timestamps_ms": timestamps_ms,
        "headers_each": headers_each,
    }
    for name, given_column in given.items():
        if isinstance(given_column, (str, bytes, bytearray, memoryview, Mapping)):
            raise TypeError(
                f"{name} must be a sequence with one entry for each record, not one "
                f"{type(given_column).__name__}; wrap it in a list"
            )
    rows = list(values)
    for name, column in given.items():
        if column is None or column is values:
            continue
        if not isinstance(column, Sized):
            raise TypeError(f"{name} has no length; make it a list, of as many entries as values")
        if len(column) != len(rows):
            raise UsageError(
                f"{name} has {len(column)} entries for {len(rows)} values; "
                "columns must be of equal length"
            )
    if headers is not None and headers_each is not None:
        raise UsageError("give headers (one set for all) or headers_each, not both")
    return Columns(
        rows,
        _list(keys),
        _list(partitions),
        _list(timestamps_ms),
        _list(headers_each),
        headers,
    )


def _list(column: Sequence[T] | None) -> list[T] | None:
    # A copy: the call takes its time, and the caller's own list may change meanwhile.
    return None if column is None else list(column)


def fill(
    entry: Entry,
    reject: Callable[[ProducerError], Delivery],
    turn_due: Callable[[], bool],
    rows: Columns,
) -> Generator[Prepared | None, Delivery | ProducerError | None, DeliveryGroup]:
    """Queue the rows one after another; what is refused becomes a failed entry.

    Yields a record that has to wait for room, to be sent its delivery or the error it met; and
    None where the event loop should have a turn.
    """
    handles = Handles()
    count = len(rows.values)
    many = isinstance(entry, TopicAppender) and rows.headers_each is None
    position = 0
    while position < count:
        if many:
            position = handles.fill(
                entry,
                rows.values,
                rows.keys,
                rows.partitions,
                rows.timestamps_ms,
                rows.headers,
                position,
            )
            if turn_due():
                yield None
            if position == count:
                break
        value, key, headers, partition, timestamp_ms = rows.row(position)
        position += 1
        try:
            made = entry.accept(value, key, headers, partition, timestamp_ms, None, False)
        except ProducerError as error:
            if isinstance(error, UsageError) and type(error) is not UsageError and not handles:
                # Not this record is at fault but the producer: closed, forked, not started.
                # Later it is told of the rest alone: those before have an outcome of their own.
                raise
            handles.append(reject(error))
            continue
        if isinstance(made, Prepared):
            answer = yield made
            if isinstance(answer, Delivery):
                handles.append(answer)
            else:
                assert answer is not None
                handles.append(reject(answer))
        else:
            handles.append(made)
        if turn_due():
            yield None
    return DeliveryGroup(handles)
