"""Every statement has a test here, or a reason why it has none."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

#: How many statements there are of each letter.
STATEMENTS = {"c": 4, "p": 14, "z": 4, "i": 11, "e": 5, "g": 7, "m": 6, "n": 8}

#: Those that are without a test, and why.
WAITING = {
    "p14": "takes several brokers: of one replica none is ever missing",
}

_TEST = re.compile(r"^(?:async )?def test_([a-z][0-9]+)_", re.MULTILINE)


def named() -> set[str]:
    """The statements that the names of tests in this folder begin with."""
    files = Path(__file__).parent.glob("test_*.py")
    return {found for file in files for found in _TEST.findall(file.read_text())}


@pytest.mark.parametrize("letter", STATEMENTS)
def test_every_statement_has_a_test(letter: str):
    """
    A statement is tested beside Kafka by a test of its name, or it is known why not.
    """
    wanted = {f"{letter}{number}" for number in range(1, STATEMENTS[letter] + 1)}

    assert wanted - named() - WAITING.keys() == set()


def test_reasons_are_for_statements():
    """
    Every reason is that of a statement.
    """
    wanted = {f"{one}{number + 1}" for one, count in STATEMENTS.items() for number in range(count)}

    assert WAITING.keys() - wanted == set()


def test_reasons_are_for_what_has_no_test():
    """
    No reason outlives the test that its statement was waiting for.
    """
    assert WAITING.keys() & named() == set()
