"""The subject of a certificate, written as Kafka does it: RFC 2253, the way Java understands it.

The most particular part comes first (`CN=alice,OU=Testing,O=Example`). Types that the RFC has no
letters for are numbers, and their values are written as hexadecimal digits of their encoding; so
Kafka knows a certificate with an e-mail address by `1.2.840.113549.1.9.1=#1605...`.

What is read here has passed OpenSSL, which has checked the signature and the structure around it.
"""

from __future__ import annotations

from typing import Final, NamedTuple

__all__ = ["subject_of"]

_KEYWORDS: Final = {
    "2.5.4.3": "CN",
    "2.5.4.6": "C",
    "2.5.4.7": "L",
    "2.5.4.8": "ST",
    "2.5.4.9": "STREET",
    "2.5.4.10": "O",
    "2.5.4.11": "OU",
    "0.9.2342.19200300.100.1.1": "UID",
    "0.9.2342.19200300.100.1.25": "DC",
}
#: How each kind of text is encoded, by its tag.
_TEXTS: Final = {
    0x0C: "utf-8",
    0x13: "ascii",
    0x14: "latin-1",
    0x16: "ascii",
    0x1B: "ascii",
    0x1C: "utf-32-be",
    0x1E: "utf-16-be",
}
_SPECIAL: Final = frozenset(',=+<>#;"\\')
_VERSION_TAG: Final = 0xA0
_LONG_FORM: Final = 0x80
_FIELDS_BEFORE_SUBJECT: Final = 4


class _Part(NamedTuple):
    """One value in the distinguished encoding: its tag, its content, and all of it."""

    tag: int
    content: bytes
    whole: bytes


def subject_of(certificate: bytes) -> str:
    """The name of who a certificate is for; "" where it names nobody.

    Args:
        certificate: In DER, as the peer showed it.

    Raises:
        ValueError: That is no certificate.
    """
    try:
        [outer] = _parts(certificate)
        fields = _parts(_parts(outer.content)[0].content)
        if fields[0].tag == _VERSION_TAG:
            fields = fields[1:]
        subject = fields[_FIELDS_BEFORE_SUBJECT]
        names = [_relative(one) for one in _parts(subject.content)]
    except (IndexError, ValueError) as error:
        raise ValueError("the bytes are no certificate with a subject") from error
    return ",".join(reversed(names))


def _parts(data: bytes) -> list[_Part]:
    found, at = [], 0
    while at < len(data):
        start, tag, size = at, data[at], data[at + 1]
        at += 2
        if size & _LONG_FORM:
            count = size & ~_LONG_FORM
            size = int.from_bytes(data[at : at + count], "big")
            at += count
        if at + size > len(data):
            raise IndexError("a part ends behind what it is in")
        found.append(_Part(tag, data[at : at + size], data[start : at + size]))
        at += size
    return found


def _relative(part: _Part) -> str:
    """One step of the name, which may consist of several pairs."""
    return "+".join(_pair(one) for one in _parts(part.content))


def _pair(part: _Part) -> str:
    kind, value = _parts(part.content)
    number = _number(kind.content)
    keyword = _KEYWORDS.get(number)
    encoding = _TEXTS.get(value.tag)
    if keyword is None or encoding is None:
        return f"{keyword or number}=#{value.whole.hex()}"
    return f"{keyword}={_escaped(value.content.decode(encoding))}"


def _number(data: bytes) -> str:
    """An object identifier in digits and dots."""
    first, found, value = divmod(data[0], 40), [], 0
    for byte in data[1:]:
        value = value << 7 | byte & 0x7F
        if not byte & 0x80:
            found.append(value)
            value = 0
    return ".".join(map(str, (*first, *found)))


def _escaped(text: str) -> str:
    marked = "".join(f"\\{one}" if one in _SPECIAL else one for one in text)
    inner = marked.strip(" ")
    before = len(marked) - len(marked.lstrip(" "))
    # A text of spaces alone has them all in front.
    after = len(marked) - len(inner) - before if inner else 0
    return "\\ " * before + inner + "\\ " * after
