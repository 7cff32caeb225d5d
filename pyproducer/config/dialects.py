"""Options of other Kafka clients, read into the names and values of this one.

Two dialects: the dotted names of Kafka's Java producer, and those of librdkafka (which
confluent-kafka and kcat take). Each foreign name either has an option here, or a reason why it
has none; a name without either is unknown. Nothing is dropped in silence.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from pyproducer.config.option import INT32_MAX, nearest
from pyproducer.config.producer_config import ProducerConfig
from pyproducer.config.security_dialects import NAMES, read_security
from pyproducer.errors import ConfigError

__all__ = ["translate"]

_KIBI = 1024
_JAVA_PARTITIONERS = {
    "": "murmur2",
    "org.apache.kafka.clients.producer.internals.DefaultPartitioner": "murmur2",
    "org.apache.kafka.clients.producer.RoundRobinPartitioner": "round_robin",
}
_LIBRDKAFKA_PARTITIONERS = {"consistent_random": "crc32", "murmur2_random": "murmur2"}
_TRUE = {"true", "1", "yes", "t", "on"}
_FALSE = {"false", "0", "no", "f", "off"}


class _Target(NamedTuple):
    """The option that a foreign name sets, and how its value is read."""

    option: str
    read: Callable[[str, object], Any]


def _text(_name: str, value: object) -> Any:
    return value.strip() if isinstance(value, str) else value


def _integer(name: str, value: object) -> Any:
    """Read a whole number; anything but text is left for the configuration to judge."""
    if not isinstance(value, str):
        # librdkafka's linger.ms is a float property, so 5.0 means 5.
        return int(value) if isinstance(value, float) and value.is_integer() else value
    if not re.fullmatch(r"[+-]?[0-9]+(\.0*)?", value.strip(), re.ASCII):
        raise ConfigError(f"{name}={value!r} is not a whole number.", option=name)
    return int(value.strip().partition(".")[0])


def _boolean(name: str, value: object) -> Any:
    if not isinstance(value, str):
        return value
    word = value.strip().lower()
    if word in _TRUE or word in _FALSE:
        return word in _TRUE
    raise ConfigError(f"{name}={value!r} is neither true nor false.", option=name)


def _kibibytes(name: str, value: object) -> Any:
    number = _integer(name, value)
    return number * _KIBI if type(number) is int else number


def _retries(name: str, value: object) -> Any:
    # Both clients' default is the largest int32, which they document as "no limit".
    number = _integer(name, value)
    return None if number == INT32_MAX else number


def _unbounded(name: str, value: object) -> Any:
    # librdkafka's message timeout of 0 means "never".
    number = _integer(name, value)
    return INT32_MAX if type(number) is int and number == 0 else number


def _idle(name: str, value: object) -> Any:
    # Java switches it off by -1, librdkafka by 0.
    number = _integer(name, value)
    return None if type(number) is int and number in {-1, 0} else number


def _level(name: str, value: object) -> Any:
    number = _integer(name, value)
    return None if type(number) is int and number == -1 else number


def _addresses(name: str, value: object) -> Any:
    if isinstance(value, (list, tuple)) and all(isinstance(entry, str) for entry in value):
        return ",".join(value)
    return _text(name, value)


def _codec(_name: str, value: object) -> Any:
    return value.strip().lower() if isinstance(value, str) else value


def _java_partitioner(name: str, value: object) -> Any:
    if value is None or (isinstance(value, str) and value.strip() in _JAVA_PARTITIONERS):
        return _JAVA_PARTITIONERS[(value or "").strip()]
    if callable(value) and not isinstance(value, type):
        return value
    raise ConfigError(
        f"{name}={value!r} is a Java class without a counterpart here: leave it out for Java's "
        "own choice, or pass partitioner= a callable (key, count) -> int.",
        option=name,
    )


def _librdkafka_partitioner(name: str, value: object) -> Any:
    word = _text(name, value)
    if isinstance(word, str) and word in _LIBRDKAFKA_PARTITIONERS:
        return _LIBRDKAFKA_PARTITIONERS[word]
    known = " or ".join(map(repr, _LIBRDKAFKA_PARTITIONERS))
    near = f"{word}_random"
    hint = (
        f" (it differs from {near!r} in giving every keyless record to one partition)"
        if near in _LIBRDKAFKA_PARTITIONERS
        else ""
    )
    raise ConfigError(
        f"{name}={value!r} has no counterpart here{hint}: use {known}, or pass partitioner= "
        "a callable (key, count) -> int.",
        option=name,
    )


_COMMON = {
    "bootstrap.servers": _Target("bootstrap_servers", _addresses),
    "acks": _Target("acks", _text),
    "enable.idempotence": _Target("enable_idempotence", _boolean),
    "linger.ms": _Target("linger_ms", _integer),
    "batch.size": _Target("batch_size", _integer),
    "delivery.timeout.ms": _Target("delivery_timeout_ms", _integer),
    "request.timeout.ms": _Target("request_timeout_ms", _integer),
    "retries": _Target("retries", _retries),
    "retry.backoff.ms": _Target("retry_backoff_ms", _integer),
    "retry.backoff.max.ms": _Target("retry_backoff_max_ms", _integer),
    "max.in.flight.requests.per.connection": _Target(
        "max_in_flight_requests_per_connection", _integer
    ),
    "compression.type": _Target("compression_type", _codec),
    "metadata.max.age.ms": _Target("metadata_max_age_ms", _integer),
    "client.id": _Target("client_id", _text),
    "socket.connection.setup.timeout.ms": _Target("socket_connection_setup_timeout_ms", _integer),
    "connections.max.idle.ms": _Target("connections_max_idle_ms", _idle),
    "reconnect.backoff.ms": _Target("reconnect_backoff_ms", _integer),
    "reconnect.backoff.max.ms": _Target("reconnect_backoff_max_ms", _integer),
    "transactional.id": _Target("transactional_id", _text),
    "transaction.timeout.ms": _Target("transaction_timeout_ms", _integer),
}
_NAMES: dict[str, dict[str, _Target]] = {
    "java": _COMMON
    | {
        "buffer.memory": _Target("buffer_memory", _integer),
        "max.request.size": _Target("max_request_size", _integer),
        "max.block.ms": _Target("max_block_ms", _integer),
        "metadata.max.idle.ms": _Target("metadata_max_idle_ms", _integer),
        "socket.connection.setup.timeout.max.ms": _Target(
            "socket_connection_setup_timeout_max_ms", _integer
        ),
        "partitioner.class": _Target("partitioner", _java_partitioner),
        "compression.gzip.level": _Target("compression_level", _level),
        "compression.lz4.level": _Target("compression_level", _integer),
        "compression.zstd.level": _Target("compression_level", _integer),
    },
    "librdkafka": _COMMON
    | {
        "metadata.broker.list": _COMMON["bootstrap.servers"],
        "request.required.acks": _COMMON["acks"],
        "queue.buffering.max.ms": _COMMON["linger.ms"],
        "queue.buffering.max.kbytes": _Target("buffer_memory", _kibibytes),
        "batch.num.messages": _Target("batch_max_records", _integer),
        "message.max.bytes": _Target("max_request_size", _integer),
        "delivery.timeout.ms": _Target("delivery_timeout_ms", _unbounded),
        "message.timeout.ms": _Target("delivery_timeout_ms", _unbounded),
        "message.send.max.retries": _COMMON["retries"],
        "max.in.flight": _COMMON["max.in.flight.requests.per.connection"],
        "compression.codec": _COMMON["compression.type"],
        "compression.level": _Target("compression_level", _level),
        "topic.metadata.refresh.interval.ms": _COMMON["metadata.max.age.ms"],
        "allow.auto.create.topics": _Target("allow_auto_create_topics", _boolean),
        "partitioner": _Target("partitioner", _librdkafka_partitioner),
    },
}
_BY_CODEC = {f"compression.{codec}.level": codec for codec in ("gzip", "lz4", "zstd")}

# Options of which each must be at least as large as the one before it.
_ASCENDING = (
    ("batch_size", "max_request_size", "buffer_memory"),
    ("retry_backoff_ms", "retry_backoff_max_ms"),
    ("reconnect_backoff_ms", "reconnect_backoff_max_ms"),
    ("socket_connection_setup_timeout_ms", "socket_connection_setup_timeout_max_ms"),
)

# Values that say what this library does anyway; any other value is refused.
_ONLY = {
    "partitioner.ignore.keys": ("false", "use partitioner='round_robin' to ignore keys"),
    "partitioner.adaptive.partitioning.enable": ("false", "slow brokers do not change the choice"),
    "partitioner.availability.timeout.ms": ("0", "slow brokers do not change the choice"),
    "enable.gapless.guarantee": ("false", "a failed batch is reported, and later ones go on"),
    "queuing.strategy": ("fifo", "batches leave in the order they were filled"),
    "api.version.request": ("true", "the broker is always asked for its versions"),
    "metadata.recovery.strategy": (
        "rebootstrap",
        "bootstrap servers are always asked again where no known broker answers",
    ),
    "client.dns.lookup": (
        "use_all_dns_ips",
        "every address of a name is tried, and canonical names are for Kerberos only",
    ),
    "broker.address.family": ("any", "the addresses of both families are tried, in turn"),
    "socket.nagle.disable": ("true", "Nagle's algorithm is always off"),
    "socket.keepalive.enable": ("true", "TCP keepalive is always on"),
    "debug": ("", "use the standard logging module, logger 'pyproducer'"),
}
_REASONS = {
    "key.serializer": "pass key_serializer= to the producer",
    "value.serializer": "pass value_serializer= to the producer",
    "interceptor.classes": "pass interceptors= to the producer",
    "queue.buffering.max.messages": "the buffer is bounded in bytes: queue.buffering.max.kbytes",
    "socket.timeout.ms": "a request's time is request.timeout.ms",
    "metadata.recovery.rebootstrap.trigger.ms": (
        "bootstrap servers are asked again as soon as one broker does not answer"
    ),
    "broker.address.ttl": "names are looked up anew for each connection",
    "statistics.interval.ms": "call metrics() when the numbers are wanted",
    "stats_cb": "call metrics() when the numbers are wanted",
    "error_cb": "errors are raised, and on_delivery_failure= sees those nobody looked at",
    "on_delivery": "pass on_delivery= to enqueue",
    "dr_cb": "pass on_delivery= to enqueue",
    "dr_msg_cb": "pass on_delivery= to enqueue",
    "logger": "use the standard logging module, logger 'pyproducer'",
    "log_level": "use the standard logging module, logger 'pyproducer'",
    "metric.reporters": "call metrics() when the numbers are wanted",
    "sticky.partitioning.linger.ms": "null keys change partition when a batch closes",
}


def translate(mapping: Mapping[str, object], dialect: str) -> dict[str, Any]:
    """Return the keyword arguments of ``ProducerConfig`` that ``mapping`` stands for.

    Raises:
        ConfigError: see ``ProducerConfig.from_kafka``.
    """
    if dialect not in _NAMES:
        raise ConfigError(
            f"dialect={dialect!r} must be 'java' or 'librdkafka': the two differ in names and "
            "in the default partitioner.",
            option="dialect",
        )
    names = _NAMES[dialect]
    options: dict[str, Any] = {"partitioner": "crc32"} if dialect == "librdkafka" else {}
    secure, secured = read_security(mapping, dialect)
    options |= secure
    given: dict[str, str] = {}
    codec = _codec("compression.type", mapping.get("compression.type", "none"))
    for name, value in mapping.items():
        target = names.get(name)
        if name in secured:
            continue
        if target is None:
            _refuse_unless_idle(name, value, dialect)
        elif _BY_CODEC.get(name, codec) == codec:
            # Java keeps a level for each codec at once; only the chosen codec's matters.
            if target.option in given:
                raise ConfigError(
                    f"{name!r} and {given[target.option]!r} are two names of one option; "
                    "give one of them.",
                    option=name,
                )
            given[target.option] = name
            options[target.option] = target.read(name, value)
    _let_defaults_give_way(options)
    return options


def _refuse_unless_idle(name: object, value: object, dialect: str) -> None:
    """Refuse a name without an option, unless its value asks for nothing special."""
    if not isinstance(name, str):
        raise ConfigError(f"option names are text, not {name!r}.")
    if name in _ONLY:
        wanted, reason = _ONLY[name]
        if str(value).strip().lower() == wanted:
            return
        raise ConfigError(
            f"{name}={value!r} is not supported: {reason}. Leave it out, or say {wanted!r}.",
            option=name,
        )
    if name in _REASONS:
        raise ConfigError(f"{name!r} is not supported: {_REASONS[name]}.", option=name)
    other = "librdkafka" if dialect == "java" else "java"
    ours = _NAMES[dialect].keys() | NAMES[dialect]
    spellings = {known.replace(".", "_"): known for known in ours}
    hint = "."
    if name in _NAMES[other].keys() | NAMES[other]:
        hint = f", but of the {other} one."
    elif suggestion := nearest(name, spellings):
        hint = f"; did you mean {suggestion!r}?"
    raise ConfigError(
        f"{name!r} is not a producer option of the {dialect} dialect{hint}", option=name
    )


def _let_defaults_give_way(options: dict[str, Any]) -> None:
    """Fit the defaults of options that were not given to those that were.

    A mapping that is valid for its own client must not fail on a default of ours that its
    author never saw.
    """
    defaults = ProducerConfig()
    given = {name: value for name, value in options.items() if type(value) is int}
    for chain in _ASCENDING:
        for at, name in enumerate(chain):
            if name not in options:
                floor = max((given[n] for n in chain[:at] if n in given), default=0)
                roof = min((given[n] for n in chain[at + 1 :] if n in given), default=floor)
                value = max(getattr(defaults, name), floor)
                options[name] = min(value, roof) if roof > floor else value
    if "delivery_timeout_ms" in given:
        whole = given["delivery_timeout_ms"]
        if "linger_ms" not in options:
            options["linger_ms"] = min(defaults.linger_ms or 0, whole // 2)
        if "request_timeout_ms" not in options and type(options["linger_ms"]) is int:
            rest = max(1, whole - options["linger_ms"])
            options["request_timeout_ms"] = min(defaults.request_timeout_ms, rest)
    elif "delivery_timeout_ms" not in options:
        parts = (given.get(n, getattr(defaults, n)) for n in ("linger_ms", "request_timeout_ms"))
        options["delivery_timeout_ms"] = max(defaults.delivery_timeout_ms, sum(parts))
