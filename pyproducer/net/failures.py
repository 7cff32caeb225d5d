"""Why a secure connection did not come about: the errors of TLS as this library's own."""

from __future__ import annotations

import ssl
from copy import copy
from typing import Final, TypeVar

from pyproducer.errors import (
    AuthenticationError,
    CertificateNotYetValid,
    ClientCertificateRefused,
    ExpiredCertificate,
    ProducerError,
    SaslExpected,
    TlsError,
    TlsExpected,
    TlsNotOffered,
    UntrustedCertificate,
    WrongHostName,
)
from pyproducer.protocol.frame import TlsSpoken

__all__ = [
    "cut_off",
    "hung_up",
    "is_security",
    "located",
    "plain_failure",
    "silent_failure",
    "tls_failure",
]

# OpenSSL's X509_V_ERR_... of the certificate that was shown.
_NOT_YET_VALID: Final = {9, 13}
_EXPIRED: Final = {10, 14}
_WRONG_HOST: Final = {62, 64}

#: Alerts by which a broker tells that it does not like our certificate, or the lack of one.
_OF_CLIENT_CERTIFICATE: Final = (
    "CERTIFICATE_REQUIRED",
    "BAD_CERTIFICATE",
    "CERTIFICATE_EXPIRED",
    "CERTIFICATE_REVOKED",
    "CERTIFICATE_UNKNOWN",
    "UNSUPPORTED_CERTIFICATE",
    "UNKNOWN_CA",
    "ACCESS_DENIED",
    # How servers of TLS 1.2 refuse a client without a certificate; it has other reasons too.
    "HANDSHAKE_FAILURE",
)
#: What OpenSSL says of bytes that are no TLS.
_NO_TLS: Final = {
    "WRONG_VERSION_NUMBER",
    "HTTP_REQUEST",
    "HTTPS_PROXY_REQUEST",
    "UNKNOWN_PROTOCOL",
    "RECORD_LAYER_FAILURE",
    "BAD_RECORD_TYPE",
    "UNEXPECTED_MESSAGE",
}

_E = TypeVar("_E", bound=ProducerError)


def is_security(error: BaseException | None) -> bool:
    """True for a failure of TLS or of authentication: the network and the broker are there."""
    return isinstance(error, TlsError | AuthenticationError)


def located(error: _E, address: str) -> _E:
    """The same error, its text led by the broker that it is about."""
    made = copy(error)
    made.args = (f"{address}: {error}",)
    if isinstance(made, TlsError | AuthenticationError):
        made.address = address
    made.__cause__ = error.__cause__
    return made


def plain_failure(error: Exception) -> Exception:
    """What a plain connection failed by, where that tells that the other side wants TLS."""
    if isinstance(error, TlsSpoken):
        return TlsExpected(
            "this port expects TLS: use a security_protocol with SSL, or the port of a listener "
            "without"
        )
    return error


def tls_failure(error: BaseException, host: str, *, certificate: bool) -> TlsError | None:
    """The error of a TLS connection that failed; None where that had nothing to do with TLS.

    Args:
        error: what was raised while the connection was made, or later.
        host: the name that the certificate should have.
        certificate: whether we have one of our own to show.
    """
    made: TlsError
    if isinstance(error, ssl.SSLError) and "EOF" in (error.reason or ""):
        # A connection that ends without a word is one that ends.
        return None
    if isinstance(error, ssl.SSLCertVerificationError):
        made = _unverified(error, host)
    elif isinstance(error, ssl.SSLError):
        made = _alerted(error, certificate=certificate)
    else:
        return None
    made.__cause__ = error
    return made


def silent_failure(error: BaseException) -> TlsError | None:
    """The error of a handshake that the other side has cut short without a word of TLS."""
    if isinstance(error, ConnectionError | EOFError) or (
        isinstance(error, ssl.SSLError) and "EOF" in (error.reason or "")
    ):
        made = TlsNotOffered(
            "the connection was closed in place of an answer to TLS: this port is most likely a "
            "plain listener; use another port, or a security_protocol without SSL (or the broker "
            "does not like our certificate, or the lack of one, and does not say so)"
        )
        made.__cause__ = error
        return made
    return None


def cut_off(error: ConnectionError, *, certificate: bool) -> TlsError:
    """The error of a connection that was cut right behind the handshake."""
    what = "have our certificate" if certificate else "do without a certificate of ours"
    made = ClientCertificateRefused(
        f"the broker cut the connection right behind the handshake of TLS: most likely it will not "
        f"{what}; look at ssl_certificate and ssl_key, and at the broker's log"
    )
    made.__cause__ = error
    return made


def hung_up(error: Exception | None) -> SaslExpected | None:
    """The likely error of a connection that ended at the first request behind the versions.

    Kafka's brokers do that to whoever has not authenticated, without a word; and so does any that
    goes down at that moment. None where something else ended it.
    """
    ended = error is None or isinstance(error, ConnectionError | EOFError)
    if not ended and not (isinstance(error, ssl.SSLError) and "EOF" in (error.reason or "")):
        return None
    made = SaslExpected(
        "the broker told its versions and closed the connection at the first request behind them: "
        "most likely this listener wants SASL; give sasl_mechanism and a security_protocol with "
        "SASL, or use the port of a listener without"
    )
    made.__cause__ = error
    return made


def _unverified(error: ssl.SSLCertVerificationError, host: str) -> TlsError:
    code, why = error.verify_code, error.verify_message
    if code in _EXPIRED:
        return ExpiredCertificate(
            f"the broker's certificate is not valid any more ({why}): renew it there, or look at "
            "this machine's clock"
        )
    if code in _NOT_YET_VALID:
        return CertificateNotYetValid(
            f"the broker's certificate is not valid yet ({why}): look at the clocks of both "
            "machines"
        )
    if code in _WRONG_HOST:
        return WrongHostName(
            f"the broker's certificate is not for {host!r} ({why}): connect by a name that it "
            "has, have one made that names this host, or set ssl_check_hostname=False in tests"
        )
    return UntrustedCertificate(
        f"the broker's certificate is not to be trusted ({why}): name the certificate of the "
        "authority that signed it as ssl_ca"
    )


def _alerted(error: ssl.SSLError, *, certificate: bool) -> TlsError:
    reason = error.reason or ""
    if reason in _NO_TLS:
        return TlsNotOffered(
            f"what answers is no TLS ({_words(reason)}): this port is a plain listener, or no "
            "broker's; use another port, or a security_protocol without SSL"
        )
    if "ALERT" in reason and reason.endswith(_OF_CLIENT_CERTIFICATE):
        if certificate:
            return ClientCertificateRefused(
                f"the broker refuses our certificate ({_words(reason)}): have ssl_certificate "
                "signed by an authority that the broker trusts, and look at its dates"
            )
        return ClientCertificateRefused(
            f"the broker refuses us without a certificate ({_words(reason)}): give ssl_certificate "
            "and ssl_key"
        )
    return TlsError(f"no TLS connection could be made: {_words(reason or str(error))}")


def _words(reason: str) -> str:
    return reason.lower().replace("_", " ") if reason.isupper() or "_" in reason else reason
