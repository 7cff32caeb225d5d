"""Faults over HTTP, by a client that knows JSON and nothing of us."""

from __future__ import annotations

import inspect
import json
import urllib.error
import urllib.request

import pytest

from pyproducer.broker import Broker, Faults
from pyproducer.broker.faults.http import KINDS
from tests.helpers.partition_logs import batch
from tests.helpers.wire_client import WireClient


class Remote:
    """The HTTP side of a broker, as urllib sees it."""

    def __init__(self, broker: Broker) -> None:
        self.url = f"http://127.0.0.1:{broker.http_port}/faults"

    def ask(self, method: str, path: str = "", body=None, kind: str = "application/json"):
        """Return status and decoded body of the answer."""
        data = None if body is None else body if isinstance(body, bytes) else json.dumps(body)
        request = urllib.request.Request(
            self.url + path,
            method=method,
            data=data.encode() if isinstance(data, str) else data,
            headers={} if data is None else {"Content-Type": kind},
        )
        try:
            with urllib.request.urlopen(request, timeout=10) as answer:
                return answer.status, json.loads(answer.read())
        except urllib.error.HTTPError as error:
            with error:
                return error.code, json.loads(error.read())


@pytest.fixture
def served():
    """A broker with an HTTP side."""
    with Broker({"orders": 2}, http_port=0) as broker:
        yield broker


@pytest.fixture
def remote(served: Broker) -> Remote:
    """Its HTTP side."""
    return Remote(served)


def test_set_watch_and_end(served: Broker, remote: Remote):
    """
    A fault is made by POST, strikes, and can be asked for after its end.
    """
    status, fault = remote.ask(
        "POST", body={"kind": "fail", "api": "Produce", "code": "NOT_LEADER_OR_FOLLOWER"}
    )
    assert 201 == status
    assert {
        "id": 1,
        "kind": "fail",
        "active": True,
        "hits": 0,
        "api": "Produce",
        "code": "NOT_LEADER_OR_FOLLOWER",
        "when": "before",
        "topic": None,
        "partition": None,
        "times": 1,
    } == fault
    assert (200, [fault]) == remote.ask("GET")
    with WireClient(served.bootstrap_servers) as client:
        assert 6 == client.produce("orders", batch()).error_code

    assert (200, {**fault, "active": False, "hits": 1}) == remote.ask("GET", "/1")
    assert (200, []) == remote.ask("GET")


def test_cancel_and_clear(served: Broker, remote: Remote):
    """
    DELETE ends one fault or all, those set in Python too.
    """
    served.faults.leaderless("orders")
    _, fault = remote.ask("POST", body={"kind": "delay", "api": "Produce", "seconds": 9})
    remote.ask("POST", body={"kind": "disk_full"})

    assert (200, {**fault, "active": False}) == remote.ask("DELETE", f"/{fault['id']}")
    assert ["leaderless", "disk_full"] == [one["kind"] for one in remote.ask("GET")[1]]
    status, ended = remote.ask("DELETE")
    assert (200, ["leaderless", "disk_full"]) == (status, [one["kind"] for one in ended])
    assert () == served.faults.active
    with WireClient(served.bootstrap_servers) as client:
        assert 0 == client.produce("orders", batch()).error_code


def test_pause_can_be_ended_over_http(served: Broker, remote: Remote):
    """
    The HTTP side of a paused broker works.
    """
    _, fault = remote.ask("POST", body={"kind": "pause"})
    with WireClient(served.bootstrap_servers) as client:
        from pyproducer.protocol.messages.api_versions import ApiVersionsRequest

        client.send(ApiVersionsRequest(), 0)
        served.faults.active[0].wait()
        assert 1 == remote.ask("GET", f"/{fault['id']}")[1]["hits"]
        remote.ask("DELETE", f"/{fault['id']}")

        assert 0 == client.receive().error_code


