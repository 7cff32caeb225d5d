"""A user's transactions: offsets and groups in every form, without a cast."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple, assert_type

from confluent_kafka import Consumer

from pyproducer import (
    AsyncProducer,
    DeliveryError,
    GroupMetadata,
    OffsetAndMetadata,
    ProducerFenced,
    SyncProducer,
    SyncTransaction,
    TopicPartition,
    Transaction,
    TransactionAborted,
    TransactionError,
)


class Place(NamedTuple):
    """Another client's name of a partition."""

    topic: str
    partition: int


class Membership(NamedTuple):
    """Another client's group metadata."""

    group_id: str
    generation_id: int
    member_id: str


async def offsets_in_every_form(tx: Transaction, positions: Mapping[Place, int]) -> None:
    await tx.send_offsets({("orders", 0): 5}, "tills")
    await tx.send_offsets({TopicPartition("orders", 0): 5}, "tills", timeout=10)
    await tx.send_offsets({("orders", 0): OffsetAndMetadata(5, "till 7")}, GroupMetadata("tills"))
    mixed = {("orders", 0): 5, TopicPartition("orders", 1): OffsetAndMetadata(6)}
    await tx.send_offsets({("orders", 0): 5, ("orders", 1): OffsetAndMetadata(6)}, "tills")
    await tx.send_offsets(positions, Membership("tills", 7, "till-7"))
    await tx.send_offsets({}, "tills")
    await tx.send_offsets(dict.fromkeys(mixed, 0), GroupMetadata("tills", 7, "till-7"))
    later: dict[TopicPartition, int] = {}
    later[TopicPartition("orders", 0)] = 5
    await tx.send_offsets(later, "tills")


async def block(producer: AsyncProducer) -> None:
    async with producer.transaction() as tx:
        assert_type(tx, Transaction)
        await producer.send("invoices", "one tea")
        await tx.commit(timeout=5)


async def calls(producer: AsyncProducer[Any, Any]) -> None:
    await producer.begin_transaction()
    try:
        await producer.enqueue("invoices", {"tea": 1})
        await producer.send_offsets_to_transaction({("orders", 0): 5}, "tills")
        await producer.commit_transaction(timeout=10)
    except TransactionError as error:
        assert_type(error.abort_required, bool)
        assert_type(error.maybe_committed, bool)
        if error.abort_required:
            await producer.abort_transaction()


def blocking(producer: SyncProducer, consumer: Consumer) -> None:
    try:
        with producer.transaction() as tx:
            assert_type(tx, SyncTransaction)
            producer.send_many("invoices", ["one tea", "two teas"])
            places = consumer.position(consumer.assignment())
            tx.send_offsets(places, consumer.consumer_group_metadata())
            tx.send_offsets({("orders", 0): 5}, "tills")
            tx.abort()
        producer.begin_transaction()
        producer.send_offsets_to_transaction({TopicPartition("orders", 0): 5}, "tills")
        producer.abort_transaction()
    except ProducerFenced as error:
        assert_type(error.fatal, bool)
    except TransactionAborted as error:
        assert_type(error.retriable, bool)
        again: DeliveryError | TransactionError = error
        print(again)


async def mistakes(producer: AsyncProducer, blocking: SyncProducer, tx: Transaction) -> None:
    await tx.send_offsets({"orders": 5}, "tills")  # wrong
    await tx.send_offsets({("orders", "0"): 5}, "tills")  # wrong
    await tx.send_offsets({("orders", 0): "5"}, "tills")  # wrong
    await tx.send_offsets([("orders", 0, 5)], "tills")  # wrong
    await tx.send_offsets("orders", "tills")  # wrong
    await tx.send_offsets({("orders", 0): 5}, 7)  # wrong
    await tx.send_offsets({("orders", 0): 5})  # wrong
    with producer.transaction():  # wrong
        pass
    async with blocking.transaction():  # wrong
        pass
