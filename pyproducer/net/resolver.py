"""Host names to addresses, without holding up the event loop, its threads or the program's end."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import sys
import threading
from itertools import zip_longest
from typing import Any, Final, NamedTuple, TypeAlias

from pyproducer.errors import ConnectionFailed

__all__ = ["Address", "Resolver"]

_LAST_PORT: Final = 65_535

#: So many addresses that did not work are remembered.
_REMEMBERED: Final = 256


class Address(NamedTuple):
    """Where a socket connects to."""

    family: int
    sockaddr: tuple[Any, ...]

    @property
    def ip(self) -> str:
        """The address without the port."""
        return str(self.sockaddr[0])


_Found: TypeAlias = list[tuple[int, tuple[Any, ...]]] | Exception


class Resolver:
    """Looks names up for one producer, anew for each connection.

    Each lookup has a thread of its own, which nobody waits for: the loop's own threads are the
    program's, and the end of ``asyncio.run`` waits for them, however long a name server is silent.
    A name that is being looked up is not asked for again, so there are never more threads than
    names.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._running: dict[str, asyncio.Future[_Found]] = {}
        self._blamed: dict[str, None] = {}

    async def addresses(self, host: str, port: int) -> list[Address]:
        """Every address of the host, each once, in the order to try them.

        That is the system's order, the two families in turn, but those that did not work the
        last time come last.

        Raises:
            ConnectionFailed: the host has none, or is no host.
        """
        if not 1 <= port <= _LAST_PORT:
            raise ConnectionFailed(f"{port} is no port")
        if not host:
            raise ConnectionFailed("there is no host to connect to")
        if "\0" in host:
            # The system would look up what stands before it.
            raise ConnectionFailed(f"{_shown(host)} is no host name")
        found = _numeric(host) or await self._look_up(host)
        if isinstance(found, Exception):
            raise ConnectionFailed(f"{_shown(host)} {_why(found)}") from found
        kinds: dict[int, dict[Address, None]] = {}
        for family, (ip, _, *rest) in found:
            kinds.setdefault(family, {})[Address(family, (ip, port, *rest))] = None
        if not kinds:
            raise ConnectionFailed(f"{_shown(host)} has no address")
        addresses = [one for turn in zip_longest(*kinds.values()) for one in turn if one]
        age = {ip: number for number, ip in enumerate(self._blamed, 1)}
        return sorted(addresses, key=lambda address: age.get(address.ip, 0))

    def blame(self, address: Address) -> None:
        """The address did not work: others of its host are better, until it does."""
        self._blamed.pop(address.ip, None)
        self._blamed[address.ip] = None
        if len(self._blamed) > _REMEMBERED:
            del self._blamed[next(iter(self._blamed))]

    def trust(self, address: Address) -> None:
        """The address works."""
        if self._blamed:
            self._blamed.pop(address.ip, None)

    async def _look_up(self, host: str) -> _Found:
        running = self._running.get(host)
        if running is None:
            if sys.is_finalizing() or not threading.main_thread().is_alive():
                # The program is ending, and begins no thread any more.
                return _get(host)
            running = self._running[host] = self._loop.create_future()
            name = f"pyproducer-resolver-{host}"
            thread = threading.Thread(target=self._work, args=(host,), name=name, daemon=True)
            try:
                thread.start()
            except RuntimeError:
                self._done(host, _get(host))
        # Others may wait for it too.
        return await asyncio.shield(running)

    def _work(self, host: str) -> None:
        found = _get(host)
        # The loop may have ended meanwhile: then nobody is interested.
        with contextlib.suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self._done, host, found)

    def _done(self, host: str, found: _Found) -> None:
        self._running.pop(host).set_result(found)


def _numeric(host: str) -> _Found | None:
    """What a host that is an address stands for; None for a name."""
    six = ":" in host
    try:
        # Knows nothing of scopes (fe80::1%eth0), as what asks nobody below does.
        socket.inet_pton(
            socket.AF_INET6 if six else socket.AF_INET, host.partition("%")[0] if six else host
        )
    except (OSError, ValueError):
        return None
    return _get(host, socket.AI_NUMERICHOST)


def _get(host: str, flags: int = 0) -> _Found:
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM, flags=flags)
    except Exception as error:
        # Not OSError alone: a host that a broker tells may be no name at all.
        return error
    return [(family, sockaddr) for family, _, _, _, sockaddr in found]


def _why(error: Exception) -> str:
    if isinstance(error, socket.gaierror):
        return f"cannot be resolved: {error.strerror}"
    if isinstance(error, ValueError):
        return f"is no host name: {error}"
    return f"cannot be resolved: {type(error).__name__}: {error}"


def _shown(host: str) -> str:
    return ascii(host if len(host) <= 100 else f"{host[:100]}...")
