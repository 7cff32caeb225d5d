"""Every error that pyproducer raises, as one tree.

::

    ProducerError
    +-- ConfigError (ValueError)              an option is unknown, out of range or in conflict
    +-- UsageError (RuntimeError)             the call cannot work here, now or in this order
    |   +-- NotStarted
    |   +-- ProducerClosed
    |   +-- ForkedProducer
    |   +-- WrongLoop
    |   +-- WouldDeadlock
    |   `-- NotDone
    +-- SerializationError                    a serializer refused the value
    +-- RecordTooLarge (ValueError)
    +-- UnknownTopic
    +-- BufferFull (BufferError)
    +-- DeliveryError                         an accepted record was not acknowledged
    |   +-- DeliveryTimeout (TimeoutError)
    |   `-- BrokerRejected                    .code is the broker's
    +-- FlushTimeout (TimeoutError)           .remaining
    +-- CloseTimeout (TimeoutError)           .remaining
    +-- UndeliveredError                      .count, .by_topic, .first_error
    +-- BulkError                             .results, .failures
    +-- FormatConflict                        .topic, .old, .new
    +-- ConnectionFailed (ConnectionError)    no broker could be reached
    |   `-- TlsError                          .address; one was, and there is no secure connection
    |       +-- UntrustedCertificate          by an authority that we do not trust
    |       +-- ExpiredCertificate
    |       +-- CertificateNotYetValid
    |       +-- WrongHostName                 the certificate is another host's
    |       +-- ClientCertificateRefused      an AuthenticationError too
    |       +-- TlsNotOffered                 we speak TLS, the port is a plain one
    |       `-- TlsExpected                   we speak plain, the port expects TLS
    +-- AuthenticationError                   .address, .mechanism; who we are is not believed
    |   +-- CredentialsRefused
    |   +-- MechanismNotOffered               .offered
    |   +-- InvalidToken                      expired, or refused by the broker
    |   +-- ProviderFailed                    no password or token could be had
    |   `-- SaslExpected                      we say nothing, the port wants to know
    +-- AuthorizationError                    .resource; who we are is believed, and not enough
    |   +-- TopicAuthorizationFailed          a BrokerRejected too
    |   +-- ClusterAuthorizationFailed        a BrokerRejected too
    |   +-- TransactionalIdAuthorizationFailed    a TransactionError too
    |   +-- GroupAuthorizationFailed          a TransactionError too
    |   `-- OffsetsAuthorizationFailed        a TransactionError too
    +-- ProtocolError                         the peer's bytes are not the protocol
    |   +-- CorruptRecord
    |   `-- UnsupportedVersion
    `-- TransactionError
        +-- ProducerFenced
        `-- TransactionAborted

All are picklable and copyable: what they carry are plain attributes.

Three families tell where security failed. A :class:`TlsError` is a kind of
:class:`ConnectionFailed`: no secure connection came about, whoever we are. An
:class:`AuthenticationError` is about our credentials. An :class:`AuthorizationError` is about
what these may do, and each of its classes is at the same time what such a call raises anyhow: a
refused record's is a :class:`BrokerRejected`, a refused transaction's a
:class:`TransactionError`. So ``except DeliveryError`` goes on to catch every record's failure.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

__all__ = [
    "AuthenticationError",
    "AuthorizationError",
    "BrokerRejected",
    "BufferFull",
    "BulkError",
    "CertificateNotYetValid",
    "ClientCertificateRefused",
    "CloseTimeout",
    "ClusterAuthorizationFailed",
    "ConfigError",
    "ConnectionFailed",
    "CorruptRecord",
    "CredentialsRefused",
    "DeliveryError",
    "DeliveryTimeout",
    "ExpiredCertificate",
    "FlushTimeout",
    "ForkedProducer",
    "FormatConflict",
    "GroupAuthorizationFailed",
    "InvalidToken",
    "MechanismNotOffered",
    "NotDone",
    "NotStarted",
    "OffsetsAuthorizationFailed",
    "ProducerClosed",
    "ProducerError",
    "ProducerFenced",
    "ProtocolError",
    "ProviderFailed",
    "RecordTooLarge",
    "SaslExpected",
    "SerializationError",
    "TlsError",
    "TlsExpected",
    "TlsNotOffered",
    "TopicAuthorizationFailed",
    "TransactionAborted",
    "TransactionError",
    "TransactionalIdAuthorizationFailed",
    "UndeliveredError",
    "UnknownTopic",
    "UnsupportedVersion",
    "UntrustedCertificate",
    "UsageError",
    "WouldDeadlock",
    "WrongHostName",
    "WrongLoop",
]


def _rebuild(cls: type[ProducerError], args: tuple[Any, ...], state: dict[str, Any]) -> Any:
    # Keyword-only constructors cannot be replayed from args, so a copy skips __init__.
    error = cls.__new__(cls)
    error.args = args
    error.__dict__.update(state)
    return error


class ProducerError(Exception):
    """Base of every error raised by pyproducer."""

    #: True where the same call may succeed later without any change by the caller.
    retriable: bool = False

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuild, (type(self), self.args, dict(self.__dict__))


class ConfigError(ProducerError, ValueError):
    """An option is unknown, of the wrong type, out of range, or in conflict with another.

    Attributes:
        option: name of the option in question, or None when the conflict has several.
    """

    def __init__(self, message: str, *, option: str | None = None) -> None:
        super().__init__(message)
        self.option = option


class UsageError(ProducerError, RuntimeError):
    """The call cannot work in this place, at this time or in this order."""


class NotStarted(UsageError):
    """The producer was not started: use ``async with`` or ``await producer.start()``."""


class ProducerClosed(UsageError):
    """The producer was closed before this call."""


class ForkedProducer(UsageError):
    """The producer was started in the parent process; make or start it in the child."""


class WrongLoop(UsageError):
    """The producer runs on another event loop or thread than the caller's."""


