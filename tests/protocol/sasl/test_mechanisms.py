"""Each mechanism says what its standard has it say, and believes no server that does not."""

from __future__ import annotations

import pytest

from pyproducer.errors import AuthenticationError, CredentialsRefused
from pyproducer.protocol.sasl.oauthbearer import OAuthBearer
from pyproducer.protocol.sasl.plain import Plain
from pyproducer.protocol.sasl.scram import Scram

# RFC 7677, section 3.
NONCE = "rOprNGfwEbeRWgbNEkqO"
SERVER_FIRST = (
    b"r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096"
)
CLIENT_FINAL = (
    b"c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,"
    b"p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="
)
SERVER_FINAL = b"v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="


def test_plain_is_rfc_4616s():
    """
    PLAIN sends an empty authorization identity, the name and the password, parted by NULs.
    """
    plain = Plain("tim", "tanst\u00e4\u00e4ftanst\u00e4\u00e4f")

    assert b"\0tim\0" + "tanst\u00e4\u00e4ftanst\u00e4\u00e4f".encode() == plain.step(None)
    assert not plain.done
    assert plain.step(b"") is None
    assert plain.done


@pytest.mark.parametrize("count", [b"1000001", b"2147483647", b"9" * 5000, b"4096,i=2147483647"])
def test_scram_hashes_no_more_than_a_million_times(count):
    """
    A server that would keep the processor busy for minutes is refused before anything is hashed.
    """
    scram = Scram("SCRAM-SHA-256", "user", "pencil", nonce=NONCE)
    scram.step(None)

    with pytest.raises(AuthenticationError, match="and 1000000 are the most"):
        scram.step(SERVER_FIRST.replace(b"4096", count))


def test_scram_is_rfc_7677s():
    """
    The exchange of the standard's example comes out to the byte.
    """
    scram = Scram("SCRAM-SHA-256", "user", "pencil", nonce=NONCE)

    assert b"n,,n=user,r=rOprNGfwEbeRWgbNEkqO" == scram.step(None)
    assert CLIENT_FINAL == scram.step(SERVER_FIRST)
    assert not scram.done
    assert scram.step(SERVER_FINAL) is None
    assert scram.done


@pytest.mark.parametrize(
    ("first", "final"),
    [
        # Another server than the one that knows the password.
        (SERVER_FIRST, b"v=AAAATRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="),
        # One that answers somebody else's exchange.
        (SERVER_FIRST.replace(b"rOpr", b"xOpr"), SERVER_FINAL),
        # One that would learn more of the password by few rounds.
        (SERVER_FIRST.replace(b"4096", b"1"), SERVER_FINAL),
        (b"\xff\xfe", SERVER_FINAL),
        (b"nonsense", SERVER_FINAL),
        (SERVER_FIRST, b""),
    ],
)
def test_scram_believes_no_server_that_does_not_prove_itself(first, final):
    """
    A server that does not know the password, or breaks the rules, is found out.
    """
    scram = Scram("SCRAM-SHA-256", "user", "pencil", nonce=NONCE)
    scram.step(None)
    with pytest.raises(AuthenticationError, match="does not prove that it knows the password"):
        scram.step(first)
        scram.step(final)
    assert not scram.done


def test_scram_tells_a_refusal():
    """
    An error in the server's last message is a refusal of the credentials.
    """
    scram = Scram("SCRAM-SHA-256", "user", "pencil", nonce=NONCE)
    scram.step(None)
    scram.step(SERVER_FIRST)
    with pytest.raises(CredentialsRefused, match="invalid-proof"):
        scram.step(b"e=invalid-proof")


def test_scram_escapes_names_and_leaves_them_as_they_are():
    """
    Commas and equals signs are escaped; nothing is normalised, since Kafka's brokers do not.
    """
    scram = Scram("SCRAM-SHA-512", "a,b=c\u2168", "pass\u00adword", nonce=NONCE)

    assert f"n,,n=a=2Cb=3Dc\u2168,r={NONCE}".encode() == scram.step(None)


def test_oauthbearer_is_rfc_7628s():
    """
    The token follows the header, extensions follow the token, and all end with a separator.
    """
    bearer = OAuthBearer("vF9dft4qmTc2Nvb3RlckBhbHRhdmlzdGEuY29tCg==", {})

    assert b"n,,\x01auth=Bearer vF9dft4qmTc2Nvb3RlckBhbHRhdmlzdGEuY29tCg==\x01\x01" == bearer.step(
        None
    )
    assert bearer.step(b"") is None
    assert bearer.done
    assert b"n,,\x01auth=Bearer x\x01pool=p1\x01team=a b\x01\x01" == OAuthBearer(
        "x", {"pool": "p1", "team": "a b"}
    ).step(None)


def test_oauthbearer_answers_a_refusal():
    """
    What is wrong is kept, and the answer is the one that has the server end the exchange.
    """
    bearer = OAuthBearer("x", {})
    bearer.step(None)

    assert b"\x01" == bearer.step(b'{"status":"invalid_token","scope":"produce"}')
    assert not bearer.done
    assert '{"status":"invalid_token","scope":"produce"}' == bearer.complaint
