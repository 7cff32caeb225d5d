"""The options that all commands have, and what they say together.

They may stand before the command or behind it; behind wins::

    pyproducer --bootstrap-server kafka-1:9092 topics list
    pyproducer topics list --bootstrap-server kafka-1:9092

``--config`` is also called ``--command-config``, as in Kafka's own tools: ``topics create`` and
``topics alter`` take ``--config name=value`` for the topic's configurations.
"""

from __future__ import annotations

import functools
import inspect
import os
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from pyproducer.cli.exits import CliError, Exit, OutputClosed
from pyproducer.cli.option_group import OptionGroup
from pyproducer.cli.secrets_of_user import PASSWORD_VARIABLE, find_password
from pyproducer.config import ProducerConfig
from pyproducer.config.bootstrap import parse_bootstrap
from pyproducer.config.dialects import translate
from pyproducer.properties import read_properties

__all__ = ["ENVIRONMENT", "Shared", "command", "remember"]

#: Where the bootstrap servers come from if no option names them; the first that is set counts.
ENVIRONMENT = ("PYPRODUCER_BOOTSTRAP_SERVERS", "PYPRODUCER_BOOTSTRAP_SERVER")

_META = "pyproducer.shared"

_SERVER = Annotated[
    str | None,
    typer.Option(
        "--bootstrap-server",
        metavar="HOST:PORT[,...]",
        help=f"Brokers to ask first.  [env var: {ENVIRONMENT[0]}]",
    ),
]
_FILE_HELP = "Options of a producer as Kafka's clients write them: name=value lines."
_CONFIG = Annotated[
    Path | None,
    typer.Option("--config", "--command-config", metavar="FILE", help=_FILE_HELP),
]
_COMMAND_CONFIG = Annotated[
    Path | None, typer.Option("--command-config", metavar="FILE", help=_FILE_HELP)
]


def _dialect(file_option: str) -> Any:
    """``--dialect`` of a command that has its file of options by this name."""
    told = f"Whose names {file_option} has.  [default: java]"
    return Annotated[str | None, typer.Option("--dialect", metavar="java|librdkafka", help=told)]


_SECURITY = Annotated[
    str | None,
    typer.Option(
        "--security-protocol",
        metavar="PLAINTEXT|SSL|SASL_PLAINTEXT|SASL_SSL",
        help="How the listener is secured.",
    ),
]
_CA = Annotated[
    Path | None,
    typer.Option("--ssl-ca", metavar="FILE", help="Certificates of the authorities to trust, PEM."),
]
_MECHANISM = Annotated[
    str | None,
    typer.Option("--sasl-mechanism", metavar="NAME", help="PLAIN, SCRAM-SHA-512 or another."),
]
_USERNAME = Annotated[
    str | None,
    typer.Option(
        "--username",
        metavar="NAME",
        help="Who you are. The password is asked for, or comes from a file or the environment.  "
        f"[env var: {PASSWORD_VARIABLE}]",
    ),
]
_PASSWORD_FILE = Annotated[
    Path | None,
    typer.Option("--password-file", metavar="FILE", help="A file whose first line is it."),
]
_JSON = Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")]
_DEBUG = Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")]

_OPTIONS: dict[str, tuple[Any, object]] = {
    "bootstrap_server": (_SERVER, None),
    "config_file": (_CONFIG, None),
    "dialect": (_dialect("--config"), None),
    "security_protocol": (_SECURITY, None),
    "ssl_ca": (_CA, None),
    "sasl_mechanism": (_MECHANISM, None),
    "username": (_USERNAME, None),
    "password_file": (_PASSWORD_FILE, None),
    "json": (_JSON, False),
    "debug": (_DEBUG, False),
}
#: For commands that need no cluster.
_LOCAL = ("json", "debug")


