"""Lists of brokers are read as people write them, and refused with the way to write them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyproducer.config.bootstrap import parse_bootstrap
from pyproducer.errors import ConfigError


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("localhost:9092", [("localhost", 9092)]),
        ("a:1,b:2", [("a", 1), ("b", 2)]),
        (" a , b:2 ,", [("a", 9092), ("b", 2)]),
        ("[::1]:9093", [("::1", 9093)]),
        ("[fe80::1%eth0]", [("fe80::1%eth0", 9092)]),
        (["a:1", "b:2,c"], [("a", 1), ("b", 2), ("c", 9092)]),
        (("a:1", "a:1"), [("a", 1)]),
        ("10.0.0.1:65535", [("10.0.0.1", 65535)]),
    ],
)
def test_bootstrap_is_read(value, expected):
    """
    Lists and comma-separated text become addresses, in order and each once, port 9092 by default.
    """
    assert tuple(expected) == parse_bootstrap(value)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("http://kafka:9092", r"without a scheme.*Leave out 'http://' and write 'kafka:9092'"),
        ("PLAINTEXT://a:1", "without a scheme"),
        ("", "names no broker"),
        (" , ", "names no broker"),
        ([], "names no broker"),
        ("::1:9092", "without brackets"),
        ("[::1", "broken IPv6"),
        ("[::1]9092", "broken IPv6"),
        ("[a]:1", "broken IPv6"),
        ("a:", "no valid port"),
        ("a:0", "no valid port"),
        ("a:65536", "no valid port"),
        ("a:-1", "no valid port"),
        ("a:\u0661", "no valid port"),
        (":9092", "no valid host"),
        ("a b:1", "no valid host"),
        ("user@a:1", "no valid host"),
        ("a/x", "no valid host"),
        (("localhost", 9092), "sequence of such"),
        (b"a:1", "sequence of such"),
        (None, "sequence of such"),
        (9092, "sequence of such"),
    ],
)
def test_bootstrap_refuses_what_is_no_address(value, text):
    """
    An entry that is no host with a port is refused with the entry and the way to write it.
    """
    with pytest.raises(ConfigError, match=f"^bootstrap_servers .*{text}"):
        parse_bootstrap(value)


@given(st.text(max_size=20))
def test_bootstrap_never_fails_otherwise(text):
    """
    Any text is a list of addresses with valid ports, or a ConfigError.
    """
    try:
        addresses = parse_bootstrap(text)
    except ConfigError:
        return
    assert addresses
    assert all(host and 1 <= port <= 65_535 for host, port in addresses)
