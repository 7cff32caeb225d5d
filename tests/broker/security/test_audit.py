"""The audit log: each decision, each way in, each change, and nothing that a peer can forge."""

from __future__ import annotations

import json
import logging
import re
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyproducer.broker import Acl, Broker
from pyproducer.broker.security.audit import LOGGER, LONGEST, shown
from pyproducer.protocol.messages.alter_user_scram_credentials import (
    AlterUserScramCredentialsRequest,
    ScramCredentialDeletion,
    ScramCredentialUpsertion,
)
from pyproducer.protocol.messages.init_producer_id import InitProducerIdRequest
from pyproducer.protocol.messages.list_groups import ListGroupsRequest
from pyproducer.protocol.messages.metadata import MetadataRequest, MetadataRequestTopic
from tests.helpers.acl_requests import create_acls, delete_acls
from tests.helpers.admin_requests import alter_configs_by
from tests.helpers.partition_logs import batch
from tests.helpers.quota_requests import set_quotas
from tests.helpers.secure_client import SecureClient
from tests.helpers.wire_client import WireClient

Lines = Callable[..., list[str]]

DENIED = (
    "Principal = User:ANONYMOUS is Denied operation = {} from host = 127.0.0.1 on resource = {} "
    "for request = {} based on rule {}"
)
ALLOWED = DENIED.replace("Denied", "Allowed")
RULES = [
    Acl.allow("User:ANONYMOUS", "write", topic="open"),
    Acl.deny("User:*", "read", topic="open"),
    Acl.allow("User:ANONYMOUS", "read", topic="*"),
]
ADMIN = [Acl.allow("User:ANONYMOUS", "all", cluster=True)]


@pytest.fixture
def lines(caplog: pytest.LogCaptureFixture) -> Iterator[Lines]:
    """The lines of the audit log so far, at INFO or as told; they are gone then."""
    with caplog.at_level(logging.DEBUG, LOGGER):

        def taken(level: int = logging.INFO) -> list[str]:
            found = [
                one.getMessage()
                for one in caplog.records
                if one.name == LOGGER and one.levelno >= level
            ]
            caplog.clear()
            return found

        yield taken


@pytest.fixture
def ruled() -> Iterator[Broker]:
    """A broker where rules decide."""
    with Broker({"open": 3, "shut": 3}, acls=RULES) as running:
        yield running


@pytest.fixture
def client(ruled: Broker) -> Iterator[WireClient]:
    """A connection to it."""
    with WireClient(ruled.bootstrap_servers) as connected:
        yield connected


def look(client: WireClient, *topics: str) -> None:
    wanted = [MetadataRequestTopic(name=one) for one in topics]
    client.ask(MetadataRequest(topics=wanted), 9)


def test_denied_and_allowed(client: WireClient, lines: Lines):
    """
    Each decision is a line with who, what, from where, with what, by which request and rule: at
    INFO what is denied, at DEBUG what is allowed.
    """
    client.produce("shut", batch())
    assert [DENIED.format("WRITE", "Topic:LITERAL:shut", "Produce", "DefaultDeny")] == lines()
    client.produce("open", batch())
    rule = 'MatchingAcl(acl="allow User:ANONYMOUS from * to write topic open")'
    allowed = ALLOWED.format("WRITE", "Topic:LITERAL:open", "Produce", rule)
    assert [allowed] == lines(logging.DEBUG)
    client.produce("open", batch())
    assert [] == lines(logging.INFO)


def test_rule_that_denies(client: WireClient, lines: Lines):
    """
    Where a rule denies, the line has it.
    """
    from pyproducer.protocol.messages.fetch import FetchPartition, FetchRequest, FetchTopic

    parts = [FetchPartition(partition=one, partition_max_bytes=100) for one in range(3)]
    topics = [FetchTopic(topic="open", partitions=parts)]
    client.ask(FetchRequest(replica_id=-1, max_wait_ms=0, min_bytes=0, topics=topics), 11)
    rule = 'MatchingAcl(acl="deny User:* from * to read topic open")'

    # One line, and not one for each partition.
    assert [DENIED.format("READ", "Topic:LITERAL:open", "Fetch", rule)] == lines()


def test_super_user(lines: Lines):
    """
    What a super user is allowed is so because it is one.
    """
    with (
        Broker({"t": 1}, super_users=["User:ANONYMOUS"]) as broker,
        WireClient(broker.bootstrap_servers) as client,
    ):
        look(client, "t")
    assert [
        ALLOWED.format("DESCRIBE", "Topic:LITERAL:t", "Metadata", "SuperUser")
    ] == lines(logging.DEBUG)  # fmt: skip


