"""The command line on clusters that we did not write: topics are kept, records go in and out."""

from __future__ import annotations

import json
import secrets
from typing import Any

import pytest

from pyproducer.config import COMPRESSION_TYPES
from tests.helpers.command_line import call_cli, one_line, run_cli
from tests.helpers.statement_servers import eventually

CLUSTERS = [
    pytest.param("apache_kafka", marks=pytest.mark.needs("kafka")),
    pytest.param("tansu", marks=pytest.mark.needs("tansu")),
]


@pytest.fixture(params=CLUSTERS)
def cluster(request: pytest.FixtureRequest) -> Any:
    """A running cluster."""
    return request.getfixturevalue(request.param)


@pytest.mark.parametrize("codec", COMPRESSION_TYPES)
def test_produce_and_tail(cluster, codec):
    """
    What produce writes with any codec, tail reads with keys and headers, from every partition.
    """
    servers, topic = cluster.bootstrap_servers, f"cli.{codec}.{secrets.token_hex(4)}"
    cluster.create_topics({topic: 3})
    lines = [json.dumps({"id": str(number), "text": "tea" * 20}) for number in range(500)]
    done = run_cli(
        "produce", topic, "--format", "json", "--key-field", "id", "--compression", codec,
        "-H", "a=b", servers=servers, stdin="\n".join(lines), timeout=60,
    )  # fmt: skip
    assert 0 == done.returncode, done.stderr

    done = run_cli(
        "tail", topic, "--from-beginning", "-n", 500, "--json", servers=servers, timeout=60
    )

    assert 0 == done.returncode, done.stderr
    found = [json.loads(line) for line in done.stdout.splitlines()]
    assert sorted(lines) == sorted(one["value"] for one in found)
    assert all(json.loads(one["value"])["id"] == one["key"] for one in found)
    assert {0, 1, 2} == {one["partition"] for one in found}
    assert all([{"name": "a", "value": "b"}] == one["headers"] for one in found)


@pytest.mark.needs("kafka")
def test_topics_on_apache_kafka(apache_kafka):
    """
    Topics are created, listed, altered, described and deleted, and refusals are Kafka's own.
    """

    def topics(*words: object) -> Any:
        done = call_cli("topics", *words, "--bootstrap-server", apache_kafka.bootstrap_servers)
        return done.returncode, done.stdout, done.stderr

    name = f"cli.topics.{secrets.token_hex(4)}"
    assert 0 == topics("create", name, "--config", "retention.ms=9000000")[0]
    status, _, errors = topics("create", name)
    assert (1, True) == (status, "TOPIC_ALREADY_EXISTS" in errors)
    assert 0 == topics("alter", name, "--partitions", 4, "--config", "segment.bytes=2000000")[0]
    described = json.loads(topics("describe", name, "--json")[1])
    assert {"retention.ms": "9000000", "segment.bytes": "2000000"} == described["configs"]
    assert 4 == len(described["partitions"])
    assert {"topic": name, "partitions": 4} in json.loads(topics("list", "--json")[1])
    assert (0, f"deleted {name}\n", "") == topics("delete", name, "--yes")
    assert 1 == topics("describe", name)[0]


@pytest.mark.needs("kafka")
def test_quotas_on_apache_kafka(apache_kafka):
    """
    Quotas are set, listed and removed, and refusals are Kafka's own.
    """

    def quotas(*words: object) -> Any:
        done = call_cli("quotas", *words, "--bootstrap-server", apache_kafka.bootstrap_servers)
        return done.returncode, done.stdout, done.stderr

    def listed() -> Any:
        return json.loads(quotas("list", "--user", name, "--json")[1])

    name = f"user-{secrets.token_hex(4)}"
    whose = ("--user", name, "--client-id-default")
    status, _, told = quotas("set", *whose, "producer_byte_rate=1e6", "request_percentage=12.5")
    assert 0 == status, told
    entity = {"user": name, "client-id": None}
    values = {"producer_byte_rate": 1e6, "request_percentage": 12.5}
    assert [{"entity": entity, "quotas": values}] == eventually(listed)
    status, _, told = quotas("set", *whose, "producer_byte_rate=0")
    assert (1, True) == (status, "INVALID_REQUEST" in one_line(told))
    assert 0 == quotas("remove", *whose)[0]
    eventually(lambda: not listed())
