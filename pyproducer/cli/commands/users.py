"""``pyproducer users``: list, set and delete users with passwords for SCRAM."""

from __future__ import annotations

import getpass
import os
import sys
from typing import Annotated, Final

import typer

from pyproducer.cli.cluster import Cluster
from pyproducer.cli.exits import CliError, Exit
from pyproducer.cli.opening import on_cluster
from pyproducer.cli.output import note, print_json, print_table, table
from pyproducer.cli.scram_users import ScramUsers
from pyproducer.cli.shared import Shared, command
from pyproducer.protocol.sasl.scram_terms import MAX_ITERATIONS, MIN_ITERATIONS, NUMBERS

__all__ = ["register"]

app = typer.Typer(
    help="List, set and delete users with passwords for SCRAM.",
    no_args_is_help=True,
    rich_markup_mode=None,
)

#: Where a new password comes from if neither stdin nor a person is asked.
ENVIRONMENT: Final = "PYPRODUCER_USER_PASSWORD"


def register(to: typer.Typer) -> None:
    """Adds the commands."""
    to.add_typer(app, name="users")


_Name = Annotated[str, typer.Argument(metavar="NAME", show_default=False)]
_Mechanism = Annotated[
    list[str] | None,
    typer.Option(
        "--mechanism",
        metavar="MECHANISM",
        help="SCRAM-SHA-256 or SCRAM-SHA-512; may be repeated.  [default: both]",
    ),
]


def _mechanisms(given: list[str] | None) -> list[str]:
    found = list(dict.fromkeys(name.upper() for name in given or NUMBERS))
    unknown = [name for name in found if name not in NUMBERS]
    if unknown:
        raise CliError(f"--mechanism takes {' or '.join(NUMBERS)}, not {unknown[0]}", Exit.USAGE)
    return found


def _password(name: str) -> str:
    """The new password, from the environment, a person or stdin; never from an argument.

    Arguments are shown to everybody on the machine while the program runs.
    """
    found = os.environ.get(ENVIRONMENT)
    if found is None and sys.stdin.isatty():
        found = getpass.getpass(f"password of {name}: ")
        if found != getpass.getpass("once more: "):
            raise CliError("these are two passwords", Exit.USAGE)
    elif found is None:
        found = sys.stdin.readline().rstrip("\r\n")
    if not found:
        raise CliError("the password is empty", Exit.USAGE)
    return found


@command(app, "list")
def list_(shared: Shared) -> None:
    """List who has a password for SCRAM; never what it is.

    \b
    pyproducer users list
    pyproducer users list --json | jq -r '.[].user'
    """

    async def work(cluster: Cluster) -> None:
        users = ScramUsers(cluster)
        found = await users.list()
        if shared.json:
            print_json([one._asdict() for one in found])
        elif not found:
            note("there are no users; 'pyproducer users set NAME' makes one")
        else:
            made = table(None, ("user", "mechanism", "iterations"), numbers=("iterations",))
            for one in found:
                made.add_row(one.user, one.mechanism, str(one.iterations))
            print_table(made)

    on_cluster(shared, work)


@command(app, "set")
def set_(
    shared: Shared,
    name: _Name,
    mechanism: _Mechanism = None,
    iterations: Annotated[
        int, typer.Option(min=MIN_ITERATIONS, max=MAX_ITERATIONS, help="Rounds of hashing.")
    ] = MIN_ITERATIONS,
) -> None:
    """Give a user a password, or another one; a user who is not there is made.

    \b
    pyproducer users set alice
    pass show kafka/alice | pyproducer users set alice --mechanism SCRAM-SHA-512

    The password is asked for, or read from PYPRODUCER_USER_PASSWORD or a line of stdin. It is
    hashed here and not sent. What counts is the next login: open connections stay.
    """
    chosen, password = _mechanisms(mechanism), _password(name)

    async def work(cluster: Cluster) -> None:
        users = ScramUsers(cluster)
        # One at a time: a cluster refuses two changes of a user in one request.
        for one in chosen:
            await users.set(name, one, password, iterations)
        if shared.json:
            print_json({"user": name, "mechanisms": chosen})
        else:
            print(f"set the password of {name} for {' and '.join(chosen)}")

    on_cluster(shared, work)


@command(app, "delete")
def delete(
    shared: Shared,
    name: _Name,
    mechanism: _Mechanism = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Take a user's passwords away, all of them or those for a mechanism.

    \b
    pyproducer users delete alice --yes

    Open connections stay until they have to say again who they are.
    """
    wanted = _mechanisms(mechanism)
    if not yes:
        if not sys.stdin.isatty():
            raise CliError(f"deleting {name} needs --yes where nobody can be asked", Exit.USAGE)
        typer.confirm(f"delete user {name}?", abort=True, err=True)

    async def work(cluster: Cluster) -> None:
        users = ScramUsers(cluster)
        have = [one.mechanism for one in await users.list() if one.user == name]
        gone = [one for one in wanted if one in have] if mechanism is None else wanted
        if not gone:
            raise CliError(f"there is no user {name!r}; 'pyproducer users list' shows them")
        for one in gone:
            await users.delete(name, one)
        if shared.json:
            print_json({"user": name, "mechanisms": gone})
        else:
            print(f"deleted {name} for {' and '.join(gone)}")

    on_cluster(shared, work)
