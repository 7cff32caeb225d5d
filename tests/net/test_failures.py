"""What OpenSSL says of a connection, in terms of what to do about it."""

from __future__ import annotations

import ssl

import pytest

from pyproducer.errors import (
    ClientCertificateRefused,
    ProtocolError,
    TlsError,
    TlsExpected,
    TlsNotOffered,
)
from pyproducer.net.failures import (
    cut_off,
    is_security,
    located,
    plain_failure,
    silent_failure,
    tls_failure,
)
from pyproducer.protocol.frame import TlsSpoken


def openssl(reason: str) -> ssl.SSLError:
    error = ssl.SSLError(1, f"[SSL: {reason}] ...")
    error.reason = reason
    return error


@pytest.mark.parametrize(
    ("reason", "cls"),
    [
        ("TLSV13_ALERT_CERTIFICATE_REQUIRED", ClientCertificateRefused),
        ("SSLV3_ALERT_BAD_CERTIFICATE", ClientCertificateRefused),
        ("SSLV3_ALERT_CERTIFICATE_EXPIRED", ClientCertificateRefused),
        ("TLSV1_ALERT_UNKNOWN_CA", ClientCertificateRefused),
        ("SSLV3_ALERT_HANDSHAKE_FAILURE", ClientCertificateRefused),
        ("WRONG_VERSION_NUMBER", TlsNotOffered),
        ("HTTP_REQUEST", TlsNotOffered),
        ("TLSV1_ALERT_PROTOCOL_VERSION", TlsError),
        ("NO_PROTOCOLS_AVAILABLE", TlsError),
    ],
)
def test_openssls_reasons(reason, cls):
    """
    Each of OpenSSL's reasons is the class of what has to be done about it.
    """
    made = tls_failure(openssl(reason), "kafka", certificate=False)

    assert type(made) is cls
    assert reason.lower().replace("_", " ") in str(made)
    assert isinstance(made.__cause__, ssl.SSLError)


def test_what_is_no_matter_of_tls():
    """
    A connection that breaks, or ends without a word, is not called insecure for that.
    """
    for error in (ConnectionResetError(), openssl("UNEXPECTED_EOF_WHILE_READING"), ValueError()):
        assert tls_failure(error, "kafka", certificate=True) is None
    assert silent_failure(ValueError()) is None


def test_a_handshake_that_is_cut_short():
    """
    What ends in place of an answer is most likely no TLS; behind the handshake it is the
    certificate of the client, with or without one.
    """
    for error in (ConnectionResetError(), openssl("UNEXPECTED_EOF_WHILE_READING")):
        assert isinstance(silent_failure(error), TlsNotOffered)
    assert "without a certificate" in str(cut_off(ConnectionResetError(), certificate=False))
    assert "have our certificate" in str(cut_off(ConnectionResetError(), certificate=True))


def test_plain_connections():
    """
    Bytes of TLS on a plain connection are told from other nonsense.
    """
    nonsense = ProtocolError("x")

    assert isinstance(plain_failure(TlsSpoken("x")), TlsExpected)
    assert plain_failure(nonsense) is nonsense
    assert not is_security(nonsense)


def test_an_error_is_told_where_it_happened():
    """
    A located copy leads with the broker, and leaves the original as it was.
    """
    error = TlsError("no luck")
    made = located(error, "kafka:9093")

    assert ("kafka:9093: no luck", "kafka:9093") == (str(made), made.address)
    assert ("no luck", None) == (str(error), error.address)
