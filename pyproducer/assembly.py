"""The parts of one producer, put together once; both producers are faces of this."""

from __future__ import annotations

import inspect
import os
import random
import threading
import time
import weakref
from collections.abc import Callable, Collection, Sequence
from contextlib import AbstractContextManager
from functools import partial
from types import FunctionType, MethodType
from typing import TYPE_CHECKING, Any

from pyproducer.clock import Clock, SystemClock
from pyproducer.config import ProducerConfig, parse_bootstrap
from pyproducer.core.appender import (
    Appender,
    Delivery,
    Prepared,
    RoomWait,
    TopicAppender,
    TopicState,
)
from pyproducer.core.delivery import Ledger
from pyproducer.core.engine import Engine, EngineOptions
from pyproducer.errors import ConfigError, NotStarted, ProducerError
from pyproducer.formats import Formats, SerializerContext, arity
from pyproducer.model import DeliveryFailure
from pyproducer.net.runner import Runner, forked
from pyproducer.partitioner import resolve
from pyproducer.records.codec import CODECS_BY_NAME
from pyproducer.records.compression import load_codec
from pyproducer.transactor import Transactor

if TYPE_CHECKING:
    from typing import TypeAlias

    from pyproducer.interceptors import InterceptedAppender, Interceptor
    from pyproducer.net.security import Security

    #: What a topic handle calls for every record.
    Entry: TypeAlias = TopicAppender | InterceptedAppender

__all__ = ["Assembly", "forked"]

_assemblies: weakref.WeakSet[Assembly] = weakref.WeakSet()


