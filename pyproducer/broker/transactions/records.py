"""Records of `__transaction_state`, both ways."""

from __future__ import annotations

import logging
from collections.abc import Iterable

from pyproducer.broker.state_topic import KeyValue, StateEntry
from pyproducer.broker.transactions.schema import (
    PartitionsSchema,
    TransactionLogKey,
    TransactionLogValue,
)
from pyproducer.broker.transactions.state import DEAD, EMPTY, STATES
from pyproducer.broker.transactions.transaction import Transaction
from pyproducer.broker.versioned import pack, unpack
from pyproducer.errors import ProtocolError
from pyproducer.model import TopicPartition

TRANSACTIONS_TOPIC = "__transaction_state"

_KEY_VERSION = 0
_VALUE_VERSION = 1

logger = logging.getLogger(__name__)


def transaction_record(transaction: Transaction) -> KeyValue:
    """Return the record of a transactional id, a tombstone once it is dead."""
    name = TransactionLogKey(transactional_id=transaction.transactional_id)
    key = pack(name, _KEY_VERSION)
    if transaction.state is DEAD:
        return KeyValue(key, None)
    topics: dict[str, list[int]] = {}
    for place in sorted(transaction.partitions):
        topics.setdefault(place.topic, []).append(place.partition)
    value = TransactionLogValue(
        producer_id=transaction.producer_id,
        previous_producer_id=transaction.previous_producer_id,
        next_producer_id=transaction.next_producer_id,
        producer_epoch=transaction.epoch,
        transaction_timeout_ms=transaction.timeout_ms,
        transaction_status=STATES.index(transaction.state),
        transaction_partitions=(
            None
            if transaction.state is EMPTY
            else [PartitionsSchema(topic=name, partition_ids=ids) for name, ids in topics.items()]
        ),
        transaction_last_update_timestamp_ms=transaction.update_ms,
        transaction_start_timestamp_ms=transaction.start_ms,
        client_transaction_version=transaction.version,
    )
    return KeyValue(key, pack(value, _VALUE_VERSION))


def replay(records: Iterable[StateEntry]) -> dict[str, Transaction]:
    """Return what the records of one partition amount to, in the order of the log.

    Records that cannot be read are passed over: a later Kafka's, or a broken one, must not keep
    the others from loading.
    """
    found: dict[str, Transaction] = {}
    for record in records:
        if not isinstance(record, KeyValue):
            continue
        try:
            name = unpack(TransactionLogKey, record.key).transactional_id
            if record.value is None:
                found.pop(name, None)
            else:
                found[name] = _transaction(name, unpack(TransactionLogValue, record.value))
        except ProtocolError as error:
            logger.warning("passing over a record of %s: %s", TRANSACTIONS_TOPIC, error)
    return found


def _transaction(name: str, value: TransactionLogValue) -> Transaction:
    number = value.transaction_status
    if not 0 <= number < len(STATES):
        raise ProtocolError(f"transaction state {number} does not exist")
    return Transaction(
        transactional_id=name,
        producer_id=value.producer_id,
        epoch=value.producer_epoch,
        previous_producer_id=value.previous_producer_id,
        next_producer_id=value.next_producer_id,
        timeout_ms=value.transaction_timeout_ms,
        state=STATES[number],
        partitions=frozenset(
            TopicPartition(topic.topic, partition)
            for topic in value.transaction_partitions or ()
            for partition in topic.partition_ids
        ),
        start_ms=value.transaction_start_timestamp_ms,
        update_ms=value.transaction_last_update_timestamp_ms,
        version=value.client_transaction_version,
    )