class WouldDeadlock(UsageError):
    """A blocking call was made on the thread that would have to complete it."""


class NotDone(UsageError):
    """The outcome is not known yet and waiting for it here would block the event loop."""


class SerializationError(ProducerError):
    """A serializer refused a key or value, or returned something that is not bytes.

    The serializer's own exception is the ``__cause__``.

    Attributes:
        topic: the topic the record was meant for.
        field: ``"key"`` or ``"value"``.
        value_type: name of the type of the object that was refused.
    """

    def __init__(self, message: str, *, topic: str, field: str, value_type: str) -> None:
        super().__init__(message)
        self.topic = topic
        self.field = field
        self.value_type = value_type


class RecordTooLarge(ProducerError, ValueError):
    """One record alone exceeds a limit.

    Attributes:
        topic: the topic the record was meant for.
        size: bytes the record takes in a batch of its own, or would take.
        limit: the limit in bytes.
        limit_name: the option or topic setting that holds the limit.
    """

    def __init__(self, message: str, *, topic: str, size: int, limit: int, limit_name: str) -> None:
        super().__init__(message)
        self.topic = topic
        self.size = size
        self.limit = limit
        self.limit_name = limit_name


class UnknownTopic(ProducerError):
    """The cluster does not know the topic, its name is illegal, or it lacks the partition.

    Attributes:
        topic: the name in question.
        partition: the partition asked for, or None.
    """

    def __init__(self, message: str, *, topic: str, partition: int | None = None) -> None:
        super().__init__(message)
        self.topic = topic
        self.partition = partition


class BufferFull(ProducerError, BufferError):
    """The send buffer has no room for the record, and waiting was not asked for or ran out.

    Attributes:
        needed: bytes the record takes at most, with what is kept beside it.
        used: bytes held at the time.
        limit: ``buffer_memory``.
    """

    retriable = True

    def __init__(self, message: str, *, needed: int, used: int, limit: int) -> None:
        super().__init__(message)
        self.needed = needed
        self.used = used
        self.limit = limit


class DeliveryError(ProducerError):
    """An accepted record was not acknowledged.

    Attributes:
        topic: topic of the record.
        partition: partition of the record, or None while none had been chosen.
        attempts: how often the record's batch was written to a socket.
        elapsed: seconds between acceptance of the batch's first record and this outcome.
        broker_error: name of the broker's last error code, or None if no broker answered.
        retriable: True where sending the record again may succeed.
        maybe_written: False means that the record is in no log, so that sending it
            again cannot double it. True means nobody can tell.
    """

    def __init__(
        self,
        message: str,
        *,
        topic: str,
        partition: int | None = None,
        attempts: int = 0,
        elapsed: float = 0.0,
        broker_error: str | None = None,
        retriable: bool = False,
        maybe_written: bool = False,
    ) -> None:
        super().__init__(message)
        self.topic = topic
        self.partition = partition
        self.attempts = attempts
        self.elapsed = elapsed
        self.broker_error = broker_error
        self.retriable = retriable
        self.maybe_written = maybe_written


