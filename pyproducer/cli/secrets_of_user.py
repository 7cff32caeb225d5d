"""The password of a command: from a file, the environment or the terminal, and never its arguments.

What stands in a command's arguments is read by every other user of the machine.
"""

from __future__ import annotations

import functools
import getpass
import os
import sys
from pathlib import Path

from pyproducer.cli.exits import CliError, Exit

__all__ = ["PASSWORD_VARIABLE", "find_password"]

PASSWORD_VARIABLE = "PYPRODUCER_PASSWORD"  # noqa: S105 - the name of the variable


def find_password(file: Path | None, username: str) -> str:
    """The password of a user; the file's first line, the environment's, or what is typed now.

    Raises:
        CliError: there is none of them.
    """
    if file is not None:
        try:
            text = file.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
            raise CliError(f"--password-file: {file} cannot be read: {reason}", Exit.USAGE) from (
                error
            )
        password = text.partition("\n")[0].removesuffix("\r")
        if not password:
            raise CliError(f"--password-file: the first line of {file} is empty", Exit.USAGE)
        return password
    return os.environ.get(PASSWORD_VARIABLE) or _ask(username)


@functools.cache
def _ask(username: str) -> str:
    if not sys.stdin.isatty() or not sys.stderr.isatty():
        raise CliError(
            f"no password for {username}: set {PASSWORD_VARIABLE}, or name a file by "
            "--password-file",
            Exit.USAGE,
        )
    return getpass.getpass(f"Password for {username}: ", stream=sys.stderr)
