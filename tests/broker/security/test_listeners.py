"""Several listeners: where they are, what each tells, and what is configured for which."""

from __future__ import annotations

from pathlib import Path

import pytest

from pyproducer.broker import Broker, Listener
from pyproducer.errors import ConfigError
from pyproducer.protocol.messages.describe_cluster import DescribeClusterRequest
from pyproducer.protocol.messages.find_coordinator import FindCoordinatorRequest
from pyproducer.protocol.messages.metadata import MetadataRequest
from tests.helpers.admin_requests import BROKER, describe_configs
from tests.helpers.processes import free_ports
from tests.helpers.secure_client import SecureClient
from tests.helpers.wire_client import WireClient

PLAIN_LOGIN = "org.apache.kafka.common.security.plain.PlainLoginModule required user_a='x';"


def told(client: WireClient) -> set[tuple[str, int]]:
    """Every address that a client is told."""
    [broker] = client.ask(MetadataRequest(topics=[]), 9).brokers
    found = client.ask(FindCoordinatorRequest(key="g"), 2)
    [described] = client.ask(DescribeClusterRequest(), 0).brokers
    return {(one.host, one.port) for one in (broker, found, described)}


def test_each_listener_tells_its_own_address():
    """
    A client is told the address of the listener that it came in at.
    """
    listeners = [
        Listener(name="OUT", advertised_host="out.test", advertised_port=1234),
        Listener(name="IN", advertised_host="in.test"),
    ]
    with Broker(listeners=listeners) as broker:
        ports = {
            one.partition("://")[0]: int(one.rpartition(":")[2])
            for one in broker._node().config.facts["listeners"].split(",")
        }
        assert broker.bootstrap_servers == "out.test:1234"
        assert broker.bootstrap_servers_of("IN") == f"in.test:{ports['IN']}"
        assert broker.listeners == ["OUT", "IN"]
        with WireClient(f"127.0.0.1:{ports['OUT']}") as client:
            assert told(client) == {("out.test", 1234)}
            rows = describe_configs(client, BROKER, "1")
            assert rows["advertised.listeners"].value == (
                f"OUT://out.test:1234,IN://in.test:{ports['IN']}"
            )
            assert rows["listener.security.protocol.map"].value == "OUT:PLAINTEXT,IN:PLAINTEXT"
        with WireClient(f"127.0.0.1:{ports['IN']}") as client:
            assert told(client) == {("in.test", ports["IN"])}
        with pytest.raises(ConfigError, match="no listener 'HERE', but OUT, IN"):
            broker.bootstrap_servers_of("HERE")


def test_listeners_by_properties(tmp_path: Path):
    """
    Kafka's properties make the same listeners, in `config` and in a file.
    """
    one, other = free_ports(2)
    properties = {
        "listeners": f"IN://127.0.0.1:{one},OUT://127.0.0.1:{other}",
        "advertised.listeners": f"IN://localhost:{one}",
        "listener.security.protocol.map": "IN:PLAINTEXT,OUT:SASL_PLAINTEXT",
        "listener.name.out.sasl.enabled.mechanisms": "PLAIN",
        "listener.name.out.plain.sasl.jaas.config": PLAIN_LOGIN.replace("'", '"'),
    }
    path = tmp_path / "server.properties"
    path.write_text("".join(f"{name}={value}\n" for name, value in properties.items()))
    for broker in (Broker(config=properties), Broker.from_properties(path)):
        with broker:
            assert broker.bootstrap_servers == f"localhost:{one}"
            with SecureClient(f"127.0.0.1:{other}") as client:
                assert client.handshake("PLAIN").mechanisms == ["PLAIN"]
            with SecureClient(f"127.0.0.1:{other}") as client:
                assert client.plain("a", "x").error_code == 0
            with WireClient(f"127.0.0.1:{one}") as client:
                rows = describe_configs(client, BROKER, "1")
                name = "listener.name.out.plain.sasl.jaas.config"
                assert (rows[name].value, rows[name].is_sensitive) == (None, True)
                assert rows["listener.name.out.sasl.enabled.mechanisms"].value == "PLAIN"


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ({"listeners": []}, "a broker needs one"),
        ({"listeners": [Listener(name="A"), Listener(name="a")]}, "two listeners are called a"),
        ({"listeners": [Listener(port=5), Listener(name="B", port=5)]}, "listen at port 5"),
        ({"listeners": [Listener(protocol="TLS")]}, "none of PLAINTEXT, SSL"),
        ({"listeners": [Listener(name="a.b")]}, "'a.b' is no name"),
        ({"listeners": [Listener(port=70000)]}, "port=70000 is no port"),
        ({"listeners": Listener()}, "in a list"),
        ({"listeners": ["PLAINTEXT://:1"]}, "takes Listener objects, not"),
        ({"listeners": [Listener()], "port": 5}, "leave one of them out"),
        ({"security": "SSL", "config": {"listeners": "SSL://:1"}}, "leave one of them out"),
        ({"security": "TLS"}, "security='TLS' is none of"),
        ({"config": {"listeners": "nonsense"}}, "'nonsense' is not NAME://HOST:PORT"),
        ({"config": {"ssl.client.auth": "required"}}, "no listener of its speaks TLS"),
        ({"config": {"connections.max.reauth.ms": "5"}}, "no listener of its speaks SASL"),
        ({"config": {"listener.name.x.ssl.client.auth": "none"}}, "there is no listener X"),
        ({"config": {"listener.name.plaintext.num.partitions": "5"}}, "unknown broker config"),
        (
            {"security": "SASL_PLAINTEXT", "config": {"sasl.enabled.mechanisms": "GSSAPI"}},
            "GSSAPI: this broker has PLAIN, SCRAM-SHA-256",
        ),
        (
            {"security": "SASL_PLAINTEXT", "config": {"sasl.jaas.config": "nonsense"}},
            "sasl.jaas.config: write the Java class",
        ),
        (
            {"security": "SASL_PLAINTEXT", "config": {"sasl.enabled.mechanisms": "OAUTHBEARER"}},
            "say with sasl.oauthbearer.jwks.endpoint.url where",
        ),
        (
            {"security": "SSL", "config": {"ssl.principal.mapping.rules": "nonsense"}},
            "ssl.principal.mapping.rules: 'nonsense' is no rule",
        ),
    ],
)
def test_what_is_not_possible(options: dict, why: str):
    """
    What cannot be, or would do nothing, is refused when the broker is made.
    """
    with pytest.raises(ConfigError) as caught:
        Broker(**options)

    assert why in str(caught.value)


def test_secrets_of_a_listener_are_not_shown():
    """
    A listener's settings may be passwords, and are not in its text.
    """
    listener = Listener(config={"ssl.key.password": "hunter2"})

    assert "hunter2" not in repr(listener)
    with pytest.raises(ConfigError) as caught:
        Broker(listeners=[Listener(protocol="SSL", config={"ssl.keystore.password": "hunter2"})])
    assert "hunter2" not in str(caught.value)