class DeliveryTimeout(DeliveryError, TimeoutError):
    """``delivery_timeout_ms`` passed, or the producer closed, before an acknowledgement came."""


class BrokerRejected(DeliveryError):
    """The broker refused the record.

    Attributes:
        code: Kafka's error code.
        reason: the broker's own words, where it sent some.
    """

    def __init__(
        self, message: str, *, code: int, reason: str | None = None, **details: Any
    ) -> None:
        super().__init__(message, **details)
        self.code = code
        self.reason = reason


class FlushTimeout(ProducerError, TimeoutError):
    """``flush(timeout)`` ran out; nothing was dropped.

    Attributes:
        remaining: records accepted before the flush whose outcome is still open.
    """

    retriable = True

    def __init__(self, message: str, *, remaining: int) -> None:
        super().__init__(message)
        self.remaining = remaining


class CloseTimeout(ProducerError, TimeoutError):
    """``close(timeout)`` ran out; the records still open were failed.

    Attributes:
        remaining: how many records were failed by the close.
    """

    def __init__(self, message: str, *, remaining: int) -> None:
        super().__init__(message)
        self.remaining = remaining


class UndeliveredError(ProducerError):
    """Records failed and nobody looked at their outcome.

    Attributes:
        count: how many.
        by_topic: how many of each topic.
        first_error: the error of the first of them.
    """

    def __init__(
        self,
        message: str,
        *,
        count: int,
        by_topic: Mapping[str, int],
        first_error: BaseException | None,
    ) -> None:
        super().__init__(message)
        self.count = count
        self.by_topic = dict(by_topic)
        self.first_error = first_error


class BulkError(ProducerError):
    """Some records of a bulk call failed; the others were delivered.

    Attributes:
        results: one entry for each record, in order: its metadata or its exception.
        failures: ``(index, exception)`` of each failed record.
    """

    def __init__(
        self,
        message: str,
        *,
        results: Sequence[Any],
        failures: Sequence[tuple[int, BaseException]],
    ) -> None:
        super().__init__(message)
        self.results = list(results)
        self.failures = list(failures)


class FormatConflict(ProducerError):
    """A topic already bound to one serialization format was used with another.

    Attributes:
        topic: the topic.
        old: the format (or formats) it is bound to.
        new: the format that was refused.
    """

    def __init__(self, message: str, *, topic: str, old: str, new: str) -> None:
        super().__init__(message)
        self.topic = topic
        self.old = old
        self.new = new


class ConnectionFailed(ProducerError, ConnectionError):
    """No broker could be reached, or the one that was is not usable.

    Attributes:
        address: ``host:port`` of the last peer tried.
    """

    retriable = True

    def __init__(self, message: str, *, address: str | None = None) -> None:
        super().__init__(message)
        self.address = address


class AuthenticationError(ProducerError):
    """The broker does not believe who we are, or nobody could say it.

    Attributes:
        address: ``host:port`` of the broker, or None where none was asked.
        mechanism: the SASL mechanism, or None where it was not SASL.
    """

    def __init__(
        self, message: str, *, address: str | None = None, mechanism: str | None = None
    ) -> None:
        super().__init__(message)
        self.address = address
        self.mechanism = mechanism


class CredentialsRefused(AuthenticationError):
    """The broker refused user name and password, or whatever else stands for them."""


class MechanismNotOffered(AuthenticationError):
    """The broker's listener does not know the SASL mechanism, or has no SASL at all.

    Attributes:
        offered: the mechanisms that it has.
    """

    def __init__(self, message: str, *, offered: Sequence[str] = (), **details: Any) -> None:
        super().__init__(message, **details)
        self.offered = tuple(offered)


class InvalidToken(AuthenticationError):
    """The token has expired, or the broker refused it."""


class ProviderFailed(AuthenticationError):
    """A provider of tokens or passwords raised an error, which is the ``__cause__``."""


