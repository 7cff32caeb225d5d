"""Kafka's words for access control, with the numbers that stand for them on the wire."""

from __future__ import annotations

from enum import StrEnum
from typing import Final, Self

__all__ = ["CLUSTER_NAME", "AclOperation", "AclPermission", "PatternType", "ResourceType"]

#: The one name that the cluster has as a resource.
CLUSTER_NAME: Final = "kafka-cluster"


class _Term(StrEnum):
    """A word out of a fixed set. It equals its text, such as ``"describe_configs"``.

    Attributes:
        code: Its number on the wire. 0, which is no term's, is Kafka's "unknown".
    """

    code: int

    def __new__(cls, text: str, code: int) -> Self:
        one = str.__new__(cls, text)
        one._value_ = text
        one.code = code
        return one

    def __repr__(self) -> str:
        # As a caller writes it, in the repr of what it is a part of.
        return repr(self.value)

    @classmethod
    def of_code(cls, code: int) -> Self | None:
        """The term of that number, or None if there is none."""
        return next((one for one in cls if one.code == code), None)

    @classmethod
    def parse(cls, text: str) -> Self:
        """The term, however it is written: ``DescribeConfigs``, ``describe-configs``.

        Raises:
            ValueError: There is none of that name.
        """
        plain = _plain(text)
        for one in cls:
            if _plain(one.value) == plain:
                return one
        known = ", ".join(one.value for one in cls)
        raise ValueError(f"{text!r} is none of {known}")


def _plain(text: str) -> str:
    return text.replace("_", "").replace("-", "").lower()


class ResourceType(_Term):
    """What access is to. ``ANY`` is for filters."""

    ANY = "any", 1
    TOPIC = "topic", 2
    GROUP = "group", 3
    CLUSTER = "cluster", 4
    TRANSACTIONAL_ID = "transactional_id", 5
    DELEGATION_TOKEN = "delegation_token", 6
    USER = "user", 7


class PatternType(_Term):
    """How a name is meant. ``ANY`` and ``MATCH`` are for filters.

    ``MATCH`` finds every pattern that the name falls under: its own, prefixes of it, and ``*``.
    """

    ANY = "any", 1
    MATCH = "match", 2
    LITERAL = "literal", 3
    PREFIXED = "prefixed", 4


class AclOperation(_Term):
    """What somebody wants to do. ``ANY`` is for filters, ``ALL`` is every operation there is."""

    ANY = "any", 1
    ALL = "all", 2
    READ = "read", 3
    WRITE = "write", 4
    CREATE = "create", 5
    DELETE = "delete", 6
    ALTER = "alter", 7
    DESCRIBE = "describe", 8
    CLUSTER_ACTION = "cluster_action", 9
    DESCRIBE_CONFIGS = "describe_configs", 10
    ALTER_CONFIGS = "alter_configs", 11
    IDEMPOTENT_WRITE = "idempotent_write", 12
    CREATE_TOKENS = "create_tokens", 13
    DESCRIBE_TOKENS = "describe_tokens", 14
    TWO_PHASE_COMMIT = "two_phase_commit", 15


class AclPermission(_Term):
    """Whether it is allowed or forbidden. ``ANY`` is for filters."""

    ANY = "any", 1
    DENY = "deny", 2
    ALLOW = "allow", 3
