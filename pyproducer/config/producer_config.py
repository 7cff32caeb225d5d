"""Every option of a producer: one frozen, typed object, checked when it is made.

The fields of :class:`ProducerConfig` are the only table of options. Default, unit, range,
Kafka's name and librdkafka's name live in each field's metadata; :func:`config_table` reads
them back, and the reference page is generated from it. Names are Kafka's in snake case.
Durations end in ``_ms`` and sizes are bytes.

Nothing is patched in silence: an unknown name, a wrong type, a value out of range or two
options in conflict raise :class:`~pyproducer.errors.ConfigError` with the reason.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, Self, TypeAlias

from pyproducer.config import rules
from pyproducer.config.option import INT32_MAX, OptionRow, about, nearest, range_text
from pyproducer.config.rules import COMPRESSION_TYPES, PARTITIONER_NAMES
from pyproducer.config.security_config import SecurityConfig, SecurityOptions
from pyproducer.errors import ConfigError
from pyproducer.pem_files import is_pem

__all__ = [
    "Acks",
    "CompressionType",
    "Dialect",
    "PartitionerOption",
    "ProducerConfig",
    "ProducerOptions",
    "config_table",
]

Acks: TypeAlias = Literal["all", -1, 0, 1, "-1", "0", "1"]
CompressionType: TypeAlias = Literal["none", "gzip", "snappy", "lz4", "zstd"]
Dialect: TypeAlias = Literal["java", "librdkafka"]
PartitionerName: TypeAlias = Literal["murmur2", "crc32", "round_robin"]
PartitionerOption: TypeAlias = PartitionerName | Callable[[bytes | None, int], int]

ACKS_ALL = -1


class ProducerOptions(SecurityOptions, total=False):
    """The options of :class:`ProducerConfig` as keyword arguments of a producer."""

    acks: Acks
    enable_idempotence: bool | None
    linger_ms: int | None
    batch_size: int | None
    batch_max_records: int | None
    buffer_memory: int
    max_request_size: int
    max_block_ms: int
    delivery_timeout_ms: int
    request_timeout_ms: int
    retries: int | None
    retry_backoff_ms: int
    retry_backoff_max_ms: int
    max_in_flight_requests_per_connection: int | None
    compression_type: CompressionType
    compression_level: int | None
    allow_auto_create_topics: bool
    partitioner: PartitionerOption
    metadata_max_age_ms: int
    metadata_max_idle_ms: int
    client_id: str
    close_timeout_ms: int
    socket_connection_setup_timeout_ms: int
    socket_connection_setup_timeout_max_ms: int
    connections_max_idle_ms: int | None
    reconnect_backoff_ms: int
    reconnect_backoff_max_ms: int
    transactional_id: str | None
    transaction_timeout_ms: int


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class ProducerConfig(SecurityConfig):
    """The options of a producer, checked and immutable.

    Its repr, and every error about it, leave out passwords, keys and tokens.

    Raises:
        ConfigError: an option is unknown (the nearest name is told), of the wrong type, out
            of range, or in conflict with another.
    """

    bootstrap_servers: str | None = field(
        default=None,
        metadata=about(
            "Brokers to ask first, as host:port separated by commas; used where the producer is "
            "given none of its own.",
            kafka="bootstrap.servers",
            librdkafka="bootstrap.servers",
        ),
    )
    acks: Acks = field(
        default="all",
        metadata=about(
            "Copies that must hold a batch before it counts as delivered: every in-sync replica, "
            "the leader alone, or none (then no offset is ever known).",
            choices=("all", 0, 1),
            kafka="acks",
            librdkafka="acks",
        ),
    )
    enable_idempotence: bool | None = field(
        default=None,
        metadata=about(
            "Whether retries can neither double nor reorder records; None means on unless acks, "
            "retries or max_in_flight_requests_per_connection forbid it.",
            choices=(None, True, False),
            kafka="enable.idempotence",
            librdkafka="enable.idempotence",
        ),
    )
    linger_ms: int | None = field(
        default=5,
        metadata=about(
            "How long an open batch waits for more records; None never closes a batch by time: "
            "size, count, flush or a waiting send does, else its records time out.",
            unit="ms",
            low=0,
            high=900_000,
            kafka="linger.ms",
            librdkafka="linger.ms",
        ),
    )
    batch_size: int | None = field(
        default=1_000_000,
        metadata=about(
            "Size at which an open batch closes, before compression; None leaves max_request_size "
            "as the only bound.",
            unit="bytes",
            low=1,
            high=INT32_MAX,
            kafka="batch.size",
            librdkafka="batch.size",
        ),
    )
    batch_max_records: int | None = field(
        default=10_000,
        metadata=about(
            "Count of records at which an open batch closes; None never closes a batch by count.",
            unit="records",
            low=1,
            high=INT32_MAX,
            librdkafka="batch.num.messages",
        ),
    )
    buffer_memory: int = field(
        default=64 * 1024 * 1024,
        metadata=about(
            "Bytes of memory for records without an outcome, their handles and callbacks; beyond "
            "it enqueue waits and enqueue_nowait raises BufferFull.",
            unit="bytes",
            low=256,
            high=2**42,
            kafka="buffer.memory",
            librdkafka="queue.buffering.max.kbytes",
        ),
    )
    max_request_size: int = field(
        default=1_048_576,
        metadata=about(
            "Largest record, batch and Produce request the producer makes; keep it at or below the "
            "broker's message.max.bytes.",
            unit="bytes",
            low=256,
            high=1_000_000_000,
            kafka="max.request.size",
            librdkafka="message.max.bytes",
        ),
    )
    max_block_ms: int = field(
        default=60_000,
        metadata=about(
            "How long enqueue and send wait for buffer room, partitions_for for metadata, and "
            "start, commit and abort for the transactions' coordinator.",
            unit="ms",
            low=0,
            high=INT32_MAX,
            kafka="max.block.ms",
        ),
    )
    delivery_timeout_ms: int = field(
        default=120_000,
        metadata=about(
            "How long after its acceptance a record may wait for its acknowledgement, retries "
            "included; must be at least linger_ms + request_timeout_ms.",
            unit="ms",
            low=1,
            high=INT32_MAX,
            kafka="delivery.timeout.ms",
            librdkafka="delivery.timeout.ms",
        ),
    )
    request_timeout_ms: int = field(
        default=30_000,
        metadata=about(
            "How long one request may stay unanswered before its connection is given up.",
            unit="ms",
            low=1,
            high=INT32_MAX,
            kafka="request.timeout.ms",
            librdkafka="request.timeout.ms",
        ),
    )
    retries: int | None = field(
        default=None,
        metadata=about(
            "How often a refused or unanswered batch is sent again; None leaves "
            "delivery_timeout_ms as the only bound.",
            unit="attempts",
            low=0,
            high=INT32_MAX,
            kafka="retries",
            librdkafka="retries",
        ),
    )
    retry_backoff_ms: int = field(
        default=100,
        metadata=about(
            "Pause before the first retry of a batch; it doubles with each one more, with jitter.",
            unit="ms",
            low=0,
            high=300_000,
            kafka="retry.backoff.ms",
            librdkafka="retry.backoff.ms",
        ),
    )
    retry_backoff_max_ms: int = field(
        default=1_000,
        metadata=about(
            "Longest pause between two attempts of a batch.",
            unit="ms",
            low=0,
            high=300_000,
            kafka="retry.backoff.max.ms",
            librdkafka="retry.backoff.max.ms",
        ),
    )
    max_in_flight_requests_per_connection: int | None = field(
        default=None,
        metadata=about(
            "Unanswered requests on one connection; above 5 there is no idempotence. None is 5 "
            "and, with a distant broker, as many more as the way to it takes, at most 5 for each "
            "partition.",
            unit="requests",
            low=1,
            high=1_000_000,
            kafka="max.in.flight.requests.per.connection",
            librdkafka="max.in.flight.requests.per.connection",
        ),
    )
    compression_type: CompressionType = field(
        default="none",
        metadata=about(
            "Codec of the batches; a batch that it does not shrink goes out uncompressed.",
            choices=COMPRESSION_TYPES,
            kafka="compression.type",
            librdkafka="compression.type",
        ),
    )
    compression_level: int | None = field(
        default=None,
        metadata=about(
            "Level of the codec: gzip 1 to 9, lz4 1 to 17, zstd -131072 to 22; None is the codec's "
            "own default.",
            kafka="compression.gzip.level, compression.lz4.level, compression.zstd.level",
            librdkafka="compression.level",
        ),
    )
    allow_auto_create_topics: bool = field(
        default=False,
        metadata=about(
            "Whether the broker is asked to create a topic it does not know.",
            choices=(False, True),
            librdkafka="allow.auto.create.topics",
        ),
    )
    partitioner: PartitionerOption = field(
        default="murmur2",
        metadata=about(
            "How a record without a partition finds one: by Java's hash of the key, by "
            "librdkafka's, in turn, or by a callable (key, count) -> int; with the two "
            "hashes, null keys stay on one partition until its batch closes.",
            choices=(*PARTITIONER_NAMES, "a callable"),
            kafka="partitioner.class",
            librdkafka="partitioner",
        ),
    )
    metadata_max_age_ms: int = field(
        default=300_000,
        metadata=about(
            "Age at which topics and leaders are asked for again though nothing failed.",
            unit="ms",
            low=1,
            high=INT32_MAX,
            kafka="metadata.max.age.ms",
            librdkafka="topic.metadata.refresh.interval.ms",
        ),
    )
    metadata_max_idle_ms: int = field(
        default=300_000,
        metadata=about(
            "How long after its last record a topic is still asked about; what is known of it "
            "stays, and the next record has it asked about anew.",
            unit="ms",
            low=5_000,
            high=INT32_MAX,
            kafka="metadata.max.idle.ms",
        ),
    )
    client_id: str = field(
        default="pyproducer",
        metadata=about(
            "Name of this client in the broker's logs, quotas and metrics.",
            kafka="client.id",
            librdkafka="client.id",
        ),
    )
    close_timeout_ms: int = field(
        default=30_000,
        metadata=about(
            "How long close, and leaving the with block, wait for outstanding records.",
            unit="ms",
            low=0,
            high=INT32_MAX,
        ),
    )
    socket_connection_setup_timeout_ms: int = field(
        default=10_000,
        metadata=about(
            "How long one attempt to connect may take, all addresses of the name, TLS and "
            "ApiVersions included; it doubles with each failure, with jitter.",
            unit="ms",
            low=1,
            high=INT32_MAX,
            kafka="socket.connection.setup.timeout.ms",
            librdkafka="socket.connection.setup.timeout.ms",
        ),
    )
    socket_connection_setup_timeout_max_ms: int = field(
        default=30_000,
        metadata=about(
            "Longest time that one attempt to connect may take after others failed.",
            unit="ms",
            low=1,
            high=INT32_MAX,
            kafka="socket.connection.setup.timeout.max.ms",
        ),
    )
    connections_max_idle_ms: int | None = field(
        default=540_000,
        metadata=about(
            "How long a connection may be unused before it is closed; keep it below the broker's "
            "own connections.max.idle.ms (600000), and below what a NAT or load balancer on the "
            "way allows. None never closes one.",
            unit="ms",
            low=1,
            high=INT32_MAX,
            kafka="connections.max.idle.ms",
            librdkafka="connections.max.idle.ms",
        ),
    )
    reconnect_backoff_ms: int = field(
        default=50,
        metadata=about(
            "Pause before connecting to a broker again; it doubles with each failure, with jitter.",
            unit="ms",
            low=0,
            high=3_600_000,
            kafka="reconnect.backoff.ms",
            librdkafka="reconnect.backoff.ms",
        ),
    )
    reconnect_backoff_max_ms: int = field(
        default=1_000,
        metadata=about(
            "Longest pause between two attempts to connect to a broker.",
            unit="ms",
            low=0,
            high=3_600_000,
            kafka="reconnect.backoff.max.ms",
            librdkafka="reconnect.backoff.max.ms",
        ),
    )

    transactional_id: str | None = field(
        default=None,
        metadata=about(
            "Name under which the cluster knows this producer across restarts; it makes the "
            "producer transactional. One producer at a time may use it: a newer one fences it.",
            kafka="transactional.id",
            librdkafka="transactional.id",
        ),
    )
    transaction_timeout_ms: int = field(
        default=60_000,
        metadata=about(
            "How long a transaction may stay open before it is aborted; at most the brokers' "
            "transaction.max.timeout.ms.",
            unit="ms",
            low=1,
            high=INT32_MAX,
            kafka="transaction.timeout.ms",
            librdkafka="transaction.timeout.ms",
        ),
    )

    def __new__(cls, **options: object) -> Self:
        """Refuse unknown names, which the generated ``__init__`` would call a TypeError."""
        for name in options:
            if name not in cls.__dataclass_fields__:
                raise _unknown(name)
        # Not super(): slots=True makes a new class, and the cell would hold the old one.
        return object.__new__(cls)

    def __post_init__(self) -> None:
        object.__setattr__(self, "acks", rules.plain_acks(self.acks))
        rules.check(self)
        if any(
            getattr(self, one.name) is not one.default for one in dataclasses.fields(SecurityConfig)
        ):
            # Late: most programs are written, and many run, without security.
            from pyproducer.config.security_rules import check_security

            check_security(self)

    def __repr__(self) -> str:
        shown = []
        for one in _in_order():
            value = getattr(self, one.name)
            hidden = value is not None and (one.metadata["secret"] or is_pem(value))
            shown.append(f"{one.name}={'***' if hidden else repr(value)}")
        return f"{type(self).__name__}({', '.join(shown)})"

    @property
    def required_acks(self) -> int:
        """``acks`` as the protocol writes it: -1, 0 or 1."""
        return ACKS_ALL if self.acks == "all" else int(self.acks)

    @property
    def effective_idempotence(self) -> bool:
        """Whether batches carry a producer id and sequence numbers."""
        if self.enable_idempotence is None:
            return not rules.idempotence_obstacles(self)
        return self.enable_idempotence

    @property
    def batch_limit_bytes(self) -> int:
        """The size that closes a batch: ``batch_size``, or ``max_request_size`` without one."""
        return self.max_request_size if self.batch_size is None else self.batch_size

    def replace(self, **changes: object) -> Self:
        """Return a copy with ``changes``, checked as a new configuration is.

        Raises:
            ConfigError: as on construction.
        """
        values = {name: getattr(self, name) for name in self.__dataclass_fields__}
        return type(self)(**{**values, **changes})

    @classmethod
    def from_kafka(cls, mapping: Mapping[str, object], dialect: Dialect) -> Self:
        """Return the configuration that another client's dotted options describe.

        Text is parsed (``"true"``, ``"5"``). An option that is not mentioned has this library's
        default, with two exceptions: in the librdkafka dialect ``partitioner`` is ``"crc32"``,
        so that keys stay on their partitions; and a size or timeout that is not mentioned
        gives way where its default would conflict with one that is.

        Args:
            mapping: options of Kafka's Java producer or of librdkafka (confluent-kafka, kcat),
                the aliases included.
            dialect: whose names and defaults they are.

        Raises:
            ConfigError: the dialect or an option is unknown, has no counterpart here (the
                reason is told), is given twice under two names, or is refused by the
                configuration itself.
        """
        # Late, because the tables there name the options that are defined here.
        from pyproducer.config.dialects import translate

        return cls(**translate(mapping, dialect))


def config_table() -> list[OptionRow]:
    """Return one row for each option, in the order of the reference documentation."""
    return [
        OptionRow(
            name=option.name,
            type=str(option.type),
            default=option.default,
            unit=option.metadata["unit"],
            range=range_text(option),
            kafka=option.metadata["kafka"],
            librdkafka=option.metadata["librdkafka"],
            doc=option.metadata["doc"],
        )
        for option in _in_order()
    ]


def _in_order() -> list[dataclasses.Field[Any]]:
    """The fields as the documentation has them: those of security, which are a base's, last."""
    security = dataclasses.fields(SecurityConfig)
    names = {one.name for one in security}
    own = [one for one in dataclasses.fields(ProducerConfig) if one.name not in names]
    return [*own, *security]


def _unknown(name: str) -> ConfigError:
    spellings = {n: n for n in ProducerConfig.__dataclass_fields__}
    for row in config_table():
        for foreign in (*row.kafka.split(", "), row.librdkafka):
            if foreign:
                spellings.setdefault(foreign.replace(".", "_"), row.name)
    suggestion = nearest(name, spellings)
    text = f"unknown option {name!r}"
    if suggestion:
        text += f"; did you mean {suggestion!r}?"
    if "." in name:
        text += " Dotted names are read by ProducerConfig.from_kafka(mapping, dialect)."
    return ConfigError(text, option=name)
