"""Host names, and addresses that swallow, for tests of how connections come about."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import pytest


class Names:
    """A name service of the test's own: what it does not know, the system is asked.

    Attributes:
        asked: names that were looked up, in order.
        hold: clear it to have every lookup wait; set it to let them go on.
    """

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._table: dict[str, list[str]] = {}
        self._system = socket.getaddrinfo
        self.asked: list[str] = []
        self.hold = threading.Event()
        self.hold.set()
        monkeypatch.setattr(socket, "getaddrinfo", self._look_up)

    def __setitem__(self, name: str, addresses: Sequence[str]) -> None:
        """A name without an address does not exist."""
        self._table[name] = list(addresses)

    def _look_up(self, host, port, *args, **options):
        if host not in self._table:
            return self._system(host, port, *args, **options)
        self.asked.append(host)
        self.hold.wait(20)
        found = [
            one for ip in self._table[host] for one in self._system(ip, port, *args, **options)
        ]
        if not found:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return found


@contextmanager
def black_hole(ip: str, port: int = 0) -> Iterator[int]:
    """An address that neither accepts nor refuses connections, as a host that is gone; its port.

    The queue of a listener that never accepts is full, so that the system drops what comes.
    """
    family = socket.AF_INET6 if ":" in ip else socket.AF_INET
    with socket.create_server((ip, port), family=family, backlog=0) as listener:
        address = listener.getsockname()
        fillers = []
        try:
            # The first fills the queue; the last proves it.
            while True:
                filler = socket.socket(family)
                fillers.append(filler)
                filler.settimeout(0.1)
                try:
                    filler.connect(address)
                except TimeoutError:
                    break
            yield address[1]
        finally:
            for filler in fillers:
                filler.close()


@contextmanager
def silent_listener(ip: str, port: int = 0) -> Iterator[int]:
    """An address that accepts connections and says nothing on them; its port."""
    family = socket.AF_INET6 if ":" in ip else socket.AF_INET
    with socket.create_server((ip, port), family=family, backlog=100) as listener:
        yield listener.getsockname()[1]


def resolver_threads() -> list[str]:
    """The names that are being looked up now, as far as threads tell."""
    return [one.name for one in threading.enumerate() if one.name.startswith("pyproducer-res")]


def wait_for_threads(count: int, *, patience: float = 5.0) -> int:
    """How many lookups run once there are ``count``, or after the patience."""
    end = time.monotonic() + patience
    while len(resolver_threads()) != count and time.monotonic() < end:
        time.sleep(0.005)
    return len(resolver_threads())
