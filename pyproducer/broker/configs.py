"""Every topic and broker configuration of Kafka 4: what it is, may be, and does here.

The table itself is `configs.tsv` beside this module. A configuration that has no effect in this
broker is listed like all others, but setting it to anything other than its default is refused:
a setting that is accepted is a setting that works.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from enum import IntEnum
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from pyproducer.broker.addresses import is_address
from pyproducer.broker.errors import Refused
from pyproducer.protocol.error_codes import ErrorCode

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

#: The release of Kafka whose configurations these are.
KAFKA_VERSION = "4.4"

_BOUNDS = {"SHORT": 2**15, "INT": 2**31, "LONG": 2**63}
_MILLISECONDS = {"hours": 3_600_000, "minutes": 60_000}
#: What the name of a configuration begins with that is one listener's.
_LISTENER = "listener.name."
#: What those are that may be one listener's, and one mechanism's of it.
_OF_LISTENERS = ("ssl.", "sasl.", "connections.max.reauth.ms")
#: And those that are one listener's under exactly these names.
_LIMITS_OF_LISTENERS = frozenset({"max.connections", "max.connection.creation.rate"})
_OF_MECHANISMS = ("sasl.", "connections.max.reauth.ms")
_REPLICA = re.compile(r"[0-9]+:[0-9]+", re.ASCII)
_COUNT = re.compile(r"(?P<address>.+):(?P<count>[0-9]{1,9})", re.ASCII)
_SYMBOLS = {"~": None, "max32": str(2**31 - 1), "max64": str(2**63 - 1)}


class ConfigType(IntEnum):
    """Kafka's numbers for the types of configurations."""

    BOOLEAN = 1
    STRING = 2
    INT = 3
    SHORT = 4
    LONG = 5
    DOUBLE = 6
    LIST = 7
    CLASS = 8
    PASSWORD = 9


_NUMBERS = frozenset({ConfigType.INT, ConfigType.SHORT, ConfigType.LONG, ConfigType.DOUBLE})


class ConfigSource(IntEnum):
    """Kafka's numbers for where a value comes from, the strongest first."""

    TOPIC = 1
    BROKER = 2
    ALL_BROKERS = 3
    STATIC = 4
    DEFAULT = 5


