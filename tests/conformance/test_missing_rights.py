"""A right that is missing, for each request that a producer makes: an error of its own, soon."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator
from typing import Any, NamedTuple

import pytest

from pyproducer import (
    AsyncProducer,
    AuthorizationError,
    ClusterAuthorizationFailed,
    GroupAuthorizationFailed,
    OffsetsAuthorizationFailed,
    TopicAuthorizationFailed,
    TransactionAborted,
    TransactionalIdAuthorizationFailed,
)
from tests.helpers.cluster_admin import Allowed, allow, forbid_all
from tests.helpers.secured import OTHER, Secured, access, principals

SECONDS = 5.0
TOPIC = "rights"
ELSEWHERE = "rights-elsewhere"
NAME = "tills"
GROUP = "readers"

WRITE_TOPIC = Allowed("TOPIC", TOPIC, "WRITE")
WRITE_OTHER = Allowed("TOPIC", ELSEWHERE, "WRITE")
SEE_TOPIC = Allowed("TOPIC", TOPIC, "DESCRIBE")
WRITE_NAME = Allowed("TRANSACTIONAL_ID", NAME, "WRITE")
SEE_NAME = Allowed("TRANSACTIONAL_ID", NAME, "DESCRIBE")
READ_GROUP = Allowed("GROUP", GROUP, "READ")


async def send(producer: AsyncProducer) -> None:
    async with producer:
        await producer.send(TOPIC, "one")


async def send_in_transaction(producer: AsyncProducer) -> None:
    async with producer, producer.transaction():
        await producer.send(TOPIC, "one")


async def send_offsets(producer: AsyncProducer) -> None:
    refusal: AuthorizationError | None = None
    with pytest.raises(TransactionAborted):
        async with producer, producer.transaction() as transaction:
            await producer.send(TOPIC, "one")
            try:
                await transaction.send_offsets({(TOPIC, 0): 1}, GROUP)
            except AuthorizationError as error:
                refusal = error
                raise
    assert refusal is not None
    raise refusal


class Case(NamedTuple):
    """What is allowed, what is done, and what is raised.

    Attributes:
        rules: all that the user may.
        act: what it does.
        error: how that fails.
        resource: what it may not use.
        told: what the text says of the right that is missing.
        options: of the producer.
    """

    rules: tuple[Allowed, ...]
    act: Callable[[AsyncProducer], Awaitable[None]]
    error: type[AuthorizationError]
    resource: str
    told: tuple[str, ...]
    options: dict[str, Any] = {}  # noqa: RUF012 - a table, never changed


TRANSACTIONAL = {"transactional_id": NAME}
CASES = {
    "all of them": Case((), send, ClusterAuthorizationFailed, "cluster", ("Write on its topic",)),
    "Metadata": Case((WRITE_OTHER,), send, TopicAuthorizationFailed, TOPIC, (TOPIC, "Describe")),
    "Produce": Case(
        (SEE_TOPIC,),
        send,
        TopicAuthorizationFailed,
        TOPIC,
        (TOPIC, "Write"),
        {"enable_idempotence": False},
    ),
    "Produce of an idempotent producer": Case(
        (SEE_TOPIC, WRITE_OTHER),
        send,
        TopicAuthorizationFailed,
        TOPIC,
        (TOPIC, "Write"),
    ),
    "InitProducerId": Case(
        (SEE_TOPIC,), send, ClusterAuthorizationFailed, "cluster", ("IdempotentWrite",)
    ),
    "FindCoordinator": Case(
        (WRITE_TOPIC,),
        send_in_transaction,
        TransactionalIdAuthorizationFailed,
        NAME,
        (NAME, "Write"),
        TRANSACTIONAL,
    ),
    "InitProducerId with a transactional id": Case(
        (WRITE_TOPIC, SEE_NAME),
        send_in_transaction,
        TransactionalIdAuthorizationFailed,
        NAME,
        (NAME, "Write"),
        TRANSACTIONAL,
    ),
    "AddPartitionsToTxn": Case(
        (SEE_TOPIC, WRITE_NAME),
        send_in_transaction,
        TopicAuthorizationFailed,
        TOPIC,
        (TOPIC, "Write"),
        TRANSACTIONAL,
    ),
    "AddOffsetsToTxn": Case(
        (WRITE_TOPIC, WRITE_NAME, Allowed("TOPIC", TOPIC, "READ")),
        send_offsets,
        GroupAuthorizationFailed,
        GROUP,
        (GROUP, "Read"),
        TRANSACTIONAL,
    ),
    "TxnOffsetCommit": Case(
        (WRITE_TOPIC, WRITE_NAME, READ_GROUP),
        send_offsets,
        OffsetsAuthorizationFailed,
        TOPIC,
        (TOPIC, "Read"),
        TRANSACTIONAL,
    ),
}


@pytest.fixture(scope="module")
def with_topics(secured: Secured) -> Secured:
    """The broker, with the topics of this module."""
    secured.create_topics({TOPIC: 1, ELSEWHERE: 1})
    return secured


@pytest.fixture
def narrowed(with_topics: Secured) -> Iterator[Secured]:
    """The broker, whose user has no right to begin with."""
    secured = with_topics
    forbid_all(secured.bootstrap_servers, principals(OTHER)[0])
    yield secured
    forbid_all(secured.bootstrap_servers, principals(OTHER)[0])


@pytest.mark.parametrize("name", CASES)
async def test_right_that_is_missing(narrowed: Secured, name: str) -> None:
    """
    The call that needs it fails with the resource and the right, and fails no later for being
    repeated.
    """
    case = CASES[name]
    principal = principals(OTHER)[0]
    if case.rules:
        await asyncio.to_thread(allow, narrowed.bootstrap_servers, principal, case.rules)
    way = access(narrowed, "SASL", "SCRAM-SHA-512", OTHER)
    producer = AsyncProducer(way.address, **way.ours(), **case.options)

    begun = time.monotonic()
    with pytest.raises(AuthorizationError) as caught:
        await case.act(producer)

    assert time.monotonic() - begun < SECONDS
    error = caught.value
    assert case.error is type(error), str(error)
    assert case.resource == error.resource
    for part in case.told:
        assert part in str(error)


async def test_right_that_is_given_later(narrowed: Secured) -> None:
    """
    A producer that was refused goes on when it is allowed to, without being made anew.
    """
    way = access(narrowed, "SASL", "SCRAM-SHA-512", OTHER)
    principal = principals(OTHER)[0]
    await asyncio.to_thread(allow, narrowed.bootstrap_servers, principal, [WRITE_OTHER])

    async with AsyncProducer(way.address, **way.ours()) as producer:
        with pytest.raises(TopicAuthorizationFailed):
            await producer.send(TOPIC, "one")
        await asyncio.to_thread(allow, narrowed.bootstrap_servers, principal, [WRITE_TOPIC])

        assert TOPIC == (await producer.send(TOPIC, "two")).topic


async def test_right_to_a_producer_id_that_is_given_later(narrowed: Secured) -> None:
    """
    An idempotent producer without an id fails each record, and goes on once it may have one.
    """
    way = access(narrowed, "SASL", "SCRAM-SHA-512", OTHER)
    principal = principals(OTHER)[0]
    await asyncio.to_thread(allow, narrowed.bootstrap_servers, principal, [SEE_TOPIC])

    async with AsyncProducer(way.address, **way.ours()) as producer:
        for value in ("one", "two"):
            with pytest.raises(ClusterAuthorizationFailed, match="IdempotentWrite"):
                await producer.send(TOPIC, value)
        await asyncio.to_thread(allow, narrowed.bootstrap_servers, principal, [WRITE_TOPIC])

        assert (await producer.send(TOPIC, "three")).offset >= 0


async def test_right_to_a_transactional_id_that_is_given_later(narrowed: Secured) -> None:
    """
    A start that is refused may be tried again, whichever of its two questions was.
    """
    way = access(narrowed, "SASL", "SCRAM-SHA-512", OTHER)
    principal = principals(OTHER)[0]
    producer = AsyncProducer(way.address, **way.ours(), transactional_id=NAME)

    for rules in ([WRITE_TOPIC], [SEE_NAME]):
        await asyncio.to_thread(allow, narrowed.bootstrap_servers, principal, rules)
        with pytest.raises(TransactionalIdAuthorizationFailed, match="then start again") as caught:
            await producer.start()
        assert not caught.value.fatal
    await asyncio.to_thread(allow, narrowed.bootstrap_servers, principal, [WRITE_NAME])

    async with producer, producer.transaction():
        assert (await producer.send(TOPIC, "one")).topic == TOPIC


def test_every_error_of_the_family_is_in_the_table() -> None:
    """
    No class that tells a missing right is without a request that meets it.
    """
    from pyproducer import errors

    known = {
        one
        for one in vars(errors).values()
        if isinstance(one, type)
        and issubclass(one, AuthorizationError)
        and one is not AuthorizationError
    }
    assert known == {case.error for case in CASES.values()}
