"""A JAAS text is read as Kafka reads it, for the broker's settings and the client's alike."""

from __future__ import annotations

import pytest

from pyproducer.jaas import parse_jaas

MODULE = "org.apache.kafka.common.security.plain.PlainLoginModule"


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("bare", "bare"),
        ('"a b;c=d"', "a b;c=d"),
        ("'it is \"so\"'", 'it is "so"'),
        ('"it\'s"', "it's"),
        (r'"q\"u\\o"', 'q"u\\o'),
        (r'"tab\tnew\n"', "tab\tnew\n"),
        (r'"\101\7\400\x"', "A\a 0x"),
        ('""', ""),
    ],
)
def test_values(written, value):
    """
    Values stand bare or in either kind of quotes, with the escapes of Java's StreamTokenizer.
    """
    module = parse_jaas(f"  {MODULE}\n required\n user='u'\n password={written} ;\n")

    assert (MODULE, "PlainLoginModule") == (module.java_class, module.name)
    assert {"user": "u", "password": value} == module.options


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "write the Java class"),
        (f"{MODULE};", "then 'required'"),
        (f"{MODULE} required a=hidden", "one semicolon at the end"),
        (f"{MODULE} required a=hidden; {MODULE} required;", "one semicolon at the end"),
        (f'{MODULE} required a="hidden;', "one semicolon at the end"),
        (f"{MODULE} required a=hid'den';", "one semicolon at the end"),
        (f"{MODULE} required a;", "one semicolon at the end"),
    ],
)
def test_what_cannot_be_read(text, told):
    """
    A text that is no login module is refused, and nothing of it is repeated.
    """
    with pytest.raises(ValueError, match=told) as caught:
        parse_jaas(text)

    assert "hidden" not in str(caught.value)


def test_no_password_in_its_repr():
    """
    A login module shows the names of its options alone.
    """
    assert "hidden" not in repr(parse_jaas(f'{MODULE} required password="hidden";'))