@dataclass(frozen=True, slots=True)
class ConfigSpec:
    """One row of the table.

    Attributes:
        name: Kafka's property name.
        type: The type of its value.
        default: The value it has unset; None is Kafka's null.
        rule: What else the value must fulfil: `any`, `bool`, `>=n`, `a..b`, `in:x,y`, for each
            element of a list `list:x,y`, `replicas` for a list of `partition:broker`, or `counts`
            for one of `address:count`.
        synonyms: For a topic configuration, the broker configurations that default it, the
            strongest first.
        update: For a broker configuration, `ro`, `broker` (one broker) or `cluster` (also all).
        ours: `yes`, `start` for one that has its effect at the broker's start alone, `no`, or
            `only:x` where x states what this broker does anyway.
        doc: One sentence.
    """

    name: str
    type: ConfigType
    default: str | None
    rule: str
    synonyms: tuple[str, ...]
    update: str
    ours: str
    doc: str

    @property
    def implemented(self) -> bool:
        """True if setting it changes what this broker does."""
        return self.ours in {"yes", "start"}

    @property
    def fact(self) -> str | None:
        """What this broker does whatever is set, if that is a value of the configuration."""
        kind, colon, value = self.ours.partition(":")
        return value if colon and kind == "only" else None

    @property
    def sensitive(self) -> bool:
        """True if its value is never shown."""
        return self.type is ConfigType.PASSWORD

    @property
    def read_only(self) -> bool:
        """True for a broker configuration that cannot change while the broker runs."""
        return self.update == "ro" or self.ours == "start"

    def check(self, value: str | None) -> None:
        """Returns if the configuration may be set to the value.

        Raises:
            Refused: INVALID_CONFIG: wrong type, out of range, or without effect here.
        """
        if value is None:
            raise self._refused(value, "is null, which is no value")
        try:
            parsed = parse(self.type, value)
        except ValueError:
            raise self._refused(value, f"must be {self.values}") from None
        self._check_rule(value, parsed)
        if self.implemented:
            return
        harmless = [self.default, self.fact]
        if not any(v is not None and _same(self.type, v, parsed) for v in harmless):
            raise self._refused(
                value,
                f"has no effect in this broker, so it is not accepted; leave {self.name} "
                f"at its default ({self.default if self.default is not None else 'null'})"
                + (f" or at {self.fact}, which is what it does" if self.fact else ""),
            )

    @property
    def values(self) -> str:
        """What its values are, with their range, in words."""
        if self.type is ConfigType.BOOLEAN:
            return "true or false"
        kind, _, allowed = self.rule.partition(":")
        if kind == "in":
            return f"one of {allowed}"
        if kind == "list":
            return f"a list of {allowed}"
        if kind == "replicas":
            return "* or a list of partition:broker"
        if kind == "counts":
            return "a list of address:count"
        if self.type not in _NUMBERS:
            return "a list" if self.type is ConfigType.LIST else "a text"
        low, high = "", ""
        if self.type is not ConfigType.DOUBLE:
            bound = _BOUNDS[self.type.name]
            low, high = str(-bound), str(bound - 1)
        if kind.startswith(">="):
            low = kind.removeprefix(">=")
        elif ".." in kind:
            low, _, high = kind.partition("..")
        noun = "a number" if self.type is ConfigType.DOUBLE else "a whole number"
        if low and high:
            return f"{noun} from {low} to {high}"
        return f"{noun}, at least {low}" if low else noun

    def _check_rule(self, value: str, parsed: object) -> None:
        kind, _, text = self.rule.partition(":")
        if kind in {"any", "bool"}:
            return
        if kind in {"in", "list"}:
            allowed = text.split(",")
            items = parsed if isinstance(parsed, list) else [str(parsed)]
            if kind == "list" and not items and value.strip():
                raise self._refused(value, "must name something between its commas")
            if not all(item in allowed for item in items):
                raise self._refused(value, f"must be of {', '.join(allowed)}")
            return
        if kind == "replicas":
            assert isinstance(parsed, list)
            if parsed != ["*"] and not all(_REPLICA.fullmatch(item) for item in parsed):
                raise self._refused(value, "must be * or a list of partition:broker")
            return
        if kind == "counts":
            for item in listed(value):
                match = _COUNT.fullmatch(item)
                if match is None or not is_address(match["address"].strip("[]")):
                    raise self._refused(
                        value,
                        f"has {item!r}, which is no address:count; names are not looked up: give "
                        "addresses, such as 127.0.0.1:10",
                    )
            return
        assert isinstance(parsed, int | float)
        if kind.startswith(">="):
            low, high = kind.removeprefix(">="), "inf"
        else:
            low, _, high = kind.partition("..")
        if not float(low) <= parsed <= float(high):
            wanted = f"at least {low}" if high == "inf" else f"{low} to {high}"
            raise self._refused(value, f"must be {wanted}")

    def _refused(self, value: str | None, why: str) -> Refused:
        shown = "(hidden)" if self.sensitive else value
        return Refused(ErrorCode.INVALID_CONFIG, f"{self.name}={shown} {why}")


class Synonym(NamedTuple):
    """One of the settings behind an effective value."""

    name: str
    value: str | None
    source: ConfigSource


class Resolved(NamedTuple):
    """An effective value, where it comes from, and all that stands behind it."""

    spec: ConfigSpec
    value: str | None
    source: ConfigSource
    synonyms: tuple[Synonym, ...]


def parse(kind: ConfigType, value: str) -> bool | int | float | str | list[str]:
    """The value as Kafka understands it; numbers within the bounds of their type.

    Raises:
        ValueError: It is not of that type.
    """
    text = value.strip()
    if kind is ConfigType.BOOLEAN:
        if text.lower() not in {"true", "false"}:
            raise ValueError("expected true or false")
        return text.lower() == "true"
    if kind in {ConfigType.INT, ConfigType.SHORT, ConfigType.LONG}:
        # int() would take what Kafka does not: underscores and digits of other scripts.
        if not re.fullmatch(r"[+-]?[0-9]+", text, re.ASCII):
            raise ValueError("not a whole number")
        number = int(text)
        bound = _BOUNDS[kind.name]
        if not -bound <= number < bound:
            raise ValueError("out of the type's range")
        return number
    if kind is ConfigType.DOUBLE:
        return float(text)
    if kind is ConfigType.LIST:
        return listed(text)
    return text


def listed(text: str) -> list[str]:
    """The items of a list, which are parted by commas."""
    return [item.strip() for item in text.split(",") if item.strip()]


def _same(kind: ConfigType, value: str, parsed: object) -> bool:
    try:
        return parse(kind, value) == parsed
    except ValueError:
        return False