class Assembly:
    """Configuration, appender, engine and runner of one producer.

    Attributes:
        config: the producer's options.
        bootstrap: addresses to ask first.
        appender: stations 1 to 4 of a record's path.
        engine: what decides.
        runner: what performs.
        transactor: begins and ends transactions.
        started: True once the producer was started in this process.
    """

    def __init__(
        self,
        bootstrap_servers: str | Sequence[str] | None,
        config: ProducerConfig | None,
        options: dict[str, Any],
        *,
        key_serializer: Callable[..., bytes] | None,
        value_serializer: Callable[..., bytes] | None,
        interceptors: Sequence[Interceptor],
        on_delivery_failure: Callable[[DeliveryFailure], object] | None,
        clock: Clock | None,
        lock: AbstractContextManager[Any] | None,
    ) -> None:
        if config is None:
            config = ProducerConfig(**options)
        elif options:
            config = config.replace(**options)
        servers = config.bootstrap_servers if bootstrap_servers is None else bootstrap_servers
        if servers is None:
            raise ConfigError(
                "no bootstrap_servers given; name a broker or two as 'host:port,host:port'",
                option="bootstrap_servers",
            )
        if on_delivery_failure is not None:
            _check_callback("on_delivery_failure", on_delivery_failure)
        if interceptors:
            # Late, as everything that few producers have.
            from pyproducer.interceptors import check_interceptors

            check_interceptors(interceptors)
        self.config = config
        self.bootstrap = parse_bootstrap(servers)
        self.started = False
        self.formats = Formats()
        self._key_serializer = key_serializer
        self._value_serializer = value_serializer
        # What cannot be called is refused here, not with the first record.
        arity(key_serializer, "key")
        arity(value_serializer, "value")
        self._interceptors = tuple(interceptors)
        self._entries: dict[str, InterceptedAppender] = {}
        self._shared = lock is not None
        # Before the first record: what loads it then would have the event loop wait.
        load_codec(CODECS_BY_NAME[config.compression_type])
        clock = SystemClock() if clock is None else clock
        chance = random.Random()  # noqa: S311 - spreads load and retries, guards nothing
        self.runner = Runner(
            clock,
            client_id=config.client_id,
            secure=(
                None
                if config.security_protocol == "PLAINTEXT"
                else partial(_secured, config, clock)
            ),
            codec=CODECS_BY_NAME[config.compression_type],
            compression_level=config.compression_level,
            shared=lock is not None,
        )
        self.appender = Appender(
            batch_size=min(config.batch_limit_bytes, config.max_request_size),
            batch_max_records=config.batch_max_records or 2**31 - 1,
            # The buffer is never smaller: the configuration sees to it.
            largest_record=config.max_request_size,
            largest_record_name="max_request_size",
            buffer_memory=config.buffer_memory,
            partitioner=resolve(config.partitioner),
            # A third of what randrange takes.
            choose=lambda count: int(chance.random() * count),
            wall_ns=_wall_ns(clock),
            machine_clock=type(clock) is SystemClock,
            is_coroutine_function=_makes_coroutines,
            thread_ident=threading.get_ident,
            make_entry=self._make_default,
            host=self.runner,
            lock=lock,
        )
        self.engine = Engine(
            _engine_options(config, self.bootstrap),
            self.appender,
            Ledger(on_delivery_failure),
            chance.random,
        )
        self.appender.room = (
            self.room
            if RoomWait is None
            # Records of the appender's own calls have no interceptors that would hear of a refusal.
            else partial(self.runner.room, config.max_block_ms / 1000)
        )
        self.refuse(_not_started)
        self.runner.bind(self.engine, self.refuse)
        self.transactor = Transactor(self)
        _assemblies.add(self)

    def entry(self, topic: str) -> Entry:
        """What takes records for a topic by the producer's own serializers."""
        if not self._interceptors:
            return self.appender.entry(topic)
        entry = self._entries.get(topic)
        if entry is None:
            entry = self._entries[topic] = self._intercepted(self.appender.entry(topic))
        return entry

    def topic_entry(
        self,
        name: str,
        *,
        key_serializer: Callable[..., bytes] | None,
        value_serializer: Callable[..., bytes] | None,
        compression_type: str | None,
        allow_formats: Collection[str],
    ) -> Entry:
        """What takes records for a topic by serializers of its own.

        Raises:
            ConfigError: a serializer or the codec cannot be used, or the topic has another codec.
            UnknownTopic: no cluster can have a topic of this name.
        """
        state = self.appender.topic(name)
        inner = self._make(
            state,
            self._key_serializer if key_serializer is None else key_serializer,
            self._value_serializer if value_serializer is None else value_serializer,
        )
        if isinstance(allow_formats, str):
            raise ConfigError(
                f"allow_formats={allow_formats!r} must be a set of names, not one str; write "
                f"{{{allow_formats!r}}}",
                option="allow_formats",
            )
        if compression_type is not None:
            self._set_codec(state, compression_type)
        if allow_formats:
            self.formats.allow(state.name, allow_formats)
        return self._intercepted(inner) if self._interceptors else inner

    async def room(self, made: Prepared) -> Delivery:
        """Wait for room for a record, and then it is queued.

        Raises:
            BufferFull: there was none for ``max_block_ms``.
        """
        try:
            return await self.runner.wait_for_room(made, self.config.max_block_ms / 1000)
        except BaseException as error:
            self.refused(made, error)
            raise

    def refused(self, made: Prepared, error: BaseException) -> None:
        """A record that was prepared is not taken after all; its interceptors hear of it."""
        if self._interceptors:
            from pyproducer.interceptors import refused

            refused(made, error)

    @property
    def direct(self) -> bool:
        """True where the appender's own methods may be handed to the user."""
        return not self._interceptors

    def refuse(self, make: Callable[[], ProducerError] | None) -> None:
        """Make every further call fail with this; None takes records again.

        A call that is filling a batch at this moment, in another thread, is through when this
        returns; those that come to it later are refused.
        """
        self.engine.gate.close(make)

    def forget(self) -> None:
        """This is the child of a fork: whatever was started belongs to the parent."""
        if self._shared:
            # Another thread of the parent may have held it at the fork; it does not live here.
            self.appender.lock = threading.RLock()
        if self.started or self.runner.running:
            self.runner.forget()
            self.refuse(forked)

    def _intercepted(self, inner: TopicAppender) -> InterceptedAppender:
        from pyproducer.interceptors import InterceptedAppender

        return InterceptedAppender(inner, self._interceptors)

    def _make_default(self, state: TopicState) -> TopicAppender:
        return self._make(state, self._key_serializer, self._value_serializer)

    def _make(
        self,
        state: TopicState,
        key_serializer: Callable[..., bytes] | None,
        value_serializer: Callable[..., bytes] | None,
    ) -> TopicAppender:
        return TopicAppender(
            state,
            key_serializer,
            arity(key_serializer, "key"),
            value_serializer,
            arity(value_serializer, "value"),
            SerializerContext,
            lambda: self.formats.bind(state.name, key_serializer, value_serializer),
        )

    def _set_codec(self, state: TopicState, name: str) -> None:
        codec = CODECS_BY_NAME.get(name) if isinstance(name, str) else None
        if codec is None:
            raise ConfigError(
                f"compression_type={name!r} is not known; use one of "
                f"{', '.join(map(repr, CODECS_BY_NAME))}",
                option="compression_type",
            )
        if state.codec is not None and state.codec is not codec:
            raise ConfigError(
                f"topic {state.name!r} is compressed by {state.codec.name.lower()} already; "
                "its batches cannot be compressed in two ways",
                option="compression_type",
            )
        load_codec(codec)
        state.codec = codec


