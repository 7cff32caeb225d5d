"""The HTTP side: health, topics and metrics."""

from __future__ import annotations

import json
import re
import sys
import urllib.error
import urllib.request

import pytest

from pyproducer.broker import Broker
from pyproducer.errors import ConfigError
from tests.helpers.partition_logs import batch
from tests.helpers.wire_client import WireClient


def get(broker: Broker, path: str) -> str:
    with urllib.request.urlopen(f"http://127.0.0.1:{broker.http_port}{path}", timeout=10) as got:
        return got.read().decode()


@pytest.fixture
def served():
    """A broker with an HTTP side and five records."""
    with (
        Broker({"orders": 2}, http_port=0) as broker,
        WireClient(broker.bootstrap_servers) as client,
    ):
        client.produce("orders", batch(5), partition=1)
        yield broker


def test_http_is_off_unless_asked_for():
    """
    Without http_port nothing listens for HTTP.
    """
    with Broker() as broker:
        assert broker.http_port is None


def test_health(served: Broker):
    """
    /health says ok, and who this is.
    """
    body = json.loads(get(served, "/health"))

    assert ("ok", served.cluster_id, []) == (
        body["status"],
        body["cluster_id"],
        body["offline_partitions"],
    )


def test_health_of_a_broken_log(served: Broker):
    """
    A log that went offline turns /health into 503 and is named.
    """
    served._node().partition("orders", 1).log._health.failure = OSError("disk")
    with pytest.raises(urllib.error.HTTPError) as caught:
        get(served, "/health")
    with caught.value as answer:
        assert 503 == answer.code
        assert ["orders-1"] == json.loads(answer.read())["offline_partitions"]
    served._node().partition("orders", 1).log._health.failure = None


def test_topics(served: Broker):
    """
    /topics lists partitions with their offsets and bytes.
    """
    [topic] = json.loads(get(served, "/topics"))

    assert ("orders", False) == (topic["name"], topic["internal"])
    ends = [(p["partition"], p["start_offset"], p["end_offset"]) for p in topic["partitions"]]
    assert [(0, 0, 0), (1, 0, 5)] == ends
    assert len(batch(5)) == topic["partitions"][1]["bytes"]


def test_metrics(served: Broker):
    """
    /metrics counts records, bytes, connections and requests in Prometheus' format.
    """
    text = get(served, "/metrics")
    values = dict(line.rsplit(" ", 1) for line in text.splitlines() if not line.startswith("#"))
    name = "pyproducer_broker_"

    assert "5" == values[f'{name}records_in_total{{topic="orders"}}']
    assert str(len(batch(5))) == values[f'{name}bytes_in_total{{topic="orders"}}']
    assert "5" == values[f'{name}log_end_offset{{topic="orders",partition="1"}}']
    assert "1" == values[f"{name}connections"]
    assert "1" == values[f'{name}request_seconds_count{{api="Produce"}}']
    assert "1" == values[f'{name}request_seconds_bucket{{api="Produce",le="+Inf"}}']
    assert text.endswith("\n")
    for line in text.splitlines():
        assert re.fullmatch(r"# (HELP|TYPE) \w+ .+|\w+(\{(\w+=\"[^\"]*\",?)+\})? [0-9.e+-]+", line)
    helped = re.findall(r"# TYPE (\w+) ", text)
    assert len(helped) == len(set(helped))


def test_missing_aiohttp_names_the_command(monkeypatch: pytest.MonkeyPatch):
    """
    Without aiohttp a broker with an HTTP side does not start, and says what to install.
    """
    monkeypatch.setitem(sys.modules, "aiohttp", None)
    with pytest.raises(ConfigError, match=re.escape("pip install 'pyproducer[cli]'")):
        Broker(http_port=0).start()
