"""``pyproducer acls``: list, add, remove."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import asdict
from typing import Annotated

import typer

from pyproducer.cli.acl_admin import AclAdmin
from pyproducer.cli.acl_options import RuleOptions, WantedRules
from pyproducer.cli.acl_selection import Resources, filters, operations, roles, rules
from pyproducer.cli.cluster import Cluster
from pyproducer.cli.exits import CliError, Exit
from pyproducer.cli.opening import on_cluster
from pyproducer.cli.output import note, print_json, print_table, table
from pyproducer.cli.shared import Shared, command
from pyproducer.protocol.acl import Acl
from pyproducer.protocol.acl_filter import AclFilter
from pyproducer.protocol.acl_terms import PatternType

__all__ = ["register"]

app = typer.Typer(
    help="List, add and remove rules about who may do what (ACLs).",
    no_args_is_help=True,
    rich_markup_mode=None,
)


def register(to: typer.Typer) -> None:
    """Adds the commands."""
    to.add_typer(app, name="acls")


@command(app, "list")
def list_(
    shared: Shared,
    about: WantedRules,
) -> None:
    """List rules: all of them, or those that are meant.

    \b
    pyproducer acls list
    pyproducer acls list --topic shop.orders
    pyproducer acls list --allow-principal User:alice --json

    A name finds every rule that it falls under, also by its beginning; --prefixed finds the rules
    about just that beginning.
    """
    resources = about.resources
    meant = filters(resources, about.who, operations(about.operation), exact=False)

    async def work(cluster: Cluster) -> None:
        admin = AclAdmin(cluster)
        found = await _find(admin, meant)
        if shared.json:
            print_json([asdict(acl) for acl in found])
        elif not found:
            note("there are no such rules" if resources.named else "there are no rules")
        else:
            _show(found)

    on_cluster(shared, work)


@command(app, "add")
def add(
    shared: Shared,
    about: RuleOptions,
) -> None:
    """Add rules. What one rule denies no other allows.

    \b
    pyproducer acls add --allow-principal User:shop --producer --topic shop. --prefixed
    pyproducer acls add --allow-principal User:bill --consumer --topic shop.orders --group billing
    pyproducer acls add --deny-principal 'User:*' --deny-host 10.0.0.7 --operation Write --topic '*'
    """
    granted = roles(about.resources, producer=about.producer, consumer=about.consumer)
    acls = rules(about.resources, about.who, operations(about.operation), granted)

    async def work(cluster: Cluster) -> None:
        admin = AclAdmin(cluster)
        await admin.add(acls)
        if shared.json:
            print_json({"added": [asdict(acl) for acl in acls]})
        else:
            for acl in acls:
                print(f"added: {acl}")

    on_cluster(shared, work)


@command(app, "remove")
def remove(
    shared: Shared,
    about: RuleOptions,
    every: Annotated[bool, typer.Option("--all", help="All rules that there are.")] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
) -> None:
    """Remove rules that agree with everything that is said; shows them and asks.

    \b
    pyproducer acls remove --topic shop.orders
    pyproducer acls remove --allow-principal User:shop --producer --topic shop. --prefixed --yes

    A name is that of the rule: 'shop.orders' leaves the rule about all that begins with 'shop.'.
    """
    resources, who, wanted = about.resources, about.who, operations(about.operation)
    granted = roles(resources, producer=about.producer, consumer=about.consumer)
    if not (every or resources.named or wanted or who.allowed or who.denied):
        raise CliError("which rules? Name a resource, a principal or --all", Exit.USAGE)
    if granted:
        meant = [
            one
            for kind, role in granted.items()
            for one in filters(
                Resources(
                    tuple(item for item in resources.named if item[0] is kind), resources.prefixed
                ),
                who,
                (*role, *wanted),
                exact=True,
            )
        ]
    else:
        meant = filters(resources, who, wanted, exact=True)
    if not yes and not sys.stdin.isatty():
        raise CliError(
            "removing asks first, and there is no terminal to ask; add --yes", Exit.USAGE
        )

    async def work(cluster: Cluster) -> None:
        admin = AclAdmin(cluster)
        found = await _find(admin, meant)
        if not found:
            raise CliError("there are no such rules; 'pyproducer acls list' shows those there are")
        if not yes:
            for acl in found:
                note(str(acl))
            if not typer.confirm(f"Remove {_count(found)}?", err=True):
                raise CliError("nothing was removed")
        removed = await admin.remove(found)
        if shared.json:
            print_json({"removed": [asdict(acl) for acl in removed]})
        else:
            for acl in removed:
                print(f"removed: {acl}")

    on_cluster(shared, work)


async def _find(admin: AclAdmin, meant: Sequence[AclFilter]) -> list[Acl]:
    """The rules of all the filters, each once."""
    found: dict[Acl, None] = {}
    for one in meant:
        found.update(dict.fromkeys(await admin.find(one)))
    return list(found)


def _count(acls: Sequence[Acl]) -> str:
    return "this rule" if len(acls) == 1 else f"these {len(acls)} rules"


def _show(acls: Sequence[Acl]) -> None:
    made = table(None, ("resource", "name", "permission", "principal", "host", "operation"))
    for acl in acls:
        prefixed = acl.pattern_type is PatternType.PREFIXED
        made.add_row(
            acl.resource_type.value.replace("_", " "),
            f"{acl.resource_name}... (prefix)" if prefixed else acl.resource_name,
            acl.permission.value,
            acl.principal,
            acl.host,
            acl.operation.value.replace("_", " "),
        )
    print_table(made)
