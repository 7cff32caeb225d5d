"""Peers that we did not write, started once for all tests, and the table of what they said.

A peer that is missing fails the tests that need it. ``PYPRODUCER_CONFORMANCE_WITHOUT=kafka,kcat``
leaves out what it names, and the table then says so; the names are ``kafka`` (Apache Kafka and its
tools), ``tansu``, ``mock``, and those of the clients, such as ``kcat``.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.helpers.apache_kafka import ApacheKafka
from tests.helpers.authority import Authority
from tests.helpers.fault_proxy import FaultProxy
from tests.helpers.left_out import left_out
from tests.helpers.mock_cluster import MockCluster
from tests.helpers.peers import PEERS
from tests.helpers.scoreboard import Scoreboard
from tests.helpers.secure_kafka import SecureKafka
from tests.helpers.secure_ours import SecureOurs
from tests.helpers.secured import Certificates, Secured
from tests.helpers.tansu import Tansu
from tests.helpers.token_server import TokenServer

_SCOREBOARD = Scoreboard()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark everything in this folder."""
    for item in items:
        if item.path.is_relative_to(Path(__file__).parent):
            item.add_marker(pytest.mark.conformance)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Show what was written by whom, read by whom, and whether it was the same."""
    if not _SCOREBOARD.rows and not _SCOREBOARD.notes:
        return
    terminalreporter.section("conformance")
    for line in _SCOREBOARD.lines():
        terminalreporter.write_line(line)
    for note in _SCOREBOARD.notes:
        terminalreporter.write_line("")
        for line in note.splitlines():
            terminalreporter.write_line(line)
    for name in sorted(left_out()):
        terminalreporter.write_line(f"left out by PYPRODUCER_CONFORMANCE_WITHOUT: {name}")


@pytest.fixture(scope="session")
def scoreboard() -> Scoreboard:
    """The table printed after the last test."""
    _SCOREBOARD.readers = [name for name in PEERS if name not in left_out()]
    return _SCOREBOARD


@pytest.fixture(scope="session")
def apache_kafka() -> Iterator[ApacheKafka]:
    """A running Apache Kafka."""
    with ApacheKafka() as broker:
        yield broker


@pytest.fixture(scope="session")
def tansu() -> Iterator[Tansu]:
    """A running Tansu broker."""
    with Tansu() as broker:
        yield broker


@pytest.fixture(scope="session")
def mock_cluster() -> Iterator[MockCluster]:
    """librdkafka's mock cluster in its own process."""
    with MockCluster() as cluster:
        yield cluster


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """The authority that brokers and their clients trust."""
    return Authority(tmp_path_factory.mktemp("certificates"))


@pytest.fixture(scope="session")
def certificates(authority: Authority) -> Certificates:
    """What brokers and users show each other."""
    return Certificates(authority)


@pytest.fixture(scope="session")
def token_server(authority: Authority) -> Iterator[TokenServer]:
    """A running authorization server."""
    with TokenServer(authority) as server:
        yield server


@pytest.fixture(scope="session")
def secure_kafka(
    tmp_path_factory: pytest.TempPathFactory, certificates: Certificates, token_server: TokenServer
) -> Iterator[SecureKafka]:
    """A running Apache Kafka with TLS, SASL and rules."""
    folder = tmp_path_factory.mktemp("kafka")
    with FaultProxy() as proxy, SecureKafka(folder, certificates, token_server, proxy) as broker:
        yield broker


@pytest.fixture(scope="session")
def secure_ours(certificates: Certificates, token_server: TokenServer) -> Iterator[SecureOurs]:
    """Our broker with TLS, SASL and rules."""
    with FaultProxy() as proxy, SecureOurs(certificates, token_server, proxy) as broker:
        yield broker


@pytest.fixture(
    scope="session", params=[pytest.param("kafka", marks=pytest.mark.needs("kafka")), "ours"]
)
def secured(request: pytest.FixtureRequest) -> Secured:
    """Each of the two secured brokers in turn."""
    found: Secured = request.getfixturevalue(f"secure_{request.param}")
    return found
