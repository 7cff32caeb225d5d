"""The users of a broker: who may come in by PLAIN and by SCRAM, and how to change that."""

from __future__ import annotations

import asyncio
import secrets
import threading
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final

from pyproducer.broker.security.scram_credential import ScramCredential
from pyproducer.errors import ConfigError
from pyproducer.protocol.sasl.scram_terms import HASHES

if TYPE_CHECKING:
    from pyproducer.broker.metadata_file import MetadataFile

__all__ = ["UserStore", "Users"]

_SECTION: Final = "scram_users"
#: How passwords for PLAIN are kept, which are compared and never sent anywhere.
PLAIN_KEPT_AS: Final = "SCRAM-SHA-256"


class UserStore:
    """Who is known to a running broker; on its loop.

    Passwords for PLAIN are here while the broker runs, salted; credentials for SCRAM are kept in
    its metadata file too, as Kafka keeps them.

    Args:
        metadata: Where they are kept.

    Raises:
        ValueError: What is kept there is no such thing.

    Attributes:
        plain: For PLAIN, by name.
        scram: For SCRAM, by mechanism and name.
    """

    def __init__(self, metadata: MetadataFile) -> None:
        self._metadata = metadata
        self._secret = secrets.token_bytes(32)
        self.plain: dict[str, ScramCredential] = {}
        kept = metadata.get(_SECTION, {})
        self.scram: dict[str, dict[str, ScramCredential]] = {
            mechanism: {
                name: ScramCredential.from_json(one)
                for name, one in kept.get(mechanism, {}).items()
            }
            for mechanism in HASHES
        }

    def scram_or_nobodys(self, mechanism: str, name: str) -> ScramCredential:
        """The user's credential, or one that looks like it and that no password fits."""
        found = self.scram[mechanism].get(name)
        return found or ScramCredential.of_nobody(mechanism, name, self._secret)

    def plain_matches(
        self, name: str, password: str, others: Mapping[str, ScramCredential]
    ) -> bool:
        """Whether it is the user's password for PLAIN; takes as long for a user who is not there.

        Args:
            name: The user.
            password: What was given.
            others: Users of the listener alone, who are asked after those of the broker.
        """
        found = self.plain.get(name) or others.get(name)
        tried = found or ScramCredential.of_nobody(PLAIN_KEPT_AS, name, self._secret)
        return tried.matches(PLAIN_KEPT_AS, password) and found is not None

    def put(self, changed: Mapping[str, Mapping[str, ScramCredential | None]]) -> None:
        """SCRAM credentials are these, by mechanism and name; None removes one. All or none.

        Raises:
            OSError: They could not be written, and nothing has changed.
        """
        after = {mechanism: dict(users) for mechanism, users in self.scram.items()}
        for mechanism, users in changed.items():
            for name, one in users.items():
                if one is None:
                    after[mechanism].pop(name, None)
                else:
                    after[mechanism][name] = one
        if after == self.scram:
            return
        kept: dict[str, Any] = {
            mechanism: {name: one.as_json() for name, one in users.items()}
            for mechanism, users in after.items()
        }
        self._metadata.update(**{_SECTION: kept})
        self.scram = after


class Users:
    """The users of a broker with their passwords, as whoever holds the broker sees them.

    Any thread may use it, whether or not the broker runs. A change counts for whoever comes in, or
    says again who it is, from then on; sessions that are open stay open. Passwords themselves are
    not kept: for PLAIN there is a salted hash in memory, and for SCRAM one in the data directory.

    Args:
        given: Names with passwords.

    Raises:
        ConfigError: One of them is not possible.
    """

    def __init__(self, given: Mapping[str, str]) -> None:
        if not isinstance(given, Mapping):
            raise ConfigError("users maps names to passwords", option="users")
        self._lock = threading.Lock()
        self._known: dict[str, dict[str, ScramCredential]] = {}
        self._removed: set[str] = set()
        self._store: UserStore | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        for name, password in given.items():
            self._known[name] = _hashed(name, password)

    def set(self, name: str, password: str) -> None:
        """The user has this password, for every mechanism that asks for one.

        Raises:
            ConfigError: That is no name, or no password.
            OSError: The disk failed.
        """
        hashed = _hashed(name, password)
        with self._lock:
            self._known[name] = hashed
            self._removed.discard(name)
        self._run(lambda store: _enter(store, {name: hashed}))

    def remove(self, name: str) -> None:
        """Nobody of that name can come in any more; does nothing if nobody could.

        Raises:
            OSError: The disk failed.
        """
        with self._lock:
            self._known.pop(name, None)
            self._removed.add(name)
        self._run(lambda store: _strike(store, {name}))

    def __iter__(self) -> Iterator[str]:
        """The names of those who have a password, in order."""
        names: set[str] = set(self._known)
        store = self._store
        if store is not None:
            names |= set(store.plain).union(*store.scram.values())
        return iter(sorted(names))

    def __contains__(self, name: object) -> bool:
        return name in set(self)

    def __len__(self) -> int:
        return len(set(self))

    def __repr__(self) -> str:
        return f"Users({', '.join(self)})"

    def bind(self, store: UserStore) -> None:
        """They are the users of a broker that runs on this loop.

        Raises:
            OSError: The disk failed.
        """
        with self._lock:
            _strike(store, self._removed)
            _enter(store, self._known)
            self._store, self._loop = store, asyncio.get_running_loop()

    def unbind(self) -> None:
        """No broker runs any more; who is known stays so for the next start."""
        self._store = self._loop = None

    def _run(self, change: Callable[[UserStore], None]) -> None:
        store, loop = self._store, self._loop
        if store is None or loop is None:
            return
        try:
            here = asyncio.get_running_loop()
        except RuntimeError:
            here = None
        if here is loop:
            change(store)
            return

        async def run() -> None:
            change(store)

        asyncio.run_coroutine_threadsafe(run(), loop).result()


def _enter(store: UserStore, users: Mapping[str, Mapping[str, ScramCredential]]) -> None:
    store.put(
        {
            mechanism: {name: hashed[mechanism] for name, hashed in users.items()}
            for mechanism in HASHES
        }
    )
    store.plain |= {name: hashed[PLAIN_KEPT_AS] for name, hashed in users.items()}


def _strike(store: UserStore, names: set[str]) -> None:
    store.put({mechanism: dict.fromkeys(names) for mechanism in HASHES})
    for name in names:
        store.plain.pop(name, None)


def _hashed(name: str, password: str) -> dict[str, ScramCredential]:
    if not isinstance(name, str) or not name:
        raise ConfigError(f"{name!r} is no name of a user: give a text", option="users")
    if not isinstance(password, str) or not password:
        # Never shown, whatever it is.
        raise ConfigError(f"the password of user {name!r} is no text, or empty", option="users")
    return {mechanism: ScramCredential.of_password(mechanism, password) for mechanism in HASHES}
