"""``pyproducer users``: passwords for SCRAM, from anywhere but the command line."""

from __future__ import annotations

import json
import os

from tests.helpers.command_line import call_cli, one_line
from tests.helpers.processes import free_ports


def test_a_users_life(cli, broker):
    """
    A user is made, listed and deleted, and is gone then; the password is nowhere.
    """
    done = cli("users", "set", "cli-alice", stdin="hunter22\n")
    assert (0, "set the password of cli-alice for SCRAM-SHA-256 and SCRAM-SHA-512\n", "") == (
        done.returncode,
        done.stdout,
        done.stderr,
    )
    assert "cli-alice" in broker.users

    listed = json.loads(cli("users", "list", "--json").stdout)
    assert ["SCRAM-SHA-256", "SCRAM-SHA-512"] == [
        one["mechanism"] for one in listed if one["user"] == "cli-alice"
    ]
    assert "4096" in cli("users", "list").stdout
    assert "hunter22" not in json.dumps(listed)

    done = cli("users", "delete", "cli-alice", "--mechanism", "scram-sha-512", "--yes")
    assert (0, "deleted cli-alice for SCRAM-SHA-512\n") == (done.returncode, done.stdout)
    done = cli("users", "delete", "cli-alice", "--yes")
    assert (0, "deleted cli-alice for SCRAM-SHA-256\n") == (done.returncode, done.stdout)
    assert "cli-alice" not in broker.users


def test_password_is_what_the_broker_checks(cli, broker):
    """
    A user that is set may come in with that password.
    """
    cli("users", "set", "cli-bob", "--mechanism", "SCRAM-SHA-256", "--iterations", 5000, stdin="pw")
    kept = broker._node().users.scram["SCRAM-SHA-256"]["cli-bob"]

    assert kept.iterations == 5000
    assert kept.matches("SCRAM-SHA-256", "pw")


def test_refusals(cli):
    """
    What cannot be done is one line, and the status says why.
    """
    for words, stdin, status, text in (
        (("set", "x"), "", 2, "the password is empty"),
        (("set", "x", "--mechanism", "PLAIN"), "pw", 2, "SCRAM-SHA-256 or SCRAM-SHA-512"),
        (("delete", "x"), "", 2, "--yes"),
        (("delete", "nobody", "--yes"), "", 1, "there is no user 'nobody'"),
        (
            ("delete", "nobody", "--yes", "--mechanism", "SCRAM-SHA-256"),
            "",
            1,
            "RESOURCE_NOT_FOUND",
        ),
    ):
        done = cli("users", *words, stdin=stdin)
        assert (status, "") == (done.returncode, done.stdout)
        assert text in one_line(done.stderr)


def test_nobody_to_ask():
    """
    Without a broker the status says so.
    """
    [port] = free_ports(1)
    done = call_cli("users", "list", "--bootstrap-server", f"127.0.0.1:{port}")

    assert 3 == done.returncode


def test_password_from_the_environment(cli, broker, monkeypatch):
    """
    PYPRODUCER_USER_PASSWORD is stronger than stdin.
    """
    monkeypatch.setitem(os.environ, "PYPRODUCER_USER_PASSWORD", "from-there")
    cli("users", "set", "cli-env", "--mechanism", "SCRAM-SHA-512", stdin="from-here")
    kept = broker._node().users.scram["SCRAM-SHA-512"]["cli-env"]

    assert kept.matches("SCRAM-SHA-512", "from-there")
