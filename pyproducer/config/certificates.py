"""Certificates and keys in PEM, from files or from text, as the context of a TLS connection."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final, NoReturn, TypeAlias

from pyproducer.errors import ConfigError
from pyproducer.pem_files import FileStamp, as_file, is_pem, stamp

if TYPE_CHECKING:
    import ssl

    from pyproducer.config.security_config import PemOption, SecurityConfig

__all__ = ["Certificates", "FileStamps"]

_CERTIFICATE: Final = "-----BEGIN CERTIFICATE"
_KEY: Final = "PRIVATE KEY-----"

#: Of each file what tells whether it is still the same.
FileStamps: TypeAlias = tuple[FileStamp, ...]


@dataclass(frozen=True, slots=True, repr=False)
class Certificates:
    """What is needed to make a context: whom we trust, and who we are.

    Attributes:
        ca: authorities to trust; None for the system's.
        certificate: our own certificate, or None.
        key: its key; None where it is in the same file.
        password: of the key.
        check_hostname: whether a certificate has to be for the host.
    """

    ca: PemOption | None
    certificate: PemOption | None
    key: PemOption | None
    password: str | bytes | None
    check_hostname: bool

    @classmethod
    def of(cls, config: SecurityConfig) -> Certificates:
        """Those that a configuration names."""
        return cls(
            config.ssl_ca,
            config.ssl_certificate,
            config.ssl_key,
            config.ssl_key_password,
            config.ssl_check_hostname,
        )

    def stamps(self) -> FileStamps:
        """What the files are now; another value after one of them has changed."""
        return tuple(
            stamp(os.fsdecode(value))
            for value in (self.ca, self.certificate, self.key)
            if value is not None and not is_pem(value)
        )

    def check(self) -> None:
        """Read everything that was given.

        Raises:
            ConfigError: as :meth:`context`.
        """
        import ssl

        self._load(ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT))

    def context(self) -> ssl.SSLContext:
        """A new context: TLS 1.2 or later, brokers' certificates verified.

        Raises:
            ConfigError: a file cannot be read, or is not what it should be; the text names the
                option and the file.
        """
        import ssl

        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.check_hostname = self.check_hostname
        # A broker's own certificate may be what is trusted, as in Java's trust stores.
        context.verify_flags |= ssl.VerifyFlags.VERIFY_X509_PARTIAL_CHAIN
        if self.ca is None:
            context.load_default_certs(ssl.Purpose.SERVER_AUTH)
        self._load(context)
        return context

    def _load(self, context: ssl.SSLContext) -> None:
        if self.ca is not None:
            text = _read("ssl_ca", self.ca)
            if _CERTIFICATE not in text:
                _refuse("ssl_ca", self.ca, "has no certificate in PEM")
            try:
                context.load_verify_locations(cadata=text)
            # An OSError that is OpenSSL's.
            except (OSError, ValueError) as error:
                _refuse("ssl_ca", self.ca, f"is no list of certificates: {_why(error)}", error)
        if self.certificate is not None:
            self._load_own(context, self.certificate)

    def _load_own(self, context: ssl.SSLContext, given: PemOption) -> None:
        chain = _read("ssl_certificate", given)
        if _CERTIFICATE not in chain:
            _refuse("ssl_certificate", given, "has no certificate in PEM")
        option, holder = ("ssl_certificate", given) if self.key is None else ("ssl_key", self.key)
        key = chain if self.key is None else _read("ssl_key", self.key)
        if _KEY not in key:
            hint = " beside the certificate; give ssl_key=" if self.key is None else " in PEM"
            _refuse(option, holder, f"has no private key{hint}")
        asked = False

        def password() -> str | bytes:
            # Without this, OpenSSL would ask whoever sits at the terminal, and wait.
            nonlocal asked
            asked = True
            return b"" if self.password is None else self.password

        # Both go into one: what was read a moment ago is what is used, even if somebody is writing
        # the files anew.
        with as_file(f"{key}\n{chain}") as path:
            try:
                context.load_cert_chain(path, password=password)
            except (OSError, ValueError) as error:
                reason = getattr(error, "reason", None)
                if asked:
                    _refuse(
                        option,
                        holder,
                        "is encrypted: give ssl_key_password="
                        if self.password is None
                        else "cannot be decrypted with ssl_key_password",
                        error,
                    )
                if reason == "KEY_VALUES_MISMATCH":
                    text = "is not the key of ssl_certificate"
                else:
                    text = f"and its certificate cannot be used: {_why(error)}"
                _refuse(option, holder, text, error)


def _read(option: str, value: PemOption) -> str:
    """The text of an option that is given as such or as a file."""
    try:
        if not is_pem(value):
            text = Path(os.fsdecode(value)).read_text(encoding="utf-8")
        else:
            text = value if isinstance(value, str) else bytes(value).decode("utf-8")  # type: ignore[arg-type]
        # Names of authorities are written beside their certificates; OpenSSL takes ASCII alone.
        return text.encode("ascii", "replace").decode("ascii")
    except OSError as error:
        _refuse(option, value, f"cannot be read: {error.strerror}", error)
    except UnicodeDecodeError as error:
        _refuse(
            option,
            value,
            "is not in PEM: it is binary, as DER and Java's key stores (JKS, PKCS12) are; "
            "convert it with openssl or keytool",
            error,
        )


def _refuse(
    option: str, value: PemOption, text: str, cause: BaseException | None = None
) -> NoReturn:
    what = "the PEM text" if is_pem(value) else repr(os.fsdecode(value))
    raise ConfigError(f"{option}: {what} {text}.", option=option) from cause


def _why(error: Exception) -> str:
    # OpenSSL's own words, without the file and line of its sources.
    reason = getattr(error, "reason", None)
    return reason.lower().replace("_", " ") if isinstance(reason, str) else str(error)
