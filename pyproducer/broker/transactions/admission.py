"""What a producer may ask of its transaction at this moment.

The codes are those of the newest protocol; handlers translate what older clients do not know.
"""

from __future__ import annotations

from collections.abc import Iterable

from pyproducer.broker.errors import Refused
from pyproducer.broker.transactions.state import EMPTY, ONGOING, PREPARED
from pyproducer.broker.transactions.transaction import (
    LAST_EPOCH,
    NO_EPOCH,
    OUTCOMES,
    Identity,
    Transaction,
)
from pyproducer.model import TopicPartition
from pyproducer.protocol.error_codes import ErrorCode


def check_initialise(transaction: Transaction, holder: Identity | None) -> None:
    """Returns if a producer may take the transactional id.

    Args:
        transaction: What the id is.
        holder: What the producer says it was before; None for a new one, which may always.

    Raises:
        Refused: CONCURRENT_TRANSACTIONS: the last transaction is being ended.
            PRODUCER_FENCED: somebody else took the id meanwhile.
    """
    if transaction.state in PREPARED:
        raise _concurrent(transaction)
    if holder is None or transaction.epoch == NO_EPOCH:
        return
    if holder == transaction.identity:
        return
    # A late copy of a request must not abort what its sender has begun since.
    if transaction.is_retry(holder) and transaction.state is not ONGOING:
        return
    raise _fenced(transaction, holder)


def check_add(transaction: Transaction, holder: Identity) -> None:
    """Returns if the producer may add partitions.

    Raises:
        Refused: INVALID_PRODUCER_ID_MAPPING, PRODUCER_FENCED or CONCURRENT_TRANSACTIONS.
    """
    _check_holder(transaction, holder)
    if transaction.state in PREPARED:
        raise _concurrent(transaction)


def check_member(transaction: Transaction, holder: Identity, partition: TopicPartition) -> None:
    """Returns if the partition is in the producer's open transaction (KIP-890).

    Raises:
        Refused: As `check_add`, and TRANSACTION_ABORTABLE where it is not.
    """
    check_add(transaction, holder)
    if transaction.state is not ONGOING or partition not in transaction.partitions:
        raise Refused(
            ErrorCode.TRANSACTION_ABORTABLE,
            f"{partition} is in no open transaction of {transaction.transactional_id!r}",
        )


def check_end(transaction: Transaction, holder: Identity, *, commit: bool, bump: bool) -> bool:
    """Says whether the transaction is to be ended; False if it was, in that way.

    Args:
        transaction: What the id is.
        holder: Who asks.
        commit: Which way.
        bump: Whether the producer gets a new epoch with it. It then asks with its old one, so
            that one request too many cannot end the next transaction.

    Raises:
        Refused: INVALID_PRODUCER_ID_MAPPING, PRODUCER_FENCED, CONCURRENT_TRANSACTIONS,
            INVALID_TXN_STATE.
    """
    again = bump and _is_repeated_end(transaction, holder)
    if not again:
        _check_holder(transaction, holder)
    if transaction.state is ONGOING:
        return True
    if transaction.state in PREPARED:
        if bump and not again:
            raise _fenced(transaction, holder)
        if transaction.commits is commit:
            raise _concurrent(transaction)
        raise _no_end(transaction, commit=commit)
    if again or (not bump and transaction.state is not EMPTY):
        if OUTCOMES.get(transaction.state) is commit:
            return False
        raise _no_end(transaction, commit=commit)
    # A producer of the new protocol may abort what has not begun: it cannot know.
    if bump and not commit:
        return True
    raise _no_end(transaction, commit=commit)


def check_partitions(
    known: Iterable[TopicPartition], wanted: Iterable[TopicPartition]
) -> dict[TopicPartition, ErrorCode]:
    """The errors of a request to add partitions some of which do not exist; {} if all do."""
    there = frozenset(known)
    places = list(wanted)
    if there.issuperset(places):
        return {}
    return {
        place: (
            ErrorCode.OPERATION_NOT_ATTEMPTED
            if place in there
            else ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
        )
        for place in places
    }


def _is_repeated_end(transaction: Transaction, holder: Identity) -> bool:
    """Whether the producer asks with the epoch that it had before the end."""
    if transaction.state is ONGOING or transaction.state is EMPTY:
        return False
    if holder.producer_id == transaction.producer_id:
        return holder.epoch == transaction.epoch - 1
    return (
        holder.producer_id == transaction.previous_producer_id
        and holder.epoch == LAST_EPOCH
        and transaction.epoch == 0
    )


def _check_holder(transaction: Transaction, holder: Identity) -> None:
    if holder.producer_id != transaction.producer_id:
        raise Refused(
            ErrorCode.INVALID_PRODUCER_ID_MAPPING,
            f"{transaction.transactional_id!r} is held by producer {transaction.producer_id}, "
            f"not {holder.producer_id}",
        )
    if holder.epoch != transaction.epoch:
        raise _fenced(transaction, holder)


def _fenced(transaction: Transaction, holder: Identity) -> Refused:
    return Refused(
        ErrorCode.PRODUCER_FENCED,
        f"{transaction.transactional_id!r} is held by producer {transaction.producer_id} with "
        f"epoch {transaction.epoch}; producer {holder.producer_id} came with {holder.epoch}",
    )


def _concurrent(transaction: Transaction) -> Refused:
    return Refused(
        ErrorCode.CONCURRENT_TRANSACTIONS,
        f"the last transaction of {transaction.transactional_id!r} is being ended",
    )


def _no_end(transaction: Transaction, *, commit: bool) -> Refused:
    return Refused(
        ErrorCode.INVALID_TXN_STATE,
        f"cannot {'commit' if commit else 'abort'} {transaction.transactional_id!r}, which is "
        f"{transaction.state}",
    )
