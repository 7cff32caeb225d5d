"""What the authorizer's log tells of its decisions (N8)."""

from __future__ import annotations

import re
from typing import Any

import pytest

from pyproducer.protocol.acl import Acl
from pyproducer.protocol.acl_filter import AclFilter
from pyproducer.protocol.messages.create_acls import CreateAclsRequest
from pyproducer.protocol.messages.create_topics import CreatableTopic, CreateTopicsRequest
from pyproducer.protocol.messages.fetch import FetchPartition, FetchRequest, FetchTopic
from pyproducer.protocol.messages.find_coordinator import FindCoordinatorRequest
from pyproducer.protocol.messages.init_producer_id import InitProducerIdRequest
from pyproducer.protocol.messages.list_groups import ListGroupsRequest
from pyproducer.protocol.messages.metadata import MetadataRequest, MetadataRequestTopic
from pyproducer.protocol.messages.produce import (
    PartitionProduceData,
    ProduceRequest,
    TopicProduceData,
)
from pyproducer.records.builder import build_batch
from pyproducer.records.record import Record
from tests.helpers.acl_requests import create_acls, creation, delete_acls, describe_acls
from tests.helpers.sasl_servers import SaslServer
from tests.helpers.secured import OTHER, USERS
from tests.helpers.statement_servers import eventually

ME = f"User:{OTHER}"
LINE = re.compile(
    r"(?P<level>[A-Z]+) Principal = (?P<who>\S+) is (?P<what>Allowed|Denied) "
    r"operation = (?P<operation>[A-Z_]+) from host = (?P<host>\S+) "
    r"on resource = (?P<kind>\w+):LITERAL:(?P<name>\S+) for request = (?P<request>\w+)"
    r"(?: with resourceRefCount = \d+)? based on rule (?P<rule>\w+)(?P<acl>.*)"
)
DENIED, ALLOWED = ("INFO", "Denied"), ("DEBUG", "Allowed")
HIDDEN, OPEN, SHUT = "DefaultDeny", "allow", "deny"


def produce(topic: str) -> ProduceRequest:
    batch = build_batch([Record(0, 1_700_000_000_000, key=b"k", value=b"v")])
    part = PartitionProduceData(index=0, records=batch)
    data = TopicProduceData(name=topic, partition_data=[part])
    return ProduceRequest(acks=-1, timeout_ms=5000, topic_data=[data])


def fetch(topic: str) -> FetchRequest:
    part = FetchPartition(partition_max_bytes=100)
    topics = [FetchTopic(topic=topic, partitions=[part])]
    return FetchRequest(replica_id=-1, max_wait_ms=0, min_bytes=0, topics=topics)


def metadata(*topics: str) -> MetadataRequest:
    return MetadataRequest(topics=[MetadataRequestTopic(name=one) for one in topics])


def create(topic: str) -> CreateTopicsRequest:
    wanted = CreatableTopic(name=topic, num_partitions=1, replication_factor=1)
    return CreateTopicsRequest(topics=[wanted], timeout_ms=20_000)


CLUSTER = "kafka-cluster"
#: Requests about the topics "open", to which one may write and which one may not read, and
#: "hidden": what each is decided to be.
STEPS: dict[str, tuple[Any, int, set[tuple[Any, ...]]]] = {
    "produce": (
        lambda o, _: produce(o), 9, {(ALLOWED, "WRITE", "Topic", "open", "Produce", OPEN)}
    ),
    "produce to what is hidden": (
        lambda _, h: produce(h), 9, {(DENIED, "WRITE", "Topic", "hidden", "Produce", HIDDEN)}
    ),
    "read what a rule denies": (
        lambda o, _: fetch(o), 11, {(DENIED, "READ", "Topic", "open", "Fetch", SHUT)}
    ),
    "look at both": (
        lambda o, h: metadata(o, h),
        9,
        {
            (ALLOWED, "DESCRIBE", "Topic", "open", "Metadata", OPEN),
            (DENIED, "DESCRIBE", "Topic", "hidden", "Metadata", HIDDEN),
        },
    ),
    "list all": (
        lambda _o, _h: MetadataRequest(topics=None),
        9,
        {(ALLOWED, "DESCRIBE", "Topic", "open", "Metadata", OPEN)},
    ),
    "list groups": (lambda _o, _h: ListGroupsRequest(), 4, set()),
    "create a topic": (
        lambda _, h: create(h), 6, {(DENIED, "CREATE", "Topic", "hidden", "CreateTopics", HIDDEN)}
    ),
    "find a group": (
        lambda _, h: FindCoordinatorRequest(key=h, key_type=0),
        3,
        {(DENIED, "DESCRIBE", "Group", "hidden", "FindCoordinator", HIDDEN)},
    ),
    "begin a transaction": (
        lambda _, h: InitProducerIdRequest(transactional_id=h, transaction_timeout_ms=1000),
        4,
        {(DENIED, "WRITE", "TransactionalId", "hidden", "InitProducerId", HIDDEN)},
    ),
    "make a rule": (
        lambda o, _: CreateAclsRequest(creations=[creation(Acl.allow(ME, "all", topic=o))]),
        3,
        {(DENIED, "ALTER", "Cluster", CLUSTER, "CreateAcls", HIDDEN)},
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", STEPS)
def test_n8_decisions_are_logged(guarded: SaslServer, name: str):
    """
    Each decision about what was asked for is logged, at INFO what is denied and at DEBUG what is
    allowed: who, from where, what, with what, by which request, by which rule or for want of one.
    """
    request, version, expected = STEPS[name]
    opened, hidden = guarded.topic(), guarded.topic()
    names = {opened: "open", hidden: "hidden"}
    rules = [Acl.allow(ME, "write", topic=opened), Acl.deny(ME, "read", topic=opened)]

    def decisions() -> list[tuple[Any, ...]]:
        found = [LINE.fullmatch(line) for line in guarded.audit_lines()]
        return [
            (
                (one["level"], one["what"]),
                one["operation"],
                one["kind"],
                names.get(one["name"], one["name"]),
                one["request"],
                _rule(one),
            )
            for one in found
            if one is not None and (one["who"], one["host"]) == (ME, "127.0.0.1")
        ]

    with guarded.connect_openly() as admin, guarded.connect() as client:
        client.plain(OTHER, USERS[OTHER])
        create_acls(admin, *rules)
        eventually(lambda: set(rules) <= describe_acls(admin))
        eventually(lambda: client.ask(produce(opened), 9).responses[0].partition_responses[0]
                   .error_code == 0)  # fmt: skip
        before = len(decisions())
        client.ask(request(opened, hidden), version)
        try:
            eventually(lambda: expected <= set(decisions()[before:]), timeout=5)
        finally:
            assert expected == set(decisions()[before:])
            delete_acls(admin, AclFilter(principal=ME))


def _rule(line: re.Match[str]) -> str:
    if line["rule"] != "MatchingAcl":
        return line["rule"]
    return SHUT if re.search(r"deny |permissionType=DENY", line["acl"]) else OPEN
