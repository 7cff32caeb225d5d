"""The requests that a broker remembers."""

from __future__ import annotations

import json
import re
import urllib.error
import urllib.request

import pytest

from pyproducer import ConfigError
from pyproducer.broker import Broker
from pyproducer.model import TopicPartition
from pyproducer.protocol.messages.api_versions import ApiVersionsRequest
from pyproducer.protocol.messages.metadata import MetadataRequest
from tests.helpers.partition_logs import batch
from tests.helpers.transactional_client import fetch
from tests.helpers.wire_client import WireClient

O0 = TopicPartition("orders", 0)


def test_every_request_is_there(broker: Broker, client: WireClient):
    """
    API, version, sizes and error codes of each request, in order.
    """
    client.ask(ApiVersionsRequest(), 0)
    client.produce("orders", batch())
    client.produce("small", batch(value=b"x" * 1000))
    client.produce("nowhere", batch(), version=3)
    fetch(client, O0)

    entries = broker.journal.requests()
    assert [
        ("ApiVersions", 0, ()),
        ("Produce", 9, ()),
        ("Produce", 9, ("MESSAGE_TOO_LARGE",)),
        ("Produce", 3, ("UNKNOWN_TOPIC_OR_PARTITION",)),
        ("Fetch", 11, ()),
    ] == [(one.api, one.version, one.errors) for one in entries]
    assert list(entries) == list(broker.journal)
    assert 5 == len(broker.journal)
    [connection] = broker.state().connections
    assert {(connection.number, "wire")} == {(one.connection, one.client_id) for one in entries}
    assert sorted(one.correlation_id for one in entries) == [one.correlation_id for one in entries]
    assert len(batch()) < entries[1].bytes_in < len(batch()) + 200
    assert 0 < entries[1].bytes_out < 200
    assert len(batch()) < entries[4].bytes_out
    assert all(0 <= one.seconds < 60 for one in entries)
    assert all(one.request is one.response is None for one in entries)
    line = str(entries[2])
    assert re.fullmatch(
        r"\d\d:\d\d:\d\d\.\d{3}  #1  wire  Produce v9  \d+ B in  \d+ B out  [\d.]+ ms  "
        r"MESSAGE_TOO_LARGE",
        line,
    )


def test_filters(broker: Broker, client: WireClient):
    """
    Requests can be chosen by API, version, connection, client, error, number and count.
    """
    with WireClient(broker.bootstrap_servers, client_id="other") as other:
        client.produce("orders", batch())
        other.produce("nowhere", batch(), version=3)
        other.ask(MetadataRequest(topics=[]), 9)
    journal = broker.journal

    assert [1, 2] == [one.number for one in journal.requests("Produce")]
    assert [1, 2] == [one.number for one in journal.requests(api=0)]
    assert [2] == [one.number for one in journal.requests(version=3)]
    assert [2, 3] == [one.number for one in journal.requests(client_id="other")]
    assert [1] == [one.number for one in journal.requests(connection=1)]
    assert [2] == [one.number for one in journal.requests(error="UNKNOWN_TOPIC_OR_PARTITION")]
    assert [2, 3] == [one.number for one in journal.requests(since=1)]
    assert [3] == [one.number for one in journal.requests(last=1)]
    assert [2] == [one.number for one in journal.requests("Produce", last=1)]
    with pytest.raises(ConfigError, match="no API 'produce'"):
        journal.requests("produce")

    journal.clear()
    assert [] == journal.requests()
    client.produce("orders", batch())
    assert [4] == [one.number for one in journal.requests()]


def test_bounds(client: WireClient):
    """
    Only the newest requests are remembered, as many as wanted, and none if none are.
    """
    for size, expected in ((2, [4, 5]), (0, [])):
        with (
            Broker({"orders": 1}, journal=size) as broker,
            WireClient(broker.bootstrap_servers) as one,
        ):
            for _ in range(5):
                one.produce("orders", batch())
            assert expected == [entry.number for entry in broker.journal.requests()]
    for wrong in (-1, True, "many"):
        with pytest.raises(ConfigError, match="journal="):
            Broker(journal=wrong)


