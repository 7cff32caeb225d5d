"""Transactions one after the other, each with records and offsets, and what became of each."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, Final

from pyproducer import AsyncProducer
from pyproducer.errors import TransactionError
from tests.helpers.history import Outcome, Transaction
from tests.helpers.read_back import read_broker, read_foreign
from tests.helpers.scenario import Scenario

#: What a producer for these tests has besides what all have.
OPTIONS: Final = {"transactional_id": "payments", "request_timeout_ms": 250, "max_block_ms": 5000}


class Unwanted(Exception):
    """The work's own reason to abort."""


class Transacting:
    """A writer that works in transactions.

    Each transaction writes records to every partition of a topic and commits an offset one higher
    than the last one's: what a group's offset says is how many transactions came through.

    Attributes:
        expected: the offsets that the group may have now.
        errors: what transactions ended in.
    """

    def __init__(
        self,
        rig: Scenario,
        *,
        writer: str = "x",
        topic: str = "t",
        partitions: int = 3,
        group: str = "g",
    ) -> None:
        self.rig = rig
        self.writer = writer
        self.group = group
        self.expected: set[int | None] = {None}
        self.errors: list[TransactionError] = []
        self._topic = topic
        self._partitions = partitions
        self._next = 0

    async def run(
        self,
        producer: AsyncProducer,
        *,
        records: int = 6,
        abort: bool = False,
        offsets: bool = True,
        midway: Callable[[], Any] | None = None,
    ) -> Transaction:
        """One transaction from begin to a certain end, or to the end of all hope for one.

        Args:
            producer: with a transactional id.
            records: how many.
            abort: the work itself fails in the end.
            offsets: whether it has any.
            midway: called, and awaited, when half the records are queued.
        """
        history = self.rig.history
        transaction = history.begin(f"{self.writer}/{len(history.transactions)}")
        self._next += 1
        sent_offsets = False
        try:
            try:
                async with producer.transaction() as tx:
                    for number in range(records):
                        if midway is not None and number == records // 2:
                            await midway()
                        await history.enqueue(
                            producer,
                            self.writer,
                            self._topic,
                            partition=number % self._partitions,
                            transaction=transaction,
                        )
                    if offsets:
                        await tx.send_offsets({("one", 0): self._next}, self.group)
                        sent_offsets = True
                    if abort:
                        raise Unwanted
            except TransactionError as error:
                self.errors.append(error)
                while error.retriable and error.maybe_committed:
                    try:
                        await producer.commit_transaction()
                    except TransactionError as again:
                        error = again
                        self.errors.append(error)
                        continue
                    break
                else:
                    raise error
        except Unwanted:
            transaction.aborted()
        except TransactionError as error:
            if error.maybe_committed:
                transaction.unknown()
                if sent_offsets:
                    self.expected.add(self._next)
            else:
                transaction.aborted()
        else:
            transaction.committed()
            if sent_offsets:
                self.expected = {self._next}
        return transaction

    def committed_offset(self) -> int | None:
        """The group's offset, as a foreign consumer is told."""
        from confluent_kafka import Consumer, TopicPartition

        consumer = Consumer(
            {
                "bootstrap.servers": self.rig.broker.bootstrap_servers,
                "group.id": self.group,
                "isolation.level": "read_committed",
                "log_level": 0,
            }
        )
        try:
            [found] = consumer.committed([TopicPartition("one", 0)], timeout=10)
        finally:
            consumer.close()
        assert found.error is None
        return None if found.offset < 0 else found.offset


def outcomes(rig: Scenario) -> list[Outcome]:
    """Of all transactions of the history, in order."""
    return [transaction.outcome for transaction in rig.history.transactions]


async def verdict(rig: Scenario, *works: Transacting) -> None:
    """What was committed is there, whole and once, for the broker and for a foreign consumer."""
    rig.check(read=read_broker(rig.broker, ["t"], committed=True))
    read = await asyncio.to_thread(read_foreign, rig.broker.bootstrap_servers, ["t"])
    rig.check(read=read, again=True)
    for work in works:
        assert await asyncio.to_thread(work.committed_offset) in work.expected
