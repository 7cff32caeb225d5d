"""All commands under one name, and the line that an error becomes."""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Annotated

import typer

from pyproducer._version import VERSION
from pyproducer.cli.exits import Exit, OutputClosed, judge
from pyproducer.cli.output import setup_logging
from pyproducer.cli.shared import ENVIRONMENT, remember

__all__ = ["make_app", "run"]

#: Each has a module of its name in `pyproducer.cli.commands`.
_COMMANDS = (
    "topics",
    "users",
    "acls",
    "quotas",
    "broker",
    "produce",
    "tail",
    "log",
    "demo",
    "bench",
)
_EPILOG = f"""Exit status: 0 done, 1 something failed, 2 wrong usage, 3 no broker reached.
The cluster is named by --bootstrap-server, by bootstrap.servers in --config, or by the
environment variable {ENVIRONMENT[0]}."""


def _show_version(wanted: bool) -> None:
    if wanted:
        print(f"pyproducer {VERSION}")
        raise typer.Exit


def root(
    context: typer.Context,
    bootstrap_server: Annotated[
        str | None, typer.Option(metavar="HOST:PORT[,...]", help="Brokers to ask first.")
    ] = None,
    config: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Options of a producer, name=value lines.")
    ] = None,
    dialect: Annotated[
        str | None, typer.Option(metavar="java|librdkafka", help="Whose names --config has.")
    ] = None,
    security_protocol: Annotated[
        str | None, typer.Option(metavar="NAME", help="How the listener is secured.")
    ] = None,
    ssl_ca: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Certificates to trust, PEM.")
    ] = None,
    sasl_mechanism: Annotated[
        str | None, typer.Option(metavar="NAME", help="How to prove who you are.")
    ] = None,
    username: Annotated[str | None, typer.Option(metavar="NAME", help="Who you are.")] = None,
    password_file: Annotated[
        Path | None, typer.Option(metavar="FILE", help="A file whose first line is the password.")
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show tracebacks.")] = False,
    _version: Annotated[
        bool,
        typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version."),
    ] = False,
) -> None:
    """Write to Kafka, look at it, and run a broker of your own.

    \b
    pyproducer demo                                    what it can do, on real data
    pyproducer broker --port 9092 --data-dir ./data    a broker, in this terminal
    export PYPRODUCER_BOOTSTRAP_SERVERS=localhost:9092
    pyproducer topics create shop.orders --partitions 3
    echo 'one tea' | pyproducer produce shop.orders
    pyproducer tail shop.orders --from-beginning

    Every command has --help with examples.
    """
    remember(
        context,
        {
            "bootstrap_server": bootstrap_server,
            "config_file": config,
            "dialect": dialect,
            "security_protocol": security_protocol,
            "ssl_ca": ssl_ca,
            "sasl_mechanism": sasl_mechanism,
            "username": username,
            "password_file": password_file,
            "json": json,
            "debug": debug,
        },
    )


def make_app(only: str | None = None) -> typer.Typer:
    """The commands under one name.

    Args:
        only: the one command that is wanted; None is all. What the others import takes longer
            than most commands do.
    """
    app = typer.Typer(
        name="pyproducer",
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,
    )
    app.callback(epilog=_EPILOG)(root)
    for name in _COMMANDS if only is None else (only,):
        import_module(f"pyproducer.cli.commands.{name}").register(app)
    return app


def run(arguments: Sequence[str] | None = None) -> int:
    """Runs a command and returns its exit status; an error is one line on stderr."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    setup_logging(debug="--debug" in words)
    try:
        # Words before the command may be values of options: then its name is the parser's to find.
        only = words[0] if words and words[0] in _COMMANDS else None
        result = make_app(only)(args=words, prog_name="pyproducer", standalone_mode=False)
    except OutputClosed:
        # Python flushes stdout once more at the end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return Exit.DONE
    except BaseException as error:
        return _report(error, debug="--debug" in words)
    return result if isinstance(result, int) else Exit.DONE


def _report(error: BaseException, *, debug: bool) -> int:
    if isinstance(error, SystemExit):
        return error.code if isinstance(error.code, int) else Exit.FAILED
    if debug:
        traceback.print_exception(error)
    status, text = judge(error)
    # What the parser of the command line raises has no public base in all versions of typer.
    told = getattr(error, "format_message", None)
    if callable(told):
        if type(error).__name__ == "NoArgsIsHelpError":
            print(told(), file=sys.stderr)
            return Exit.USAGE
        context = getattr(error, "ctx", None)
        path = context.command_path if context is not None else "pyproducer"
        status, text = Exit.USAGE, f"{' '.join(str(told()).split())} (see {path} --help)"
    elif isinstance(error, (KeyboardInterrupt, typer.Abort)):
        status, text = Exit.FAILED, "interrupted"
    print(f"pyproducer: error: {text}", file=sys.stderr)
    return status
