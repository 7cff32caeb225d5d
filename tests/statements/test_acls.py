"""Rules about access (ACLs): how they are made, found and removed, and what they mean (N8)."""

from __future__ import annotations

import json
from typing import Any

import pytest

from pyproducer.protocol.acl import Acl
from pyproducer.protocol.acl_filter import AclFilter
from pyproducer.protocol.acl_terms import AclOperation, PatternType, ResourceType
from pyproducer.protocol.error_codes import ErrorCode as E
from pyproducer.protocol.messages.create_acls import AclCreation, CreateAclsRequest
from pyproducer.protocol.messages.delete_acls import DeleteAclsFilter, DeleteAclsRequest
from pyproducer.protocol.messages.describe_acls import DescribeAclsRequest
from pyproducer.protocol.messages.describe_cluster import DescribeClusterRequest
from pyproducer.protocol.messages.describe_groups import DescribeGroupsRequest
from pyproducer.protocol.messages.metadata import MetadataRequest, MetadataRequestTopic
from pyproducer.protocol.messages.produce import (
    PartitionProduceData,
    ProduceRequest,
    TopicProduceData,
)
from tests.helpers.access_probe import Place
from tests.helpers.acl_requests import (
    ADMIN_HOST,
    CLIENT_HOST,
    RULED,
    SOMEBODY,
    create_acls,
    creation,
    delete_acls,
    describe_acls,
)
from tests.helpers.command_line import call_cli
from tests.helpers.statement_servers import Server, eventually, new_name
from tests.helpers.wire_client import WireClient
from tests.statements.conftest import Servers


def rule(operation: str = "read", **fields: Any) -> Acl:
    """A rule about somebody; about a topic of a new name unless said otherwise."""
    if not fields.keys() & {"topic", "group", "transactional_id", "cluster", "user"}:
        fields["topic"] = new_name()
    deny = fields.pop("deny", False)
    return (Acl.deny if deny else Acl.allow)(SOMEBODY, operation, **fields)


def about(client: WireClient, *acls: Acl) -> None:
    """These rules hold."""
    results = create_acls(client, *acls)
    assert [one.error_code for one in results] == [0] * len(acls)
    eventually(lambda: set(acls) <= describe_acls(client))


def client_rule(operation: str, **fields: Any) -> Acl:
    """A rule about the client that may do nothing."""
    deny = fields.pop("deny", False)
    return (Acl.deny if deny else Acl.allow)(
        "User:ANONYMOUS", operation, **{"host": CLIENT_HOST, **fields}
    )


def altered(acl: Acl, **fields: object) -> AclCreation:
    """The rule as a part of CreateAcls, with other fields."""
    made = creation(acl)
    for name, value in fields.items():
        setattr(made, name, value)
    return made


@pytest.mark.parametrize(
    "fields",
    [
        {"resource_type": 99},
        {"resource_pattern_type": 99},
        {"operation": 99},
        {"permission_type": 99},
        {"resource_name": ""},
        {"resource_type": 4, "resource_name": "other"},
        {"principal": "nobody"},
    ],
    ids=str,
)
def test_n8_what_is_no_rule(admin: WireClient, fields: dict[str, Any]):
    """
    What is no rule is refused with 42, and its neighbours of the same request are made.
    """
    good = rule()
    [made, refused] = create_acls(admin, good, altered(rule(), **fields))

    assert (made.error_code, refused.error_code) == (0, E.INVALID_REQUEST)
    assert refused.error_message
    eventually(lambda: describe_acls(admin, AclFilter(principal=SOMEBODY)) == {good})


@pytest.mark.parametrize(
    "fields",
    [
        {"resource_type": 1},
        {"resource_pattern_type": 1},
        {"resource_pattern_type": 2},
        {"operation": 1},
        {"permission_type": 1},
    ],
    ids=str,
)
def test_n8_what_is_for_filters(ruled: Server, admin: WireClient, fields: dict[str, Any]):
    """
    No rule is made that says any, or match.
    """
    good = rule()
    results = create_acls(admin, good, altered(rule(), **fields))
    codes = ruled.differs(
        ours=(0, E.INVALID_REQUEST),
        kafka=(E.UNKNOWN_SERVER_ERROR, E.UNKNOWN_SERVER_ERROR),
        reason="Kafka stumbles over it, so that the other rules of the request are not made either",
    )
    assert tuple(one.error_code for one in results) == codes
    made = {good} if ruled.ours else set()
    eventually(lambda: describe_acls(admin, AclFilter(principal=SOMEBODY)) == made)


