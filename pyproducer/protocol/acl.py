"""One rule about who may do what."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Self, TypedDict, Unpack

from pyproducer.errors import ConfigError
from pyproducer.protocol.acl_terms import (
    CLUSTER_NAME,
    AclOperation,
    AclPermission,
    PatternType,
    ResourceType,
)
from pyproducer.protocol.principal import Principal

__all__ = ["EVERYBODY", "EVERYTHING", "Acl"]

#: As a principal: everybody, also who is not authenticated.
EVERYBODY = "User:*"
#: As a literal name every resource of the type, as a host every host.
EVERYTHING = "*"


class _About(TypedDict, total=False):
    """The keyword arguments of `Acl.allow`, which documents them."""

    topic: str | None
    group: str | None
    transactional_id: str | None
    delegation_token: str | None
    user: str | None
    cluster: bool
    prefixed: bool
    host: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Acl:
    """One rule: who may, or may not, do what with which resource, and from where.

    `allow` and `deny` make one in a line. Kafka calls it an ACL, short for access control list,
    though it is one entry of that list.

    Attributes:
        principal: Whom it is about, such as ``User:alice``; ``User:*`` is everybody.
        operation: What it is about.
        resource_type: The kind of resource.
        resource_name: Its name, or the beginning of names; as a literal name ``*`` is all of them.
        pattern_type: ``literal`` or ``prefixed``.
        host: The address that it is about; ``*`` is all.
        permission: ``allow`` or ``deny``. What one rule denies no other can allow.

    Raises:
        ConfigError: It is no rule; says why.
    """

    principal: str
    operation: AclOperation
    resource_type: ResourceType
    resource_name: str
    pattern_type: PatternType = PatternType.LITERAL
    host: str = EVERYTHING
    permission: AclPermission = AclPermission.ALLOW

    def __post_init__(self) -> None:
        for name, kind in (
            ("operation", AclOperation),
            ("resource_type", ResourceType),
            ("pattern_type", PatternType),
            ("permission", AclPermission),
        ):
            try:
                term = kind.parse(getattr(self, name))
            except (ValueError, AttributeError) as error:
                raise ConfigError(f"{name} of an ACL: {error}", option="acls") from None
            if term in {"any", "match"}:
                raise ConfigError(
                    f"{name}={term.value} is for filters; an ACL names one", option="acls"
                )
            object.__setattr__(self, name, term)
        if problem := self._problem():
            raise ConfigError(problem, option="acls")

    def _problem(self) -> str | None:
        for name in ("principal", "resource_name", "host"):
            value = getattr(self, name)
            if not (isinstance(value, str) and value):
                return f"{name} of an ACL is a text, not {value!r}"
        try:
            Principal.parse(self.principal)
        except ValueError as error:
            return str(error)
        if self.resource_type is ResourceType.CLUSTER and self.resource_name != CLUSTER_NAME:
            return f"the cluster's only name is {CLUSTER_NAME}, not {self.resource_name!r}"
        return None

    @classmethod
    def allow(
        cls,
        principal: str,
        operation: AclOperation | str,
        *,
        topic: str | None = None,
        group: str | None = None,
        transactional_id: str | None = None,
        delegation_token: str | None = None,
        user: str | None = None,
        cluster: bool = False,
        prefixed: bool = False,
        host: str = EVERYTHING,
    ) -> Self:
        """The rule that allows it.

        Args:
            principal: Whom, such as ``User:alice``; ``User:*`` is everybody.
            operation: What, such as ``"write"``; ``"all"`` is everything. Reading, writing,
                deleting and altering include ``describe``, ``alter_configs`` includes
                ``describe_configs``.
            topic: The topic; ``*`` is all. Name one resource, of whichever kind.
            group: The consumer group.
            transactional_id: The transactional id.
            delegation_token: The delegation token.
            user: The user, as a principal.
            cluster: The cluster itself.
            prefixed: The name is the beginning of names.
            host: From where; ``*`` is from everywhere.

        Raises:
            ConfigError: That is no rule; says why.
        """
        named = {
            ResourceType.TOPIC: topic,
            ResourceType.GROUP: group,
            ResourceType.TRANSACTIONAL_ID: transactional_id,
            ResourceType.DELEGATION_TOKEN: delegation_token,
            ResourceType.USER: user,
            ResourceType.CLUSTER: CLUSTER_NAME if cluster else None,
        }
        found = [(kind, name) for kind, name in named.items() if name is not None]
        if len(found) != 1:
            raise ConfigError(
                "an ACL is about one resource: give topic, group, transactional_id, "
                f"delegation_token, user or cluster=True, not {len(found)} of them",
                option="acls",
            )
        [(resource_type, resource_name)] = found
        return cls(
            principal=principal,
            # Any text will do here: whatever is no operation is refused like a wrong field.
            operation=operation,  # type: ignore[arg-type]
            resource_type=resource_type,
            resource_name=resource_name,
            pattern_type=PatternType.PREFIXED if prefixed else PatternType.LITERAL,
            host=host,
        )

    @classmethod
    def deny(
        cls,
        principal: str,
        operation: AclOperation | str,
        **about: Unpack[_About],
    ) -> Self:
        """The rule that forbids it, whatever others allow. Nothing is included in an operation.

        Args:
            principal: As for `allow`, like all that follow.
            operation: Likewise.
            about: Resource and host, by the names that `allow` has for them.

        Raises:
            ConfigError: That is no rule; says why.
        """
        allowed = cls.allow(principal, operation, **about)
        return replace(allowed, permission=AclPermission.DENY)

    def __str__(self) -> str:
        name = "" if self.resource_type is ResourceType.CLUSTER else f" {self.resource_name}"
        more = "*" if self.pattern_type is PatternType.PREFIXED else ""
        return (
            f"{self.permission} {self.principal} from {self.host} to {self.operation} "
            f"{self.resource_type}{name}{more}"
        )
