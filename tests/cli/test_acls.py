"""``pyproducer acls`` against a broker with rules."""

from __future__ import annotations

import functools
import json
import os
import pty
import subprocess
from collections.abc import Callable, Iterator

import pytest

from pyproducer.broker import Acl, Broker
from tests.helpers.command_line import call_cli, command_line, one_line, run_cli

ADMIN = [
    Acl.allow("User:ANONYMOUS", "alter", cluster=True),
    Acl.allow("User:ANONYMOUS", "describe", cluster=True),
]


@pytest.fixture(scope="module")
def ruled() -> Iterator[Broker]:
    """A broker whose rules the commands may change."""
    with Broker(acls=ADMIN) as running:
        yield running


@pytest.fixture
def acls(ruled: Broker) -> Iterator[Callable]:
    """Runs a command about rules; what it adds is gone after the test."""
    yield functools.partial(call_cli, "--bootstrap-server", ruled.bootstrap_servers, "acls")
    ruled.acls.remove(*(set(ruled.acls) - set(ADMIN)))


def added(broker: Broker) -> set[str]:
    """The rules that a command has added, in words."""
    return {str(acl) for acl in broker.acls if acl not in ADMIN}


def test_a_producer_and_a_consumer(acls: Callable, ruled: Broker):
    """
    --producer and --consumer stand for what these need of what is named.
    """
    done = acls(
        "add", "--allow-principal", "User:shop", "--producer",
        "--topic", "shop.", "--prefixed", "--transactional-id", "shop",
    )  # fmt: skip
    assert (0, "") == (done.returncode, done.stderr)
    assert {
        "allow User:shop from * to create topic shop.*",
        "allow User:shop from * to describe topic shop.*",
        "allow User:shop from * to write topic shop.*",
        "allow User:shop from * to describe transactional_id shop*",
        "allow User:shop from * to write transactional_id shop*",
    } == added(ruled)
    done = acls(
        "add", "--allow-principal", "User:bill", "--consumer", "--topic", "shop.orders",
        "--group", "billing", "--allow-host", "10.0.0.1", "--allow-host", "10.0.0.2", "--json",
    )  # fmt: skip

    assert 0 == done.returncode
    rows = json.loads(done.stdout)["added"]
    assert 6 == len(rows)
    assert {"10.0.0.1", "10.0.0.2"} == {row["host"] for row in rows}
    assert {("topic", "read"), ("topic", "describe"), ("group", "read")} == {
        (row["resource_type"], row["operation"]) for row in rows
    }


def test_list_finds_what_a_name_falls_under(acls: Callable, ruled: Broker):
    """
    A topic's name finds the rules about it, about its beginnings and about all; --prefixed those
    about just that beginning.
    """
    ruled.acls.add(
        Acl.allow("User:alice", "read", topic="shop.orders"),
        Acl.allow("User:alice", "read", topic="shop.", prefixed=True),
        Acl.deny("User:bob", "write", topic="*"),
        Acl.allow("User:alice", "read", topic="other"),
        Acl.allow("User:alice", "read", group="shop.orders"),
    )

    def names(*words: str) -> list[str]:
        found = json.loads(acls("list", "--json", *words).stdout)
        return sorted(row["resource_name"] for row in found)

    assert ["*", "shop.", "shop.orders"] == names("--topic", "shop.orders")
    assert ["shop."] == names("--topic", "shop.", "--prefixed")
    assert ["*"] == names("--deny-principal", "User:bob")
    assert ["other", "shop.", "shop.orders", "shop.orders"] == names(
        "--allow-principal", "User:alice", "--operation", "Read"
    )
    assert ["kafka-cluster", "kafka-cluster"] == names("--cluster")
    assert 7 == len(names())
    shown = acls("list", "--topic", "shop.orders").stdout
    assert "shop.... (prefix)" in shown
    assert "deny" in shown


def test_remove_takes_what_agrees(acls: Callable, ruled: Broker):
    """
    Removed are rules of just that name that agree with all that is said, and they are told.
    """
    ruled.acls.add(
        Acl.allow("User:alice", "read", topic="orders"),
        Acl.allow("User:alice", "write", topic="orders"),
        Acl.allow("User:bob", "read", topic="orders"),
        Acl.allow("User:alice", "read", topic="orders", prefixed=True),
        Acl.allow("User:alice", "read", topic="*"),
    )
    done = acls(
        "remove", "--topic", "orders", "--allow-principal", "User:alice", "--operation", "read",
        "--yes",
    )  # fmt: skip
    assert (0, "removed: allow User:alice from * to read topic orders\n") == (
        done.returncode,
        done.stdout,
    )
    assert 4 == len(added(ruled))
    done = acls("remove", "--topic", "orders", "--yes", "--json")

    assert ["alice", "bob"] == sorted(
        row["principal"].removeprefix("User:") for row in json.loads(done.stdout)["removed"]
    )
    assert {
        "allow User:alice from * to read topic orders*",
        "allow User:alice from * to read topic *",
    } == added(ruled)
    done = acls("remove", "--topic", "orders", "--yes")
    assert 1 == done.returncode
    assert "there are no such rules" in one_line(done.stderr)


