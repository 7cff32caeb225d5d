"""``pyproducer log``: look into a broker's files, and say whether they are sound."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from pyproducer.broker.offline.dump import Dump
from pyproducer.broker.offline.folders import DataFolder
from pyproducer.broker.offline.verification import Verification
from pyproducer.cli.dump_lines import json_of, line_of
from pyproducer.cli.exits import CliError, Exit
from pyproducer.cli.output import note
from pyproducer.cli.scan_progress import ScanProgress
from pyproducer.cli.shared import Shared, command

__all__ = ["register"]

app = typer.Typer(
    help="Look into the files of a broker, or of Apache Kafka; nothing is changed.",
    no_args_is_help=True,
    rich_markup_mode=None,
)


def register(to: typer.Typer) -> None:
    """Adds the commands."""
    to.add_typer(app, name="log")


@command(app, "dump", cluster=False)
def dump(
    shared: Shared,
    path: Annotated[Path, typer.Argument(metavar="DIR|FILE", show_default=False)],
    start: Annotated[
        int, typer.Option("--from", metavar="OFFSET", min=0, help="Leave out what is before.")
    ] = 0,
    count: Annotated[
        int | None, typer.Option("-n", "--count", metavar="N", min=0, help="End after N records.")
    ] = None,
    batches: Annotated[
        bool, typer.Option("--batches", help="Batches and markers, without records.")
    ] = False,
) -> None:
    """Print what is in a data directory, a partition's folder or one file of it.

    \b
    pyproducer log dump data/shop.orders-0                       all of a partition
    pyproducer log dump data/shop.orders-0 --from 1000 -n 10     ten records
    pyproducer log dump data/shop.orders-0/*.index               an index
    pyproducer log dump data --json | jq 'select(.kind == "producer")'

    Batches with their records, gaps and markers; indexes, producers' snapshots, leader epochs,
    aborted transactions, checkpoints. With --from or -n the logs alone. No broker is needed; one
    may run on the directory. Ends with 1 where something cannot be read.
    """
    with ScanProgress(quiet=sys.stdout.isatty()) as progress:
        try:
            found = Dump(
                path, start=start, limit=count, records=not batches, advance=progress.advance
            )
        except ValueError as error:
            raise CliError(str(error), Exit.USAGE) from None
        progress.begin(found.size())
        for document in found.documents():
            sys.stdout.write(f"{json_of(document) if shared.json else line_of(document)}\n")
    if found.damaged:
        raise CliError(f"{path}: not all of it can be read: see the lines with 'damage'")


@command(app, "verify", cluster=False)
def verify(
    shared: Shared,
    path: Annotated[Path, typer.Argument(metavar="DIR", show_default=False)],
) -> None:
    """Say whether a data directory, or one partition's folder, is sound.

    \b
    pyproducer log verify data
    pyproducer log verify data/shop.orders-0 --json

    Every batch is read: checksum, lengths, records, rising offsets and leader epochs. Indexes have
    to name the right batches, snapshots and .txnindex files what the batches say of producers,
    checkpoints offsets that the logs have; nothing may be left of an interrupted cleaning or
    deletion. Each problem is told with its file, its place and a way out. A broker may run on the
    directory: what it is writing at this moment is then no problem. Ends with 0 if all is sound
    and with 1 if not.
    """
    try:
        data = DataFolder.at(path)
    except ValueError as error:
        raise CliError(str(error), Exit.USAGE) from None
    problems = 0
    with ScanProgress() as progress:
        progress.begin(data.size())
        verification = Verification(data, progress.advance)
        for one in verification.problems():
            problems += 1
            if shared.json:
                told = one._asdict() | {"kind": "problem", "path": str(one.path)}
                print(json.dumps(told, ensure_ascii=False))
            else:
                where = f"{one.path}: {one.position}" if one.position else str(one.path)
                print(f"{where}: {one.what}\n    way out: {one.way_out}")
    totals = asdict(verification.totals)
    if shared.json:
        summary = {"kind": "summary", "problems": problems, "running": data.running, **totals}
        print(json.dumps(summary))
    else:
        counts = ", ".join(f"{count:,} {name}" for name, count in totals.items())
        note(f"{'sound' if not problems else f'{problems} problems'}: {counts}")
        if data.running:
            note("a broker runs on it: what it was writing was not judged")
    if problems:
        raise typer.Exit(Exit.FAILED)
