"""Whom to ask for metadata: the known brokers and the bootstrap servers, in rounds."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from itertools import zip_longest
from typing import TypeAlias

__all__ = ["Contacts", "HostPort"]

HostPort: TypeAlias = tuple[str, int]


class Contacts:
    """The addresses at which metadata can be had.

    One address is asked for as long as it is of use. When it is not, each of the others has its
    turn before any has a second one. Bootstrap servers are not the last resort but every second
    turn: after all brokers changed their addresses they are the way back (KIP-899), and a broker
    that is gone without a word takes all the time that an attempt to connect may take.
    """

    def __init__(self, bootstrap: Sequence[HostPort]) -> None:
        self._bootstrap = tuple(bootstrap)
        self._brokers: tuple[HostPort, ...] = ()
        self._current: HostPort | None = None
        self._tried: set[HostPort] = set()
        self._rounds = 0

    @property
    def all(self) -> list[HostPort]:
        """Every address, once, in the order of a round."""
        pairs = zip_longest(self._brokers, self._bootstrap)
        return list(dict.fromkeys(one for pair in pairs for one in pair if one is not None))

    @property
    def rounds(self) -> int:
        """How many rounds in a row nobody was of use."""
        return self._rounds

    def choose(self, connected: Collection[HostPort]) -> HostPort:
        """Whom to ask now.

        Args:
            connected: those that we have a connection to already, if for another purpose: the
                best bet, once the last one asked is of no use any more.
        """
        left = [address for address in self.all if address not in self._tried]
        if self._current not in left:
            self._current = next((one for one in left if one in connected), left[0])
        return self._current

    def failed(self, address: HostPort) -> bool:
        """This one is of no use; true where that ends the round, false where another is left."""
        self._tried.add(address)
        if not self._tried.issuperset(self.all):
            return False
        self._tried.clear()
        self._current = None
        self._rounds += 1
        return True

    def worked(self, brokers: Iterable[HostPort]) -> None:
        """The one asked last has told who the brokers are."""
        self._brokers = tuple(brokers)
        self._tried.clear()
        self._rounds = 0

    def forget_brokers(self) -> None:
        """None of them is to be asked any more, until somebody tells who they are."""
        self._brokers = ()
        self._tried.clear()