def test_bodies(broker: Broker, client: WireClient):
    """
    With bodies on, requests and answers are there as they were decoded, long bytes by their size.
    """
    broker.journal.bodies = True
    client.produce("orders", batch(), partition=2)
    client.produce("orders", batch(value=b"x" * 5000))
    fetch(client, O0)
    short, long, fetched = broker.journal.requests()

    assert short.request is not None
    [topic] = short.request["topic_data"]
    assert ("orders", 2, batch()) == (
        topic["name"],
        topic["partition_data"][0]["index"],
        topic["partition_data"][0]["records"],
    )
    assert short.response is not None
    assert 0 == short.response["responses"][0]["partition_responses"][0]["base_offset"]
    assert long.request is not None
    size = len(batch(value=b"x" * 5000))
    records = long.request["topic_data"][0]["partition_data"][0]["records"]
    assert f"{size} bytes" == records
    assert fetched.response is not None
    assert f"{size} bytes" == fetched.response["responses"][0]["partitions"][0]["records"]


def test_closed_connections(broker: Broker, client: WireClient):
    """
    A request that ends its connection says why.
    """
    client.send(*_produce_without_answer())
    assert client.is_closed()

    [entry] = broker.journal.requests()

    assert 0 == entry.bytes_out
    assert entry.closed is not None
    assert "acks=0 failed" in entry.closed
    assert str(entry).endswith(f"closed: {entry.closed}")


def _produce_without_answer():
    from pyproducer.protocol.messages.produce import (
        PartitionProduceData,
        ProduceRequest,
        TopicProduceData,
    )

    part = PartitionProduceData(index=0, records=batch())
    topic = TopicProduceData(name="nowhere", partition_data=[part])
    return ProduceRequest(acks=0, timeout_ms=1000, topic_data=[topic]), 9


def test_time_is_the_brokers(broker: Broker, client: WireClient):
    """
    Requests have the broker's time when they were answered, whatever ticks came since.
    """
    client.produce("orders", batch())
    broker.tick(days=1)
    client.produce("orders", batch())
    broker.tick(days=1)

    before, after = (one.time_ms for one in broker.journal.requests())
    assert 86_400_000 <= after - before < 86_460_000
    assert 86_400_000 <= broker.state().clock.time_ms - after < 86_460_000


def ask(url: str, method: str = "GET", body=None):
    data = None if body is None else json.dumps(body).encode()
    headers = {"Content-Type": "application/json"} if data else {}
    request = urllib.request.Request(url, data, headers, method=method)
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.load(error)


def test_over_http():
    """
    The journal can be read, chosen from, cleared and asked for bodies over HTTP.
    """
    with (
        Broker({"orders": 1}, http_port=0) as broker,
        WireClient(broker.bootstrap_servers) as client,
    ):
        url = f"http://127.0.0.1:{broker.http_port}/journal"
        assert (200, {"bodies": True}) == ask(url, "PUT", {"bodies": True})
        client.produce("orders", batch(value=b"\xff"))
        client.ask(MetadataRequest(topics=[]), 9)

        status, entries = ask(f"{url}?api=Produce&last=5")
        assert (200, ["Produce"]) == (status, [one["api"] for one in entries])
        assert "\\xff" in entries[0]["request"]["topic_data"][0]["partition_data"][0]["records"]
        assert [2] == [one["number"] for one in ask(f"{url}?since=1&client_id=wire")[1]]
        for query in ("api=None", "colour=red", "last=few"):
            status, answer = ask(f"{url}?{query}")
            assert (400, True) == (status, bool(answer["error"]))
        assert 400 == ask(url, "PUT", {"bodies": 1})[0]
        assert (200, {"forgotten": 2}) == ask(url, "DELETE")
        assert (200, []) == ask(url)
