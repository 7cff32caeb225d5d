"""The tree of errors: what they are, carry, and survive."""

from __future__ import annotations

import copy
import pickle
import re

import pytest

from pyproducer import errors
from pyproducer.model import RecordMetadata

CLASSES = {name: getattr(errors, name) for name in errors.__all__}

DETAILS = {
    "topic": "t",
    "partition": 3,
    "attempts": 2,
    "elapsed": 1.5,
    "broker_error": "INVALID_RECORD",
    "retriable": True,
    "maybe_written": True,
}

# What the constructors want beyond the message.
FIELDS = {
    "BrokerRejected": DETAILS | {"code": 87, "reason": "no"},
    "BufferFull": {"needed": 1, "used": 2, "limit": 3},
    "BulkError": {
        "results": [RecordMetadata("t", 0, 1, 2), ValueError("x")],
        "failures": [(1, ValueError("x"))],
    },
    "CloseTimeout": {"remaining": 7},
    "ConfigError": {"option": "acks"},
    "ConnectionFailed": {"address": "a:1"},
    "DeliveryError": DETAILS,
    "DeliveryTimeout": DETAILS,
    "FlushTimeout": {"remaining": 7},
    "FormatConflict": {"topic": "t", "old": "json", "new": "csv"},
    "ProducerFenced": {"fatal": True},
    "RecordTooLarge": {"topic": "t", "size": 9, "limit": 8, "limit_name": "max_request_size"},
    "SerializationError": {"topic": "t", "field": "key", "value_type": "int"},
    "TransactionAborted": {"abort_required": True},
    "TransactionError": {"retriable": True},
    "UndeliveredError": {"count": 2, "by_topic": {"t": 2}, "first_error": None},
    "UnknownTopic": {"topic": "t", "partition": 4},
}


def made(name: str) -> errors.ProducerError:
    return CLASSES[name]("what, where, what to do", **FIELDS.get(name, {}))


@pytest.mark.parametrize("name", CLASSES)
@pytest.mark.parametrize(
    "again",
    [
        copy.copy,
        *(
            lambda error, protocol=protocol: pickle.loads(pickle.dumps(error, protocol))
            for protocol in range(pickle.HIGHEST_PROTOCOL + 1)
        ),
        copy.deepcopy,
    ],
)
def test_errors_can_be_copied_and_pickled(name, again):
    """
    Every error goes through copy and pickle with its type, message and attributes.
    """
    error = made(name)
    other = again(error)

    assert type(error) is type(other)
    assert other is not error
    assert (str(error), error.args, repr(error)) == (str(other), other.args, repr(other))
    assert list(vars(error)) == list(vars(other))
    assert str(vars(error)) == str(vars(other))


@pytest.mark.parametrize("name", FIELDS)
def test_errors_carry_what_they_were_given(name):
    """
    Each argument of an error is an attribute of the same name.
    """
    error = made(name)

    assert FIELDS[name] == {field: getattr(error, field) for field in FIELDS[name]}
    assert "what, where, what to do" == str(error)


def test_tree_is_as_it_is_drawn():
    """
    The module's docstring draws every error under its base, with the builtin it also is.
    """
    drawn: dict[str, tuple[str | None, str | None]] = {}
    above: list[tuple[int, str]] = []
    for line in errors.__doc__.splitlines():
        found = re.match(r"^( {4}[| +`-]*)([A-Z]\w+)(?: \((\w+)\))?", line)
        if found is None:
            continue
        depth = len(found[1])
        above = [one for one in above if one[0] < depth]
        drawn[found[2]] = (above[-1][1] if above else None, found[3])
        above.append((depth, found[2]))

    assert set(CLASSES) == set(drawn)
    for name, (base, builtin) in drawn.items():
        bases = [one.__name__ for one in CLASSES[name].__bases__]
        assert [base or "Exception"] + ([builtin] if builtin else []) == bases, name


def test_retriable_is_said_by_every_error():
    """
    Whether the same call may succeed later can be asked of each error.
    """
    always = {name for name, kind in CLASSES.items() if kind.retriable}

    assert {"BufferFull", "ConnectionFailed", "FlushTimeout"} == always
