from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyproducer.errors import ConfigError
from pyproducer.properties import parse_properties, read_properties


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("a=1", {"a": "1"}),
        ("  a  =  1  ", {"a": "1"}),
        ("a:1\nb 2\nc=3=4", {"a": "1", "b": "2", "c": "3=4"}),
        ("# c\n! d\n\na=1", {"a": "1"}),
        ("a=1,\\\n   2", {"a": "1,2"}),
        (r"a\=b=\u0041\t\\", {"a=b": "A\t\\"}),
        ("a=", {"a": ""}),
        ("a=1\r\na=2", {"a": "2"}),
    ],
)
def test_what_kafka_reads(text, found):
    """
    Separators, comments, continued lines and escapes mean what they mean to Java.
    """
    assert found == parse_properties(text)


@given(st.dictionaries(st.text(r"abc.=: #\\", min_size=1), st.text(r"abc.=: #\\")))
def test_escaped_text_comes_back(settings):
    """
    Whatever is escaped as Java does comes back as it was.
    """

    def escaped(text: str) -> str:
        return "".join(f"\\{c}" if c in "=: #\\" else c for c in text)

    lines = "\n".join(f"{escaped(k)}={escaped(v)}" for k, v in settings.items())

    assert settings == parse_properties(lines)


@pytest.mark.parametrize("text", ["a=1\nlinger", "a=1\nb=\\u00zz"])
def test_broken_lines_are_named(text):
    """
    A line without a value, or with half a character, is told by its number.
    """
    with pytest.raises(ValueError, match="line 2"):
        parse_properties(text)


def test_unreadable_file(tmp_path):
    """
    A file that is not there, or no text, is named.
    """
    path = tmp_path / "x.properties"
    with pytest.raises(ConfigError, match=r"x\.properties"):
        read_properties(path)
    path.write_bytes(b"\xff=1")
    with pytest.raises(ConfigError, match="UTF-8"):
        read_properties(path)
