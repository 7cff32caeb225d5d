"""Decides who may do what, by rules, as Kafka's StandardAuthorizer does.

A super user may do everything. For everybody else the rules count that the resource falls under:
by its name, by a beginning of its name, or as ``*``. One of them that denies decides; else one that
allows; else it is denied. Where the resource falls under no rule at all, whoever such rules are
about, `allow.everyone.if.no.acl.found` decides.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum
from typing import TYPE_CHECKING

from pyproducer.broker.addresses import address_of
from pyproducer.protocol.acl import EVERYBODY, EVERYTHING
from pyproducer.protocol.acl_terms import AclOperation, AclPermission, PatternType, ResourceType
from pyproducer.protocol.principal import Principal

if TYPE_CHECKING:
    from pyproducer.broker.configs import BrokerConfig
    from pyproducer.broker.security.acl_book import AclBook
    from pyproducer.protocol.acl import Acl

#: What else a rule allows that allows an operation. What is denied is only what is said.
_INCLUDED = {
    AclOperation.DESCRIBE: frozenset({
        AclOperation.ALL,
        AclOperation.DESCRIBE,
        AclOperation.READ,
        AclOperation.WRITE,
        AclOperation.DELETE,
        AclOperation.ALTER,
    }),
    AclOperation.DESCRIBE_CONFIGS: frozenset({
        AclOperation.ALL,
        AclOperation.DESCRIBE_CONFIGS,
        AclOperation.ALTER_CONFIGS,
    }),
}  # fmt: skip

#: The operations that there are on a resource, of which Metadata and others tell those allowed.
OPERATIONS = {
    ResourceType.TOPIC: (
        AclOperation.READ,
        AclOperation.WRITE,
        AclOperation.CREATE,
        AclOperation.DELETE,
        AclOperation.ALTER,
        AclOperation.DESCRIBE,
        AclOperation.DESCRIBE_CONFIGS,
        AclOperation.ALTER_CONFIGS,
    ),
    ResourceType.GROUP: (
        AclOperation.READ,
        AclOperation.DELETE,
        AclOperation.DESCRIBE,
        AclOperation.DESCRIBE_CONFIGS,
        AclOperation.ALTER_CONFIGS,
    ),
    ResourceType.CLUSTER: (
        AclOperation.CREATE,
        AclOperation.ALTER,
        AclOperation.DESCRIBE,
        AclOperation.CLUSTER_ACTION,
        AclOperation.DESCRIBE_CONFIGS,
        AclOperation.ALTER_CONFIGS,
        AclOperation.IDEMPOTENT_WRITE,
    ),
}

#: A name that nobody gives a resource: what is allowed on it is allowed on all.
_ANY_NAME = "hardcode"
#: Decisions that are remembered; a client that makes up names must not fill the memory.
_REMEMBERED = 20_000

#: The one authorizer that `authorizer.class.name` can name.
STANDARD = "org.apache.kafka.metadata.authorizer.StandardAuthorizer"


class Basis(StrEnum):
    """What decides where no rule does, in Kafka's words."""

    SUPER_USER = "SuperUser"
    DEFAULT_ALLOW = "DefaultAllow"
    DEFAULT_DENY = "DefaultDeny"


_Question = tuple[Principal, str, AclOperation, ResourceType, str | None]


