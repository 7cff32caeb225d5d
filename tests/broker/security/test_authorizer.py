"""Who may do what, by rules."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyproducer.broker.metadata_file import MetadataFile
from pyproducer.broker.security.acl_book import AclBook
from pyproducer.broker.security.authorizer import Authorizer, parse_super_users
from pyproducer.protocol.acl import Acl
from pyproducer.protocol.acl_terms import AclOperation, AclPermission, PatternType, ResourceType
from pyproducer.protocol.principal import Principal
from tests.helpers.memory_disk import MemoryDisk

ALICE, BOB, ROOT = (Principal("User", name) for name in ("alice", "bob", "root"))
HOST = "10.0.0.1"


def new_book() -> AclBook:
    disk = MemoryDisk()
    disk.mkdir(Path("/data"))
    return AclBook(MetadataFile(disk, Path("/data")))


def judge(*acls: Acl, allow_unruled: bool = False) -> Authorizer:
    """An authorizer by these rules."""
    book = new_book()
    book.add(acls)
    return Authorizer(book, [ROOT], allow_unruled=allow_unruled)


def may(
    judge: Authorizer,
    operation: AclOperation | str,
    topic: str,
    who: Principal = ALICE,
    host: str = HOST,
) -> bool:
    return judge.allows(who, host, AclOperation(operation), ResourceType.TOPIC, topic)


def test_nothing_is_allowed_unless_it_is_said():
    """
    N8: without a rule nobody may do anything, but super users.
    """
    judge_ = judge()

    assert not may(judge_, "read", "orders")
    assert may(judge_, "read", "orders", ROOT)


def test_deny_wins():
    """
    N8: what one rule denies no other allows, however they are written; super users are above that.
    """
    judge_ = judge(
        Acl.allow("User:alice", "all", topic="*"),
        Acl.allow("User:alice", "write", topic="orders"),
        Acl.deny("User:*", "write", topic="ord", prefixed=True),
    )

    assert not may(judge_, "write", "orders")
    assert may(judge_, "read", "orders")
    assert may(judge_, "write", "other")
    assert may(judge_, "write", "orders", ROOT)


@pytest.mark.parametrize("stronger", ["read", "write", "delete", "alter", "describe", "all"])
def test_what_includes_describing(stronger: str):
    """
    N8: who may read, write, delete or alter may describe; who may not, is not kept from that.
    """
    assert may(judge(Acl.allow("User:alice", stronger, topic="t")), "describe", "t")
    denied = judge(
        Acl.allow("User:alice", "describe", topic="t"), Acl.deny("User:alice", stronger, topic="t")
    )
    assert may(denied, "describe", "t") == (stronger not in {"describe", "all"})


def test_what_includes_describing_configs():
    """
    Who may alter configurations may describe them, and not the thing itself.
    """
    judge_ = judge(Acl.allow("User:alice", "alter_configs", topic="t"))

    assert may(judge_, "describe_configs", "t")
    assert not may(judge_, "describe", "t")
    assert not may(judge(Acl.allow("User:alice", "alter", topic="t")), "describe_configs", "t")


def test_patterns():
    """
    N8: a literal name is that name, a prefix every name that begins so, and * every name.
    """
    literal = judge(Acl.allow("User:alice", "read", topic="ord"))
    prefixed = judge(Acl.allow("User:alice", "read", topic="ord", prefixed=True))
    every = judge(Acl.allow("User:alice", "read", topic="*"))
    star = judge(Acl.allow("User:alice", "read", topic="*", prefixed=True))

    names = ("ord", "orders", "or", "*x")
    assert [True, False, False, False] == [may(literal, "read", name) for name in names]
    assert [True, True, False, False] == [may(prefixed, "read", name) for name in names]
    assert [True, True, True, True] == [may(every, "read", name) for name in names]
    assert [False, False, False, True] == [may(star, "read", name) for name in names]


@pytest.mark.parametrize(
    ("written", "seen"),
    [
        ("127.0.0.1", "::ffff:127.0.0.1"),
        ("0:0:0:0:0:0:0:1", "::1"),
        ("2001:DB8::1", "2001:db8:0::1"),
    ],
)
def test_hosts_in_any_spelling(written: str, seen: str):
    """
    N8: an address is the same however it is written, as Java does it or anybody else.
    """
    judge_ = judge(Acl.allow("User:alice", "read", topic="t", host=written))

    assert may(judge_, "read", "t", host=seen)
    assert may(judge_, "read", "t", host=written)
    assert not may(judge_, "read", "t", host="10.0.0.9")


def test_unruled_resources():
    """
    With allow.everyone.if.no.acl.found a resource is open until it falls under some rule.

    The rule may be about somebody else, as in Kafka.
    """
    judge_ = judge(Acl.allow("User:bob", "read", topic="orders"), allow_unruled=True)

    assert may(judge_, "write", "other")
    assert not may(judge_, "write", "orders")
    assert may(judge_, "read", "orders", BOB)


def test_changes_count_at_once():
    """
    A decision is remembered until the rules change.
    """
    book = new_book()
    judge_ = Authorizer(book, [], allow_unruled=False)
    acl = Acl.allow("User:alice", "write", topic="t")
    assert not may(judge_, "write", "t")
    book.add([acl])
    assert may(judge_, "write", "t")
    assert judge_.allows_any(ALICE, HOST, AclOperation.WRITE, ResourceType.TOPIC)
    book.remove([acl])

    assert not may(judge_, "write", "t")
    assert not judge_.allows_any(ALICE, HOST, AclOperation.WRITE, ResourceType.TOPIC)


def test_super_users_are_parted_by_semicolons():
    """
    Names of certificates have commas, so super.users is parted by semicolons.
    """
    text = "User:CN=root,O=us ; User:admin;"

    assert [Principal("User", "CN=root,O=us"), Principal("User", "admin")] == parse_super_users(
        text
    )
    with pytest.raises(ValueError, match="'admin' is no principal"):
        parse_super_users("admin")


# Few names with much in common, so that most rules meet most questions.
NAMES = st.sampled_from(["a", "ab", "abc", "b", "*", "ac"])
USERS = st.sampled_from([ALICE, BOB, ROOT])
HOSTS = st.sampled_from([HOST, "10.0.0.2"])
ASKED = [one for one in AclOperation if one not in {AclOperation.ANY, AclOperation.ALL}]
OPERATIONS = st.sampled_from(
    [
        AclOperation.READ,
        AclOperation.WRITE,
        AclOperation.DESCRIBE,
        AclOperation.DESCRIBE_CONFIGS,
        AclOperation.ALTER_CONFIGS,
    ]
)
RULES = st.builds(
    Acl,
    principal=st.sampled_from(["User:alice", "User:bob", "User:*", "User:root"]),
    operation=st.one_of(OPERATIONS, st.just(AclOperation.ALL)),
    resource_type=st.sampled_from([ResourceType.TOPIC, ResourceType.GROUP]),
    resource_name=NAMES,
    pattern_type=st.sampled_from([PatternType.LITERAL, PatternType.PREFIXED]),
    host=st.sampled_from(["*", HOST, "10.0.0.2"]),
    permission=st.sampled_from([AclPermission.ALLOW, AclPermission.DENY]),
)
INCLUDED_IN = {
    "describe": {"read", "write", "delete", "alter"},
    "describe_configs": {"alter_configs"},
}


def by_the_book(
    rules: list[Acl],
    who: Principal,
    host: str,
    operation: AclOperation,
    kind: ResourceType,
    name: str,
    allow_unruled: bool,
) -> bool:
    """The same decision, from all rules one after the other."""
    if who == ROOT:
        return True
    about = [
        one
        for one in rules
        if one.resource_type == kind
        and (
            (one.pattern_type == "prefixed" and name.startswith(one.resource_name))
            or (one.pattern_type == "literal" and one.resource_name in {name, "*"})
        )
    ]
    if not about:
        return allow_unruled
    mine = [
        one for one in about if one.principal in {str(who), "User:*"} and one.host in {host, "*"}
    ]
    denied = [
        one for one in mine if one.permission == "deny" and one.operation in {operation, "all"}
    ]
    allowed = [
        one
        for one in mine
        if one.permission == "allow"
        and one.operation in {operation, "all"} | INCLUDED_IN.get(operation, set())
    ]
    return bool(allowed) and not denied


@given(
    st.lists(st.one_of(RULES, st.tuples(USERS, HOSTS, OPERATIONS, NAMES)), max_size=30),
    st.booleans(),
)
def test_decisions_are_those_of_a_naive_reading(
    steps: list[Acl | tuple[Principal, str, AclOperation, str]], allow_unruled: bool
):
    """
    N8: whatever the rules, added and removed in between, each decision is that of all of them.
    """
    book = new_book()
    judge_ = Authorizer(book, [ROOT], allow_unruled=allow_unruled)
    rules: list[Acl] = []
    for step in steps:
        if isinstance(step, Acl):
            if step in rules:
                rules.remove(step)
                book.remove([step])
            else:
                rules.append(step)
                book.add([step])
            continue
        who, host, operation, name = step
        for kind in (ResourceType.TOPIC, ResourceType.GROUP):
            expected = by_the_book(rules, who, host, operation, kind, name, allow_unruled)
            assert expected == judge_.allows(who, host, operation, kind, name)
            if expected and rules and operation in {"write", "read"}:
                # Where there is one such resource, there is any.
                assert judge_.allows_any(who, host, operation, kind) or allow_unruled
    assert set(rules) == set(book)


@given(st.lists(RULES, max_size=6), USERS, HOSTS, st.sampled_from(["read", "write"]))
def test_any_resource_is_some_resource(rules: list[Acl], who: Principal, host: str, operation: str):
    """
    Somebody may write to any topic at all if there can be a name that he may write to.

    Not the other way round: Kafka looks at each denial alone, and takes "*" allowed for enough.
    """
    judge_ = judge(*rules)
    names = ["a", "ab", "abc", "b", "ac", "x", "abcd", "*"]
    kind = ResourceType.TOPIC
    allowed = any(judge_.allows(who, host, AclOperation(operation), kind, name) for name in names)
    wide = judge_.allows_any(who, host, AclOperation(operation), kind)

    assert wide or not allowed