@pytest.mark.parametrize(
    "name", ["resource_type", "resource_pattern_type", "operation", "permission_type"]
)
def test_n8_unknown_terms_are_not_read(ruled: Server, name: str):
    """
    A request with a term that says itself that it is unknown ends its connection.
    """
    fields = {
        "resource_type": "resource_type_filter",
        "resource_pattern_type": "pattern_type_filter",
    }
    anything = {
        "resource_type_filter": 1,
        "resource_name_filter": None,
        "pattern_type_filter": 1,
        "principal_filter": None,
        "host_filter": None,
        "operation": 1,
        "permission_type": 1,
    }
    wanted = anything | {fields.get(name, name): 0}
    for request in (
        CreateAclsRequest(creations=[altered(rule(), **{name: 0})]),
        DescribeAclsRequest(**wanted),
        DeleteAclsRequest(filters=[DeleteAclsFilter(**wanted)]),
    ):
        with ruled.connect() as client:
            client.send(request, 3)
            assert client.is_closed()


def test_n8_terms_that_there_are_not(admin: WireClient):
    """
    A filter with other terms that there are not finds nothing, and removes nothing with 42.
    """
    about(admin, rule())
    wanted = {
        "resource_type_filter": 99,
        "resource_name_filter": None,
        "pattern_type_filter": 1,
        "principal_filter": None,
        "host_filter": None,
        "operation": 1,
        "permission_type": 1,
    }
    found = admin.ask(DescribeAclsRequest(**wanted), 3)
    [removed] = admin.ask(DeleteAclsRequest(filters=[DeleteAclsFilter(**wanted)]), 3).filter_results

    assert (found.error_code, found.resources) == (0, [])
    assert (removed.error_code, removed.matching_acls) == (E.INVALID_REQUEST, [])


@pytest.mark.parametrize("version", [1, 2, 3])
def test_n8_rules_come_back_as_they_were_made(admin: WireClient, version: int):
    """
    Every kind of rule is told as it was made, in every version; made twice it is there once.
    """
    made = {
        rule("read"),
        rule("all", topic="*"),
        rule("write", topic="a", prefixed=True),
        rule("describe", group="g", host="10.1.2.3"),
        rule("write", transactional_id="t", deny=True),
        rule("cluster_action", cluster=True),
        rule("create_tokens", user="User:other"),
        rule("describe", topic="a b/c"),
    }
    for _ in range(2):
        results = create_acls(admin, *made, version=version)
        assert {one.error_code for one in results} == {0}
    eventually(lambda: describe_acls(admin, AclFilter(principal=SOMEBODY), version) == made)


def test_n8_filters(admin: WireClient):
    """
    A filter means the rules that agree with all it says; MATCH those that a name falls under.
    """
    one = rule("read", topic="shop.orders")
    two = rule("write", topic="shop.", prefixed=True)
    three = rule("read", topic="*")
    four = rule("read", group="shop.orders", host="10.0.0.1")
    five = rule("read", topic="shop.", deny=True)
    about(admin, one, two, three, four, five)

    def found(**fields: Any) -> set[Acl]:
        return describe_acls(admin, AclFilter(principal=SOMEBODY, **fields))

    topic = ResourceType.TOPIC
    assert found() == {one, two, three, four, five}
    assert found(resource_type=topic) == {one, two, three, five}
    assert found(resource_name="shop.orders") == {one, four}
    assert found(pattern_type=PatternType.PREFIXED) == {two}
    assert found(resource_name="shop.", pattern_type=PatternType.LITERAL) == {five}
    assert found(resource_name="shop.", pattern_type=PatternType.ANY) == {two, five}
    match = {"resource_type": topic, "pattern_type": PatternType.MATCH}
    assert found(resource_name="shop.orders", **match) == {one, two, three}
    assert found(resource_name="other", **match) == {three}
    assert found(resource_name="*", **match) == {three}
    assert found(**match) == {one, two, three, five}
    assert found(operation=AclOperation.READ) == {one, three, four, five}
    assert found(operation=AclOperation.ALL) == set()
    assert found(host="10.0.0.1") == {four}
    assert found(host="*") == {one, two, three, five}
    assert found(resource_name="") == set()


