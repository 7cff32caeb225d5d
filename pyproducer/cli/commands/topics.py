"""``pyproducer topics``: create, list, describe, alter, delete, plan."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import Annotated

import typer

from pyproducer.cli.admin import Admin
from pyproducer.cli.cluster import Cluster
from pyproducer.cli.exits import CliError, Exit
from pyproducer.cli.naming import advice
from pyproducer.cli.opening import on_cluster
from pyproducer.cli.output import note, print_json, print_table, table
from pyproducer.cli.planning import parse_rate, plan
from pyproducer.cli.reader import TopicReader
from pyproducer.cli.shared import Shared, command

__all__ = ["register"]

app = typer.Typer(
    help="Create, list, describe, alter, delete and plan topics.",
    no_args_is_help=True,
    rich_markup_mode=None,
)


def register(to: typer.Typer) -> None:
    """Adds the commands."""
    to.add_typer(app, name="topics")


_Name = Annotated[str, typer.Argument(metavar="NAME", show_default=False)]
_Config = Annotated[
    list[str] | None,
    typer.Option("--config", metavar="K=V", help="A configuration of the topic; may be repeated."),
]


def pairs(option: str, entries: Iterable[str]) -> list[tuple[str, str]]:
    """``name=value`` entries as pairs.

    Raises:
        CliError: one of them has no ``=`` or no name.
    """
    found = []
    for entry in entries:
        name, equals, value = entry.partition("=")
        if not equals or not name:
            raise CliError(f"{option} takes name=value, not {entry!r}", Exit.USAGE)
        found.append((name, value))
    return found


@command(app, "create", topic_config=True)
def create(
    shared: Shared,
    name: _Name,
    partitions: Annotated[
        int | None,
        typer.Option(min=1, help="How many; 'topics plan' computes it.  [default: the cluster's]"),
    ] = None,
    replication_factor: Annotated[
        int | None, typer.Option(min=1, help="Copies of each.  [default: the cluster's]")
    ] = None,
    config: _Config = None,
) -> None:
    """Create a topic.

    \b
    pyproducer topics create shop.orders --partitions 6 --replication-factor 3
    pyproducer topics create shop.clicks --config retention.ms=86400000

    A good name says whose it is (shop.orders rather than orders); what could be better is told
    on stderr. Partitions can be added later, but then keys move to other partitions.
    """
    configs = dict(pairs("--config", config or ()))

    async def work(cluster: Cluster) -> None:
        made = await Admin(cluster).create(
            name, partitions=partitions, replication_factor=replication_factor, configs=configs
        )
        if shared.json:
            print_json({"topic": name, "partitions": made})
        else:
            print(f"created {name} with {made} partition{'s' if made > 1 else ''}")
        for line in advice(name):
            note(f"hint: {line}")

    on_cluster(shared, work)


@command(app, "list")
def list_(
    shared: Shared,
    internal: Annotated[bool, typer.Option("--internal", help="Kafka's own topics, too.")] = False,
) -> None:
    """List the topics.

    \b
    pyproducer topics list
    pyproducer topics list --json | jq -r '.[].topic'
    """

    async def work(cluster: Cluster) -> None:
        topics = await Admin(cluster).topics(internal=internal)
        if shared.json:
            print_json([{"topic": one.name, "partitions": len(one.partitions)} for one in topics])
        elif not topics:
            note("there are no topics; 'pyproducer topics create NAME' makes one")
        else:
            made = table(None, ("topic", "partitions"), numbers=("partitions",))
            for one in topics:
                made.add_row(one.name, str(len(one.partitions)))
            print_table(made)

    on_cluster(shared, work)


@command(app, "describe")
def describe(
    shared: Shared,
    name: _Name,
    every: Annotated[
        bool, typer.Option("--all-configs", help="Configurations that are defaults, too.")
    ] = False,
) -> None:
    """Show a topic's partitions, with leaders, replicas and offsets, and its configurations.

    \b
    pyproducer topics describe shop.orders
    pyproducer topics describe shop.orders --all-configs
    """

    async def work(cluster: Cluster) -> None:
        found = await cluster.topic(name)
        reader = TopicReader(cluster, name)
        first, end = await reader.offsets("earliest"), await reader.offsets("latest")
        configs = [one for one in await Admin(cluster).configs(name) if every or one.own]
        rows = [
            {
                "partition": one.partition_index,
                "leader": one.leader_id,
                "replicas": one.replica_nodes,
                "in_sync": one.isr_nodes,
                "first_offset": first[one.partition_index],
                "end_offset": end[one.partition_index],
            }
            for one in sorted(found.partitions, key=lambda one: one.partition_index)
        ]
        values = {one.name: one.value for one in configs}
        if shared.json:
            print_json({"topic": name, "partitions": rows, "configs": values})
            return
        columns = ("partition", "leader", "replicas", "in sync", "first offset", "end offset")
        made = table(name, columns, numbers=(columns[0], columns[1], *columns[4:]))
        for row in rows:
            cells = (" ".join(map(str, v)) if isinstance(v, list) else str(v) for v in row.values())
            made.add_row(*cells)
        print_table(made)
        for key, value in values.items():
            print(f"{key}={'(not told)' if value is None else value}")

    on_cluster(shared, work)


@command(app, "alter", topic_config=True)
def alter(
    shared: Shared,
    name: _Name,
    partitions: Annotated[
        int | None, typer.Option(min=1, help="The new number; it can only grow.")
    ] = None,
    config: _Config = None,
    delete_config: Annotated[
        list[str] | None,
        typer.Option(metavar="K", help="Back to the cluster's default; may be repeated."),
    ] = None,
) -> None:
    """Add partitions to a topic, or change its configurations.

    \b
    pyproducer topics alter shop.orders --partitions 12
    pyproducer topics alter shop.orders --config retention.ms=86400000
    pyproducer topics alter shop.orders --delete-config retention.ms
    """
    configs, deleted = dict(pairs("--config", config or ())), list(delete_config or ())
    if partitions is None and not configs and not deleted:
        raise CliError("nothing to alter: give --partitions, --config or --delete-config", _USAGE)

    async def work(cluster: Cluster) -> None:
        admin = Admin(cluster)
        if configs or deleted:
            await admin.configure(name, configs=configs, deleted=deleted)
        if partitions is not None:
            await admin.grow(name, partitions)
            note(
                "hint: a key's partition depends on their number: from now on keys may go to "
                "other partitions than their earlier records"
            )
        if shared.json:
            print_json({"topic": name, "altered": True})
        else:
            print(f"altered {name}")

    on_cluster(shared, work)


@command(app, "delete")
def delete(
    shared: Shared,
    names: Annotated[list[str], typer.Argument(metavar="NAME...", show_default=False)],
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
) -> None:
    """Delete topics and all their records.

    \b
    pyproducer topics delete shop.clicks
    pyproducer topics delete shop.clicks shop.views --yes
    """
    if not yes:
        if not sys.stdin.isatty():
            raise CliError(
                "deleting asks first, and there is no terminal to ask; add --yes", _USAGE
            )
        if not typer.confirm(f"Delete {', '.join(names)} with all records?", err=True):
            raise CliError("nothing was deleted")

    async def work(cluster: Cluster) -> None:
        deleted: list[str] = []
        refused: dict[str, str] = {}
        for name in dict.fromkeys(names):
            try:
                await Admin(cluster).delete(name)
            except CliError as error:
                refused[name] = str(error)
            else:
                deleted.append(name)
        if shared.json:
            print_json({"deleted": deleted, "refused": refused})
        else:
            for name in deleted:
                print(f"deleted {name}")
        if refused:
            raise CliError("; ".join(refused.values()))

    on_cluster(shared, work)


@command(app, "plan", cluster=False)
def plan_(
    shared: Shared,
    throughput: Annotated[str, typer.Option(metavar="RATE", help="Of the topic, at its peak.")],
    per_producer: Annotated[
        str, typer.Option(metavar="RATE", help="What one producer writes into one partition.")
    ],
    per_consumer: Annotated[
        str, typer.Option(metavar="RATE", help="What one consumer reads and handles.")
    ],
) -> None:
    """Compute how many partitions a topic needs.

    \b
    pyproducer topics plan --throughput 50MB --per-producer 10MB --per-consumer 4MB
    pyproducer topics plan --throughput 20000 --per-producer 50000 --per-consumer 1500

    Rates are per second: bytes with a unit (MB, MiB, GB), or plain numbers for records. The
    result is max(throughput / per-producer, throughput / per-consumer), rounded up. Measure your
    own rates: 'pyproducer bench' for producing, your consumer with one partition for consuming.
    """
    total = parse_rate("--throughput", throughput)
    producer = parse_rate("--per-producer", per_producer)
    consumer = parse_rate("--per-consumer", per_consumer)
    made = plan(total, producer, consumer)
    if shared.json:
        print_json(
            {
                "partitions": made.partitions,
                "for_producers": float(made.for_producers),
                "for_consumers": float(made.for_consumers),
            }
        )
        return
    slower = "consumers" if made.for_consumers > made.for_producers else "producers"
    print(f"{made.partitions} partition{'s' if made.partitions > 1 else ''}")
    print(f"  for producers: {total.text} / {producer.text} = {float(made.for_producers):g}")
    print(f"  for consumers: {total.text} / {consumer.text} = {float(made.for_consumers):g}")
    print(
        f"The {slower} decide. A consumer group uses at most one consumer for each partition, and "
        "adding partitions later moves keys: leave room for the growth you expect."
    )


_USAGE = Exit.USAGE
