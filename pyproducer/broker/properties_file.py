"""A broker's arguments from a file of Kafka's property names, such as a server.properties.

A file that was written for a Kafka of one node works as it is. Where it listens and keeps its data
are arguments of `Broker` here. What says how the nodes of a cluster find each other is looked at,
since this broker is all of its cluster: it may say that, and nothing else. Everything in the
file that cannot be used is told at once, each with its line.
"""

from __future__ import annotations

import re
from pathlib import Path

from pyproducer.broker.configs import check_broker_configs
from pyproducer.broker.errors import Refused
from pyproducer.broker.settings import BrokerOptions
from pyproducer.errors import ConfigError
from pyproducer.properties import Setting, read_settings

__all__ = ["options_of_file"]

_LISTENER = re.compile(r"(?P<name>[A-Za-z0-9_.-]+)://\[?(?P<host>[^\[\]/]*?)\]?:(?P<port>[0-9]+)")
_VOTER = re.compile(r"(?P<id>[0-9]+)@.+")
_DEFAULT_MAP = "PLAINTEXT:PLAINTEXT,SSL:SSL,SASL_PLAINTEXT:SASL_PLAINTEXT,SASL_SSL:SASL_SSL"
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
})  # fmt: skip
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
    config = {name: one.value for name, one in settings.items() if name not in _PLACE}
    problems = [problem for name, value in config.items() if (problem := _problem(name, value))]
    options = BrokerOptions(config=config)
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
    if name in _OF_OLD:
        now = _OF_OLD[name]
        instead = f"say it with {now}" if now else "there is no ZooKeeper to be named; leave it out"
        return _Problem(name, f"{name} is of a Kafka before 4: {instead}")
    try:
        check_broker_configs({name: value})
    except Refused as refused:
        return _Problem(name, str(refused.message))
    return None


def _take_listeners(place: dict[str, str], options: BrokerOptions, _node_id: str) -> None:
    controllers = _items(place.get("controller.listener.names", ""))
    found = [one for one in _addresses(place, "listeners") if one["name"] not in controllers]
    told = [
        one for one in _addresses(place, "advertised.listeners") if one["name"] not in controllers
    ]
    if len(found) > 1:
        raise _Problem(
            "listeners", "listeners: this broker listens at one address; leave the others out"
        )
    for one in found:
        _check_plain(one["name"], place)
        options["host"], options["port"] = one["host"], int(one["port"])
    _check_inside(place, [one["name"] for one in found] or ["PLAINTEXT"])
    if not told:
        return
    one = told[0]
    if len(told) > 1 or one["name"] not in {other["name"] for other in found or told}:
        raise _Problem(
            "advertised.listeners",
            "advertised.listeners: name the one listener of listeners, and its address",
        )
    if int(one["port"]) != options.get("port", int(one["port"])):
        raise _Problem(
            "advertised.listeners",
            f"advertised.listeners: clients are told the port that is listened at, which "
            f"listeners says is {options['port']}, not {one['port']}",
        )
    options["advertised_host"] = one["host"]


def _addresses(place: dict[str, str], name: str) -> list[dict[str, str]]:
    found = []
    for item in _items(place.get(name, "")):
        match = _LISTENER.fullmatch(item)
        if match is None:
            raise _Problem(name, f"{name}: {item!r} is not NAME://HOST:PORT")
        found.append(match.groupdict())
    return found


def _check_plain(listener: str, place: dict[str, str]) -> None:
    told = place.get("listener.security.protocol.map")
    pairs = (item.partition(":") for item in _items(told or _DEFAULT_MAP))
    protocol = {name.strip(): kind.strip() for name, _, kind in pairs}.get(listener)
    if protocol is None:
        raise _Problem(
            "listeners" if told is None else "listener.security.protocol.map",
            f"listener.security.protocol.map: what {listener} speaks is not said; "
            f"add {listener}:PLAINTEXT",
        )
    if protocol != "PLAINTEXT":
        raise _Problem(
            "listeners",
            f"listeners: {listener} is {protocol}, and this broker has no security: "
            "it speaks PLAINTEXT alone",
        )


def _check_inside(place: dict[str, str], listeners: list[str]) -> None:
    inside = place.get("inter.broker.listener.name")
    if inside is not None and inside.strip() not in listeners:
        raise _Problem(
            "inter.broker.listener.name",
            f"inter.broker.listener.name: {inside} is no listener of this broker; leave it out",
        )


def _take_data_dir(place: dict[str, str], options: BrokerOptions, _node_id: str) -> None:
    # In Kafka log.dirs, where given, hides log.dir.
    name = "log.dirs" if "log.dirs" in place else "log.dir"
    folders = _items(place.get(name, ""))
    if len(folders) > 1:
        raise _Problem(
            name, f"{name}: this broker keeps everything in one directory, not in {len(folders)}"
        )
    if folders:
        options["data_dir"] = folders[0]


def _take_quorum(place: dict[str, str], _options: BrokerOptions, node_id: str) -> None:
    voters = _items(place.get("controller.quorum.voters", ""))
    matches = [_VOTER.fullmatch(voter) for voter in voters]
    if voters and [match and match["id"] for match in matches] != [node_id]:
        raise _Problem(
            "controller.quorum.voters",
            f"controller.quorum.voters: this broker, node {node_id}, is all of its cluster and "
            "joins no other; leave it out",
        )
    if len(_items(place.get("controller.quorum.bootstrap.servers", ""))) > 1:
        raise _Problem(
            "controller.quorum.bootstrap.servers",
            "controller.quorum.bootstrap.servers: this broker is its own and only controller; "
            "leave it out",
        )


def _items(text: str) -> list[str]:
    return [item.strip() for item in text.split(",") if item.strip()]