def test_n8_removing(admin: WireClient):
    """
    What filters mean is removed and told, by each filter that means it.
    """
    one, two, three = rule("read", topic="x"), rule("write", topic="x"), rule("read", topic="y")
    about(admin, one, two, three)
    told = delete_acls(
        admin,
        AclFilter(principal=SOMEBODY, resource_name="x"),
        AclFilter(principal=SOMEBODY, operation=AclOperation.READ),
        AclFilter(principal=SOMEBODY, host="nowhere"),
    )

    assert told == [{one, two}, {one, three}, set()]
    eventually(lambda: not describe_acls(admin, AclFilter(principal=SOMEBODY)))


def test_n8_without_an_authorizer(client: WireClient):
    """
    Where no authorizer is configured, everything about rules is refused with 54.
    """
    everything = {
        "resource_type_filter": 1,
        "resource_name_filter": None,
        "pattern_type_filter": 1,
        "principal_filter": None,
        "host_filter": None,
        "operation": 1,
        "permission_type": 1,
    }
    [created] = create_acls(client, rule())
    described = client.ask(DescribeAclsRequest(**everything), 3)
    [removed] = client.ask(
        DeleteAclsRequest(filters=[DeleteAclsFilter(**everything)]), 3
    ).filter_results

    codes = {created.error_code, described.error_code, removed.error_code}
    assert codes == {E.SECURITY_DISABLED}


def test_n8_deny_wins(ruled: Server, admin: WireClient, nobody: WireClient):
    """
    A rule that denies is stronger than all that allow, and counts on open connections at once.
    """
    topic = ruled.topic()

    def code() -> int:
        return int(nobody.produce(topic, ruled.batch(b"x")).error_code)

    assert code() == E.TOPIC_AUTHORIZATION_FAILED
    about(admin, client_rule("all", topic=topic))
    eventually(lambda: code() == 0)
    denial = client_rule("write", topic=topic[:-1], prefixed=True, deny=True)
    about(admin, denial)
    eventually(lambda: code() == E.TOPIC_AUTHORIZATION_FAILED)
    delete_acls(admin, AclFilter(host=CLIENT_HOST, pattern_type=PatternType.PREFIXED))
    eventually(lambda: code() == 0)


def test_n8_hosts(ruled: Server, admin: WireClient):
    """
    A rule about an address is about nobody elsewhere.
    """
    topic = ruled.topic()
    about(admin, client_rule("write", topic=topic, host="127.0.0.9"))
    try:
        with (
            ruled.connect(source="127.0.0.9") as meant,
            ruled.connect(source="127.0.0.8") as other,
        ):
            batch = ruled.batch(b"x")
            eventually(lambda: meant.produce(topic, batch).error_code == 0)
            assert other.produce(topic, batch).error_code == E.TOPIC_AUTHORIZATION_FAILED
    finally:
        delete_acls(admin, AclFilter(host="127.0.0.9"))


def test_n8_each_part_on_its_own(ruled: Server, admin: WireClient, nobody: WireClient):
    """
    Of one request what is allowed is done, and what is not is refused beside it.
    """
    allowed, denied = ruled.topic(), ruled.topic()
    about(admin, client_rule("write", topic=allowed))
    data = [
        TopicProduceData(
            name=name,
            partition_data=[PartitionProduceData(index=0, records=ruled.batch(b"x"))],
        )
        for name in (denied, allowed, "no-such-topic")
    ]
    request = ProduceRequest(acks=-1, timeout_ms=5000, topic_data=data)

    def codes() -> dict[str, int]:
        answer = nobody.ask(request, 9)
        return {one.name: one.partition_responses[0].error_code for one in answer.responses}

    eventually(lambda: codes()[allowed] == 0)
    assert codes() == {
        denied: E.TOPIC_AUTHORIZATION_FAILED,
        allowed: 0,
        # Whether it exists is not told.
        "no-such-topic": E.TOPIC_AUTHORIZATION_FAILED,
    }


