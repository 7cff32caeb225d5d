"""A cluster's refusal as the line that a command's user gets."""

from __future__ import annotations

from pyproducer.cli.exits import CliError
from pyproducer.protocol.error_codes import ErrorCode, error_name

__all__ = ["check"]


def check(what: str, code: int, message: str | None) -> None:
    """Returns if the cluster has done what it was asked for.

    Args:
        what: what is not so where it refused.
        code: its error code.
        message: its own words; without any, Kafka's meaning of the code.

    Raises:
        CliError: it refused.
    """
    if code == ErrorCode.NONE:
        return
    if not message:
        message = ErrorCode(code).text if code in set(ErrorCode) else "no reason was told"
    raise CliError(f"{what}: {message} [{error_name(code)}]")