def test_what_is_done_at_once(served: Broker, remote: Remote):
    """
    Connections and producers' memory go with the POST itself, which says how many.
    """
    with WireClient(served.bootstrap_servers) as client:
        client.produce("orders", batch(producer=(7, 0, 0)))
        assert 1 == remote.ask("POST", body={"kind": "forget_producers"})[1]["hits"]
        assert 1 == remote.ask("POST", body={"kind": "close_connections"})[1]["hits"]

        assert client.is_closed()


def test_every_kind_can_be_set(remote: Remote):
    """
    Each method of Faults that makes a fault has its form over HTTP.
    """
    made = {
        name
        for name, method in inspect.getmembers(Faults, inspect.isfunction)
        if not name.startswith("_") and method.__annotations__.get("return") == "Fault"
    }
    needed = {"api": "Produce", "code": 6, "seconds": 1, "ms": 5, "topic": "orders"}

    assert made == set(KINDS)
    for kind in KINDS:
        parameters = inspect.signature(getattr(Faults, kind)).parameters
        body = {
            name: needed[name]
            for name, one in parameters.items()
            if one.default is one.empty and name != "self"
        }
        assert 201 == remote.ask("POST", body={"kind": kind, **body})[0]


@pytest.mark.parametrize(
    ("body", "status", "message"),
    [
        (b"{", 400, "this is none"),
        ([1], 400, "a JSON object"),
        ({}, 400, "kind is one of"),
        ({"kind": "clear"}, 400, "kind is one of"),
        ({"kind": ["fail"]}, 400, "kind is one of"),
        ({"kind": "fail", "api": "Produce"}, 400, "missing a required argument: 'code'"),
        ({"kind": "fail", "api": "Produce", "code": 6, "time": 1}, 400, "'time'"),
        ({"kind": "fail", "api": "Produce", "code": "X"}, 400, "no error 'X'"),
        ({"kind": "fail", "api": ["Produce"], "code": 6}, 400, "serves no API"),
        ({"kind": "fail", "api": "Produce", "code": [6]}, 400, "code is an integer"),
        ({"kind": "delay", "api": "Produce", "seconds": "1"}, 400, "seconds is a number"),
        ({"kind": "leaderless", "topic": {}}, 400, "topic is a name"),
    ],
    ids=str,
)
def test_what_cannot_be_understood(remote: Remote, body, status: int, message: str):
    """
    A mistake is answered with what it is, and nothing is set.
    """
    got, answer = remote.ask("POST", body=body)

    assert status == got
    assert message in answer["error"]
    assert (200, []) == remote.ask("GET")


def test_a_body_deeper_than_the_stack_is_no_json(remote: Remote):
    """
    Nesting without end is a mistake like any, and not the broker's.
    """
    status, answer = remote.ask("POST", body=b"[" * 5000)

    assert 400 == status
    assert "this is none" in answer["error"]


def test_web_pages_cannot_set_faults(remote: Remote):
    """
    What a browser sends for any page without asking first is refused.
    """
    body = {"kind": "pause"}

    assert 415 == remote.ask("POST", body=body, kind="text/plain")[0]
    assert 415 == remote.ask("POST", body=body, kind="application/x-www-form-urlencoded")[0]


def test_unknown_faults(remote: Remote):
    """
    What is not there is 404.
    """
    for method in ("GET", "DELETE"):
        assert 404 == remote.ask(method, "/77")[0]
        assert 404 == remote.ask(method, "/x")[0]


def test_most_faults_in_force(served: Broker, remote: Remote):
    """
    A thousand faults in force are the most: none is set over HTTP until some have ended.
    """
    wanted = {"kind": "fail", "api": "Produce", "code": "NOT_LEADER_OR_FOLLOWER"}
    for _ in range(999):
        served.faults.fail("Produce", "NOT_LEADER_OR_FOLLOWER")
    assert 201 == remote.ask("POST", body=wanted)[0]

    status, answer = remote.ask("POST", body=wanted)
    assert 429 == status
    assert (
        "1000 faults are in force, the most over HTTP; DELETE /faults ends them" == answer["error"]
    )

    remote.ask("DELETE")
    assert 201 == remote.ask("POST", body=wanted)[0]