def test_choice_is_no_refusal(client: WireClient, lines: Lines):
    """
    What is left out of a list is not refused, nor is what may be done on other grounds.
    """
    client.ask(MetadataRequest(topics=None), 9)
    client.ask(ListGroupsRequest(), 4)
    client.ask(InitProducerIdRequest(transactional_id=None), 4)
    assert [] == lines()


def test_producer_that_may_write_nowhere(lines: Lines):
    """
    An idempotent producer without any right lacks one on the cluster.
    """
    with Broker(acls=[]) as broker, WireClient(broker.bootstrap_servers) as client:
        client.ask(InitProducerIdRequest(transactional_id=None), 4)
    resource = "Cluster:LITERAL:kafka-cluster"
    assert [
        DENIED.format("IDEMPOTENT_WRITE", resource, "InitProducerId", "DefaultDeny")
    ] == lines()  # fmt: skip


def test_names_of_hostile_peers(lines: Lines):
    """
    Whatever a name has in it, the line is one, in printable ASCII, and no longer than it may be.
    """
    forged = 'x for request = Y\nPrincipal = User:root is Allowed \x1b[2J\x7f\u202e"\u2028\r'
    with Broker(acls=[]) as broker, WireClient(broker.bootstrap_servers) as client:
        look(client, forged, "y" * 30_000)
    found = lines()

    assert [forged, "y" * LONGEST] == [
        json.loads(one) if one.startswith('"') else one
        for one in (re.search(r"LITERAL:(\".*\"|y+)", line)[1] for line in found)
    ]
    assert all(re.fullmatch(r"[ -~]+", line) for line in found)
    assert all(len(line) < 1000 for line in found)
    assert "y(29744 more) for request" in found[1]


@given(st.text())
def test_shown_is_one_word_or_quoted(text: str):
    """
    A text is shown so that it can be read back as far as it is shown, and cannot end its line.
    """
    found = shown(text)
    assert re.fullmatch(r"[ -~]*", found)
    if len(text) <= LONGEST:
        assert text == (json.loads(found) if found.startswith('"') else found)


def test_flood(ruled: Broker, client: WireClient, lines: Lines):
    """
    What one address causes is written a hundred times at once, and counted beyond.
    """
    for number in range(300):
        client.produce(f"no-{number}", batch())
    written = lines()
    ruled.tick(seconds=20)
    told = lines()

    assert all("Denied" in one for one in written)
    assert 100 <= len(written) < 200
    [(count, host)] = [
        re.fullmatch(r"(\d+) more lines about host = (\S+) were left out", one).groups()
        for one in told
    ]
    assert ("127.0.0.1", 300) == (host, int(count) + len(written))


def test_count_at_the_end(lines: Lines):
    """
    What was left out is told when the broker stops, too.
    """
    with Broker(acls=[]) as broker, WireClient(broker.bootstrap_servers) as client:
        for number in range(200):
            look(client, f"no-{number}")
        lines()
    [told] = [one for one in lines() if "left out" in one]
    assert "127.0.0.1" in told


def test_changes_are_never_left_out(lines: Lines):
    """
    However many changes there are, each is a line.
    """
    with Broker(acls=ADMIN) as broker, WireClient(broker.bootstrap_servers) as client:
        acls = [Acl.allow("User:a", "read", topic=f"t{number}") for number in range(300)]
        create_acls(client, *acls)
    assert 300 == len(lines())


WHO = "Principal = User:ANONYMOUS from host = 127.0.0.1 "


def test_changes_of_rules_and_quotas(lines: Lines):
    """
    Who adds and removes rules, and sets quotas, is told with what they are.
    """
    acl = Acl.deny("User:a\nb", "write", topic="t")
    with Broker(acls=ADMIN) as broker, WireClient(broker.bootstrap_servers) as client:
        create_acls(client, acl)
        delete_acls(client, _filter(acl))
        set_quotas(client, {"user": "a"}, producer_byte_rate=5)
        set_quotas(client, {"user": "a"}, producer_byte_rate=None)
    rule = '"deny User:a\\nb from * to write topic t"'
    assert [
        f"{WHO}adds the rule {rule} for request = CreateAcls",
        f"{WHO}removes the rule {rule} for request = DeleteAcls",
        WHO + "sets the quotas of \"user 'a': {'producer_byte_rate': 5.0}\" for request = "
        "AlterClientQuotas",
        WHO + "sets the quotas of \"user 'a': none\" for request = AlterClientQuotas",
    ] == lines()


