"""The innermost part that an encoder refuses is found, wherever it hides."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from serializers.culprit import find_culprit


@dataclasses.dataclass
class Box:
    inside: Any


BAD = object()


def encode(value: object) -> None:
    """Refuse whatever holds the bad object."""
    if "object object" in repr(value):
        raise TypeError


@pytest.mark.parametrize(
    ("value", "path"),
    [
        (BAD, "$"),
        ([1, BAD], "$[1]"),
        ((1, [2, (BAD,)]), "$[1][1][0]"),
        ({"a": {"b c": BAD}}, "$.a['b c']"),
        ({1: {None: BAD}}, "$[1][None]"),
        (Box(Box([BAD])), "$.inside.inside[0]"),
        ([BAD, BAD], "$[0]"),
    ],
)
def test_path_leads_to_the_part(value, path):
    """
    The path goes through mappings, sequences and dataclasses to the first bad part.
    """
    assert (path, BAD) == find_culprit(value, encode)


def test_a_whole_without_bad_parts_is_the_culprit():
    """
    Where each part is fine on its own, as with a bad key, the whole is named.
    """
    value = [{BAD: 1}]

    assert ("$[0]", value[0]) == find_culprit(value, encode)


def test_a_circle_is_its_own_culprit():
    """
    A value that contains itself has no innermost part, and the search ends.
    """

    def refuse(value: object) -> None:
        raise RecursionError

    circle: list[Any] = []
    circle.append(circle)
    path, culprit = find_culprit(circle, refuse)

    assert path == "$"
    assert culprit is circle
