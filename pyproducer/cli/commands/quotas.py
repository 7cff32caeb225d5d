"""``pyproducer quotas``: list, set, remove."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Annotated

import typer

from pyproducer.cli.cluster import Cluster
from pyproducer.cli.commands.topics import pairs
from pyproducer.cli.exits import CliError, Exit
from pyproducer.cli.opening import on_cluster
from pyproducer.cli.option_group import OptionGroup
from pyproducer.cli.output import note, print_json, print_table, table
from pyproducer.cli.quota_admin import QuotaAdmin, shown
from pyproducer.cli.shared import Shared, command

__all__ = ["register"]

app = typer.Typer(
    help="List, set and remove quotas of users, client ids and addresses.",
    no_args_is_help=True,
    rich_markup_mode=None,
)


def register(to: typer.Typer) -> None:
    """Adds the commands."""
    to.add_typer(app, name="quotas")


@dataclass(frozen=True, slots=True)
class _Whose(OptionGroup):
    """Options that name an entity."""

    user: Annotated[str | None, typer.Option("--user", metavar="NAME", help="Of this user.")] = None
    user_default: Annotated[
        bool, typer.Option("--user-default", help="Of all users that have none of their own.")
    ] = False
    client_id: Annotated[
        str | None, typer.Option("--client-id", metavar="ID", help="Of this client.")
    ] = None
    client_id_default: Annotated[
        bool, typer.Option("--client-id-default", help="Of all client ids that have none.")
    ] = False
    ip: Annotated[str | None, typer.Option("--ip", metavar="ADDRESS", help="Of this address.")] = (
        None
    )
    ip_default: Annotated[
        bool, typer.Option("--ip-default", help="Of all addresses without one.")
    ] = False

    def entity(self) -> dict[str, str | None]:
        """The entity, which has no parts where nothing is said.

        Raises:
            CliError: an option and its default are given together.
        """
        entity: dict[str, str | None] = {}
        for kind, name, default in (
            ("user", self.user, self.user_default),
            ("client-id", self.client_id, self.client_id_default),
            ("ip", self.ip, self.ip_default),
        ):
            if name is not None and default:
                raise CliError(f"give --{kind} or --{kind}-default, not both", Exit.USAGE)
            if name is not None or default:
                entity[kind] = name
        return entity

    def named(self) -> dict[str, str | None]:
        """The entity.

        Raises:
            CliError: nothing is said, or too much.
        """
        entity = self.entity()
        if not entity:
            raise CliError(
                "whose quotas? give --user, --client-id or --ip, or one of them with -default",
                Exit.USAGE,
            )
        return entity


@command(app, "list")
def list_(
    shared: Shared,
    whose: _Whose,
) -> None:
    """List the quotas of everybody, or of those that have what the options name.

    \b
    pyproducer quotas list
    pyproducer quotas list --user alice
    """
    entity = whose.entity()

    async def work(cluster: Cluster) -> None:
        found = await QuotaAdmin(cluster).matching(entity)
        if shared.json:
            print_json([{"entity": one, "quotas": values} for one, values in found])
        elif not found:
            note("there are no quotas; 'pyproducer quotas set --help' shows how to set some")
        else:
            made = table(None, ("of", "quota", "value"), numbers=("value",))
            for one, values in found:
                for key, value in values.items():
                    made.add_row(shown(one), key, f"{value:.12g}")
            print_table(made)

    on_cluster(shared, work)


@command(app, "set")
def set_(
    shared: Shared,
    whose: _Whose,
    quotas: Annotated[list[str], typer.Argument(metavar="KEY=VALUE...", show_default=False)],
) -> None:
    """Set quotas, in force at once; others of the same entity stay.

    \b
    pyproducer quotas set --user alice producer_byte_rate=1048576
    pyproducer quotas set --user-default --client-id etl request_percentage=50
    pyproducer quotas set --ip-default connection_creation_rate=20

    Users and client ids have producer_byte_rate and consumer_byte_rate (bytes per second),
    request_percentage (of one thread's time) and controller_mutation_rate (partitions made or
    deleted per second); addresses have connection_creation_rate (per second).
    """
    entity = whose.named()
    changes = {key: _number(key, value) for key, value in pairs("quotas set", quotas)}

    async def work(cluster: Cluster) -> None:
        await QuotaAdmin(cluster).change(entity, changes)
        if shared.json:
            print_json({"entity": entity, "set": changes})
        else:
            print(f"set quotas of {shown(entity)}")

    on_cluster(shared, work)


@command(app, "remove")
def remove(
    shared: Shared,
    whose: _Whose,
    keys: Annotated[list[str] | None, typer.Argument(metavar="KEY...", show_default=False)] = None,
) -> None:
    """Remove quotas of an entity, or with no KEY all that it has.

    \b
    pyproducer quotas remove --user alice producer_byte_rate
    pyproducer quotas remove --user-default --client-id etl
    """
    entity = whose.named()

    async def work(cluster: Cluster) -> None:
        admin = QuotaAdmin(cluster)
        wanted = keys or [
            key for one, values in await admin.matching(entity) if one == entity for key in values
        ]
        if not wanted:
            raise CliError(f"{shown(entity)} has no quotas")
        await admin.change(entity, dict.fromkeys(wanted))
        if shared.json:
            print_json({"entity": entity, "removed": wanted})
        else:
            print(f"removed {', '.join(wanted)} of {shown(entity)}")

    on_cluster(shared, work)


def _number(key: str, text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise CliError(f"{key} takes a number, not {text!r}", Exit.USAGE)
    return value
