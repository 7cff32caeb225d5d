"""Text and bytes: strict in what they take, exact in what they return."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serializers import (
    BytesDeserializer,
    BytesSerializer,
    DeserializeError,
    SerializeError,
    StringDeserializer,
    StringSerializer,
)

ENCODINGS = ["utf-8", "utf-16", "utf-16-le", "utf-32", "gb18030", "utf-7"]


@given(text=st.text(), encoding=st.sampled_from(ENCODINGS))
def test_text_round_trips(text, encoding):
    """
    Any text comes back from any encoding that has all characters.
    """
    assert text == StringDeserializer(encoding)(StringSerializer(encoding)(text))


@given(text=st.text(st.characters(max_codepoint=255)))
def test_latin_1_is_one_byte_each(text):
    """
    Latin-1 writes the code points as bytes.
    """
    assert StringSerializer("latin-1")(text) == bytes(map(ord, text))


def test_format_has_the_canonical_encoding():
    """
    Aliases of one encoding are one format; UTF-8 needs no mention.
    """
    assert StringSerializer("UTF8").format == StringSerializer().format == "string"
    assert (
        StringSerializer("latin-1").format == StringDeserializer("L1").format == "string:iso8859-1"
    )


@pytest.mark.parametrize("encoding", ["klingon", "rot13", "hex"])
def test_unknown_encodings_are_refused_at_once(encoding):
    """
    A name that is no text encoding fails at construction, not at the first record.
    """
    with pytest.raises(ValueError, match=f"^encoding='{encoding}' must be a text encoding: "):
        StringSerializer(encoding)
    with pytest.raises(ValueError, match=f"^encoding='{encoding}' must be a text encoding: "):
        StringDeserializer(encoding)


@pytest.mark.parametrize(
    ("encoding", "text", "message"),
    [
        ("utf-8", "a\ud800", "U\\+D800 at index 1, which utf-8 cannot encode: surrogates"),
        ("ascii", "na\u00efve", "U\\+00EF at index 2, which ascii cannot encode"),
    ],
)
def test_characters_that_cannot_be_written(encoding, text, message):
    """
    A lone surrogate, or a character the encoding lacks, is named with its place.
    """
    with pytest.raises(SerializeError, match=message):
        StringSerializer(encoding)(text)


@pytest.mark.parametrize("value", [None, 1, ["a"]])
def test_text_only(value):
    """
    What is no str is refused with its type; bytes are pointed to their own serializer.
    """
    with pytest.raises(SerializeError, match=f"takes str, not {type(value).__name__}$"):
        StringSerializer()(value)
    with pytest.raises(SerializeError, match="not bytes; use BytesSerializer"):
        StringSerializer()(b"x")


def test_bytes_that_are_no_text():
    """
    Bytes outside of the encoding are refused with their place, and a str with its type.
    """
    with pytest.raises(DeserializeError, match="byte 1 of 3 is not utf-8: invalid start byte"):
        StringDeserializer()(b"a\xffb")
    with pytest.raises(DeserializeError, match="takes bytes, not str"):
        StringDeserializer()("x")


def test_bytes_are_passed_on():
    """
    Bytes go through as the same object; other buffers are copied.
    """
    data, buffer = b"abc", bytearray(b"abc")
    copied = BytesSerializer()(buffer)
    buffer[0] = 0

    assert BytesSerializer()(data) is data
    assert copied == b"abc" == BytesSerializer()(memoryview(b"xabc")[1:])
    assert BytesDeserializer()(memoryview(b"abc")) == b"abc"


@pytest.mark.parametrize("value", ["text", None, 5, [1, 2]])
def test_bytes_only(value):
    """
    Text, numbers and lists are no bytes, though some could be made into them.
    """
    with pytest.raises(SerializeError, match=type(value).__name__):
        BytesSerializer()(value)
    with pytest.raises(DeserializeError, match=type(value).__name__):
        BytesDeserializer()(value)
