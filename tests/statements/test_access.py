"""What every API takes, and what is told to whoever lacks it (N8)."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from pyproducer.protocol.acl_filter import AclFilter
from pyproducer.protocol.messages.find_coordinator import FindCoordinatorRequest
from pyproducer.protocol.messages.init_producer_id import InitProducerIdRequest
from pyproducer.protocol.messages.offset_commit import (
    OffsetCommitRequest,
    OffsetCommitRequestPartition,
    OffsetCommitRequestTopic,
)
from tests.helpers.access_probe import AUTHORIZATION_FAILED, Place
from tests.helpers.access_probes import PROBES
from tests.helpers.acl_requests import (
    CLIENT_HOST,
    CLOSED,
    RULED,
    codes,
    create_acls,
    delete_acls,
    describe_acls,
)
from tests.helpers.admin_requests import describe_topic
from tests.helpers.statement_servers import Server, eventually, new_name
from tests.helpers.wire_client import WireClient
from tests.statements.conftest import Servers


@pytest.fixture
def ruled(servers: Servers) -> Iterator[Server]:
    """A server where a client from another address may do what a test's rules say, and no more."""
    server = servers.shared(RULED | {"auto.create.topics.enable": "true"})
    with server.connect() as admin:
        if not set(CLOSED) <= describe_acls(admin):
            create_acls(admin, *CLOSED)
            eventually(lambda: set(CLOSED) <= describe_acls(admin))
        yield server
        meant = AclFilter(host=CLIENT_HOST)
        delete_acls(admin, meant)
        eventually(lambda: not describe_acls(admin, meant))


@pytest.fixture
def admin(ruled: Server) -> Iterator[WireClient]:
    """The admin's connection."""
    with ruled.connect() as connected:
        yield connected


@pytest.fixture
def nobody(ruled: Server) -> Iterator[WireClient]:
    """The connection of a client who may do nothing."""
    with ruled.connect(source=CLIENT_HOST) as connected:
        yield connected


@pytest.fixture
def place(ruled: Server, admin: WireClient) -> Place:
    """A topic, a group with an offset and a transactional id that are nobody else's."""
    name = ruled.topic()
    found = Place(
        topic=name,
        topic_id=describe_topic(admin, name).topic_id,
        missing=new_name(),
        group=new_name(),
        transactional_id=new_name(),
    )
    part = OffsetCommitRequestPartition(partition_index=0, committed_offset=0)
    topic = OffsetCommitRequestTopic(name=name, partitions=[part])
    commit = OffsetCommitRequest(group_id=found.group, topics=[topic])
    initialise = InitProducerIdRequest(
        transactional_id=found.transactional_id, transaction_timeout_ms=60_000
    )
    # The coordinators are not there at once, and not before somebody looks for them.
    for key, key_type in ((found.group, 0), (found.transactional_id, 1)):
        request = FindCoordinatorRequest(key_type=key_type, coordinator_keys=[key])
        eventually(lambda request=request: not codes(admin.ask(request, 4)))
    eventually(lambda: not codes(admin.ask(commit, 5)))
    eventually(lambda: not codes(admin.ask(initialise, 4)))
    return found


@pytest.mark.parametrize("name", PROBES)
def test_n8_every_api(name: str, nobody: WireClient, admin: WireClient, place: Place):
    """
    Without one thing that an API takes the client is told so, and with it it is not.
    """
    probe = PROBES[name]

    def seen() -> object:
        return probe.sees(nobody.ask(probe.request(place), probe.version), place)

    *given, lacking = [place.acl(need, missing=probe.missing) for need in probe.needs]
    if given:
        create_acls(admin, *given)
        eventually(lambda: set(given) <= describe_acls(admin))
    last: list[object] = []

    def denied() -> bool:
        last[:] = [seen()]
        return last[0] == probe.denied

    # Kafka's controller learns of a rule at another moment than its broker.
    try:
        eventually(denied, timeout=5 if given else 0)
    except AssertionError:
        assert last[0] == probe.denied
    create_acls(admin, lacking)
    eventually(lambda: lacking in describe_acls(admin))

    def allowed() -> bool:
        last[:] = [seen()]
        if probe.allowed is not None:
            return last[0] == probe.allowed
        return not AUTHORIZATION_FAILED & set(_numbers(last[0]))

    try:
        eventually(allowed, timeout=5)
    except AssertionError:
        assert last[0] == probe.allowed


def _numbers(seen: object) -> list[int]:
    assert isinstance(seen, list)
    return seen