def _filter(acl: Acl):
    from pyproducer.protocol.acl_filter import AclFilter

    return AclFilter(principal=acl.principal)


def test_change_that_is_refused_is_none(client: WireClient, lines: Lines):
    """
    Who may not change the rules has changed nothing.
    """
    create_acls(client, Acl.allow("User:a", "read", topic="t"))
    resource = "Cluster:LITERAL:kafka-cluster"
    assert [DENIED.format("ALTER", resource, "CreateAcls", "DefaultDeny")] == lines()


def test_changes_of_users(lines: Lines):
    """
    Whose password is set or removed is told, and no password.
    """
    salt, hashed = b"salt of sixteen.", b"h" * 32
    setting = ScramCredentialUpsertion(
        name="alice", mechanism=1, iterations=4096, salt=salt, salted_password=hashed
    )
    removal = ScramCredentialDeletion(name="alice", mechanism=1)
    with Broker() as broker, WireClient(broker.bootstrap_servers) as client:
        client.ask(AlterUserScramCredentialsRequest(deletions=[], upsertions=[setting]), 0)
        client.ask(AlterUserScramCredentialsRequest(deletions=[removal], upsertions=[]), 0)
    end = "the SCRAM-SHA-256 password of alice for request = AlterUserScramCredentials"
    assert [f"{WHO}sets {end}", f"{WHO}removes {end}"] == lines()


def test_changes_of_the_broker(lines: Lines):
    """
    What is configured while a broker runs is told by name and value, but for what is secret.
    """
    with Broker() as broker, WireClient(broker.bootstrap_servers) as client:
        alter_configs_by(client, 4, "1", ("max.connections", 0, "500"))
        alter_configs_by(client, 4, "", ("max.connections", 0, "600"))
        alter_configs_by(client, 4, "1", ("max.connections", 1, None))
    end = " for request = IncrementalAlterConfigs"
    assert [
        f"{WHO}sets of broker 1 max.connections=500{end}",
        f"{WHO}sets of all brokers max.connections=600{end}",
        f'{WHO}sets of broker 1 "max.connections to its default"{end}',
    ] == lines()


def test_who_comes_in(broker: Broker, connect: Callable[[], SecureClient], lines: Lines):
    """
    Who has come in, who tried to be whom, from where and how: all of that at INFO.
    """
    place = "from host = 127.0.0.1 at listener = SASL_PLAINTEXT by mechanism ="
    connect().plain("alice", "secret")
    connect().scram("SCRAM-SHA-512", "bob", "hidden")
    assert [
        f"Principal = User:alice is Authenticated {place} PLAIN",
        f"Principal = User:bob is Authenticated {place} SCRAM-SHA-512",
    ] == lines()
    connect().plain("a\nb", "wrong")
    connect().scram("SCRAM-SHA-256", "alice", "wrong")
    connect().handshake("GSSAPI")
    offered = "PLAIN, SCRAM-SHA-256, SCRAM-SHA-512"
    failed = [
        ('"User:a\\nb"', "PLAIN", "wrong user name or password"),
        ("User:alice", "SCRAM-SHA-256", "the proof is wrong"),
        ("unknown", "none", f"mechanism 'GSSAPI' is not offered, {offered} are"),
    ]
    assert [
        f'Principal = {who} is Not authenticated {place} {mechanism}: "{why}"'
        for who, mechanism, why in failed
    ] == lines()


def test_who_is_refused_by_the_http_side(lines: Lines):
    """
    A request to the HTTP side without its token is a client that is not let in.
    """
    with Broker(http_port=0, http_token="a-token-of-16-characters") as broker:
        with pytest.raises(urllib.error.HTTPError) as caught:
            urllib.request.urlopen(f"http://127.0.0.1:{broker.http_port}/state", timeout=10)
        caught.value.close()
    [line] = lines()
    place = "from host = 127.0.0.1 at listener = HTTP by mechanism = token"

    assert f'Principal = unknown is Not authenticated {place}: "no token, or a wrong one"' == line


def test_nothing_is_written_that_nobody_wants(client: WireClient, caplog: pytest.LogCaptureFixture):
    """
    At WARNING there is nothing, whatever is denied.
    """
    with caplog.at_level(logging.WARNING, LOGGER):
        client.produce("shut", batch())
    assert [] == [one for one in caplog.records if one.name == LOGGER]
