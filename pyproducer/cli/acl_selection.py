"""What the options of ``pyproducer acls`` mean: rules to be made, or those that there are."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from pyproducer.cli.exits import CliError, Exit
from pyproducer.protocol.acl import EVERYTHING, Acl
from pyproducer.protocol.acl_filter import AclFilter
from pyproducer.protocol.acl_terms import (
    CLUSTER_NAME,
    AclOperation,
    AclPermission,
    PatternType,
    ResourceType,
)

__all__ = ["Resources", "Who", "filters", "roles", "rules"]

_PRODUCER = {
    ResourceType.TOPIC: (AclOperation.WRITE, AclOperation.DESCRIBE, AclOperation.CREATE),
    ResourceType.TRANSACTIONAL_ID: (AclOperation.WRITE, AclOperation.DESCRIBE),
}
_CONSUMER = {
    ResourceType.TOPIC: (AclOperation.READ, AclOperation.DESCRIBE),
    ResourceType.GROUP: (AclOperation.READ,),
}

_Grants = dict[ResourceType, tuple[AclOperation, ...]]


@dataclass(frozen=True, slots=True)
class Resources:
    """The resources that options name.

    Attributes:
        named: Kind and name of each.
        prefixed: the names are beginnings of names.
    """

    named: tuple[tuple[ResourceType, str], ...]
    prefixed: bool = False

    @classmethod
    def of(
        cls,
        *,
        topic: Sequence[str] | None,
        group: Sequence[str] | None,
        transactional_id: Sequence[str] | None,
        cluster: bool,
        prefixed: bool,
    ) -> Resources:
        """The resources of the options of these names."""
        named = [(ResourceType.TOPIC, name) for name in topic or ()]
        named += [(ResourceType.GROUP, name) for name in group or ()]
        named += [(ResourceType.TRANSACTIONAL_ID, name) for name in transactional_id or ()]
        if cluster:
            named.append((ResourceType.CLUSTER, CLUSTER_NAME))
        return cls(tuple(dict.fromkeys(named)), prefixed)

    def pattern(self, kind: ResourceType) -> PatternType:
        """How a name of that kind is meant in a rule."""
        if self.prefixed and kind is not ResourceType.CLUSTER:
            return PatternType.PREFIXED
        return PatternType.LITERAL


@dataclass(frozen=True, slots=True)
class Who:
    """Whom rules are about, and from where.

    Attributes:
        allowed: principals.
        denied: likewise.
        allowed_hosts: from where the first are allowed; none is from everywhere.
        denied_hosts: from where the others are denied; none is from everywhere.
    """

    allowed: Sequence[str] = field(default=())
    denied: Sequence[str] = field(default=())
    allowed_hosts: Sequence[str] = field(default=())
    denied_hosts: Sequence[str] = field(default=())

    def __iter__(self) -> Iterator[tuple[str, str, AclPermission]]:
        """Principal, host and permission of each."""
        for principal in dict.fromkeys(self.allowed):
            for host in self.allowed_hosts or [EVERYTHING]:
                yield principal, host, AclPermission.ALLOW
        for principal in dict.fromkeys(self.denied):
            for host in self.denied_hosts or [EVERYTHING]:
                yield principal, host, AclPermission.DENY

    def check(self) -> None:
        """Returns if each host has a principal that it is about.

        Raises:
            CliError: one has none.
        """
        for hosts, principals, word in (
            (self.allowed_hosts, self.allowed, "allow"),
            (self.denied_hosts, self.denied, "deny"),
        ):
            if hosts and not principals:
                raise CliError(
                    f"--{word}-host is for a principal: add --{word}-principal", Exit.USAGE
                )


def operations(words: Sequence[str] | None) -> tuple[AclOperation, ...]:
    """The operations of these names.

    Raises:
        CliError: there is none of such a name.
    """
    found = []
    for word in words or ():
        try:
            one = AclOperation.parse(word)
        except ValueError as error:
            raise CliError(f"--operation: {error}", Exit.USAGE) from None
        if one is AclOperation.ANY:
            raise CliError("--operation: a rule names an operation, or 'all'", Exit.USAGE)
        found.append(one)
    return tuple(dict.fromkeys(found))


def roles(resources: Resources, *, producer: bool, consumer: bool) -> _Grants:
    """What producers and consumers need of each kind of resource.

    Raises:
        CliError: what they need a name of has none.
    """
    kinds = {kind for kind, _ in resources.named}
    found: _Grants = {}
    for wanted, role, needed, word in (
        (producer, _PRODUCER, (ResourceType.TOPIC,), "--producer"),
        (consumer, _CONSUMER, (ResourceType.TOPIC, ResourceType.GROUP), "--consumer"),
    ):
        if not wanted:
            continue
        for kind in needed:
            if kind not in kinds:
                raise CliError(f"{word} takes a {kind.value}: add --{kind.value}", Exit.USAGE)
        for kind, granted in role.items():
            if kind in kinds:
                found[kind] = tuple(dict.fromkeys((*found.get(kind, ()), *granted)))
    if found and (left := kinds - found.keys()):
        names = ", ".join(sorted(kind.value.replace("_", " ") for kind in left))
        raise CliError(f"nobody in this role needs a {names}; make that rule apart", Exit.USAGE)
    return found


def rules(
    resources: Resources, who: Who, wanted: Sequence[AclOperation], granted: _Grants
) -> list[Acl]:
    """The rules that are meant, each once.

    Raises:
        CliError: something is not said.
        ConfigError: that is no rule.
    """
    who.check()
    if not resources.named:
        raise CliError(
            "what is it about? Add --topic, --group, --transactional-id or --cluster", Exit.USAGE
        )
    if not (wanted or granted):
        raise CliError(
            "what is it that they may or may not do? Add --operation, --producer or --consumer",
            Exit.USAGE,
        )
    if not (who.allowed or who.denied):
        raise CliError(
            "whom is it about? Add --allow-principal or --deny-principal, such as User:alice",
            Exit.USAGE,
        )
    return list(
        dict.fromkeys(
            Acl(
                principal=principal,
                operation=operation,
                resource_type=kind,
                resource_name=name,
                pattern_type=resources.pattern(kind),
                host=host,
                permission=permission,
            )
            for kind, name in resources.named
            for principal, host, permission in who
            for operation in (*granted.get(kind, ()), *wanted)
        )
    )


def filters(
    resources: Resources, who: Who, wanted: Sequence[AclOperation], *, exact: bool
) -> list[AclFilter]:
    """What finds the rules that are meant; what is not said may be anything.

    Args:
        resources: none is every resource.
        who: nobody is anybody.
        wanted: no operation is any.
        exact: a name is that of a rule, and not of a resource that falls under rules.
    """
    who.check()
    people: list[tuple[str | None, str | None, AclPermission]] = []
    for principals, hosts, permission in (
        (who.allowed, who.allowed_hosts, AclPermission.ALLOW),
        (who.denied, who.denied_hosts, AclPermission.DENY),
    ):
        wherefrom: list[str | None] = [*hosts] or [None]
        people += [(one, host, permission) for one in principals for host in wherefrom]
    named: list[tuple[ResourceType, str | None]] = list(resources.named)
    return [
        AclFilter(
            resource_type=kind,
            resource_name=name,
            pattern_type=(
                PatternType.PREFIXED
                if resources.prefixed and kind is not ResourceType.CLUSTER
                else PatternType.ANY
                if name is None
                else PatternType.LITERAL
                if exact
                else PatternType.MATCH
            ),
            principal=principal,
            host=host,
            operation=operation,
            permission=permission,
        )
        for kind, name in named or [(ResourceType.ANY, None)]
        for principal, host, permission in people or [(None, None, AclPermission.ANY)]
        for operation in wanted or [AclOperation.ANY]
    ]
