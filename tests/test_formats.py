"""How a serializer is called, and which formats a topic may have."""

from __future__ import annotations

import orjson
import pytest

from pyproducer.errors import ConfigError, FormatConflict
from pyproducer.formats import Formats, arity


def one(value):
    return value


def two(value, context):
    return value


def optional_context(value, context=None):
    return value


def other_option(value, pretty=False):
    return value


class Callable:
    def __call__(self, value, context):
        return value


@pytest.mark.parametrize(
    ("serializer", "expected"),
    [
        (None, 0),
        (one, 1),
        (two, 2),
        (optional_context, 2),
        (other_option, 1),
        (Callable(), 2),
        (orjson.dumps, 1),
        (str.encode, 1),
        (lambda *values: values[0], 1),
    ],
)
def test_arity(serializer, expected):
    """
    A serializer gets the context if it requires a second argument or names it ``context``.
    """
    assert arity(serializer, "value") == expected


@pytest.mark.parametrize("serializer", [5, lambda a, b, c: a, lambda: b"", lambda *, value: value])
def test_what_cannot_be_called(serializer):
    """
    What takes neither (value) nor (value, context) is refused by name.
    """
    with pytest.raises(ConfigError, match="value_serializer"):
        arity(serializer, "value")


def test_first_use_binds():
    """
    A topic keeps the format of its first use, and each topic its own.
    """
    formats = Formats()
    one.format, two.format = "json", "avro:1"
    try:
        formats.bind("orders", None, one)
        formats.bind("orders", None, one)
        formats.bind("other", None, two)
        with pytest.raises(FormatConflict) as caught:
            formats.bind("orders", None, two)
    finally:
        del one.format, two.format

    assert (caught.value.topic, caught.value.old, caught.value.new) == ("orders", "json", "avro:1")


def test_formats_side_by_side():
    """
    Formats that were allowed by name do not conflict; others still do.
    """
    formats = Formats()
    formats.allow("orders", {"avro:1", "avro:2"})
    one.format, two.format = "avro:1", "avro:2"
    try:
        formats.bind("orders", None, one)
        formats.bind("orders", None, two)
    finally:
        del one.format, two.format

    with pytest.raises(FormatConflict):
        formats.bind("orders", None, None)
