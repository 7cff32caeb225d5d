"""Every statement has a test here, or a reason why it has none."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

#: How many statements there are of each letter.
STATEMENTS = {"c": 4, "p": 14, "z": 4, "i": 11, "e": 5, "g": 7, "m": 6, "n": 7}

_COMPACTION = "compaction is not done by the broker"

#: Those that may be without a test, and why.
WAITING = {
    "c4": "the broker has no SASL",
    "p14": "takes several brokers: of one replica none is ever missing",
    "i1": "says what is held, which I2 to I8 show by what is answered",
    "i5": "takes a transaction: tests/broker/log/test_producer_state.py",
    "i11": _COMPACTION,
    "g1": "Kafka's own tools read the files: tests/conformance/test_dump_log_segments.py",
    "g7": "takes a disk that fails, which Kafka cannot be given: tests/broker/test_node.py",
    **{f"m{number}": _COMPACTION for number in range(1, 7)},
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