@dataclass(frozen=True, slots=True, kw_only=True)
class Shared:
    """What the shared options say.

    Attributes:
        bootstrap_server: as given; see ``servers``.
        config_file: a file of options.
        dialect: whose names are in it.
        security_protocol: how connections are secured.
        ssl_ca: whom to trust.
        sasl_mechanism: how to prove who the user is.
        username: who that is.
        password_file: where the password stands.
        json: print for programs.
        debug: show tracebacks.
    """

    bootstrap_server: str | None = None
    config_file: Path | None = None
    dialect: str | None = None
    security_protocol: str | None = None
    ssl_ca: Path | None = None
    sasl_mechanism: str | None = None
    username: str | None = None
    password_file: Path | None = None
    json: bool = False
    debug: bool = False

    def producer_config(self, **options: object) -> ProducerConfig:
        """The configuration of ``--config``, or the defaults, with ``options`` on top.

        Args:
            options: None stands for an option that was not given.

        Raises:
            CliError: the file cannot be read.
            ConfigError: an option in it, or the combination, cannot be used.
        """
        if self.config_file is None:
            if self.dialect is not None:
                raise CliError(
                    "--dialect says how to read a file of options, and none is given: "
                    "add --command-config FILE",
                    _USAGE,
                )
            settings: dict[str, Any] = {}
        else:
            # It judges the dialect, too.
            settings = translate(read_properties(self.config_file), self.dialect or "java")
        options |= {
            "security_protocol": self.security_protocol,
            "ssl_ca": self.ssl_ca,
            "sasl_mechanism": self.sasl_mechanism,
            "sasl_username": self.username,
        }
        settings |= {name: value for name, value in options.items() if value is not None}
        if self.password_file is not None or (
            settings.get("sasl_username") and "sasl_password" not in settings
        ):
            user = str(settings.get("sasl_username"))
            settings["sasl_password"] = find_password(self.password_file, user)
        return ProducerConfig(**settings)

    def servers(self) -> str | None:
        """The bootstrap servers: the option's, the file's or the environment's, in this order."""
        if self.bootstrap_server is not None:
            return self.bootstrap_server
        configured = self.producer_config().bootstrap_servers
        if configured is not None:
            return configured
        return next((os.environ[name] for name in ENVIRONMENT if os.environ.get(name)), None)

    def required_servers(self) -> str:
        """The bootstrap servers, checked.

        Raises:
            CliError: none are named.
            ConfigError: they cannot be addresses.
        """
        servers = self.servers()
        if servers is None:
            raise CliError(
                f"no broker is named: add --bootstrap-server HOST:PORT or set {ENVIRONMENT[0]}",
                _USAGE,
            )
        parse_bootstrap(servers)
        return servers


_USAGE = Exit.USAGE


def remember(context: typer.Context, given: Mapping[str, object]) -> None:
    """Keeps what stood before the command, for the command."""
    context.meta[_META] = dict(given)


def command(
    app: typer.Typer, name: str, *, cluster: bool = True, topic_config: bool = False
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Registers a function as a command; its first parameter is given the shared options.

    Args:
        app: where to.
        name: of the command.
        cluster: whether it talks to a cluster, so that it has the options that name one.
        topic_config: whether ``--config`` is its own, for configurations of a topic.

    A parameter of the function whose type is an `OptionGroup` stands for all options of it.
    """
    options = {one: _OPTIONS[one] for one in _OPTIONS if cluster or one in _LOCAL}
    if topic_config:
        options["config_file"] = (_COMMAND_CONFIG, None)
        options["dialect"] = (_dialect("--command-config"), None)

    def register(function: Callable[..., Any]) -> Callable[..., Any]:
        _, *own = inspect.signature(function, eval_str=True).parameters.values()
        groups = {one.name: group for one in own if (group := _group(one)) is not None}

        @functools.wraps(function)
        def called(_context: typer.Context, **arguments: Any) -> Any:
            for one, group in groups.items():
                arguments[one] = group.taken_from(arguments)
            here = {one: arguments.pop(one) for one in options}
            before = _context.meta.get(_META, {})
            values = {one: here[one] or before.get(one) for one in options}
            for one in _LOCAL:
                values[one] = bool(values[one])
            try:
                result = function(Shared(**values), **arguments)
                sys.stdout.flush()
            except BrokenPipeError as error:
                # typer would end the process with a status of its own.
                raise OutputClosed from error
            return result

        _shape(called, own, options)
        app.command(name)(called)
        return function

    return register


def _group(parameter: inspect.Parameter) -> type[OptionGroup] | None:
    kind = parameter.annotation
    return kind if isinstance(kind, type) and issubclass(kind, OptionGroup) else None


def _shape(
    called: Any, own: Iterable[inspect.Parameter], options: Mapping[str, tuple[Any, object]]
) -> None:
    """Gives the wrapper the parameters that typer makes options of."""
    keyword = inspect.Parameter.KEYWORD_ONLY
    parameters = [
        inspect.Parameter(
            "_context", inspect.Parameter.POSITIONAL_OR_KEYWORD, annotation=typer.Context
        )
    ]
    for one in own:
        group = _group(one)
        parameters += [one.replace(kind=keyword)] if group is None else group.parameters()
    parameters += [
        inspect.Parameter(one, keyword, default=default, annotation=annotation)
        for one, (annotation, default) in options.items()
    ]
    called.__signature__ = inspect.Signature(parameters)
    called.__annotations__ = {one.name: one.annotation for one in parameters}
    # Else typer would look through the wrapper.
    del called.__wrapped__
