"""``pyproducer tail``: what is in a topic, and what comes."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Callable
from typing import Annotated, Any

import typer

from pyproducer.cli.bytes_fields import bytes_field
from pyproducer.cli.exits import CliError, Exit
from pyproducer.cli.opening import open_cluster
from pyproducer.cli.output import note
from pyproducer.cli.reader import TopicReader
from pyproducer.cli.shared import Shared, command
from pyproducer.records.reader import Record

__all__ = ["register"]

_Write = Callable[[int, Record], str]


def register(app: typer.Typer) -> None:
    """Adds the command."""
    command(app, "tail")(tail)


def tail(
    shared: Shared,
    topic: Annotated[str, typer.Argument(metavar="TOPIC", show_default=False)],
    from_beginning: Annotated[
        bool, typer.Option("--from-beginning", help="All that is there first, oldest first.")
    ] = False,
    count: Annotated[
        int | None, typer.Option("-n", "--count", metavar="N", min=0, help="End after N records.")
    ] = None,
    partition: Annotated[
        list[int] | None,
        typer.Option(metavar="P", min=0, help="Only this partition; may be repeated."),
    ] = None,
    format_: Annotated[
        str, typer.Option("--format", metavar="text|json|hex", help="How to print a record.")
    ] = "text",
    keys: Annotated[
        bool, typer.Option("--keys", help="In text and hex: the key and a tab before the value.")
    ] = False,
    timeout: Annotated[
        float | None,
        typer.Option(metavar="SECONDS", min=0, help="End when nothing has come for so long."),
    ] = None,
) -> None:
    """Print a topic's records, one a line, and wait for more until Ctrl-C.

    \b
    pyproducer tail shop.orders                          what comes from now on
    pyproducer tail shop.orders --from-beginning -n 10   the first ten records
    pyproducer tail shop.orders --from-beginning --timeout 2 --format json | jq .key

    Records of one partition come in their order; between partitions there is none. 'text' prints
    values (bytes that are no text as \\xNN, a null value as an empty line), 'json' has
    everything: bytes that are no text are in value_base64 or key_base64. Nothing is committed
    and no consumer group is joined. Ends with 1 if --timeout comes before N records.
    """
    if format_ not in _FORMATS:
        raise CliError(f"--format is one of {', '.join(_FORMATS)}, not {format_!r}", Exit.USAGE)
    write = _FORMATS["json" if shared.json else format_](topic, keys)
    try:
        asyncio.run(_tail(shared, topic, from_beginning, count, partition, timeout, write))
    except KeyboardInterrupt:
        # The usual way to end it.
        return


async def _tail(
    shared: Shared,
    topic: str,
    from_beginning: bool,
    count: int | None,
    partitions: list[int] | None,
    timeout: float | None,
    write: _Write,
) -> None:
    async with open_cluster(shared) as cluster:
        reader = TopicReader(
            cluster, topic, partitions, on_trouble=lambda text: note(f"tail: {text}")
        )
        await reader.seek("earliest" if from_beginning else "latest")
        start = dict(reader.positions)
        left = count
        batches = reader.batches()
        try:
            while left is None or left > 0:
                try:
                    async with asyncio.timeout(timeout):
                        index, batch = await anext(batches)
                except TimeoutError:
                    if left:
                        raise CliError(
                            f"nothing has come for {timeout:g} s: {(count or 0) - left} of "
                            f"{count} records"
                        ) from None
                    return
                if batch.header.is_control:
                    continue
                lines = [
                    write(index, record)
                    for record in batch.records()
                    if record.offset >= start[index]
                ][:left]
                sys.stdout.write("".join(f"{line}\n" for line in lines))
                sys.stdout.flush()
                left = None if left is None else left - len(lines)
        finally:
            await batches.aclose()


def _text(_topic: str, keys: bool) -> _Write:
    def shown(data: bytes | None) -> str:
        return "" if data is None else data.decode("utf-8", "backslashreplace")

    if keys:
        return lambda _, record: f"{shown(record.key)}\t{shown(record.value)}"
    return lambda _, record: shown(record.value)


def _hex(_topic: str, keys: bool) -> _Write:
    def shown(data: bytes | None) -> str:
        return "" if data is None else data.hex()

    if keys:
        return lambda _, record: f"{shown(record.key)}\t{shown(record.value)}"
    return lambda _, record: shown(record.value)


def _json(topic: str, _keys: bool) -> _Write:
    def write(partition: int, record: Record) -> str:
        document: dict[str, Any] = {
            "topic": topic,
            "partition": partition,
            "offset": record.offset,
            "timestamp_ms": record.timestamp_ms,
            **bytes_field("key", record.key),
            **bytes_field("value", record.value),
        }
        if record.headers:
            document["headers"] = [
                {"name": name, **bytes_field("value", value)} for name, value in record.headers
            ]
        return json.dumps(document, ensure_ascii=False)

    return write


_FORMATS: dict[str, Callable[[str, bool], _Write]] = {"text": _text, "json": _json, "hex": _hex}
