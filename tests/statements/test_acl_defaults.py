"""What is decided where no rule allows, denies or is there at all (N8)."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from pyproducer.protocol.acl import Acl
from pyproducer.protocol.acl_filter import AclFilter
from pyproducer.protocol.error_codes import ErrorCode
from pyproducer.protocol.messages.init_producer_id import InitProducerIdRequest
from pyproducer.records.builder import build_batch
from pyproducer.records.record import Record
from tests.helpers.acl_requests import (
    CLIENT_HOST,
    RULED,
    SOMEBODY,
    create_acls,
    delete_acls,
    describe_acls,
)
from tests.helpers.sasl_servers import SaslServer
from tests.helpers.secured import OTHER, USERS
from tests.helpers.statement_servers import eventually
from tests.helpers.wire_client import WireClient
from tests.statements.conftest import Servers

DENIED = ErrorCode.TOPIC_AUTHORIZATION_FAILED
NOBODY = ErrorCode.CLUSTER_AUTHORIZATION_FAILED
ME = f"User:{OTHER}"

#: Rules about a topic and what is near it, by what they have to do with whoever writes to it.
About = Callable[[str], list[Acl]]


def batch() -> bytes:
    return build_batch([Record(0, 1_700_000_000_000, key=b"k", value=b"v")])


def produced(client: WireClient, topic: str) -> int:
    return int(client.produce(topic, batch()).error_code)


def given_producer_id(client: WireClient) -> int:
    request = InitProducerIdRequest(transactional_id=None, transaction_timeout_ms=1000)
    return int(client.ask(request, 4).error_code)


def holding(admin: WireClient, rules: list[Acl]) -> None:
    """These rules hold, as far as somebody can ask."""
    if rules:
        assert not any(one.error_code for one in create_acls(admin, *rules))
        eventually(lambda: set(rules) <= describe_acls(admin))


# With authorizer.class.name alone: what no rule allows is denied.
CLOSED: dict[str, tuple[About, int, int]] = {
    "no rule": (lambda _: [], DENIED, NOBODY),
    "somebody else's": (lambda t: [Acl.allow(SOMEBODY, "all", topic=t)], DENIED, NOBODY),
    "only a denial of somebody": (lambda t: [Acl.deny(SOMEBODY, "all", topic=t)], DENIED, NOBODY),
    "everybody's": (lambda t: [Acl.allow("User:*", "write", topic=t)], 0, 0),
    "of every topic": (lambda _: [Acl.allow(ME, "write", topic="*")], 0, 0),
    "of a beginning": (lambda t: [Acl.allow(ME, "write", topic=t[:3], prefixed=True)], 0, 0),
    "of a longer name": (lambda t: [Acl.allow(ME, "write", topic=f"{t}x")], DENIED, 0),
    "of another operation": (lambda t: [Acl.allow(ME, "read", topic=t)], DENIED, NOBODY),
    "of a group": (lambda t: [Acl.allow(ME, "all", group=t)], DENIED, NOBODY),
    "idempotence alone": (
        lambda _: [Acl.allow(ME, "idempotent_write", cluster=True)], DENIED, 0
    ),
    "denied to everybody": (
        lambda t: [Acl.allow(ME, "write", topic=t), Acl.deny("User:*", "write", topic=t)],
        DENIED,
        NOBODY,
    ),
    "denied where it is allowed by a beginning": (
        lambda t: [
            Acl.allow(ME, "write", topic=t[:3], prefixed=True),
            Acl.deny(ME, "write", topic=t),
        ],
        DENIED,
        0,
    ),
    "denied everywhere": (
        lambda t: [Acl.allow(ME, "write", topic=t), Acl.deny(ME, "all", topic="*")],
        DENIED,
        NOBODY,
    ),
    "denied by a shorter beginning": (
        lambda t: [
            Acl.allow(ME, "write", topic=t[:4], prefixed=True),
            Acl.deny(ME, "write", topic=t[:2], prefixed=True),
        ],
        DENIED,
        NOBODY,
    ),
    "denied by a longer beginning": (
        lambda t: [
            Acl.allow(ME, "write", topic=t[:2], prefixed=True),
            Acl.deny(ME, "write", topic=t[:4], prefixed=True),
        ],
        DENIED,
        0,
    ),
    "denied elsewhere": (
        lambda t: [
            Acl.allow(ME, "write", topic=t),
            Acl.deny(ME, "write", topic=t, host="10.0.0.1"),
        ],
        0,
        0,
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", CLOSED)
def test_n8_denied_unless_allowed(guarded: SaslServer, name: str):
    """
    What no rule allows is denied, whomever and whatever other rules are about; a producer id is for
    who may write to some topic.
    """
    about, code, id_code = CLOSED[name]
    topic = guarded.topic()
    rules = about(topic)
    with guarded.connect_openly() as admin, guarded.connect() as client:
        client.plain(OTHER, USERS[OTHER])
        holding(admin, rules)
        try:
            assert eventually(lambda: produced(client, topic) == code)
            assert eventually(lambda: given_producer_id(client) == id_code)
        finally:
            mine = {one.principal for one in rules}
            delete_acls(admin, *(AclFilter(principal=one) for one in mine))
            eventually(lambda: produced(client, topic) == DENIED)


def test_n8_super_user_by_password(guarded: SaslServer):
    """
    Who is a super user is so by its principal: nobody else is, whatever the rules deny it.
    """
    topic = guarded.topic()
    denial = Acl.deny("User:*", "all", topic=topic)
    with guarded.connect_openly() as admin, guarded.connect() as client:
        client.plain(OTHER, USERS[OTHER])
        holding(admin, [denial, Acl.allow(ME, "all", topic=topic)])
        try:
            assert (0, DENIED) == (produced(admin, topic), produced(client, topic))
        finally:
            delete_acls(admin, *(AclFilter(principal=one) for one in ("User:*", ME)))


# With allow.everyone.if.no.acl.found too.
OPEN: dict[str, tuple[About, int]] = {
    "no rule": (lambda _: [], 0),
    "somebody else's": (lambda t: [Acl.allow(SOMEBODY, "all", topic=t)], DENIED),
    "only a denial of somebody": (lambda t: [Acl.deny(SOMEBODY, "all", topic=t)], DENIED),
    "somebody else's beginning": (
        lambda t: [Acl.allow(SOMEBODY, "read", topic=t[:-1], prefixed=True)], DENIED
    ),
    "of another topic": (lambda t: [Acl.allow(SOMEBODY, "all", topic=f"{t}x")], 0),
    "of a longer beginning": (
        lambda t: [Acl.deny("User:*", "all", topic=f"{t}x", prefixed=True)], 0
    ),
    "of a group of that name": (lambda t: [Acl.deny("User:*", "all", group=t)], 0),
    "of another address": (
        lambda t: [Acl.allow("User:*", "all", topic=t, host="10.0.0.1")], DENIED
    ),
    "one's own of another operation": (
        lambda t: [Acl.allow("User:ANONYMOUS", "describe", topic=t)], DENIED
    ),
    "one's own": (lambda t: [Acl.allow("User:ANONYMOUS", "write", topic=t)], 0),
}  # fmt: skip


@pytest.mark.parametrize("name", OPEN)
def test_n8_allowed_where_there_is_no_rule(servers: Servers, name: str):
    """
    With allow.everyone.if.no.acl.found a resource is everybody's until some rule falls on it,
    whomever that is about, and again once that is gone.
    """
    about, code = OPEN[name]
    server = servers.shared(RULED)
    topic = server.topic()
    rules = about(topic)
    with server.connect() as admin, server.connect(source=CLIENT_HOST) as client:
        holding(admin, rules)
        try:
            assert eventually(lambda: produced(client, topic) == code)
        finally:
            delete_acls(admin, *(AclFilter(principal=one.principal) for one in rules))
        assert eventually(lambda: produced(client, topic) == 0)


def test_n8_every_topic_is_no_longer_open(servers: Servers):
    """
    With allow.everyone.if.no.acl.found a rule about every topic, whomever it allows, closes all of
    them to the others.
    """
    server = servers.own(RULED)
    topic = server.topic()
    with server.connect() as admin, server.connect(source=CLIENT_HOST) as client:
        assert 0 == produced(client, topic)
        assert eventually(lambda: given_producer_id(client) == 0)
        holding(admin, [Acl.allow("User:ANONYMOUS", "all", topic="*", host="127.0.0.1")])
        assert eventually(lambda: produced(client, topic) == DENIED)
        # The cluster falls under no rule.
        assert 0 == given_producer_id(client)
