"""What a broker is started with, checked."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from pyproducer.broker.configs import check_broker_configs, check_topic_configs
from pyproducer.broker.errors import Refused
from pyproducer.broker.topics import INTERNAL_TOPICS, MAX_PARTITIONS, TopicSpec, check_name
from pyproducer.errors import ConfigError

if TYPE_CHECKING:
    from pyproducer.broker.log.filesystem import FileSystem
    from pyproducer.clock import Clock

#: Where one broker in a test is better off with other values than Kafka's: a lone consumer gets
#: its partitions at once, and the first group or transaction does not make 50 logs.
_DEFAULTS = {
    "group.initial.rebalance.delay.ms": "0",
    "offsets.topic.num.partitions": "5",
    "transaction.state.log.num.partitions": "5",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class BrokerSettings:
    """The arguments of `Broker`, which documents them."""

    topics: list[TopicSpec]
    config: dict[str, str]
    data_dir: Path | None
    host: str
    port: int
    advertised_host: str
    http_host: str
    http_port: int | None
    clock: Clock
    fs: FileSystem | None


def reachable(host: str) -> str:
    """The address to tell clients for one to listen at."""
    return "localhost" if host in {"", "0.0.0.0", "::"} else host  # noqa: S104


def checked_topics(topics: Mapping[str, int] | Iterable[TopicSpec]) -> list[TopicSpec]:
    """The topics as specs.

    Raises:
        ConfigError: One of them is not possible.
    """
    if isinstance(topics, Mapping):
        specs = [TopicSpec(name, count) for name, count in topics.items()]
    else:
        specs = list(topics)
    names: set[str] = set()
    twins: set[str] = set()
    for spec in specs:
        if not isinstance(spec, TopicSpec):
            raise ConfigError(
                f"topics takes a mapping of names to partition counts, or TopicSpecs, not {spec!r}",
                option="topics",
            )
        try:
            check_name(spec.name)
            check_topic_configs(spec.configs)
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


def checked_config(config: Mapping[str, object], *, auto_create_topics: bool) -> dict[str, str]:
    """Kafka's broker configurations as texts.

    Raises:
        ConfigError: One of them is unknown, not possible, or without effect here.
    """
    given: dict[str, str] = _DEFAULTS | {
        name: str(value).lower() if isinstance(value, bool) else str(value)
        for name, value in config.items()
    }
    if auto_create_topics:
        given["auto.create.topics.enable"] = "true"
    try:
        check_broker_configs(given)
    except Refused as refused:
        raise ConfigError(str(refused.message), option="config") from None
    return given