@cache
def _tables() -> tuple[dict[str, ConfigSpec], dict[str, ConfigSpec]]:
    text = Path(__file__).with_name("configs.tsv").read_text(encoding="ascii")
    topic: dict[str, ConfigSpec] = {}
    broker: dict[str, ConfigSpec] = {}
    for line in text.splitlines()[1:]:
        scope, name, kind, default, rule, origin, ours, doc = line.split("\t")
        of_topic = scope == "topic"
        spec = ConfigSpec(
            name=name,
            type=ConfigType[kind],
            default=_SYMBOLS.get(default, default),
            rule=rule,
            synonyms=tuple(filter(None, origin.split(","))) if of_topic else (),
            update="" if of_topic else origin,
            ours=ours,
            doc=doc,
        )
        (topic if of_topic else broker)[name] = spec
    return topic, broker


def topic_specs() -> Mapping[str, ConfigSpec]:
    """All topic configurations by name, in order."""
    return _tables()[0]


def broker_specs() -> Mapping[str, ConfigSpec]:
    """All broker configurations by name, in order."""
    return _tables()[1]


@cache
def _facts() -> dict[str, str]:
    """What this broker does whatever is set, by the name of the configuration."""
    return {name: spec.fact for name, spec in broker_specs().items() if spec.fact is not None}


def broker_spec(name: str) -> ConfigSpec | None:
    """The broker configuration of that name, which may be that of one listener; or None.

    `listener.name.inside.ssl.client.auth` is `ssl.client.auth` for the listener INSIDE alone, and
    `listener.name.inside.plain.sasl.jaas.config` is so for one of its mechanisms.
    """
    specs = broker_specs()
    if name in specs or not name.startswith(_LISTENER):
        return specs.get(name)
    own = name.removeprefix(_LISTENER).partition(".")[2]
    if own in _LIMITS_OF_LISTENERS:
        return replace(specs[own], name=name)
    for rest, kinds in ((own, _OF_LISTENERS), (own.partition(".")[2], _OF_MECHANISMS)):
        spec = specs.get(rest)
        if spec is not None and spec.name.startswith(kinds):
            return replace(spec, name=name)
    return None


def listener_of(name: str) -> str | None:
    """The listener that a configuration is of, in small letters, or None if it is of no one."""
    if not name.startswith(_LISTENER):
        return None
    return name.removeprefix(_LISTENER).partition(".")[0]


def is_sensitive(name: str) -> bool:
    """True for a configuration of a broker whose value is never shown."""
    spec = broker_spec(name)
    return spec is not None and spec.sensitive


def check_topic_configs(configs: Mapping[str, str | None]) -> None:
    """Returns if a topic may have these configurations.

    Raises:
        Refused: INVALID_CONFIG, naming key and value.
    """
    specs = topic_specs()
    for name, value in configs.items():
        spec = specs.get(name)
        if spec is None:
            raise _unknown("topic", name, specs)
        spec.check(value)


def check_broker_configs(configs: Mapping[str, str | None]) -> None:
    """Returns if a broker may have these configurations.

    Raises:
        Refused: INVALID_CONFIG, naming key and value.
    """
    specs = broker_specs()
    for name, value in configs.items():
        spec = broker_spec(name)
        if spec is None:
            of_topic = topic_specs().get(name)
            if of_topic is not None and of_topic.synonyms:
                raise Refused(
                    ErrorCode.INVALID_CONFIG,
                    f"{name} is a topic configuration; its default for all topics is the broker "
                    f"configuration {of_topic.synonyms[0]}",
                )
            raise _unknown("broker", name, specs)
        spec.check(value)


def _unknown(scope: str, name: str, known: Iterable[str]) -> Refused:
    import difflib  # loading it takes longer than most brokers ever need it

    # A request may have thousands of such names, and to compare one with all takes milliseconds.
    like = [one for one in known if one[0] == name[:1] and abs(len(one) - len(name)) <= _TYPED]
    near = difflib.get_close_matches(name, like, n=1)
    hint = f"; did you mean {near[0]}?" if near else ""
    return Refused(ErrorCode.INVALID_CONFIG, f"unknown {scope} configuration {name!r}{hint}")


#: Letters that a mistyped name has more or fewer than the right one.
_TYPED: Final = 4


