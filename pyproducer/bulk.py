"""Many records in one call: columns in, one group of deliveries out."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence, Sized
from typing import Any, TypeAlias

from pyproducer.core.appender import Delivery, Prepared
from pyproducer.errors import BulkError, ProducerError, UsageError
from pyproducer.model import Headers, RecordMetadata

__all__ = ["Columns", "DeliveryGroup", "columns", "fill"]

#: (value, key, headers, partition, timestamp) of each record.
Columns: TypeAlias = Sequence[tuple[Any, Any, Any, Any, Any]]


class DeliveryGroup:
    """The handles of the records of one bulk call, in its order.

    Awaiting it waits for all and returns their metadata, or raises
    :class:`~pyproducer.errors.BulkError` if any failed.
    """

    __slots__ = ("_deliveries",)

    def __init__(self, deliveries: list[Delivery]) -> None:
        self._deliveries = deliveries

    def __len__(self) -> int:
        return len(self._deliveries)

    def __getitem__(self, index: int) -> Delivery:
        return self._deliveries[index]

    def __iter__(self) -> Iterator[Delivery]:
        return iter(self._deliveries)

    def __repr__(self) -> str:
        return f"<DeliveryGroup of {len(self)}>"

    def done(self) -> bool:
        """True once every outcome is known."""
        return all(delivery.done() for delivery in self._deliveries)

    def results(self) -> list[RecordMetadata | BaseException]:
        """Metadata or exception of each record, in order.

        On an event loop's thread this never blocks; elsewhere it waits for the outcomes.

        Raises:
            NotDone: an outcome is not known and this thread must not wait for it.
        """
        found: list[RecordMetadata | BaseException] = []
        for delivery in self._deliveries:
            error = delivery.exception()
            found.append(delivery.result() if error is None else error)
        return found

    def __await__(self) -> Generator[Any, None, list[RecordMetadata]]:
        self.expect()
        for delivery in self._deliveries:
            if not delivery.done():
                # One wait settles the whole batch of this record, so there are as many as
                # there are batches.
                try:
                    yield from delivery.__await__()
                except Exception:  # noqa: S112 - settled() tells of it
                    continue
        return self.settled()

    def expect(self) -> None:
        """Somebody waits for all of these: their failures are no news to anybody else."""
        for delivery in self._deliveries:
            if not delivery.done():
                delivery.expect()

    def settled(self) -> list[RecordMetadata]:
        """The metadata of all; every outcome must be known.

        Raises:
            BulkError: some failed.
        """
        results = self.results()
        failures = [
            (index, result)
            for index, result in enumerate(results)
            if isinstance(result, BaseException)
        ]
        if failures:
            index, first = failures[0]
            raise BulkError(
                f"{len(failures)} of {len(results)} records failed; the first, at index {index}: "
                f"{type(first).__name__}: {first}",
                results=results,
                failures=failures,
            )
        return [result for result in results if not isinstance(result, BaseException)]


def columns(
    values: Iterable[Any],
    keys: Sequence[Any] | None,
    partitions: Sequence[int | None] | None,
    timestamps_ms: Sequence[int | None] | None,
    headers_each: Sequence[Headers | None] | None,
    headers: Headers | None,
) -> Columns:
    """The columns of a bulk call as rows, once they are known to fit together.

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
    nothing = [None] * len(rows)
    return list(
        zip(
            rows,
            nothing if keys is None else keys,
            [headers] * len(rows) if headers_each is None else headers_each,
            nothing if partitions is None else partitions,
            nothing if timestamps_ms is None else timestamps_ms,
            strict=True,
        )
    )


def fill(
    accept: Callable[..., Delivery | Prepared],
    reject: Callable[[ProducerError], Delivery],
    turn_due: Callable[[], bool],
    rows: Columns,
) -> Generator[Prepared | None, Delivery | ProducerError | None, DeliveryGroup]:
    """Queue the rows one after another; what is refused becomes a failed entry.

    Yields a record that has to wait for room, to be sent its delivery or the error it met; and
    None where the event loop should have a turn.
    """
    deliveries: list[Delivery] = []
    for value, key, headers, partition, timestamp_ms in rows:
        try:
            made = accept(value, key, headers, partition, timestamp_ms, None, False)
        except ProducerError as error:
            if isinstance(error, UsageError) and type(error) is not UsageError and not deliveries:
                # Not this record is at fault but the producer: closed, forked, not started.
                # Later it is told of the rest alone: those before have an outcome of their own.
                raise
            deliveries.append(reject(error))
            continue
        if isinstance(made, Prepared):
            answer = yield made
            if isinstance(answer, Delivery):
                deliveries.append(answer)
            else:
                assert answer is not None
                deliveries.append(reject(answer))
        else:
            deliveries.append(made)
        if turn_due():
            yield None
    return DeliveryGroup(deliveries)
