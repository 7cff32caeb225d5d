"""AlterClientQuotas where the broker itself is looked into; what Kafka does too is a statement."""

from __future__ import annotations

import math

import pytest

from pyproducer.broker import Broker
from pyproducer.protocol.error_codes import ErrorCode
from tests.helpers.faulty_disk import FaultyFileSystem
from tests.helpers.quota_requests import alter, entry, quotas
from tests.helpers.wire_client import WireClient


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_numbers_that_are_none_are_refused(client: WireClient, value: float):
    """
    Kafka takes them for a percentage; here no quota is one that cannot be compared.
    """
    answer = alter(client, entry({"user": "a"}, ("request_percentage", value)))

    assert ErrorCode.INVALID_REQUEST == answer.entries[0].error_code
    assert "greater than 0" in answer.entries[0].error_message
    assert {} == quotas(client)


def test_names_of_hosts_are_not_looked_up(client: WireClient):
    """
    Kafka resolves the name of an ip entity; here it has to be an address.
    """
    answer = alter(client, entry({"ip": "localhost"}, ("connection_creation_rate", 5)))

    assert ErrorCode.INVALID_REQUEST == answer.entries[0].error_code
    assert "not looked up" in answer.entries[0].error_message


def test_what_cannot_be_written_does_not_hold():
    """
    With a disk that refuses the change, the answer says so, and nothing has changed.
    """
    disk = FaultyFileSystem()
    with Broker(fs=disk) as broker, WireClient(broker.bootstrap_servers) as client:
        disk.broken.add("fsync")
        disk.broken.add("write")
        answer = alter(client, entry({"user": "a"}, ("request_percentage", 5.0)))
        disk.broken.clear()

        assert ErrorCode.KAFKA_STORAGE_ERROR == answer.entries[0].error_code
        assert {} == quotas(client)
