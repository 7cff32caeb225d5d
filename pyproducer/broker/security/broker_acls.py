"""The rules of a running broker, as a test holds them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Protocol, TypeVar

from pyproducer.broker.security.acl_book import AclBook
from pyproducer.errors import UsageError
from pyproducer.protocol.acl import Acl

if TYPE_CHECKING:
    from pyproducer.broker.node import Node

__all__ = ["BrokerAcls"]

T = TypeVar("T")


class _Caller(Protocol):
    def __call__(self, use: Callable[[Node], T], /) -> T: ...


class BrokerAcls:
    """The rules about who may do what in a running broker: `broker.acls`.

    A change is on disk and counts when the call returns, also on connections that are open. Like a
    set it has each rule once.

        broker.acls.add(Acl.allow("User:alice", "write", topic="orders"))
        for acl in broker.acls:
            print(acl)
    """

    def __init__(self, call: _Caller) -> None:
        self._call = call

    def __iter__(self) -> Iterator[Acl]:
        """The rules as they are now, those of a resource together.

        Raises:
            UsageError: The broker is not running in the background, or has no authorizer.
        """
        return iter(self._with(list))

    def __len__(self) -> int:
        return self._with(len)

    def __contains__(self, acl: object) -> bool:
        return self._with(lambda book: acl in book)

    def add(self, *acls: Acl) -> None:
        """These rules hold, too.

        Raises:
            OSError: They could not be written, and nothing has changed.
            UsageError: The broker is not running in the background, or has no authorizer.
        """
        self._with(lambda book: book.add(acls))

    def remove(self, *acls: Acl) -> None:
        """These rules hold no more; one that did not is no error.

        Raises:
            OSError: It could not be written, and nothing has changed.
            UsageError: The broker is not running in the background, or has no authorizer.
        """
        self._with(lambda book: book.remove(acls))

    def clear(self) -> None:
        """There are no rules.

        Raises:
            OSError: It could not be written, and nothing has changed.
            UsageError: The broker is not running in the background, or has no authorizer.
        """
        self._with(lambda book: book.remove(list(book)))

    def _with(self, use: Callable[[AclBook], T]) -> T:
        def used(node: Node) -> T:
            if node.authorizer is None:
                raise UsageError(
                    "the broker has no authorizer, so that rules mean nothing: start it with "
                    "acls=[...] or super_users=[...]"
                )
            return use(node.acls)

        return self._call(used)
