"""Everything that exists between a broker's start and its stop."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import tempfile
import weakref
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from pyproducer.broker.configs import BrokerConfig
from pyproducer.broker.errors import Refused
from pyproducer.broker.faults.disk import FillableDisk
from pyproducer.broker.faults.faults import Faults
from pyproducer.broker.groups.wiring import add_group_chores, open_groups
from pyproducer.broker.handlers.table import ROUTES
from pyproducer.broker.housekeeping import Housekeeping
from pyproducer.broker.http_guard import Guard
from pyproducer.broker.journal import Journal
from pyproducer.broker.log.filesystem import RealFileSystem
from pyproducer.broker.node import Endpoint, Node
from pyproducer.broker.router import Router
from pyproducer.broker.security.entrance import Entrance
from pyproducer.broker.server import Server
from pyproducer.broker.settings import BrokerSettings
from pyproducer.broker.timers import Timers
from pyproducer.broker.transactions.wiring import add_transaction_chores, open_transactions
from pyproducer.errors import ConfigError

if TYPE_CHECKING:
    from pyproducer.broker.security.authority import TemporaryAuthority
    from pyproducer.broker.security.users import Users
    from pyproducer.broker.state import BrokerState


class RunningBroker:
    """A broker at work, on the loop it was opened on. Made by `open`, ended by `close`.

    Attributes:
        node: What it serves.
        housekeeping: Its chores.
        server: Its connections.
        http_port: Port of the HTTP side, or None if there is none.
        http_guard: The limits of its connections, likewise.
    """

    housekeeping: Housekeeping
    server: Server

    def __init__(
        self, node: Node, folder: _TemporaryFolder | None, disk: FillableDisk, faults: Faults
    ) -> None:
        self.node = node
        self._disk = disk
        self._faults = faults
        self.http_port: int | None = None
        self.http_guard: Guard | None = None
        # Unwound from the last entry to the first, also when opening fails half-way.
        self._exit = contextlib.AsyncExitStack()
        # Kept: the folder goes as soon as nobody holds it any more.
        self._folder = folder
        if folder is not None:
            self._exit.callback(folder.remove)

    @classmethod
    async def open(
        cls,
        settings: BrokerSettings,
        faults: Faults,
        journal: Journal,
        users: Users,
        authority: Callable[[], TemporaryAuthority],
    ) -> RunningBroker:
        """The data is loaded and connections are taken, under these faults.

        Args:
            settings: What it is started with.
            faults: What tests have set.
            journal: Where requests are noted.
            users: Who may come in with a password.
            authority: Makes certificates; asked only where there are none.

        Raises:
            OSError: The address cannot be used, or the disk failed.
            DataDirectoryError: Another broker uses the data directory.
            ConfigError: The data directory or a certificate cannot be used, or a topic to be made
                is not possible beside those there are.
        """
        folder = None
        data_dir = settings.data_dir
        if data_dir is None:
            folder = _TemporaryFolder()
            data_dir = folder.path
        disk = FillableDisk(settings.fs or RealFileSystem(sync=folder is None))
        running = cls(
            Node(
                data_dir,
                config=BrokerConfig(settings.config),
                clock=settings.clock,
                fs=disk,
                routes=ROUTES,
                faults=faults.injector,
                journal=journal,
                transaction_version=settings.transaction_version,
                durability=settings.durability,
            ),
            folder,
            disk,
            faults,
        )
        try:
            await running._start(settings, users, authority)
        except BaseException:
            await running.close()
            raise
        return running

    def state(self) -> BrokerState:
        """What it is now."""
        from pyproducer.broker.state import state_of  # most who start a broker never ask

        return state_of(self.node, self.server.connections())

    async def close(self) -> None:
        """Connections are closed, everything is on disk, a temporary folder is gone."""
        await self._exit.aclose()

    async def _start(
        self,
        settings: BrokerSettings,
        users: Users,
        authority: Callable[[], TemporaryAuthority],
    ) -> None:
        node = self.node
        self._faults.prepare(self._disk)
        node.open()
        self._exit.callback(node.close)
        self._exit.push_async_callback(node.commit.close)
        node.timers = Timers(asyncio.get_running_loop(), node.clock)
        self.housekeeping = Housekeeping(node.clock, node.timers, node.pulse)
        open_groups(node, node.timers)
        self._exit.callback(node.groups.close)
        open_transactions(node)
        _make_topics(node, settings)
        node.acls.add(settings.acls)
        users.bind(node.users)
        self._exit.callback(users.unbind)
        entrances = [Entrance(node, one, authority) for one in settings.listeners]
        node.config_checks += [one.check for one in entrances]
        server = self.server = Server(node, Router(node))
        self._exit.push_async_callback(server.close)
        self._faults.bind(node, server, self._disk)
        self._exit.callback(self._faults.unbind)
        await self._listen(entrances)
        if settings.http is not None:
            from pyproducer.broker.admin_http import AdminHttp

            http = AdminHttp(node, self._faults, self.state, self.housekeeping.pass_time)
            self._exit.push_async_callback(http.close)
            self.http_port = await http.start(settings.http)
            self.http_guard = http.guard
        housekeeping = self.housekeeping
        node.add_chores(housekeeping)
        add_group_chores(node.groups, housekeeping)
        add_transaction_chores(node.transactions, housekeeping)
        idle = node.config.int("connections.max.idle.ms") / 1000
        if idle >= 0:
            housekeeping.add(
                "closing idle connections",
                min(idle / 4, 60.0),
                lambda: server.close_idle(node.clock.outside.monotonic(), idle),
            )
        slow = settings.slow_reader_timeout
        if slow is not None:
            housekeeping.add(
                "closing connections of slow readers",
                min(slow / 4, 60.0),
                lambda: server.close_stalled(node.clock.outside.monotonic(), slow),
            )
        unproven = settings.authentication_timeout
        if unproven is not None:
            housekeeping.add(
                "closing connections of clients that do not authenticate",
                min(unproven / 4, 60.0),
                lambda: server.close_unproven(node.clock.outside.monotonic(), unproven),
            )
        self._exit.push_async_callback(housekeeping.close)
        self._exit.callback(node.stop_cleaning)
        chores = asyncio.create_task(housekeeping.run(), name="housekeeping")
        self._exit.push_async_callback(_end, chores)

    async def _listen(self, entrances: Sequence[Entrance]) -> None:
        node = self.node
        bound: list[str] = []
        for entrance in entrances:
            port = await self.server.listen(entrance)
            listener = entrance.listener
            # 0 leaves to the system what is told, too.
            told = Endpoint(listener.told_host, listener.advertised_port or port)
            node.endpoints[entrance.name] = told
            bound.append(f"{entrance.name}://{listener.host}:{port}")
        node.config.facts |= {
            "advertised.listeners": ",".join(
                f"{name}://{host}:{port}" for name, (host, port) in node.endpoints.items()
            ),
            "broker.id": str(node.node_id),
            "listener.security.protocol.map": ",".join(
                f"{one.name}:{one.listener.protocol}" for one in entrances
            ),
            "listeners": ",".join(bound),
            "log.dirs": node.data_dir,
            "node.id": str(node.node_id),
            "process.roles": "broker,controller",
        }


class _TemporaryFolder:
    """A folder that goes with the broker, or with the process if nobody stops the broker.

    Unlike `tempfile.TemporaryDirectory`, it outlives the exit of a forked child, which has a
    copy of this object and no broker.
    """

    def __init__(self) -> None:
        self.path = Path(tempfile.mkdtemp(prefix="pyproducer-broker-"))
        self.remove = weakref.finalize(self, _remove, self.path, os.getpid())


def _remove(path: Path, owner: int) -> None:
    if os.getpid() == owner:
        shutil.rmtree(path, ignore_errors=True)


def _make_topics(node: Node, settings: BrokerSettings) -> None:
    missing = [spec for spec in settings.topics if node.topics.get(spec.name) is None]
    try:
        for spec in missing:
            node.topics.check_new(spec.name)
        if missing:
            node.create_topics(missing)
    except Refused as refused:
        raise ConfigError(str(refused.message), option="topics") from refused


async def _end(task: asyncio.Task[None]) -> None:
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task
