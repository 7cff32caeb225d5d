"""``pyproducer produce``: a file, or what is piped in, into a topic."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import typer

from pyproducer.cli.commands.topics import pairs
from pyproducer.cli.exits import CliError, Exit
from pyproducer.cli.feeding import Feeder
from pyproducer.cli.lines import LineReader
from pyproducer.cli.output import (
    bytes_text,
    note,
    print_json,
    seconds_text,
    warnings_shown,
)
from pyproducer.cli.progress import Progress
from pyproducer.cli.shared import Shared, command
from pyproducer.cli.sources import Source, make_source
from pyproducer.config import ProducerConfig
from pyproducer.errors import ProducerError, UnknownTopic
from pyproducer.producer import AsyncProducer

__all__ = ["register"]

#: Lines about lines; more are only counted.
_MAX_COMPLAINTS = 20


def register(app: typer.Typer) -> None:
    """Adds the command."""
    command(app, "produce")(produce)


def produce(
    shared: Shared,
    topic: Annotated[str, typer.Argument(metavar="TOPIC", show_default=False)],
    file: Annotated[
        str, typer.Argument(metavar="[FILE]", help="What to read; - is standard input.")
    ] = "-",
    format_: Annotated[
        str, typer.Option("--format", metavar="lines|json|csv|avro", help="What the input is.")
    ] = "lines",
    key_field: Annotated[
        str | None,
        typer.Option(metavar="FIELD", help="The field or column whose value becomes the key."),
    ] = None,
    header: Annotated[
        list[str] | None,
        typer.Option("--header", "-H", metavar="NAME=VALUE", help="On every record; repeatable."),
    ] = None,
    schema: Annotated[
        Path | None, typer.Option(metavar="FILE", help="The Avro schema, for --format avro.")
    ] = None,
    delimiter: Annotated[
        str, typer.Option(metavar="CHAR", help="Between the fields, for --format csv.")
    ] = ",",
    compression: Annotated[
        str | None, typer.Option(metavar="none|gzip|snappy|lz4|zstd", help="Codec of the batches.")
    ] = None,
    acks: Annotated[
        str | None,
        typer.Option(metavar="all|1|0", help="Copies before a record counts.  [default: all]"),
    ] = None,
    linger_ms: Annotated[
        int | None, typer.Option(metavar="MS", help="How long a batch waits for more records.")
    ] = None,
) -> None:
    """Send each line of a file, or of what is piped in, as a record.

    \b
    echo 'one tea' | pyproducer produce shop.orders
    pyproducer produce shop.orders orders.jsonl --format json --key-field id
    pyproducer produce shop.orders orders.csv --format csv --key-field id --compression zstd
    pyproducer produce shop.orders orders.jsonl --format avro --schema order.avsc
    tail -F access.log | pyproducer produce web.access -H host=web-1

    \b
    lines  a record is a line
    json   a line is a JSON value; it is checked and sent as it stands
    csv    the first line names the columns; a row is checked and sent as it stands
    avro   a line is a JSON value; it is sent in Avro's binary encoding

    A line that is no record is reported with its number, and the others go on. Ctrl-C ends the
    reading; what was read is still sent. Ends with 0 if all input was delivered, else with 1.
    """
    config = shared.producer_config(compression_type=compression, acks=acks, linger_ms=linger_ms)
    source = make_source(
        format_,
        key_field=key_field,
        schema=schema,
        delimiter=delimiter,
        limit=config.max_request_size,
    )
    headers = pairs("--header", header or ())
    servers = shared.required_servers()
    with _opened(file) as (descriptor, size):
        lines = LineReader(descriptor, limit=config.max_request_size)
        run = _Run(topic, lines, size)
        summary = asyncio.run(run.produce(servers, config, source, headers))
    if shared.json:
        print_json(summary)
    else:
        print(_told(summary))
    for text in run.remarks:
        note(f"produce: {text}")
    if run.remarks or summary["failed"] or summary["rejected"]:
        raise typer.Exit(Exit.FAILED)


@contextlib.contextmanager
def _opened(file: str) -> Iterator[tuple[int, int | None]]:
    """A descriptor to read and the bytes that there are, if that is known."""
    if file == "-":
        if sys.stdin is None or sys.stdin.closed:
            raise CliError("there is no standard input", Exit.USAGE)
        if sys.stdin.isatty() and sys.stderr.isatty():
            note("one record a line; Ctrl-D ends")
        yield sys.stdin.fileno(), None
        return
    path = Path(file)
    try:
        with path.open("rb", buffering=0) as opened:
            yield opened.fileno(), path.stat().st_size if path.is_file() else None
    except OSError as error:
        raise CliError(f"{file} cannot be read: {error.strerror or error}", Exit.USAGE) from error


class _Run:
    """One run of the command.

    Attributes:
        remarks: why not all of the input was taken.
    """

    def __init__(self, topic: str, lines: LineReader, size: int | None) -> None:
        self.remarks: list[str] = []
        self._topic = topic
        self._lines = lines
        self._size = size
        self._complaints = 0
        self._interrupts = 0

    async def produce(
        self, servers: str, config: ProducerConfig, source: Source, headers: list[tuple[str, str]]
    ) -> dict[str, Any]:
        """Sends everything and returns what became of it."""
        began = time.perf_counter()
        producer: AsyncProducer[Any, Any] = AsyncProducer(servers, config=config)
        async with producer:
            await self._known(producer)
            feeder = Feeder(producer.topic(self._topic), headers, self._complain)
            progress = Progress(feeder, self._lines, self._size)
            with warnings_shown(), progress, self._interruptible(producer):
                await feeder.feed(source.items(self._lines))
                await self._flushed(producer)
        seconds = time.perf_counter() - began
        if self._complaints > _MAX_COMPLAINTS:
            note(f"... and {self._complaints - _MAX_COMPLAINTS} more")
        self._remark(feeder)
        return {
            "topic": self._topic,
            "delivered": feeder.delivered,
            "failed": feeder.accepted - feeder.delivered,
            "rejected": feeder.rejected,
            "lines_read": self._lines.lines_read,
            "bytes_read": self._lines.bytes_read,
            "seconds": round(seconds, 3),
            "stopped": self._lines.stopped,
        }

    async def _known(self, producer: AsyncProducer[Any, Any]) -> None:
        try:
            await producer.partitions_for(self._topic)
        except UnknownTopic as error:
            raise UnknownTopic(
                f"{error}; 'pyproducer topics create {self._topic}' makes it", topic=self._topic
            ) from error

    @contextlib.contextmanager
    def _interruptible(self, producer: AsyncProducer[Any, Any]) -> Iterator[None]:
        """Ctrl-C and SIGTERM end the reading; a second one ends the sending as well."""
        loop = asyncio.get_running_loop()
        closing: set[asyncio.Task[None]] = set()

        def stop() -> None:
            self._interrupts += 1
            self._lines.stop()
            if self._interrupts == 1:
                note("\nproduce: stopped reading, sending what was read; again to give that up")
            elif not closing:
                closing.add(asyncio.ensure_future(_give_up(producer)))

        numbers = (signal.SIGINT, signal.SIGTERM)
        for number in numbers:
            loop.add_signal_handler(number, stop)
        try:
            yield
        finally:
            for number in numbers:
                loop.remove_signal_handler(number)

    async def _flushed(self, producer: AsyncProducer[Any, Any]) -> None:
        flushing = asyncio.ensure_future(producer.flush())
        while not flushing.done() and self._interrupts < 2:
            await asyncio.wait({flushing}, timeout=0.1)
        flushing.cancel()
        await asyncio.gather(flushing, return_exceptions=True)
        # The callbacks of the last batches may still wait for their turn.
        await asyncio.sleep(0)

    def _complain(self, line: int, reason: str) -> None:
        self._complaints += 1
        if self._complaints <= _MAX_COMPLAINTS:
            note(f"line {line}: {reason}")

    def _remark(self, feeder: Feeder) -> None:
        lines = self._lines
        if feeder.blocked is not None:
            self.remarks.append(feeder.blocked)
        if lines.stopped:
            self.remarks.append(f"the input was read up to line {lines.lines_read} and no further")
        if lines.unfinished:
            self.remarks.append(
                f"{lines.unfinished} bytes of a line that had not ended were not sent"
            )


async def _give_up(producer: AsyncProducer[Any, Any]) -> None:
    # What failed by this is in the summary.
    with contextlib.suppress(ProducerError):
        await producer.close(0)


def _told(summary: dict[str, Any]) -> str:
    delivered, seconds = summary["delivered"], summary["seconds"]
    rate = delivered / seconds if seconds else 0.0
    size = bytes_text(summary["bytes_read"])
    text = (
        f"delivered {delivered} record{'' if delivered == 1 else 's'} to {summary['topic']} "
        f"in {seconds_text(seconds)} ({rate:.0f} a second, {size} read)"
    )
    parts = [text]
    parts += [f"{name} {summary[name]}" for name in ("rejected", "failed") if summary[name]]
    return ", ".join(parts)