def test_remove_of_a_role(acls: Callable, ruled: Broker):
    """
    What --producer added --producer removes.
    """
    words = ["--allow-principal", "User:shop", "--producer", "--topic", "t"]
    acls("add", *words)
    ruled.acls.add(Acl.allow("User:shop", "read", topic="t"))
    done = acls("remove", *words, "--yes")

    assert 0 == done.returncode
    assert {"allow User:shop from * to read topic t"} == added(ruled)


def test_remove_asks(ruled: Broker):
    """
    Without a terminal to ask, removing is refused, and nothing is removed.
    """
    acl = Acl.allow("User:alice", "read", topic="kept")
    ruled.acls.add(acl)
    done = run_cli(
        "acls", "remove", "--topic", "kept", servers=ruled.bootstrap_servers, stdin="y\n"
    )
    kept = acl in ruled.acls
    ruled.acls.remove(acl)

    assert 2 == done.returncode
    assert "--yes" in one_line(done.stderr)
    assert kept


@pytest.mark.parametrize("answer", ["y", "n"])
def test_remove_shows_what_it_asks_about(ruled: Broker, answer: str):
    """
    On a terminal the rules are shown, and only a yes removes them.
    """
    acl = Acl.allow("User:alice", "read", topic="asked")
    ruled.acls.add(acl)
    ours, theirs = pty.openpty()
    os.write(ours, f"{answer}\n".encode())
    done = subprocess.run(
        command_line(
            "acls", "remove", "--topic", "asked", "--bootstrap-server", ruled.bootstrap_servers
        ),
        stdin=theirs,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    os.close(ours)
    os.close(theirs)
    kept = acl in ruled.acls
    ruled.acls.remove(acl)

    assert str(acl) in done.stderr
    assert "Remove this rule?" in done.stderr
    assert (answer == "n", int(answer == "n")) == (kept, done.returncode)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["add", "--allow-principal", "User:a", "--operation", "read"], "--topic"),
        (["add", "--allow-principal", "User:a", "--topic", "t"], "--operation"),
        (["add", "--topic", "t", "--operation", "read"], "--allow-principal"),
        (["add", "--allow-principal", "a", "--topic", "t", "--operation", "read"], "User:alice"),
        (["add", "--allow-principal", "User:a", "--topic", "t", "--operation", "raed"], "read"),
        (["add", "--allow-principal", "User:a", "--topic", "t", "--operation", "any"], "'all'"),
        (["add", "--allow-principal", "User:a", "--producer", "--group", "g"], "--topic"),
        (["add", "--allow-principal", "User:a", "--consumer", "--topic", "t"], "--group"),
        (
            ["add", "--allow-principal", "User:a", "--producer", "--topic", "t", "--cluster"],
            "cluster",
        ),
        (
            ["add", "--deny-principal", "User:a", "--allow-host", "h", "--topic", "t",
             "--operation", "all"],
            "--allow-principal",
        ),
        (["remove", "--yes"], "--all"),
    ],
)  # fmt: skip
def test_what_is_not_said_is_asked_for(acls: Callable, words: list[str], told: str):
    """
    A command that lacks something says what, in one line, and is wrong usage.
    """
    done = acls(*words)

    assert 2 == done.returncode
    assert told in one_line(done.stderr)


def test_refusals_are_one_line(broker: Broker, ruled: Broker, acls: Callable):
    """
    A cluster without rules says so, and so does one whose rules forbid it.
    """
    done = call_cli("acls", "list", "--bootstrap-server", broker.bootstrap_servers)
    assert 1 == done.returncode
    assert "no authorizer" in one_line(done.stderr)
    ruled.acls.remove(ADMIN[0])
    try:
        done = acls("add", "--allow-principal", "User:a", "--operation", "read", "--topic", "t")
    finally:
        ruled.acls.add(ADMIN[0])

    assert 1 == done.returncode
    assert "CLUSTER_AUTHORIZATION_FAILED" in one_line(done.stderr)
