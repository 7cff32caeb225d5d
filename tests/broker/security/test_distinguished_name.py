"""The subject of a certificate in Java's writing."""

from __future__ import annotations

import datetime as dt
import ssl

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.name import _ASN1Type
from cryptography.x509.oid import NameOID

from pyproducer.broker.security.distinguished_name import subject_of

COMMON, EMAIL = NameOID.COMMON_NAME, NameOID.EMAIL_ADDRESS


def certificate(*steps: list[tuple[x509.ObjectIdentifier, str]]) -> bytes:
    """A certificate with this subject, in DER; a step of several pairs is one of several values."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name(
        [
            x509.RelativeDistinguishedName([x509.NameAttribute(kind, text) for kind, text in step])
            for step in steps
        ]
    )
    begin = dt.datetime(2020, 1, 1, tzinfo=dt.UTC)
    made = x509.CertificateBuilder(
        issuer_name=name,
        subject_name=name,
        public_key=key.public_key(),
        serial_number=1,
        not_valid_before=begin,
        not_valid_after=begin + dt.timedelta(days=1),
    ).sign(key, hashes.SHA256())
    return made.public_bytes(Encoding.DER)


@pytest.mark.parametrize(
    ("steps", "wanted"),
    [
        ([], ""),
        ([[(COMMON, "alice")]], "CN=alice"),
        (
            [
                [(NameOID.COUNTRY_NAME, "DE")],
                [(NameOID.STATE_OR_PROVINCE_NAME, "B")],
                [(NameOID.LOCALITY_NAME, "L")],
                [(NameOID.ORGANIZATION_NAME, "Ex")],
                [(NameOID.ORGANIZATIONAL_UNIT_NAME, "T")],
                [(COMMON, "alice")],
            ],
            "CN=alice,OU=T,O=Ex,L=L,ST=B,C=DE",
        ),
        (
            [[(NameOID.DOMAIN_COMPONENT, "org")], [(NameOID.USER_ID, "u1")]],
            "UID=u1,DC=org",
        ),
        ([[(COMMON, r'a,b+c"d\e<f>g;h=i#j')]], r"CN=a\,b\+c\"d\\e\<f\>g\;h\=i\#j"),
        ([[(COMMON, "  two  ")]], r"CN=\ \ two\ \ "),
        ([[(COMMON, "J\u00fcrgen \u65e5")]], "CN=J\u00fcrgen \u65e5"),
        (
            [[(COMMON, "x")], [(EMAIL, "a@b")]],
            "1.2.840.113549.1.9.1=#1603614062,CN=x",
        ),
        ([[(NameOID.SERIAL_NUMBER, "7")]], "2.5.4.5=#130137"),
    ],
)
def test_subject(steps: list, wanted: str):
    """
    The last step comes first; what RFC 2253 has no letters for is a number with hex digits.
    """
    assert wanted == subject_of(certificate(*steps))


def test_several_values_of_one_step():
    """
    Pairs of one step are joined by a plus sign.
    """
    found = subject_of(certificate([(COMMON, "a"), (NameOID.ORGANIZATION_NAME, "b")]))

    assert found in {"CN=a+O=b", "O=b+CN=a"}


def test_wide_texts():
    """
    A text in UTF-16 is read as what it says.
    """
    key = ec.generate_private_key(ec.SECP256R1())
    wide = x509.NameAttribute(COMMON, "W\u00fc", _type=_ASN1Type.BMPString)
    begin = dt.datetime(2020, 1, 1, tzinfo=dt.UTC)
    made = x509.CertificateBuilder(
        issuer_name=x509.Name([wide]),
        subject_name=x509.Name([wide]),
        public_key=key.public_key(),
        serial_number=1,
        not_valid_before=begin,
        not_valid_after=begin + dt.timedelta(days=1),
    ).sign(key, hashes.SHA256())

    assert "CN=W\u00fc" == subject_of(made.public_bytes(Encoding.DER))


@pytest.mark.parametrize("size", [0, 1, 2, 10, 40])
def test_what_is_no_certificate(size: int):
    """
    A part of a certificate is refused by name.
    """
    with pytest.raises(ValueError, match="no certificate"):
        subject_of(certificate([(COMMON, "a")])[:size])


def test_openssl_reads_the_same_certificate():
    """
    The certificates of these tests are such as OpenSSL takes.
    """
    data = certificate([(COMMON, "a")])

    assert ssl.PEM_cert_to_DER_cert(ssl.DER_cert_to_PEM_cert(data)) == data
