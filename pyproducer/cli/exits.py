"""How a command ends: four statuses, and one line for whatever went wrong."""

from __future__ import annotations

from enum import IntEnum

from pyproducer.errors import (
    AuthenticationError,
    ConfigError,
    ConnectionFailed,
    ProducerError,
    UsageError,
)

__all__ = ["CliError", "Exit", "OutputClosed", "judge"]


class Exit(IntEnum):
    """The exit statuses of every command."""

    DONE = 0
    FAILED = 1
    USAGE = 2
    UNREACHABLE = 3


class CliError(Exception):
    """A command cannot go on; the text is all that its user has to know.

    Attributes:
        status: what the process ends with.
    """

    def __init__(self, text: str, status: Exit = Exit.FAILED) -> None:
        super().__init__(text)
        self.status = status


class OutputClosed(Exception):
    """Whoever read our output has seen enough."""


def judge(error: BaseException) -> tuple[Exit, str]:
    """The status and the line for an exception that ended a command."""
    text = " ".join(str(error).split()) or type(error).__name__
    if isinstance(error, CliError):
        return error.status, text
    if isinstance(error, KeyboardInterrupt):
        return Exit.FAILED, "interrupted"
    if isinstance(error, (ConnectionFailed, AuthenticationError)):
        return Exit.UNREACHABLE, text
    if isinstance(error, (ConfigError, UsageError)):
        return Exit.USAGE, text
    if isinstance(error, ProducerError):
        return Exit.FAILED, text
    if isinstance(error, OSError):
        return Exit.FAILED, text
    return Exit.FAILED, f"{type(error).__name__}: {text} (run it with --debug for the traceback)"
