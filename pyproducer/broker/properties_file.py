"""A broker's arguments from a file of Kafka's property names, such as a server.properties.

A file that was written for a Kafka of one node works as it is. Where it listens and keeps its data
are arguments of `Broker` here, and so are limits that Kafka has no name for, which begin with
`pyproducer.`. What says how the nodes of a cluster find each other is looked at,
since this broker is all of its cluster: it may say that, and nothing else. Everything in the
file that cannot be used is told at once, each with its line.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

from pyproducer.broker.configs import (
    ConfigType,
    check_broker_configs,
    listed,
    listener_of,
    parse,
)
from pyproducer.broker.errors import Refused
from pyproducer.broker.security.listener import Listener
from pyproducer.broker.security.listener_settings import PLACES, BadPlace, listeners_of, moved
from pyproducer.broker.settings import BrokerOptions
from pyproducer.errors import ConfigError
from pyproducer.properties import Setting, read_settings

__all__ = ["options_of_file", "with_place"]

_VOTER = re.compile(r"(?P<id>[0-9]+)@.+")
#: What a file says about listeners and controllers; read together, not one by one.
_PLACE = frozenset({
    "advertised.listeners",
    "controller.listener.names",
    "controller.quorum.bootstrap.servers",
    "controller.quorum.voters",
    "inter.broker.listener.name",
    "listener.security.protocol.map",
    "listeners",
    "log.dir",
    "log.dirs",
    "sasl.mechanism.controller.protocol",
    "sasl.mechanism.inter.broker.protocol",
    "security.inter.broker.protocol",
})  # fmt: skip
#: Limits that Kafka does not have, in milliseconds, by the arguments of `Broker` that they are.
_OURS: Final = {
    "pyproducer.authentication.timeout.ms": "authentication_timeout",
    "pyproducer.slow.reader.timeout.ms": "slow_reader_timeout",
}
_OWN: Final = "pyproducer."
_NO_LIMIT: Final = -1
#: What older Kafkas had, and what says the same now.
_OF_OLD = {
    "advertised.host.name": "advertised.listeners",
    "advertised.port": "advertised.listeners",
    "host.name": "listeners",
    "port": "listeners",
    "zookeeper.connect": None,
    "zookeeper.connection.timeout.ms": None,
    "zookeeper.session.timeout.ms": None,
}


class _Problem(Exception):
    """A setting that cannot be used.

    Attributes:
        name: Which one.
    """

    def __init__(self, name: str, why: str) -> None:
        super().__init__(why)
        self.name = name


def options_of_file(path: str | Path) -> BrokerOptions:
    """What the file says, as arguments of `Broker`; those that it does not mention are left out.

    Raises:
        ConfigError: The file cannot be read, or has settings that cannot be used; says all of
            them, with their lines.
    """
    settings = {one.name: one for one in read_settings(Path(path))}
    place = {name: one.value for name, one in settings.items() if name in _PLACE}
    controllers = listed(place.get("controller.listener.names", ""))
    config = {
        name: one.value
        for name, one in settings.items()
        if name not in _PLACE
        and name not in _OURS
        # Nobody listens there.
        and (listener_of(name) or "") not in {one.lower() for one in controllers}
    }
    problems = [problem for name, value in config.items() if (problem := _problem(name, value))]
    options = BrokerOptions(config=config)
    for name in _OURS.keys() & settings.keys():
        try:
            _take_limit(name, settings[name].value, options)
        except _Problem as problem:
            problems.append(problem)
    node_id = config.get("node.id", config.get("broker.id", "1")).strip()
    for take in (_take_listeners, _take_data_dir, _take_quorum):
        try:
            take(place, options, node_id)
        except _Problem as problem:
            problems.append(problem)
    if problems:
        raise ConfigError(_told(Path(path), settings, problems), option="properties")
    return options


def _told(path: Path, settings: dict[str, Setting], problems: list[_Problem]) -> str:
    lines = sorted((settings[one.name].line, str(one)) for one in problems)
    if len(lines) == 1:
        [(line, why)] = lines
        return f"{path}, line {line}: {why}"
    listed = "".join(f"\n  line {line}: {why}" for line, why in lines)
    return f"{path} has {len(lines)} settings that cannot be used:{listed}"


def _problem(name: str, value: str) -> _Problem | None:
    if name.startswith(_OWN):
        return _Problem(name, f"unknown broker configuration {name}; there are {', '.join(_OURS)}")
    if name in _OF_OLD:
        now = _OF_OLD[name]
        instead = f"say it with {now}" if now else "there is no ZooKeeper to be named; leave it out"
        return _Problem(name, f"{name} is of a Kafka before 4: {instead}")
    try:
        check_broker_configs({name: value})
    except Refused as refused:
        return _Problem(name, str(refused.message))
    return None


def with_place(found: BrokerOptions, options: BrokerOptions) -> BrokerOptions:
    """What a file says, with options that are stronger; one place to listen at may be moved.

    Raises:
        ConfigError: The file has several listeners, and an option moves them.
    """
    options = BrokerOptions(**options)
    config = {**(found.get("config") or {}), **(options.get("config") or {})}
    listeners = found.get("listeners")
    if listeners is not None and options.get("listeners") is None:
        options["listeners"] = moved(
            listeners,
            host=options.pop("host", None),
            port=options.pop("port", None),
            advertised_host=options.pop("advertised_host", None),
        )
    return {**found, **options, "config": config}


def _take_limit(name: str, value: str, options: BrokerOptions) -> None:
    try:
        limit = parse(ConfigType.LONG, value)
    except ValueError:
        limit = 0
    assert isinstance(limit, int)
    if limit != _NO_LIMIT and limit <= 0:
        raise _Problem(
            name, f"{name}={value}: give milliseconds, 1 at least, or {_NO_LIMIT} for no limit"
        )
    seconds = None if limit == _NO_LIMIT else limit / 1000
    if _OURS[name] == "slow_reader_timeout":
        options["slow_reader_timeout"] = seconds
    else:
        options["authentication_timeout"] = seconds


def _take_listeners(place: dict[str, str], options: BrokerOptions, _node_id: str) -> None:
    controllers = listed(place.get("controller.listener.names", ""))
    try:
        found = listeners_of({name: place[name] for name in PLACES if name in place}, controllers)
    except BadPlace as bad:
        raise _Problem(bad.name, str(bad)) from None
    _check_inside(place, found or [Listener(name="PLAINTEXT")])
    if found:
        options["listeners"] = found


def _check_inside(place: dict[str, str], listeners: list[Listener]) -> None:
    """What brokers speak among each other is of no matter to a lone one, if it may be true."""
    for setting, possible in (
        ("inter.broker.listener.name", {one.name for one in listeners}),
        ("security.inter.broker.protocol", {one.protocol for one in listeners}),
    ):
        inside = place.get(setting)
        if inside is not None and inside.strip() not in possible:
            raise _Problem(
                setting, f"{setting}: {inside} is no listener of this broker; leave it out"
            )


def _take_data_dir(place: dict[str, str], options: BrokerOptions, _node_id: str) -> None:
    # In Kafka log.dirs, where given, hides log.dir.
    name = "log.dirs" if "log.dirs" in place else "log.dir"
    folders = listed(place.get(name, ""))
    if len(folders) > 1:
        raise _Problem(
            name, f"{name}: this broker keeps everything in one directory, not in {len(folders)}"
        )
    if folders:
        options["data_dir"] = folders[0]


def _take_quorum(place: dict[str, str], _options: BrokerOptions, node_id: str) -> None:
    voters = listed(place.get("controller.quorum.voters", ""))
    matches = [_VOTER.fullmatch(voter) for voter in voters]
    if voters and [match and match["id"] for match in matches] != [node_id]:
        raise _Problem(
            "controller.quorum.voters",
            f"controller.quorum.voters: this broker, node {node_id}, is all of its cluster and "
            "joins no other; leave it out",
        )
    if len(listed(place.get("controller.quorum.bootstrap.servers", ""))) > 1:
        raise _Problem(
            "controller.quorum.bootstrap.servers",
            "controller.quorum.bootstrap.servers: this broker is its own and only controller; "
            "leave it out",
        )