def test_n8_unanswered_records_that_are_not_allowed(ruled: Server, nobody: WireClient):
    """
    With acks=0 the only news of a lack is the end of the connection.
    """
    part = PartitionProduceData(index=0, records=ruled.batch(b"x"))
    data = [TopicProduceData(name=ruled.topic(), partition_data=[part])]
    nobody.send(ProduceRequest(acks=0, timeout_ms=5000, topic_data=data), 9)

    assert nobody.is_closed()


def test_n8_operations_that_are_told(admin: WireClient, nobody: WireClient, place: Place):
    """
    Where asked, answers tell what the client may do, a bit for each operation.
    """
    topic, group = place.topic, place.group
    about(
        admin,
        client_rule("write", topic=topic),
        client_rule("alter_configs", topic=topic),
        client_rule("delete", group=group),
        client_rule("describe", cluster=True),
        client_rule("create", cluster=True),
    )

    def bits(*operations: str) -> int:
        return sum(1 << AclOperation(one).code for one in operations)

    def told() -> list[int]:
        found = nobody.ask(
            MetadataRequest(
                topics=[MetadataRequestTopic(name=topic)],
                include_topic_authorized_operations=True,
                include_cluster_authorized_operations=True,
            ),
            8,
        )
        groups = nobody.ask(
            DescribeGroupsRequest(groups=[group], include_authorized_operations=True), 5
        )
        cluster = nobody.ask(DescribeClusterRequest(include_cluster_authorized_operations=True), 0)
        return [
            found.topics[0].topic_authorized_operations,
            groups.groups[0].authorized_operations,
            found.cluster_authorized_operations,
            cluster.cluster_authorized_operations,
        ]

    expected = [
        bits("write", "describe", "alter_configs", "describe_configs"),
        bits("delete", "describe"),
        bits("describe", "create"),
        bits("describe", "create"),
    ]
    try:
        eventually(lambda: told() == expected, timeout=5)
    except AssertionError:
        assert told() == expected


def test_n8_super_users(servers: Servers):
    """
    A super user may do everything, whatever rules deny.
    """
    server = servers.shared(
        {"authorizer.class.name": RULED["authorizer.class.name"], "super.users": "User:ANONYMOUS"}
    )
    topic = server.topic()
    with server.connect() as client:
        about(
            client, Acl.deny("User:*", "all", topic=topic), Acl.deny("User:*", "all", cluster=True)
        )

        assert client.produce(topic, server.batch(b"x")).error_code == 0
        assert delete_acls(client, AclFilter()) != [set()]


def test_n8_rules_are_kept(servers: Servers):
    """
    Rules outlive a restart and a crash. A resource that none is about is open to all, if that is
    configured, until there is one about whomever.
    """
    server = servers.own(RULED)
    topic, other = server.topic(), server.topic()
    with server.connect() as admin, server.connect(source=CLIENT_HOST) as client:
        assert client.produce(topic, server.batch(b"x")).error_code == 0
        about(admin, Acl.allow("User:ANONYMOUS", "all", host=ADMIN_HOST, topic=topic))
        kept = describe_acls(admin)
    server.kill()
    server.start()
    with server.connect() as admin, server.connect(source=CLIENT_HOST) as client:
        assert describe_acls(admin) == kept
        assert client.produce(topic, server.batch(b"x")).error_code == E.TOPIC_AUTHORIZATION_FAILED
        assert client.produce(other, server.batch(b"x")).error_code == 0


def test_n8_from_the_command_line(ruled: Server):
    """
    `pyproducer acls` adds, lists and removes rules on either.
    """

    def acls(*words: str) -> Any:
        done = call_cli("--bootstrap-server", ruled.bootstrap_servers, "--json", "acls", *words)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    name = new_name()
    words = ["--allow-principal", SOMEBODY, "--consumer", "--topic", name, "--group", name]
    added = acls("add", *words, "--allow-host", "10.0.0.1")["added"]

    def listed() -> bool:
        return sorted(map(str, acls("list", "--allow-principal", SOMEBODY))) == sorted(
            map(str, added)
        )

    eventually(listed)
    removed = acls("remove", *words, "--yes")["removed"]
    assert sorted(map(str, removed)) == sorted(map(str, added))
    eventually(lambda: acls("list", "--allow-principal", SOMEBODY) == [])
