"""The options of ``pyproducer acls``, and what they say together."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import typer

from pyproducer.cli.acl_selection import Resources, Who
from pyproducer.cli.option_group import OptionGroup

__all__ = ["RuleOptions", "WantedRules"]


@dataclass(frozen=True, slots=True)
class WantedRules(OptionGroup):
    """What rules are about, and whom."""

    topic: Annotated[
        list[str] | None,
        typer.Option("--topic", metavar="NAME", help="A topic; '*' is all. May be repeated."),
    ] = None
    group: Annotated[
        list[str] | None,
        typer.Option("--group", metavar="NAME", help="A consumer group. May be repeated."),
    ] = None
    transactional_id: Annotated[
        list[str] | None,
        typer.Option("--transactional-id", metavar="NAME", help="May be repeated."),
    ] = None
    cluster: Annotated[bool, typer.Option("--cluster", help="The cluster itself.")] = False
    prefixed: Annotated[
        bool, typer.Option("--prefixed", help="The names are the beginnings of names.")
    ] = False
    operation: Annotated[
        list[str] | None,
        typer.Option(
            "--operation",
            metavar="OP",
            help="Read, Write, Create, Delete, Alter, Describe, ClusterAction, DescribeConfigs, "
            "AlterConfigs, IdempotentWrite or All. May be repeated.",
        ),
    ] = None
    allow_principal: Annotated[
        list[str] | None,
        typer.Option(
            "--allow-principal", metavar="KIND:NAME", help="Such as User:alice. May be repeated."
        ),
    ] = None
    deny_principal: Annotated[
        list[str] | None,
        typer.Option("--deny-principal", metavar="KIND:NAME", help="May be repeated."),
    ] = None

    @property
    def resources(self) -> Resources:
        """What they are about."""
        return Resources.of(
            topic=self.topic,
            group=self.group,
            transactional_id=self.transactional_id,
            cluster=self.cluster,
            prefixed=self.prefixed,
        )

    @property
    def who(self) -> Who:
        """Whom they are about."""
        return Who(self.allow_principal or (), self.deny_principal or ())


@dataclass(frozen=True, slots=True)
class RuleOptions(WantedRules):
    """The same, with what a role needs, and from where."""

    producer: Annotated[
        bool, typer.Option("--producer", help="What a producer needs of the topics and ids.")
    ] = False
    consumer: Annotated[
        bool, typer.Option("--consumer", help="What a consumer needs of the topics and groups.")
    ] = False
    allow_host: Annotated[
        list[str] | None,
        typer.Option("--allow-host", metavar="ADDRESS", help="From where; else from everywhere."),
    ] = None
    deny_host: Annotated[
        list[str] | None,
        typer.Option("--deny-host", metavar="ADDRESS", help="From where; else from everywhere."),
    ] = None

    @property
    def who(self) -> Who:
        """Whom they are about, and from where."""
        return Who(
            self.allow_principal or (),
            self.deny_principal or (),
            self.allow_host or (),
            self.deny_host or (),
        )
