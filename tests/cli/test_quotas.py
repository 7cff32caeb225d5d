from __future__ import annotations

import json

import pytest

from tests.helpers.command_line import call_cli, one_line


def test_quotas_of_a_user(cli, broker):
    """
    Quotas are set, listed and removed, one by one and all at once.
    """
    done = cli(
        "quotas", "set", "--user", "alice", "producer_byte_rate=1e6", "request_percentage=50"
    )
    assert (0, "set quotas of user alice\n", "") == (done.returncode, done.stdout, done.stderr)
    done = cli("quotas", "set", "--user-default", "--client-id", "etl", "consumer_byte_rate=5")
    assert 0 == done.returncode, done.stderr

    alice = {
        "entity": {"user": "alice"},
        "quotas": {"producer_byte_rate": 1e6, "request_percentage": 50.0},
    }
    others = {"entity": {"client-id": "etl", "user": None}, "quotas": {"consumer_byte_rate": 5.0}}
    assert [others, alice] == json.loads(cli("quotas", "list", "--json").stdout)
    assert [alice] == json.loads(cli("quotas", "list", "--user", "alice", "--json").stdout)
    table = cli("quotas", "list").stdout
    assert "user (default), client-id etl" in table
    assert "1000000" in table

    done = cli("quotas", "remove", "--user", "alice", "request_percentage")
    assert (0, "removed request_percentage of user alice\n") == (done.returncode, done.stdout)
    done = cli("quotas", "remove", "--user-default", "--client-id", "etl")
    assert 0 == done.returncode, done.stderr
    left = json.loads(cli("quotas", "list", "--json").stdout)
    assert [{"entity": {"user": "alice"}, "quotas": {"producer_byte_rate": 1e6}}] == left
    assert 0 == cli("quotas", "remove", "--user", "alice").returncode
    assert "there are no quotas" in one_line(cli("quotas", "list").stderr)


@pytest.mark.parametrize(
    ("words", "status", "told"),
    [
        (["set", "producer_byte_rate=5"], 2, "whose quotas?"),
        (["set", "--user", "a", "producer_byte_rate"], 2, "takes name=value"),
        (["set", "--user", "a", "producer_byte_rate=x"], 2, "takes a number, not 'x'"),
        (["set", "--user", "a", "--user-default", "producer_byte_rate=5"], 2, "not both"),
        (["set", "--user", "a", "producer_byte_rate=0"], 1, "INVALID_REQUEST"),
        (["set", "--ip", "somewhere", "connection_creation_rate=1"], 1, "no IP address"),
        (["remove", "--ip", "10.0.0.1"], 1, "ip 10.0.0.1 has no quotas"),
        (["list", "--ip-default", "--user", "a"], 1, "quotas cannot be listed"),
    ],
)
def test_refusals_are_one_line(servers: str, words: list[str], status: int, told: str):
    """
    What is not possible ends with its status and one line that says why.
    """
    done = call_cli("quotas", *words, "--bootstrap-server", servers)

    assert status == done.returncode
    assert told in one_line(done.stderr)
