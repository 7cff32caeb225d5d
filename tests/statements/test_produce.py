"""Produce: what is admitted, in which order it is looked at, and what the answer says."""

from __future__ import annotations

from pyproducer.protocol.error_codes import ErrorCode
from tests.helpers.statement_servers import Server
from tests.helpers.wire_client import WireClient

E = ErrorCode


def test_p1_unknown_topic_or_partition(server: Server, client: WireClient):
    """
    Records for a topic or a partition that is not there are refused, and nothing is made for them.
    """
    topic = server.topic(2)
    assert client.produce("no-such-topic", server.batch(b"x")).error_code == 3
    assert client.produce(topic, server.batch(b"x"), partition=2).error_code == 3
    assert client.produce(topic, server.batch(b"x"), partition=1).error_code == 0
