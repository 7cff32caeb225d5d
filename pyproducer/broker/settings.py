"""What a broker is started with, checked."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypedDict

from pyproducer.broker.configs import BrokerConfig, check_broker_configs
from pyproducer.broker.durability import FLUSH_INTERVAL_MS, Durability, ExpiryClock, FlushMode
from pyproducer.broker.errors import Refused
from pyproducer.broker.security.authorizer import STANDARD, parse_super_users
from pyproducer.broker.security.listener_settings import check_security, prefixed
from pyproducer.broker.topics import INTERNAL_TOPICS, MAX_PARTITIONS, TopicSpec, check_name
from pyproducer.errors import ConfigError
from pyproducer.protocol.acl import Acl
from pyproducer.protocol.principal import Principal

if TYPE_CHECKING:
    from pyproducer.broker.broker_clock import BrokerClock
    from pyproducer.broker.http_settings import HttpSettings
    from pyproducer.broker.log.filesystem import FileSystem
    from pyproducer.broker.security.listener import Listener
    from pyproducer.clock import Clock

#: Where one broker in a test is better off with other values than Kafka's: a lone consumer gets
#: its partitions at once, the first group or transaction does not make 50 logs, a misspelt name
#: does not make a topic, and there is no Kerberos.
_DEFAULTS = {
    "auto.create.topics.enable": "false",
    "group.initial.rebalance.delay.ms": "0",
    "offsets.topic.num.partitions": "5",
    "sasl.enabled.mechanisms": "PLAIN,SCRAM-SHA-256,SCRAM-SHA-512",
    "transaction.state.log.num.partitions": "5",
}

#: Seconds in which a client has to prove who it is, unless something else is said.
AUTHENTICATION_TIMEOUT = 30.0

_FLUSH_INTERVALS = {"log.flush.interval.ms", "log.flush.scheduler.interval.ms"}
_NEWEST_TRANSACTION_VERSION = 2
_MAX_PORT = 65535


class BrokerOptions(TypedDict, total=False):
    """The keyword arguments of `Broker`, which documents them."""

    data_dir: str | Path | None
    host: str
    port: int
    advertised_host: str | None
    listeners: Iterable[Listener] | None
    security: str | None
    users: Mapping[str, str]
    config: Mapping[str, str] | None
    auto_create_topics: bool
    http_port: int | None
    http_host: str
    http_token: str | None
    http_certificate: str | Path | None
    http_key: str | Path | None
    transaction_version: int
    flush: FlushMode
    producer_expiry_clock: ExpiryClock
    strict_unknown_producer: bool
    acls: Iterable[Acl] | None
    super_users: Iterable[str]
    clock: Clock | None
    fs: FileSystem | None
    journal: int
    slow_reader_timeout: float | None
    authentication_timeout: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class BrokerSettings:
    """The arguments of `Broker`, which documents them."""

    topics: list[TopicSpec]
    config: dict[str, str]
    data_dir: Path | None
    listeners: tuple[Listener, ...]
    http: HttpSettings | None
    transaction_version: int
    durability: Durability
    acls: tuple[Acl, ...]
    clock: BrokerClock
    fs: FileSystem | None
    slow_reader_timeout: float | None
    authentication_timeout: float | None


def checked_topics(topics: Mapping[str, int] | Iterable[TopicSpec]) -> list[TopicSpec]:
    """The topics as specs.

    Raises:
        ConfigError: One of them is not possible.
    """
    if isinstance(topics, Mapping):
        specs = [TopicSpec(name, count) for name, count in topics.items()]
    elif isinstance(topics, Iterable):
        specs = list(topics)
    else:
        raise ConfigError(
            f"topics takes a mapping of names to partition counts, or TopicSpecs, not {topics!r}",
            option="topics",
        )
    names: set[str] = set()
    twins: set[str] = set()
    for spec in specs:
        if not isinstance(spec, TopicSpec):
            raise ConfigError(
                f"topics takes a mapping of names to partition counts, or TopicSpecs, not {spec!r}",
                option="topics",
            )
        _check_types(spec)
        try:
            check_name(spec.name)
            BrokerConfig().check_topic(spec.configs)
        except Refused as refused:
            raise ConfigError(f"topic {spec.name!r}: {refused.message}", option="topics") from None
        if not 1 <= spec.partitions <= MAX_PARTITIONS:
            raise ConfigError(
                f"topic {spec.name!r} has 1 to {MAX_PARTITIONS} partitions, not {spec.partitions}",
                option="topics",
            )
        twin = spec.name.replace(".", "_")
        problem = (
            "is made by the broker itself"
            if spec.name in INTERNAL_TOPICS
            else "is named twice"
            if spec.name in names
            else "differs from another in '.' and '_' only"
            if twin in twins
            else None
        )
        if problem is not None:
            raise ConfigError(f"topic {spec.name!r} {problem}", option="topics")
        names.add(spec.name)
        twins.add(twin)
    return specs


def _check_types(spec: TopicSpec) -> None:
    problem = None
    if not isinstance(spec.name, str):
        problem = f"a topic's name is a text, not {spec.name!r}"
    elif not _is_int(spec.partitions):
        problem = (
            f"topic {spec.name!r} has 1 to {MAX_PARTITIONS} partitions, not {spec.partitions!r}"
        )
    elif not isinstance(spec.configs, Mapping):
        problem = f"the configs of topic {spec.name!r} map names to texts, not {spec.configs!r}"
    else:
        wrong = [one for one in spec.configs.items() if not all(isinstance(t, str) for t in one)]
        if wrong:
            name, value = wrong[0]
            problem = f"topic {spec.name!r}: give {name} as a text, not {value!r}"
    if problem is not None:
        raise ConfigError(problem, option="topics")


def _is_int(value: object) -> bool:
    # True would pass for 1.
    return isinstance(value, int) and not isinstance(value, bool)


def checked_transaction_version(level: int) -> int:
    """The level of the feature.

    Raises:
        ConfigError: Kafka has no such level.
    """
    if not _is_int(level) or not 0 <= level <= _NEWEST_TRANSACTION_VERSION:
        raise ConfigError(
            f"transaction_version={level!r} is no level of transaction.version: give 0, 1 or 2",
            option="transaction_version",
        )
    return level


def checked_port(option: str, port: int) -> int:
    """The port.

    Raises:
        ConfigError: No socket can listen at it.
    """
    if not _is_int(port) or not 0 <= port <= _MAX_PORT:
        raise ConfigError(
            f"{option}={port!r} is no port: give 0 to {_MAX_PORT}, where 0 lets the system pick "
            "a free one",
            option=option,
        )
    return port


def checked_seconds(option: str, seconds: float | None) -> float | None:
    """A span of time, or None for none.

    Raises:
        ConfigError: It is no number above 0.
    """
    if seconds is None:
        return None
    number = isinstance(seconds, int | float) and not isinstance(seconds, bool)
    if not number or not math.isfinite(seconds) or seconds <= 0:
        raise ConfigError(f"{option}={seconds!r} is no number of seconds above 0", option=option)
    return float(seconds)


def checked_slow_reader_timeout(seconds: float | None, config: Mapping[str, str]) -> float | None:
    """After how long a client is disconnected that reads nothing, or None.

    Raises:
        ConfigError: It is no number above 0, or such a client is gone before.
    """
    found = checked_seconds("slow_reader_timeout", seconds)
    idle = BrokerConfig(config).int("connections.max.idle.ms") / 1000
    if found is not None and 0 <= idle <= found:
        raise ConfigError(
            f"slow_reader_timeout={found:g} has no effect: who does not read is disconnected "
            f"after connections.max.idle.ms, {idle:g} s",
            option="slow_reader_timeout",
        )
    return found


def checked_authentication_timeout(
    seconds: float | None, listeners: Iterable[Listener]
) -> float | None:
    """How long a client has to prove who it is, or None.

    Raises:
        ConfigError: It is no number above 0, or nobody has to.
    """
    found = checked_seconds("authentication_timeout", seconds)
    if found not in {None, AUTHENTICATION_TIMEOUT} and not any(
        one.security.sasl for one in listeners
    ):
        raise ConfigError(
            f"authentication_timeout={seconds:g} has no effect: no listener speaks SASL",
            option="authentication_timeout",
        )
    return found


def checked_host(option: str, host: str) -> str:
    """The address, as a text; whether it is this machine's shows at the start.

    Raises:
        ConfigError: It is no text.
    """
    if not isinstance(host, str):
        raise ConfigError(
            f"{option}={host!r} is no address: give a text such as '127.0.0.1'", option=option
        )
    return host


def checked_data_dir(data_dir: str | Path | None) -> Path | None:
    """The directory as a path; whether it can be used shows at the start.

    Raises:
        ConfigError: It is no path.
    """
    if data_dir is None:
        return None
    if not isinstance(data_dir, str | Path):
        raise ConfigError(
            f"data_dir={data_dir!r} is no path: give a text or a Path, or None for a temporary "
            "folder",
            option="data_dir",
        )
    return Path(data_dir)


def checked_acls(acls: Iterable[Acl] | None) -> tuple[Acl, ...]:
    """The rules that hold at the start.

    Raises:
        ConfigError: One of them is none.
    """
    if acls is None:
        return ()
    found = tuple(acls) if isinstance(acls, Iterable) else (acls,)
    for acl in found:
        if not isinstance(acl, Acl):
            raise ConfigError(
                f"acls takes Acls, such as Acl.allow('User:alice', 'read', topic='orders'), not "
                f"{acl!r}",
                option="acls",
            )
    return found


def checked_access(acls: Iterable[Acl] | None, super_users: Iterable[str]) -> dict[str, str]:
    """The configurations that these arguments stand for.

    Raises:
        ConfigError: There is no such super user.
    """
    if isinstance(super_users, str) or not isinstance(super_users, Iterable):
        raise ConfigError(
            f"super_users takes a list of principals, not {super_users!r}", option="super_users"
        )
    named = list(super_users)
    for name in named:
        try:
            Principal.parse(name)
        except (ValueError, AttributeError):
            raise ConfigError(
                f"super_users: {name!r} is no principal; write it as kind and name, User:admin",
                option="super_users",
            ) from None
    if acls is None and not named:
        return {}
    found = {"authorizer.class.name": STANDARD}
    if named:
        found["super.users"] = ";".join(named)
    return found


def checked_config(
    config: Mapping[str, object],
    listeners: Sequence[Listener],
    *,
    auto_create_topics: bool,
    durability: Durability,
    clock: Clock,
    users: bool,
    access: Mapping[str, str],
) -> dict[str, str]:
    """Kafka's broker configurations as texts, those of the listeners with their prefixes.

    Args:
        config: What was given for the broker.
        listeners: Its listeners.
        auto_create_topics: As for `Broker`.
        durability: Likewise.
        clock: Real time.
        users: Whether there are users with passwords.
        access: What `checked_access` found.

    Raises:
        ConfigError: One of them is unknown, not possible, or without effect here.
    """
    if not isinstance(config, Mapping):
        raise ConfigError(
            f"config takes a mapping of Kafka's broker properties to values, not {config!r}",
            option="config",
        )
    set_ = {
        name: str(value).lower() if isinstance(value, bool) else str(value)
        for name, value in config.items()
    } | prefixed(listeners)
    given: dict[str, str] = _DEFAULTS | set_
    if auto_create_topics:
        given["auto.create.topics.enable"] = "true"
    if durability.flush == "interval" and not given.keys() & _FLUSH_INTERVALS:
        given["log.flush.interval.ms"] = str(FLUSH_INTERVAL_MS)
    given |= {name: value for name, value in access.items() if name not in given}
    if access and not given["authorizer.class.name"]:
        raise ConfigError(
            "acls and super_users are for a broker with an authorizer, and authorizer.class.name "
            "is empty; leave it out",
            option="config",
        )
    if access.get("super.users") and given["super.users"] != access["super.users"]:
        raise ConfigError(
            "super_users and super.users name super users; give one of them", option="super_users"
        )
    try:
        parse_super_users(given.get("super.users", ""))
    except ValueError as error:
        raise ConfigError(f"super.users: {error}", option="config") from None
    try:
        check_broker_configs(given)
    except Refused as refused:
        raise ConfigError(str(refused.message), option="config") from None
    check_security(listeners, set_, given, clock, users=users)
    return given
