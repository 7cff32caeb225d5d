"""What a configuration may not be: wrong types, values out of range, options in conflict.

Each refusal names the option, its value, the rule and the way out. Defaults take part in
conflicts as any value does, and are marked as such in the text.
"""

from __future__ import annotations

import dataclasses
import inspect
from typing import TYPE_CHECKING, Any, Literal

from pyproducer.config.bootstrap import parse_bootstrap
from pyproducer.errors import ConfigError
from pyproducer.records.codec import CODEC_NAMES, CODECS_BY_NAME, Codec, level_range

if TYPE_CHECKING:
    from pyproducer.config import ProducerConfig

__all__ = [
    "COMPRESSION_TYPES",
    "PARTITIONER_NAMES",
    "check",
    "idempotence_obstacles",
    "plain_acks",
]

COMPRESSION_TYPES = tuple(CODECS_BY_NAME)
PARTITIONER_NAMES = ("murmur2", "crc32", "round_robin")

# Kafka's brokers forget sequence numbers older than five batches of one partition.
_MAX_IDEMPOTENT_IN_FLIGHT = 5
_MAX_CLIENT_ID_BYTES = 32_767

# Of each pair the first may not exceed the second.
_ORDER = (
    ("batch_size", "max_request_size", "a batch has to fit into a request"),
    ("batch_size", "buffer_memory", "a batch has to fit into the buffer"),
    ("max_request_size", "buffer_memory", "the largest record has to fit into the buffer"),
    ("retry_backoff_ms", "retry_backoff_max_ms", "the first pause is the shortest"),
    ("reconnect_backoff_ms", "reconnect_backoff_max_ms", "the first pause is the shortest"),
    (
        "socket_connection_setup_timeout_ms",
        "socket_connection_setup_timeout_max_ms",
        "the first attempt is the shortest",
    ),
)

_ACKS: dict[object, Literal["all", 0, 1]] = {
    "all": "all",
    "-1": "all",
    -1: "all",
    "0": 0,
    0: 0,
    "1": 1,
    1: 1,
}


def check(config: ProducerConfig) -> None:
    """Refuse a configuration that breaks a rule.

    Raises:
        ConfigError: with the first rule broken.
    """
    for option in dataclasses.fields(config):
        _check_number(option, getattr(config, option.name))
    _check_choices(config)
    _check_conflicts(config)


def plain_acks(acks: object) -> Literal["all", 0, 1]:
    """Return ``acks`` in its one canonical spelling.

    Raises:
        ConfigError: it is no spelling of all, 1 or 0.
    """
    # type(), because True == 1 and 1.0 == 1 would pass for a spelling.
    if type(acks) not in {str, int} or acks not in _ACKS:
        raise _refuse("acks", acks, "must be 'all' (or -1), 1 or 0")
    return _ACKS[acks]


def _check_number(option: dataclasses.Field[Any], value: object) -> None:
    """Refuse a value of a numeric option that is no int, or out of its range."""
    low, high = option.metadata["low"], option.metadata["high"]
    optional = "None" in str(option.type)
    if low is None or (optional and value is None):
        return
    # bool is an int to Python, and linger_ms=True is surely a slip.
    if type(value) is bool or not isinstance(value, int):
        wanted = "an int or None" if optional else "an int"
        raise _refuse(option.name, value, f"must be {wanted}, not {type(value).__name__}")
    if not low <= value <= high:
        unit = f" {option.metadata['unit']}" if option.metadata["unit"] else ""
        raise _refuse(option.name, value, f"must be from {low} to {high}{unit}")


def _check_choices(config: ProducerConfig) -> None:
    """Refuse a wrong value of the options that are not numbers."""
    if config.bootstrap_servers is not None:
        if not isinstance(config.bootstrap_servers, str):
            raise _refuse("bootstrap_servers", config.bootstrap_servers, "must be a str or None")
        parse_bootstrap(config.bootstrap_servers)
    idempotence = config.enable_idempotence
    if not (idempotence is None or isinstance(idempotence, bool)):
        raise _refuse("enable_idempotence", idempotence, "must be a bool or None")
    if not isinstance(config.allow_auto_create_topics, bool):
        raise _refuse("allow_auto_create_topics", config.allow_auto_create_topics, "must be a bool")
    if not isinstance(config.compression_type, str) or (
        config.compression_type not in COMPRESSION_TYPES
    ):
        raise _refuse(
            "compression_type",
            config.compression_type,
            f"must be one of {', '.join(map(repr, COMPRESSION_TYPES))}",
        )
    if not isinstance(config.client_id, str) or not config.client_id:
        raise _refuse("client_id", config.client_id, "must be a non-empty str")
    if len(config.client_id.encode("utf-8", "surrogatepass")) > _MAX_CLIENT_ID_BYTES:
        raise _refuse("client_id", config.client_id, "must be at most 32767 bytes of UTF-8")
    name = config.transactional_id
    if name is not None and (not isinstance(name, str) or not name):
        raise _refuse("transactional_id", name, "must be a non-empty str or None")
    if name is not None and len(name.encode("utf-8", "surrogatepass")) > _MAX_CLIENT_ID_BYTES:
        raise _refuse("transactional_id", name, "must be at most 32767 bytes of UTF-8")
    _check_partitioner(config.partitioner)


