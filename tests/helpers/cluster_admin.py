"""Users and rules of any cluster, made through confluent-kafka's admin client."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from confluent_kafka.admin import (
    AclBinding,
    AclBindingFilter,
    AclOperation,
    AclPermissionType,
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    ResourcePatternType,
    ResourceType,
    ScramCredentialInfo,
    ScramMechanism,
    UserScramCredentialUpsertion,
)

_SECONDS = 20.0


class Allowed(NamedTuple):
    """An operation on a resource that somebody may perform; all names are Kafka's, in capitals."""

    resource: str
    name: str
    operation: str


def create_scram_user(bootstrap_servers: str, name: str, password: str) -> None:
    """The user has this password for both SCRAM mechanisms, be it new or changed."""
    admin = _admin(bootstrap_servers)
    # One at a time: Kafka takes two mechanisms of one user in one request for a mistake.
    for mechanism in (ScramMechanism.SCRAM_SHA_256, ScramMechanism.SCRAM_SHA_512):
        wanted = UserScramCredentialUpsertion(
            name, ScramCredentialInfo(mechanism, 4096), password.encode()
        )
        futures = admin.alter_user_scram_credentials([wanted], request_timeout=_SECONDS)
        for future in futures.values():
            future.result(_SECONDS)


def set_broker_config(bootstrap_servers: str, broker: int, config: Mapping[str, str]) -> None:
    """The broker has these configurations of its own from now on."""
    admin = _admin(bootstrap_servers)
    entries = [
        ConfigEntry(name, value, incremental_operation=AlterConfigOpType.SET)
        for name, value in config.items()
    ]
    resource = ConfigResource(ConfigResource.Type.BROKER, str(broker), incremental_configs=entries)
    for future in admin.incremental_alter_configs([resource]).values():
        future.result(_SECONDS)


def allow(bootstrap_servers: str, principal: str, rules: Iterable[Allowed]) -> None:
    """The principal, as ``User:name``, may do these things, and what it could before."""
    wanted = [_binding(principal, rule) for rule in rules]
    admin = _admin(bootstrap_servers)
    futures = admin.create_acls(wanted, request_timeout=_SECONDS)
    for future in futures.values():
        future.result(_SECONDS)


def forbid_all(bootstrap_servers: str, principal: str) -> None:
    """No rule is about the principal any more."""
    every = AclBindingFilter(
        ResourceType.ANY,
        None,
        ResourcePatternType.ANY,
        principal,
        None,
        AclOperation.ANY,
        AclPermissionType.ANY,
    )
    admin = _admin(bootstrap_servers)
    futures = admin.delete_acls([every], request_timeout=_SECONDS)
    for future in futures.values():
        future.result(_SECONDS)


def _binding(principal: str, rule: Allowed) -> AclBinding:
    return AclBinding(
        getattr(ResourceType, "BROKER" if rule.resource == "CLUSTER" else rule.resource),
        rule.name,
        ResourcePatternType.LITERAL,
        principal,
        "*",
        getattr(AclOperation, rule.operation),
        AclPermissionType.ALLOW,
    )


def _admin(bootstrap_servers: str) -> AdminClient:
    return AdminClient({"bootstrap.servers": bootstrap_servers, "log_level": 0})
