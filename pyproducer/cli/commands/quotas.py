"""``pyproducer quotas``: list, set, remove."""

from __future__ import annotations

import math
from typing import Annotated

import typer

from pyproducer.cli.cluster import Cluster
from pyproducer.cli.commands.topics import pairs
from pyproducer.cli.exits import CliError, Exit
from pyproducer.cli.opening import on_cluster
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


_User = Annotated[str | None, typer.Option("--user", metavar="NAME", help="Of this user.")]
_UserDefault = Annotated[
    bool, typer.Option("--user-default", help="Of all users that have none of their own.")
]
_Client = Annotated[str | None, typer.Option("--client-id", metavar="ID", help="Of this client.")]
_ClientDefault = Annotated[
    bool, typer.Option("--client-id-default", help="Of all client ids that have none.")
]
_Ip = Annotated[str | None, typer.Option("--ip", metavar="ADDRESS", help="Of this address.")]
_IpDefault = Annotated[bool, typer.Option("--ip-default", help="Of all addresses without one.")]


def _entity(**options: str | bool | None) -> dict[str, str | None]:
    """The entity that the options name.

    Raises:
        CliError: an option and its default are given together.
    """
    entity: dict[str, str | None] = {}
    for kind in ("user", "client-id", "ip"):
        key = kind.replace("-", "_")
        name, default = options[key], options[f"{key}_default"]
        if name is not None and default:
            raise CliError(f"give --{kind} or --{kind}-default, not both", Exit.USAGE)
        if default:
            entity[kind] = None
        elif isinstance(name, str):
            entity[kind] = name
    return entity


def _needed(entity: dict[str, str | None]) -> dict[str, str | None]:
    if not entity:
        raise CliError(
            "whose quotas? give --user, --client-id or --ip, or one of them with -default",
            Exit.USAGE,
        )
    return entity


@command(app, "list")
def list_(
    shared: Shared,
    user: _User = None,
    user_default: _UserDefault = False,
    client_id: _Client = None,
    client_id_default: _ClientDefault = False,
    ip: _Ip = None,
    ip_default: _IpDefault = False,
) -> None:
    """List the quotas of everybody, or of those that have what the options name.

    \b
    pyproducer quotas list
    pyproducer quotas list --user alice
    """
    entity = _entity(
        user=user,
        user_default=user_default,
        client_id=client_id,
        client_id_default=client_id_default,
        ip=ip,
        ip_default=ip_default,
    )

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
    quotas: Annotated[list[str], typer.Argument(metavar="KEY=VALUE...", show_default=False)],
    user: _User = None,
    user_default: _UserDefault = False,
    client_id: _Client = None,
    client_id_default: _ClientDefault = False,
    ip: _Ip = None,
    ip_default: _IpDefault = False,
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
    entity = _needed(
        _entity(
            user=user,
            user_default=user_default,
            client_id=client_id,
            client_id_default=client_id_default,
            ip=ip,
            ip_default=ip_default,
        )
    )
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
    keys: Annotated[list[str] | None, typer.Argument(metavar="KEY...", show_default=False)] = None,
    user: _User = None,
    user_default: _UserDefault = False,
    client_id: _Client = None,
    client_id_default: _ClientDefault = False,
    ip: _Ip = None,
    ip_default: _IpDefault = False,
) -> None:
    """Remove quotas of an entity, or with no KEY all that it has.

    \b
    pyproducer quotas remove --user alice producer_byte_rate
    pyproducer quotas remove --user-default --client-id etl
    """
    entity = _needed(
        _entity(
            user=user,
            user_default=user_default,
            client_id=client_id,
            client_id_default=client_id_default,
            ip=ip,
            ip_default=ip_default,
        )
    )

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