def _check_partitioner(partitioner: object) -> None:
    if isinstance(partitioner, str) and partitioner in PARTITIONER_NAMES:
        return
    if isinstance(partitioner, str) or not callable(partitioner):
        names = ", ".join(map(repr, PARTITIONER_NAMES))
        raise _refuse(
            "partitioner", partitioner, f"must be {names} or a callable (key, count) -> int"
        )
    if inspect.iscoroutinefunction(partitioner):
        raise _refuse("partitioner", partitioner, "must be a plain function, not an async one")


def _check_conflicts(config: ProducerConfig) -> None:
    """Refuse options that are each fine but cannot hold together."""
    if config.enable_idempotence and (obstacles := idempotence_obstacles(config)):
        raise ConfigError(
            f"enable_idempotence=True conflicts with {' and '.join(obstacles)}: without an "
            "acknowledgement by all replicas, a retry, and at most 5 batches in flight the broker "
            "cannot recognise repetitions. Change that, or leave enable_idempotence unset.",
            option="enable_idempotence",
        )
    _check_transactional(config)
    linger_ms = config.linger_ms or 0
    if config.delivery_timeout_ms < linger_ms + config.request_timeout_ms:
        raise _conflict(
            config,
            "delivery_timeout_ms",
            f"is less than linger_ms + request_timeout_ms = {linger_ms} + "
            f"{config.request_timeout_ms}: a record would expire before its first request may. "
            f"Raise it to at least {linger_ms + config.request_timeout_ms}",
        )
    for small, large, reason in _ORDER:
        _check_order(config, small, large, reason)
    _check_level(config)


def _check_transactional(config: ProducerConfig) -> None:
    if config.transactional_id is None:
        return
    obstacles = idempotence_obstacles(config)
    if config.enable_idempotence is False:
        obstacles.append("enable_idempotence=False")
    if obstacles:
        raise _conflict(
            config,
            "transactional_id",
            f"conflicts with {' and '.join(obstacles)}: a transaction is made of batches that "
            "brokers can recognise. Change that, or leave transactional_id out",
        )


def _check_order(config: ProducerConfig, small: str, large: str, reason: str) -> None:
    low, high = getattr(config, small), getattr(config, large)
    if low is not None and low > high:
        text = f"is more than {_shown(config, large)}: {reason}. Lower {small} or raise {large}"
        raise _conflict(config, small, text)


def _check_level(config: ProducerConfig) -> None:
    level = config.compression_level
    if level is None:
        return
    if type(level) is bool or not isinstance(level, int):
        raise _refuse("compression_level", level, "must be an int or None")
    levels = level_range(CODECS_BY_NAME[config.compression_type])
    if levels is None:
        graded = ", ".join(CODEC_NAMES[codec] for codec in Codec if level_range(codec))
        raise _conflict(
            config,
            "compression_level",
            f"conflicts with {_shown(config, 'compression_type')}, which has no levels. Leave the "
            f"level out, or choose a codec among {graded}",
        )
    if not levels.min <= level <= levels.max and level != levels.default:
        raise _conflict(
            config,
            "compression_level",
            f"is out of range for {config.compression_type}: {levels.min} to {levels.max}",
        )


def idempotence_obstacles(config: ProducerConfig) -> list[str]:
    """Return the options, with their values, under which no batch can be idempotent."""
    obstacles = []
    if config.acks != "all":
        obstacles.append(f"acks={config.acks}")
    if config.retries == 0:
        obstacles.append("retries=0")
    if (config.max_in_flight_requests_per_connection or 0) > _MAX_IDEMPOTENT_IN_FLIGHT:
        obstacles.append(
            f"max_in_flight_requests_per_connection={config.max_in_flight_requests_per_connection}"
        )
    return obstacles


def _shown(config: ProducerConfig, name: str) -> str:
    value = getattr(config, name)
    default = config.__dataclass_fields__[name].default
    return f"{name}={value!r}" + (" (the default)" if value == default else "")


def _conflict(config: ProducerConfig, name: str, text: str) -> ConfigError:
    return ConfigError(f"{_shown(config, name)} {text}.", option=name)


def _refuse(name: str, value: object, text: str) -> ConfigError:
    return ConfigError(f"{name}={value!r} {text}.", option=name)
