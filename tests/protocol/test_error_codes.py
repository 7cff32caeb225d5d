"""The table of error codes."""

from __future__ import annotations

import pytest
from kio.schema.errors import ErrorCode as KioErrorCode

from pyproducer.protocol.error_codes import ErrorCode, error_name


def test_codes_names_and_retriability_are_kafkas():
    """The table has kio's codes, under kio's names, retriable where kio's are."""
    theirs = {(int(code), code.name.upper(), code.retriable) for code in KioErrorCode}
    assert theirs == {(code.value, code.name, code.retriable) for code in ErrorCode}


def test_every_code_has_a_text_of_its_own():
    """Texts are there, distinct, and fit into a sentence."""
    texts = [code.text for code in ErrorCode]
    assert len(texts) == len(set(texts))
    assert all(text and text[0].islower() and text[-1] not in ".!" for text in texts)


def test_codes_are_plain_numbers():
    """A code compares and packs as the number that messages carry."""
    assert 3 == ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
    assert ErrorCode(-1) is ErrorCode.UNKNOWN_SERVER_ERROR


def test_names_of_known_and_unknown_codes():
    """A code from a newer broker has a name too, and does not raise."""
    assert "NOT_CONTROLLER (41)" == error_name(41)
    assert "unknown error code 9999" == error_name(9999)
    with pytest.raises(ValueError, match="9999"):
        ErrorCode(9999)
