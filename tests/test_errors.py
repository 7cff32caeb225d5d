"""The tree of errors: every one can be pickled, copied, told apart and read."""

from __future__ import annotations

import copy
import inspect
import pickle

import pytest

from pyproducer import RecordMetadata, errors

DETAILS = {
    "topic": "orders", "partition": 3, "attempts": 2, "elapsed": 1.5,
    "broker_error": "NOT_LEADER_OR_FOLLOWER", "retriable": True, "maybe_written": True,
}  # fmt: skip

SPECIAL = {
    errors.ConfigError: {"option": "linger_ms"},
    errors.SerializationError: {"topic": "t", "field": "value", "value_type": "dict"},
    errors.RecordTooLarge: {"topic": "t", "size": 5, "limit": 4, "limit_name": "max_request_size"},
    errors.UnknownTopic: {"topic": "t", "partition": 1},
    errors.BufferFull: {"needed": 1, "used": 2, "limit": 3},
    errors.DeliveryError: DETAILS,
    errors.DeliveryTimeout: DETAILS,
    errors.BrokerRejected: {**DETAILS, "code": 6, "reason": "moved"},
    errors.FlushTimeout: {"remaining": 4},
    errors.CloseTimeout: {"remaining": 4},
    errors.UndeliveredError: {
        "count": 2, "by_topic": {"t": 2}, "first_error": None,
    },
    errors.BulkError: {
        "results": [RecordMetadata("t", 0, 1, 2), ValueError("x")], "failures": [(1, ValueError("x"))],
    },
    errors.FormatConflict: {"topic": "t", "old": "json", "new": "csv"},
    errors.ConnectionFailed: {"address": "localhost:9092"},
    errors.TlsError: {"address": "localhost:9093"},
    errors.ClientCertificateRefused: {"address": "localhost:9093"},
    errors.AuthenticationError: {"address": "localhost:9093", "mechanism": "PLAIN"},
    errors.MechanismNotOffered: {"mechanism": "PLAIN", "offered": ("GSSAPI",)},
    errors.AuthorizationError: {"resource": "orders"},
    errors.TopicAuthorizationFailed: {**DETAILS, "code": 29, "reason": None, "resource": "orders"},
    errors.ClusterAuthorizationFailed: {**DETAILS, "code": 31, "resource": "cluster"},
    errors.TransactionalIdAuthorizationFailed: {"fatal": True, "resource": "tills-1"},
    errors.GroupAuthorizationFailed: {"abort_required": True, "resource": "readers"},
    errors.OffsetsAuthorizationFailed: {"abort_required": True, "resource": "orders"},
    errors.TransactionError: {"retriable": True, "abort_required": True, "fatal": False},
    errors.ProducerFenced: {"fatal": True},
    errors.TransactionAborted: DETAILS,
}  # fmt: skip

CLASSES = [
    one
    for one in vars(errors).values()
    if inspect.isclass(one) and issubclass(one, errors.ProducerError)
]

BUILTIN = {
    errors.ConfigError: ValueError,
    errors.UsageError: RuntimeError,
    errors.RecordTooLarge: ValueError,
    errors.BufferFull: BufferError,
    errors.DeliveryTimeout: TimeoutError,
    errors.FlushTimeout: TimeoutError,
    errors.CloseTimeout: TimeoutError,
    errors.ConnectionFailed: ConnectionError,
}

WAYS = {
    "copy": copy.copy,
    "deepcopy": copy.deepcopy,
    **{
        f"pickle {version}": lambda error, version=version: pickle.loads(
            pickle.dumps(error, version)
        )
        for version in range(pickle.HIGHEST_PROTOCOL + 1)
    },
}


def same(one, other):
    """Compare what errors carry; exceptions inside by their text."""
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    if isinstance(one, (list, tuple)):
        return len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, BaseException):
        return (type(one), str(one)) == (type(other), str(other))
    return one == other


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS.keys())
@pytest.mark.parametrize("cls", CLASSES, ids=lambda cls: cls.__name__)
def test_copies(cls, way):
    """
    A copy has the class, the text and all that the original carries.
    """
    details = SPECIAL.get(cls, {})
    error = cls("what happened, where, what to do", **details)
    made = way(error)

    assert type(made) is cls
    assert made is not error
    assert str(made) == str(error) == "what happened, where, what to do"
    assert made.args == error.args
    for name, value in details.items():
        assert same(getattr(made, name), value), name
    assert same(vars(made), vars(error))


@pytest.mark.parametrize(("cls", "builtin"), BUILTIN.items(), ids=lambda one: one.__name__)
def test_builtin_bases(cls, builtin):
    """
    Where Python has a class for the matter, ours is one of it.
    """
    assert issubclass(cls, builtin)


def test_all_are_exported():
    """
    The module exports its classes, and each has a docstring.
    """
    assert {cls.__name__ for cls in CLASSES} == set(errors.__all__)
    for cls in CLASSES:
        assert inspect.getdoc(cls)


@pytest.mark.parametrize("cls", CLASSES, ids=lambda cls: cls.__name__)
def test_retriable_is_told(cls):
    """
    Every error says whether trying again may help.
    """
    assert isinstance(cls("x", **SPECIAL.get(cls, {})).retriable, bool)


def test_several_in_one_clause():
    """
    One clause catches a group: what went wrong on delivery, or in the caller's own use.
    """
    assert issubclass(errors.BrokerRejected, errors.DeliveryError)
    assert issubclass(errors.DeliveryTimeout, errors.DeliveryError)
    for cls in (
        errors.NotStarted,
        errors.ProducerClosed,
        errors.ForkedProducer,
        errors.WrongLoop,
        errors.WouldDeadlock,
        errors.NotDone,
    ):
        assert issubclass(cls, errors.UsageError)


def test_where_security_fails():
    """
    What failed is told by three families, and each refusal of a right is what the call raises too.
    """
    assert issubclass(errors.TlsError, errors.ConnectionFailed)
    assert not errors.TlsError("x").retriable
    assert issubclass(errors.ClientCertificateRefused, errors.AuthenticationError)
    for cls, other in {
        errors.TopicAuthorizationFailed: errors.BrokerRejected,
        errors.ClusterAuthorizationFailed: errors.BrokerRejected,
        errors.TransactionalIdAuthorizationFailed: errors.TransactionError,
        errors.GroupAuthorizationFailed: errors.TransactionError,
        errors.OffsetsAuthorizationFailed: errors.TransactionError,
    }.items():
        assert issubclass(cls, errors.AuthorizationError)
        assert issubclass(cls, other)