def _engine_options(config: ProducerConfig, bootstrap: Sequence[tuple[str, int]]) -> EngineOptions:
    return EngineOptions(
        bootstrap=bootstrap,
        acks=config.required_acks,
        idempotent=config.effective_idempotence,
        linger=None if config.linger_ms is None else config.linger_ms / 1000,
        codec=CODECS_BY_NAME[config.compression_type],
        delivery_timeout=config.delivery_timeout_ms / 1000,
        request_timeout=config.request_timeout_ms / 1000,
        max_request_size=config.max_request_size,
        max_in_flight=config.max_in_flight_requests_per_connection,
        retries=config.retries,
        retry_backoff=(config.retry_backoff_ms / 1000, config.retry_backoff_max_ms / 1000),
        reconnect_backoff=(
            config.reconnect_backoff_ms / 1000,
            config.reconnect_backoff_max_ms / 1000,
        ),
        metadata_max_age=config.metadata_max_age_ms / 1000,
        metadata_max_idle=config.metadata_max_idle_ms / 1000,
        setup_timeout=(
            config.socket_connection_setup_timeout_ms / 1000,
            config.socket_connection_setup_timeout_max_ms / 1000,
        ),
        connections_max_idle=(
            float("inf")
            if config.connections_max_idle_ms is None
            else config.connections_max_idle_ms / 1000
        ),
        auto_create=config.allow_auto_create_topics,
        transactional_id=config.transactional_id,
        transaction_timeout_ms=config.transaction_timeout_ms,
    )


def _secured(config: ProducerConfig, clock: Clock) -> Security:
    # Late: a program without security starts without its modules.
    from pyproducer.net.security import Security

    return Security(config, clock)


def _wall_ns(clock: Clock) -> Callable[[], int]:
    # The machine's clock is read once per record: no frame of Python for it.
    if type(clock) is SystemClock:
        return time.time_ns
    return lambda: clock.wall_ms() * 1_000_000


def _not_started() -> ProducerError:
    return NotStarted(
        "the producer is not started; use 'async with producer:' or 'await producer.start()'"
    )


def _makes_coroutines(function: object) -> bool:
    """True for what only makes a coroutine when it is called: an object of such a class too."""
    if inspect.iscoroutinefunction(function):
        return True
    while isinstance(function, partial):
        function = function.func
    if isinstance(function, (FunctionType, MethodType)):
        return False
    return inspect.iscoroutinefunction(getattr(type(function), "__call__", None))  # noqa: B004


def _check_callback(option: str, callback: object) -> None:
    if not callable(callback) or _makes_coroutines(callback):
        raise ConfigError(
            f"{option}={callback!r} must be a plain callable of one argument, not a coroutine "
            "function",
            option=option,
        )


def _after_fork() -> None:
    for assembly in list(_assemblies):
        assembly.forget()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
