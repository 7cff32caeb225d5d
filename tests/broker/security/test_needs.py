"""Every API says what rules about access it asks for, and asks for exactly that."""

from __future__ import annotations

from collections.abc import Iterator
from uuid import UUID

import pytest

from pyproducer.broker import Broker, TopicSpec
from pyproducer.broker.handlers.access import Need
from pyproducer.broker.handlers.table import ROUTES
from pyproducer.broker.security.authorizer import Authorizer
from pyproducer.protocol.acl_terms import AclOperation, ResourceType
from pyproducer.protocol.api import ApiKey
from pyproducer.protocol.messages.add_partitions_to_txn import AddPartitionsToTxnRequest
from pyproducer.protocol.principal import Principal
from tests.helpers.access_probe import Place, Probe
from tests.helpers.access_probes import PROBES
from tests.helpers.acl_requests import CLOSED
from tests.helpers.wire_client import WireClient

#: What everybody may do, also who is not authenticated yet.
FREE = {
    ApiKey.API_VERSIONS,
    ApiKey.SASL_HANDSHAKE,
    ApiKey.SASL_AUTHENTICATE,
    ApiKey.RENEW_DELEGATION_TOKEN,
    ApiKey.EXPIRE_DELEGATION_TOKEN,
    ApiKey.DESCRIBE_DELEGATION_TOKEN,
}
#: What is refused first to whoever has not authenticated; tests/statements/test_sasl.py has it.
AUTHENTICATED = {ApiKey.CREATE_DELEGATION_TOKEN}

PLACE = Place("here", UUID(int=1), "nowhere", "group", "transactional-id")


def api_key(probe: Probe) -> int:
    return probe.request(PLACE).api_key


def test_every_api_is_probed():
    """
    Each API that is served has a row in the table of what it takes, unless it takes nothing.
    """
    probed = {api_key(probe) for probe in PROBES.values()}

    assert probed == {route.api_key for route in ROUTES} - FREE - AUTHENTICATED
    assert {route.api_key for route in ROUTES if not route.needs} == FREE


def test_every_need_is_probed():
    """
    Each need that an API lists is one that a client of some row lacks.
    """
    lacked: dict[int, set[Need]] = {}
    for probe in PROBES.values():
        lacked.setdefault(api_key(probe), set()).add(probe.needs[-1])
    listed = {
        route.api_key: set(route.needs)
        for route in ROUTES
        if route.needs and route.api_key not in AUTHENTICATED
    }
    # Described and created things are told how they are configured, and who may describe them.
    extra = {
        ApiKey.DESCRIBE_TRANSACTIONS: {Need(AclOperation.DESCRIBE, ResourceType.TOPIC)},
        ApiKey.CREATE_TOPICS: {Need(AclOperation.DESCRIBE_CONFIGS, ResourceType.TOPIC)},
        ApiKey.DELETE_TOPICS: {Need(AclOperation.DESCRIBE, ResourceType.TOPIC)},
    }
    for key, needs in extra.items():
        listed[key] -= needs

    assert lacked == listed


@pytest.fixture(scope="module")
def broker() -> Iterator[Broker]:
    """A broker in which the tests may do everything."""
    topics = [TopicSpec("here")]
    with Broker(topics, acls=CLOSED, auto_create_topics=True) as running:
        yield running


@pytest.mark.parametrize("name", PROBES)
def test_asks_for_what_it_lists(name: str, broker: Broker, monkeypatch: pytest.MonkeyPatch):
    """
    A request is judged by what its API lists, and by nothing else.
    """
    asked: set[Need] = set()
    allows = Authorizer.allows

    def noted(
        self: Authorizer,
        principal: Principal,
        host: str,
        operation: AclOperation,
        kind: ResourceType,
        name: str,
    ) -> bool:
        asked.add(Need(operation, kind))
        return allows(self, principal, host, operation, kind, name)

    monkeypatch.setattr(Authorizer, "allows", noted)
    probe = PROBES[name]
    topic = broker.state().topic("here")
    place = PLACE._replace(topic_id=UUID(topic.id))
    request = probe.request(place)
    if name.startswith("delete topics"):
        broker.create_topic("gone")
        topic = broker.state().topic("gone")
        request = probe.request(place._replace(topic="gone", topic_id=UUID(topic.id)))
    with WireClient(broker.bootstrap_servers) as client:
        client.ask(request, probe.version)
    [route] = [one for one in ROUTES if one.api_key == request.api_key]
    # The operations that an answer tells are not what it takes.
    tells = {"metadata with the cluster's operations", "describe cluster"}

    assert asked
    if name not in tells:
        assert asked <= set(route.needs)


def test_versions_of_brokers_take_what_brokers_may(broker: Broker):
    """
    AddPartitionsToTxn of brokers is refused as a whole, not by its transactions.
    """
    broker.acls.remove(CLOSED[0])
    try:
        with WireClient(broker.bootstrap_servers) as client:
            answer = client.ask(AddPartitionsToTxnRequest(transactions=[]), 4)
    finally:
        broker.acls.add(CLOSED[0])

    assert 31 == answer.error_code
