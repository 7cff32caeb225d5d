"""AlterUserScramCredentials, version 0: passwords for SCRAM are set and taken away.

As in Kafka a request changes one credential of a user at most, and whatever is changed counts for
whoever comes in, or says again who it is, from then on.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Final, TypeAlias

from pyproducer.broker.errors import Refused
from pyproducer.broker.handlers import access
from pyproducer.broker.handlers.access import ALTER_CLUSTER
from pyproducer.broker.security.scram_credential import ScramCredential
from pyproducer.protocol.error_codes import ErrorCode
from pyproducer.protocol.messages.alter_user_scram_credentials import (
    AlterUserScramCredentialsRequest,
    AlterUserScramCredentialsResponse,
    AlterUserScramCredentialsResult,
    ScramCredentialDeletion,
    ScramCredentialUpsertion,
)
from pyproducer.protocol.sasl.scram_terms import (
    HASHES,
    MAX_ITERATIONS,
    MIN_ITERATIONS,
    NAMES,
)

if TYPE_CHECKING:
    from pyproducer.broker.context import RequestContext
    from pyproducer.broker.node import Node

NEEDS = (ALTER_CLUSTER,)

_Change: TypeAlias = ScramCredentialDeletion | ScramCredentialUpsertion

#: Fewest bytes of a salt that the SCRAM library here takes; Kafka's clients make 16 and more.
_MIN_SALT: Final = 12


async def handle(
    node: Node, request: AlterUserScramCredentialsRequest, context: RequestContext
) -> AlterUserScramCredentialsResponse:
    """Changes each user on its own; all that can be changed is on disk then."""
    changes: list[_Change] = [*request.deletions, *request.upsertions]
    times = Counter(one.name for one in changes)
    results: dict[str, AlterUserScramCredentialsResult] = {}
    wanted: dict[str, dict[str, ScramCredential | None]] = {one: {} for one in HASHES}
    for change in changes:
        result = AlterUserScramCredentialsResult(user=change.name, error_message=None)
        results[change.name] = result
        try:
            access.require(node, context, ALTER_CLUSTER)
            if times[change.name] > 1:
                raise Refused(
                    ErrorCode.DUPLICATE_RESOURCE,
                    f"user {change.name!r} is altered twice in the request",
                )
            mechanism, credential = _checked(node, change)
            wanted[mechanism][change.name] = credential
        except Refused as refused:
            result.error_code, result.error_message = refused.code, refused.message
    try:
        node.users.put(wanted)
    except OSError as error:
        for result in results.values():
            if not result.error_code:
                result.error_code = ErrorCode.KAFKA_STORAGE_ERROR
                result.error_message = f"cannot be written: {error}"
    else:
        for mechanism, users in wanted.items():
            for done, credentials in (("sets", True), ("removes", False)):
                names = [name for name, one in users.items() if (one is not None) is credentials]
                node.audit.changed(context, f"{done} the {mechanism} password of", names)
    return AlterUserScramCredentialsResponse(results=list(results.values()))


def _checked(node: Node, change: _Change) -> tuple[str, ScramCredential | None]:
    if not change.name:
        raise Refused(ErrorCode.UNACCEPTABLE_CREDENTIAL, "a user needs a name")
    mechanism = NAMES.get(change.mechanism)
    if mechanism is None:
        raise Refused(
            ErrorCode.UNSUPPORTED_SASL_MECHANISM, f"there is no SCRAM mechanism {change.mechanism}"
        )
    if isinstance(change, ScramCredentialDeletion):
        if change.name not in node.users.scram[mechanism]:
            raise Refused(
                ErrorCode.RESOURCE_NOT_FOUND,
                f"user {change.name!r} has no credential for {mechanism}",
            )
        return mechanism, None
    if not MIN_ITERATIONS <= change.iterations <= MAX_ITERATIONS:
        raise Refused(
            ErrorCode.UNACCEPTABLE_CREDENTIAL,
            f"{change.iterations} iterations are too {_amount(change.iterations)}: give "
            f"{MIN_ITERATIONS} to {MAX_ITERATIONS}",
        )
    if len(change.salt) < _MIN_SALT:
        raise Refused(
            ErrorCode.UNACCEPTABLE_CREDENTIAL,
            f"a salt of {len(change.salt)} bytes is too short: give {_MIN_SALT} at least",
        )
    salted, salt = bytes(change.salted_password), bytes(change.salt)
    return mechanism, ScramCredential.of_salted(mechanism, salted, salt, change.iterations)


def _amount(iterations: int) -> str:
    return "few" if iterations < MIN_ITERATIONS else "many"