class Authorizer:
    """Answers who may do what, by the rules as they are now.

    Args:
        book: The rules.
        super_users: Who may do everything.
        allow_unruled: What of a resource that falls under no rule.
    """

    def __init__(
        self, book: AclBook, super_users: Iterable[Principal], *, allow_unruled: bool
    ) -> None:
        self._book = book
        self._super_users = frozenset(super_users)
        self._allow_unruled = allow_unruled
        self._decisions: dict[_Question, bool] = {}
        book.on_change.append(self._decisions.clear)

    def allows(
        self,
        principal: Principal,
        host: str,
        operation: AclOperation,
        kind: ResourceType,
        name: str,
    ) -> bool:
        """Whether somebody at an address may do that with the resource."""
        question = (principal, host, operation, kind, name)
        known = self._decisions.get(question)
        if known is None:
            known = _permits(self.basis(principal, host, operation, kind, name))
            self._remember(question, known)
        return known

    def allows_any(
        self, principal: Principal, host: str, operation: AclOperation, kind: ResourceType
    ) -> bool:
        """Whether there can be a resource of that kind with which somebody may do that."""
        question = (principal, host, operation, kind, None)
        known = self._decisions.get(question)
        if known is None:
            known = self._decide_any(principal, host, operation, kind)
            self._remember(question, known)
        return known

    def operations(self, principal: Principal, host: str, kind: ResourceType, name: str) -> int:
        """What somebody may do with the resource, a bit for each operation."""
        return bits(
            operation
            for operation in OPERATIONS[kind]
            if self.allows(principal, host, operation, kind, name)
        )

    def basis(
        self,
        principal: Principal,
        host: str,
        operation: AclOperation,
        kind: ResourceType,
        name: str,
    ) -> Acl | Basis:
        """What decides whether somebody at an address may do that with the resource."""
        if principal in self._super_users:
            return Basis.SUPER_USER
        rules = self._book.about(kind, name)
        if not rules and self._allow_unruled:
            return Basis.DEFAULT_ALLOW
        allows: Acl | None = None
        for acl in rules:
            if _is_about(acl, principal, host) and _says(acl, operation):
                if acl.permission is AclPermission.DENY:
                    return acl
                allows = allows or acl
        return allows or Basis.DEFAULT_DENY

    def _decide_any(
        self, principal: Principal, host: str, operation: AclOperation, kind: ResourceType
    ) -> bool:
        if self.allows(principal, host, operation, kind, _ANY_NAME):
            return True
        # Unlike above only what is literally said counts: nobody asks so for what is included.
        rules = [
            acl
            for acl in self._book.of_type(kind)
            if _is_about(acl, principal, host) and acl.operation in {AclOperation.ALL, operation}
        ]
        denied = {
            (acl.pattern_type, acl.resource_name)
            for acl in rules
            if acl.permission is AclPermission.DENY
        }
        if (PatternType.LITERAL, EVERYTHING) in denied:
            return False
        return any(
            acl.permission is AclPermission.ALLOW and not _overruled(acl, denied) for acl in rules
        )

    def _remember(self, question: _Question, decision: bool) -> None:
        if len(self._decisions) >= _REMEMBERED:
            self._decisions.clear()
        self._decisions[question] = decision


def _permits(basis: Acl | Basis) -> bool:
    if isinstance(basis, Basis):
        return basis is not Basis.DEFAULT_DENY
    return basis.permission is AclPermission.ALLOW


def bits(operations: Iterable[AclOperation]) -> int:
    """A bit for each operation, by its number."""
    return sum(1 << operation.code for operation in operations)


def _is_about(acl: Acl, principal: Principal, host: str) -> bool:
    if acl.principal not in {EVERYBODY, str(principal)}:
        return False
    return acl.host in {EVERYTHING, host} or address_of(acl.host) == address_of(host)


def _says(acl: Acl, operation: AclOperation) -> bool:
    if acl.permission is AclPermission.ALLOW and operation in _INCLUDED:
        return acl.operation in _INCLUDED[operation]
    return acl.operation in {AclOperation.ALL, operation}


def _overruled(acl: Acl, denied: set[tuple[PatternType, str]]) -> bool:
    """Whether all that the rule allows is denied by one other rule."""
    name = acl.resource_name
    if acl.pattern_type is PatternType.LITERAL:
        if name == EVERYTHING:
            return False
        if (PatternType.LITERAL, name) in denied:
            return True
    return any(
        (PatternType.PREFIXED, name[:length]) in denied for length in range(1, len(name) + 1)
    )


def open_authorizer(config: BrokerConfig, book: AclBook) -> Authorizer | None:
    """The authorizer that the configuration wants; None if it wants none."""
    if not config.get("authorizer.class.name"):
        return None
    return Authorizer(
        book,
        parse_super_users(config.get("super.users") or ""),
        allow_unruled=config.flag("allow.everyone.if.no.acl.found"),
    )


def parse_super_users(text: str) -> list[Principal]:
    """The principals of Kafka's `super.users`, which are parted by semicolons.

    Raises:
        ValueError: One of them is none.
    """
    return [Principal.parse(one.strip()) for one in text.split(";") if one.strip()]
