"""Servers for the tests of what a correct broker does, one test a statement.

A test here is named after its statement (``test_p3_...``) and holds for our broker and for Apache
Kafka 4 alike: it runs against ours in ``make test``, and against Kafka too in ``make conformance``
(``pytest -m conformance tests/statements -k p3``; one download is shared by all checkouts that have
the same ``PYPRODUCER_CACHE``). It takes:

``server``
    A server with its defaults, shared by all tests: `Server` of tests/helpers/statement_servers.py.
    ``server.topic(3, cleanup_policy="compact")`` makes a fresh topic and returns its name,
    ``server.folder(topic, 0)`` is its folder on disk, ``server.connect()`` one more connection,
    ``server.now_ms`` the time by its clock, and ``server.batch(b"value")`` a batch of that time.
``client``
    A raw connection to ``server`` (tests/helpers/wire_client.py).
``ruled``, ``admin``, ``nobody``, ``place``
    A server whose rules about access forbid what they do not allow, a connection of somebody who
    may do everything, one of somebody who may do nothing, and things to try it with.
``guarded``
    A server with listeners for TLS and SASL, of one module of tests: `SaslServer` of
    tests/helpers/sasl_servers.py.
``servers``
    More of the same kind. ``servers.shared({"num.partitions": "3"})`` has these broker properties
    and is shared by all tests that ask for the same; ``servers.own({...})`` belongs to the test,
    which may ``stop``, ``kill`` (SIGKILL), ``start`` and ``restart`` it, and let its time pass:
    ``own.pass_time(5)`` moves our clock and waits for Kafka. ``kafka={...}`` or ``ours={...}`` adds
    properties for one of them, such as Kafka's intervals that ours has no name for.

Where ours differs on purpose, the test says what both do and why::

    code = server.differs(ours=E.CORRUPT_MESSAGE, kafka=E.UNKNOWN_SERVER_ERROR, reason="...")

What takes time is waited for with ``eventually`` (tests/helpers/statement_servers.py), never slept.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path

import pytest

from pyproducer.protocol.acl_filter import AclFilter
from tests.helpers.access_places import new_place
from tests.helpers.access_probe import Place
from tests.helpers.acl_requests import (
    CLIENT_HOST,
    CLOSED,
    RULED,
    SOMEBODY,
    create_acls,
    delete_acls,
    describe_acls,
)
from tests.helpers.sasl_servers import SaslServer, sasl_server
from tests.helpers.statement_servers import (
    KAFKA,
    OURS,
    KafkaServer,
    OurServer,
    Server,
    eventually,
)
from tests.helpers.wire_client import WireClient

#: Kafkas with special properties that run at once; each takes some 400 MB.
_MOST_KAFKAS = 2


class _SharedServers:
    """Servers of one kind by their properties, ended with the session."""

    def __init__(self, kind: str, new_folder: Callable[[], Path]) -> None:
        self.kind = kind
        self._new_folder = new_folder
        self._running: dict[tuple[tuple[str, str], ...], tuple[Server, ExitStack]] = {}

    def make(self, properties: Mapping[str, str], *, shared: bool) -> Server:
        """A server that does not run yet."""
        if self.kind == OURS:
            return OurServer(self._new_folder(), properties, shared=shared)
        return KafkaServer(properties, shared=shared)

    def get(self, properties: Mapping[str, str]) -> Server:
        """The running server with these properties."""
        key = tuple(sorted(properties.items()))
        if key not in self._running:
            if self.kind == KAFKA and len(self._running) > _MOST_KAFKAS:
                # Never the first, which is the one with the defaults.
                oldest = list(self._running)[1]
                self._running.pop(oldest)[1].close()
            stack = ExitStack()
            server = stack.enter_context(self.make(properties, shared=True))
            self._running[key] = server, stack
        return self._running[key][0]

    def close(self) -> None:
        """All of them have ended."""
        with ExitStack() as stack:
            for _, one in self._running.values():
                stack.callback(one.close)


class Servers:
    """Servers with properties for one test."""

    def __init__(self, shared: _SharedServers, stack: ExitStack) -> None:
        self.kind = shared.kind
        self._shared = shared
        self._stack = stack

    def shared(
        self,
        properties: Mapping[str, str] | None = None,
        *,
        ours: Mapping[str, str] | None = None,
        kafka: Mapping[str, str] | None = None,
    ) -> Server:
        """The running server with these properties, which other tests may use too."""
        return self._shared.get(self._chosen(properties, ours, kafka))

    def own(
        self,
        properties: Mapping[str, str] | None = None,
        *,
        ours: Mapping[str, str] | None = None,
        kafka: Mapping[str, str] | None = None,
    ) -> Server:
        """A new running server with these properties, ended after the test."""
        chosen = self._chosen(properties, ours, kafka)
        return self._stack.enter_context(self._shared.make(chosen, shared=False))

    def _chosen(
        self,
        both: Mapping[str, str] | None,
        ours: Mapping[str, str] | None,
        kafka: Mapping[str, str] | None,
    ) -> dict[str, str]:
        return {**(both or {}), **((ours if self.kind == OURS else kafka) or {})}


_KINDS = [OURS, pytest.param(KAFKA, marks=[pytest.mark.conformance, pytest.mark.needs("kafka")])]


@pytest.fixture(scope="session", params=_KINDS)
def _shared_servers(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[_SharedServers]:
    """The servers of the kind that the test's parameter names."""
    found = _SharedServers(request.param, lambda: tmp_path_factory.mktemp("broker"))
    yield found
    found.close()