class BrokerConfig:
    """The broker's own settings, in Kafka's layers, and the topic defaults they make.

    Args:
        static: What the broker was started with; checked by `check_broker_configs` before.

    Attributes:
        static: The same.
        facts: Configurations that say where this broker is, whose values come from elsewhere.
        all_brokers: What was set while running, for all brokers.
        this_broker: What was set while running, for this one.
    """

    def __init__(self, static: Mapping[str, str] | None = None) -> None:
        self.static = dict(static or {})
        self.facts = dict(_facts())
        self.all_brokers: dict[str, str] = {}
        self.this_broker: dict[str, str] = {}

    def altered(self, configs: Mapping[str, str], *, all_brokers: bool) -> BrokerConfig:
        """The settings as they were if these were set while running, on all brokers or this one."""
        found = BrokerConfig(self.static)
        found.facts = self.facts
        found.all_brokers = dict(configs) if all_brokers else self.all_brokers
        found.this_broker = self.this_broker if all_brokers else dict(configs)
        return found

    def layers(self, name: str) -> tuple[Synonym, ...]:
        """The settings of one broker configuration, the strongest first."""
        found: list[Synonym] = []
        if name in self.this_broker:
            found.append(Synonym(name, self.this_broker[name], ConfigSource.BROKER))
        if name in self.all_brokers:
            found.append(Synonym(name, self.all_brokers[name], ConfigSource.ALL_BROKERS))
        # What is a fact is so whatever the broker was told at its start.
        if name in self.facts:
            found.append(Synonym(name, self.facts[name], ConfigSource.STATIC))
        elif name in self.static:
            found.append(Synonym(name, self.static[name], ConfigSource.STATIC))
        # One listener's own is stronger than that of all, and has no default besides.
        spec = broker_specs().get(name)
        if spec is not None and spec.default is not None:
            found.append(Synonym(name, spec.default, ConfigSource.DEFAULT))
        return tuple(found)

    def get(self, name: str) -> str | None:
        """The effective value of a broker configuration; None for Kafka's null."""
        layers = self.layers(name)
        return layers[0].value if layers else None

    def int(self, name: str) -> int:
        """The effective value of a whole number that has a default."""
        value = self.get(name)
        assert value is not None, name
        return int(value)

    def flag(self, name: str) -> bool:
        """The effective value of a boolean."""
        return parse(ConfigType.BOOLEAN, self.get(name) or "false") is True

    def resolve_broker(self, name: str) -> Resolved:
        """A broker configuration as DescribeConfigs shows it."""
        layers = self.layers(name)
        value, source = (
            (layers[0].value, layers[0].source) if layers else (None, ConfigSource.DEFAULT)
        )
        spec = broker_spec(name)
        assert spec is not None, name
        return Resolved(spec, value, source, layers)

    def names(self) -> list[str]:
        """Every broker configuration there is, and those of listeners that are set."""
        own = {name for layer in (self.static, self.all_brokers, self.this_broker) for name in layer
               if name.startswith(_LISTENER)}  # fmt: skip
        return [*broker_specs(), *sorted(own)]

    def resolve_topic(self, name: str, overrides: Mapping[str, str]) -> Resolved:
        """A topic configuration as DescribeConfigs shows it, given the topic's own settings."""
        spec = topic_specs()[name]
        own = [Synonym(name, overrides[name], ConfigSource.TOPIC)] if name in overrides else []
        layers = [layer for synonym in spec.synonyms for layer in self.layers(synonym)]
        # Set values of every synonym come before the default of any: log.retention.hours, set,
        # is stronger than the default of log.retention.ms.
        given = own + [layer for layer in layers if layer.source is not ConfigSource.DEFAULT]
        defaults = [layer for layer in layers if layer.source is ConfigSource.DEFAULT]
        if not spec.synonyms and spec.default is not None:
            defaults.append(Synonym(name, spec.default, ConfigSource.DEFAULT))
        strongest = (given + defaults)[0]
        # Of defaults, Kafka shows that of the first synonym alone.
        shown = [layer for layer in defaults if layer.name in spec.synonyms[:1]]
        return Resolved(spec, _in_unit(strongest), strongest.source, (*given, *shown))

    def check_topic(self, overrides: Mapping[str, str | None]) -> None:
        """Returns if a topic may have these configurations, the rest being this broker's defaults.

        Raises:
            Refused: INVALID_CONFIG, naming key and value.
        """
        check_topic_configs(overrides)
        own = {name: value for name, value in overrides.items() if value is not None}
        least, most = (
            self.resolve_topic(name, own).value or ""
            for name in ("min.compaction.lag.ms", "max.compaction.lag.ms")
        )
        if int(least) > int(most):
            raise Refused(
                ErrorCode.INVALID_CONFIG,
                f"min.compaction.lag.ms={least} exceeds max.compaction.lag.ms={most}: records "
                "would have to be compacted before they may be",
            )

    def topic_settings(self, overrides: Mapping[str, str]) -> dict[str, str]:
        """Every topic configuration's effective value, given the topic's own settings."""
        return {name: self.resolve_topic(name, overrides).value or "" for name in topic_specs()}


def _in_unit(synonym: Synonym) -> str | None:
    factor = _MILLISECONDS.get(synonym.name.rpartition(".")[2])
    if factor is None or synonym.value is None:
        return synonym.value
    number = int(synonym.value)
    # -1 means "no limit" in every unit.
    return str(number * factor if number > 0 else number)
