"""Topics and brokers as things that have configurations, for the APIs that show and change them."""

from __future__ import annotations

from collections.abc import Mapping
from enum import IntEnum
from typing import TYPE_CHECKING

from pyproducer.broker.configs import (
    broker_spec,
    check_broker_configs,
    is_sensitive,
    listener_of,
)
from pyproducer.broker.errors import Refused
from pyproducer.broker.topics import Topic, check_name
from pyproducer.errors import ConfigError
from pyproducer.protocol.error_codes import ErrorCode

if TYPE_CHECKING:
    from pyproducer.broker.context import RequestContext
    from pyproducer.broker.node import Node


class ResourceType(IntEnum):
    """Kafka's numbers for the kinds of resources that this broker has."""

    TOPIC = 2
    BROKER = 4


def find_topic(node: Node, name: str) -> Topic:
    """The topic of that name.

    Raises:
        Refused: There is none, or none can be called that.
    """
    check_name(name)
    topic = node.topics.get(name)
    if topic is None:
        raise Refused(ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, f"there is no topic {name!r}")
    return topic


def broker_layer(node: Node, kind: int, name: str) -> dict[str, str]:
    """What was set while running, on this broker or, for the name "", on all brokers.

    Raises:
        Refused: INVALID_REQUEST: no broker, not this one, or a kind of resource not known here.
    """
    if kind != ResourceType.BROKER:
        raise Refused(
            ErrorCode.INVALID_REQUEST, f"this broker has no configurations of resource type {kind}"
        )
    if name == "":
        return node.config.all_brokers
    if name != str(node.node_id):
        raise Refused(ErrorCode.INVALID_REQUEST, f"this is broker {node.node_id}, not {name!r}")
    return node.config.this_broker


def current_configs(node: Node, kind: int, name: str) -> Mapping[str, str]:
    """What is set on the resource itself, apart from any defaults.

    Raises:
        Refused: There is no such resource.
    """
    if kind == ResourceType.TOPIC:
        return find_topic(node, name).configs
    return broker_layer(node, kind, name)


def replace_configs(
    node: Node,
    context: RequestContext,
    kind: int,
    name: str,
    configs: Mapping[str, str | None],
    *,
    validate_only: bool,
) -> None:
    """The resource's own configurations are these and no others, at once and over restarts.

    Args:
        node: The broker.
        context: The request that wants it.
        kind: The kind of resource.
        name: Its name.
        configs: The configurations.
        validate_only: Whether nothing is changed, only looked at.

    Raises:
        Refused: One of them may not be set; nothing is changed.
        OSError: They cannot be written; nothing is changed.
    """
    if kind == ResourceType.TOPIC:
        topic = find_topic(node, name)
        node.config.check_topic(configs)
        if not validate_only:
            node.configure_topic(topic.name, _set_values(configs))
        return
    layer = broker_layer(node, kind, name)
    check_broker_configs(configs)
    for key in configs:
        spec = broker_spec(key)
        assert spec is not None, key
        if spec.read_only:
            raise Refused(
                ErrorCode.INVALID_REQUEST,
                f"{key} cannot change while the broker runs; set it at the start",
            )
        if name == "" and spec.update == "broker":
            raise Refused(
                ErrorCode.INVALID_REQUEST, f"{key} is set for one broker, not for all of them"
            )
        if key.startswith("ssl.") and listener_of(key) is None:
            raise Refused(
                ErrorCode.INVALID_REQUEST,
                f"while the broker runs {key} is set for one listener: listener.name.NAME.{key}",
            )
    if dict(configs) == layer:
        return
    _check_listeners(node, _set_values(configs), all_brokers=name == "")
    if not validate_only:
        told = [_told(key, configs) for key in sorted(configs.keys() | layer.keys())
                if configs.get(key) != layer.get(key)]  # fmt: skip
        node.configure_broker(_set_values(configs), all_brokers=name == "")
        node.audit.changed(context, f"sets of {f'broker {name}' if name else 'all brokers'}", told)


def _check_listeners(node: Node, configs: Mapping[str, str], *, all_brokers: bool) -> None:
    """Returns if the listeners could work with what would be in effect then."""
    wanted = node.config.altered(configs, all_brokers=all_brokers)
    try:
        for check in node.config_checks:
            check(wanted)
    except ConfigError as error:
        raise Refused(ErrorCode.INVALID_REQUEST, str(error)) from None
    for name in configs:
        owner = listener_of(name)
        if owner is not None and owner.upper() not in {one.upper() for one in node.endpoints}:
            raise Refused(
                ErrorCode.INVALID_CONFIG, f"{name}: this broker has no listener {owner.upper()}"
            )


def _told(name: str, configs: Mapping[str, str | None]) -> str:
    """One configuration as the audit log has it."""
    if name not in configs:
        return f"{name} to its default"
    return f"{name}={'(hidden)' if is_sensitive(name) else configs[name]}"


def _set_values(configs: Mapping[str, str | None]) -> dict[str, str]:
    return {name: value for name, value in configs.items() if value is not None}