@pytest.fixture(scope="module", params=_KINDS)
def guarded(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[SaslServer]:
    """A server with TLS and SASL for the tests of one module, which may change it."""
    with sasl_server(request.param, tmp_path_factory.mktemp("guarded")) as running:
        yield running


@pytest.fixture
def servers(_shared_servers: _SharedServers) -> Iterator[Servers]:
    """Servers with broker properties, shared or of the test's own."""
    with ExitStack() as stack:
        yield Servers(_shared_servers, stack)


@pytest.fixture
def server(_shared_servers: _SharedServers) -> Server:
    """A server with its defaults, shared by all tests."""
    return _shared_servers.get({})


@pytest.fixture
def client(server: Server) -> Iterator[WireClient]:
    """A connection to the server."""
    with server.connect() as connected:
        yield connected


@pytest.fixture
def ruled(servers: Servers) -> Iterator[Server]:
    """A server where only rules decide: a client from another address may do nothing by itself.

    Rules about `CLIENT_HOST` and about `SOMEBODY` are gone after the test.
    """
    server = servers.shared(RULED | {"auto.create.topics.enable": "true"})
    with server.connect() as admin:
        if not set(CLOSED) <= describe_acls(admin):
            create_acls(admin, *CLOSED)
            eventually(lambda: set(CLOSED) <= describe_acls(admin))
        yield server
        left = [AclFilter(principal=SOMEBODY), AclFilter(host=CLIENT_HOST)]
        delete_acls(admin, *left)
        eventually(lambda: not any(describe_acls(admin, one) for one in left))


@pytest.fixture
def admin(ruled: Server) -> Iterator[WireClient]:
    """A connection to ``ruled`` of somebody who may do everything."""
    with ruled.connect() as connected:
        yield connected


@pytest.fixture
def nobody(ruled: Server) -> Iterator[WireClient]:
    """A connection to ``ruled`` of somebody who may do nothing."""
    with ruled.connect(source=CLIENT_HOST) as connected:
        yield connected


@pytest.fixture
def place(ruled: Server, admin: WireClient) -> Place:
    """A topic, a group with an offset and a transactional id of ``ruled``, nobody else's."""
    return new_place(ruled, admin)
