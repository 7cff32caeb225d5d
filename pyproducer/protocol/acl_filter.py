"""Which rules are meant, where rules are looked for or removed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pyproducer.protocol.acl import EVERYTHING
from pyproducer.protocol.acl_terms import AclOperation, AclPermission, PatternType, ResourceType

if TYPE_CHECKING:
    from pyproducer.protocol.acl import Acl

__all__ = ["AclFilter"]


@dataclass(frozen=True, slots=True, kw_only=True)
class AclFilter:
    """Finds the rules that agree with it in everything it says; it begins by saying nothing.

    Attributes:
        resource_type: The kind of resource.
        resource_name: The name in the rule, or with `PatternType.MATCH` the name of a resource that
            falls under the rule; None is any.
        pattern_type: How the rule's name is meant.
        principal: Whom the rule is about, literally; None is anybody.
        host: The address that it is about, literally; None is any.
        operation: What it is about, literally.
        permission: Whether it allows or denies.
    """

    resource_type: ResourceType = ResourceType.ANY
    resource_name: str | None = None
    pattern_type: PatternType = PatternType.ANY
    principal: str | None = None
    host: str | None = None
    operation: AclOperation = AclOperation.ANY
    permission: AclPermission = AclPermission.ANY

    def matches(self, acl: Acl) -> bool:
        """Whether the rule is one of those meant."""
        return (
            self.resource_type in {ResourceType.ANY, acl.resource_type}
            and self.principal in {None, acl.principal}
            and self.host in {None, acl.host}
            and self.operation in {AclOperation.ANY, acl.operation}
            and self.permission in {AclPermission.ANY, acl.permission}
            and self._names(acl)
        )

    def _names(self, acl: Acl) -> bool:
        if self.pattern_type not in {PatternType.ANY, PatternType.MATCH, acl.pattern_type}:
            return False
        if self.resource_name is None:
            return True
        if self.pattern_type is not PatternType.MATCH:
            return self.resource_name == acl.resource_name
        if acl.pattern_type is PatternType.PREFIXED:
            return self.resource_name.startswith(acl.resource_name)
        return acl.resource_name in {self.resource_name, EVERYTHING}
