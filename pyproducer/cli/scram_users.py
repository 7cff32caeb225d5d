"""Users with passwords for SCRAM, on any cluster."""

from __future__ import annotations

import secrets
from typing import NamedTuple

from pyproducer.cli.cluster import Cluster
from pyproducer.cli.refusals import check
from pyproducer.protocol.messages.alter_user_scram_credentials import (
    AlterUserScramCredentialsRequest,
    AlterUserScramCredentialsResponse,
    ScramCredentialDeletion,
    ScramCredentialUpsertion,
)
from pyproducer.protocol.messages.describe_user_scram_credentials import (
    DescribeUserScramCredentialsRequest,
    DescribeUserScramCredentialsResponse,
)
from pyproducer.protocol.sasl.scram_terms import NAMES, NUMBERS, SALT_BYTES, salted

__all__ = ["Credential", "ScramUsers"]


class Credential(NamedTuple):
    """That somebody has a password, and how much work each try of one is."""

    user: str
    mechanism: str
    iterations: int


class ScramUsers:
    """The users of a cluster.

    Args:
        cluster: An open one.
    """

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster

    async def list(self) -> list[Credential]:
        """Who has a password, by name and mechanism.

        Raises:
            CliError: The cluster refused to say.
        """
        response = await self._cluster.ask(
            DescribeUserScramCredentialsRequest(users=None), DescribeUserScramCredentialsResponse
        )
        check("users are not told", response.error_code, response.error_message)
        return sorted(
            Credential(one.user, NAMES.get(info.mechanism, str(info.mechanism)), info.iterations)
            for one in response.results
            for info in one.credential_infos
        )

    async def set(self, user: str, mechanism: str, password: str, iterations: int) -> None:
        """The user has this password for the mechanism; it is salted and hashed before it is sent.

        Raises:
            CliError: The cluster refused it.
        """
        salt = secrets.token_bytes(SALT_BYTES)
        await self._alter(
            user,
            AlterUserScramCredentialsRequest(
                upsertions=[
                    ScramCredentialUpsertion(
                        name=user,
                        mechanism=NUMBERS[mechanism],
                        iterations=iterations,
                        salt=salt,
                        salted_password=salted(mechanism, password, salt, iterations),
                    )
                ]
            ),
        )

    async def delete(self, user: str, mechanism: str) -> None:
        """The user has no password for the mechanism any more.

        Raises:
            CliError: The cluster refused it; it had none, for one.
        """
        deletion = ScramCredentialDeletion(name=user, mechanism=NUMBERS[mechanism])
        await self._alter(user, AlterUserScramCredentialsRequest(deletions=[deletion]))

    async def _alter(self, user: str, request: AlterUserScramCredentialsRequest) -> None:
        response = await self._cluster.ask(request, AlterUserScramCredentialsResponse)
        [result] = response.results
        check(f"user {user!r} was not changed", result.error_code, result.error_message)