class SaslExpected(AuthenticationError):
    """The broker hangs up on whoever did not say who they are: its listener expects SASL.

    No broker says so in words. It tells its versions to anybody, and closes the connection at the
    first request behind them; that is believed once it has happened three times in a row.
    """


class TlsError(ConnectionFailed):
    """A broker was reached, and no secure connection came about."""

    retriable = False


class UntrustedCertificate(TlsError):
    """The broker's certificate is signed by no authority that we trust."""


class ExpiredCertificate(TlsError):
    """The broker's certificate, or one that signed it, has expired."""


class CertificateNotYetValid(TlsError):
    """The broker's certificate, or one that signed it, is valid from a later time on."""


class WrongHostName(TlsError):
    """The broker's certificate is for another host than the one that we connected to."""


class ClientCertificateRefused(TlsError, AuthenticationError):
    """The broker wants a certificate of us and got none, or refused the one it got."""

    def __init__(
        self, message: str, *, address: str | None = None, mechanism: str | None = None
    ) -> None:
        TlsError.__init__(self, message, address=address)
        self.mechanism = mechanism


class TlsNotOffered(TlsError):
    """We speak TLS, and the port does not: it is a listener for plain connections."""


class TlsExpected(TlsError):
    """We speak plain Kafka, and the port expects TLS."""


class AuthorizationError(ProducerError):
    """The broker knows who we are, and does not let us do it.

    Attributes:
        resource: name of the topic, transactional id or group; "cluster" for the cluster.
    """

    def __init__(self, message: str, *, resource: str = "", **details: Any) -> None:
        # The other base, where there is one, takes the rest.
        super().__init__(message, **details)
        self.resource = resource


class ProtocolError(ProducerError):
    """The peer sent bytes that are not the Kafka protocol, or break its rules."""


class CorruptRecord(ProtocolError):
    """A record batch is damaged: a checksum, length or count does not hold."""


class UnsupportedVersion(ProtocolError):
    """The peer speaks no version of an API that this side speaks."""


class TransactionError(ProducerError):
    """A transaction could not go on.

    Attributes:
        retriable: the same call may be made again.
        abort_required: the transaction must be aborted; the producer stays usable.
        fatal: the producer must be closed.
        maybe_committed: False means that the transaction is not committed. True means nobody can
            tell, or not yet.
    """

    def __init__(
        self,
        message: str,
        *,
        retriable: bool = False,
        abort_required: bool = False,
        fatal: bool = False,
        maybe_committed: bool = False,
    ) -> None:
        super().__init__(message)
        self.retriable = retriable
        self.abort_required = abort_required
        self.fatal = fatal
        self.maybe_committed = maybe_committed


class ProducerFenced(TransactionError):
    """Another producer with the same transactional id has taken over."""


class TransactionAborted(DeliveryError, TransactionError):
    """A transaction was aborted: the outcome of its unsent records, and of a commit that failed.

    As the outcome of a record it has the attributes of a :class:`DeliveryError`; as that of a
    transaction ``topic`` is empty. The work may be done anew in another transaction; with
    ``retriable`` False a record was refused that would be refused again.
    """

    def __init__(
        self,
        message: str,
        *,
        topic: str = "",
        partition: int | None = None,
        attempts: int = 0,
        elapsed: float = 0.0,
        broker_error: str | None = None,
        retriable: bool = True,
        maybe_written: bool = False,
    ) -> None:
        DeliveryError.__init__(
            self,
            message,
            topic=topic,
            partition=partition,
            attempts=attempts,
            elapsed=elapsed,
            broker_error=broker_error,
            retriable=retriable,
            maybe_written=maybe_written,
        )


class TopicAuthorizationFailed(AuthorizationError, BrokerRejected):
    """The broker does not let this client use a topic: its principal lacks a right on it."""


class ClusterAuthorizationFailed(AuthorizationError, BrokerRejected):
    """The broker does not let this client be an idempotent producer, or use the cluster."""


class TransactionalIdAuthorizationFailed(AuthorizationError, TransactionError):
    """The broker does not let this client use its transactional id."""


class GroupAuthorizationFailed(AuthorizationError, TransactionError):
    """The broker does not let this client commit offsets of a group."""


class OffsetsAuthorizationFailed(AuthorizationError, TransactionError):
    """The broker does not let this client commit offsets of a topic: it lacks Read on it."""
