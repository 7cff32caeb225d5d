"""Certificates made on the fly, for a broker that nobody has given one and for its clients.

All of it lies in a temporary folder that only this user may read, and goes with the broker.
"""

from __future__ import annotations

import datetime as dt
import ipaddress
import os
import shutil
import tempfile
import weakref
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from pyproducer.broker.security.tls import OwnCertificate
from pyproducer.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from cryptography import x509
    from cryptography.hazmat.primitives.asymmetric import ec

__all__ = ["ClientCertificate", "TemporaryAuthority"]

#: Names at which a broker on this machine is reached.
_LOOPBACK: Final = ("localhost", "127.0.0.1", "::1")
_DAY: Final = dt.timedelta(days=1)
_LIFE: Final = 365 * _DAY
_MODE: Final = 0o600


class ClientCertificate(NamedTuple):
    """A client's certificate with its key, in PEM files.

    Attributes:
        certificate: The certificate.
        key: Its private key, without a password.
        both: The two in one file, as Java's clients want it.
    """

    certificate: Path
    key: Path
    both: Path


class TemporaryAuthority:
    """Signs certificates, until the last of those who use it has gone.

    Raises:
        ConfigError: The extra `certificates` is missing.
    """

    def __init__(self) -> None:
        try:
            import cryptography  # noqa: F401
        except ImportError as error:
            raise ConfigError(
                "certificates are made with the package cryptography: "
                "pip install 'pyproducer[certificates]', or give one with ssl.keystore.location",
                option="security",
            ) from error
        self._folder = Path(tempfile.mkdtemp(prefix="pyproducer-certificates-"))
        weakref.finalize(self, _remove, self._folder, os.getpid())
        self._key = _new_key()
        self._name = _name("pyproducer broker authority")
        self._certificate = self._signed(self._name, self._key, hosts=None)
        #: File with the authority's certificate, which clients have to trust.
        self.ca_file = self._write("ca.pem", _certificate_pem(self._certificate))
        self._made: dict[str, ClientCertificate] = {}

    def server(self, hosts: Iterable[str]) -> OwnCertificate:
        """A broker's certificate, for these names and addresses and for those of loopback."""
        wanted = dict.fromkeys([*_LOOPBACK, *filter(None, hosts)])
        key = _new_key()
        chain = _certificate_pem(self._signed(_name("pyproducer broker"), key, hosts=list(wanted)))
        return OwnCertificate(
            self._write("broker.pem", chain),
            self._write("broker.key", _key_pem(key)),
            self.ca_file,
        )

    def client(self, common_name: str) -> ClientCertificate:
        """The certificate of whom a broker knows as `User:CN=common_name`; always the same."""
        if common_name not in self._made:
            if not isinstance(common_name, str) or not common_name:
                raise ConfigError(f"{common_name!r} is no name for a certificate", option="client")
            key = _new_key()
            data = _certificate_pem(self._signed(_name(common_name), key, hosts=[]))
            stem = f"client-{len(self._made)}"
            self._made[common_name] = ClientCertificate(
                self._write(f"{stem}.pem", data),
                self._write(f"{stem}.key", _key_pem(key)),
                self._write(f"{stem}.both.pem", _key_pem(key) + data),
            )
        return self._made[common_name]

    def _signed(
        self, subject: x509.Name, key: ec.EllipticCurvePrivateKey, *, hosts: list[str] | None
    ) -> x509.Certificate:
        """A certificate; for no hosts a client's, for None the authority's own."""
        from cryptography import x509
        from cryptography.hazmat.primitives import hashes
        from cryptography.x509.oid import ExtendedKeyUsageOID

        authority = hosts is None
        now = dt.datetime.now(dt.UTC)
        made = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - _DAY)
            .not_valid_after(now + _LIFE)
            .add_extension(
                x509.BasicConstraints(ca=authority, path_length=0 if authority else None),
                critical=True,
            )
            .add_extension(
                x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False
            )
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key()),
                critical=False,
            )
            .add_extension(_key_usage(authority=authority), critical=True)
        )
        if hosts:
            names = x509.SubjectAlternativeName([_general_name(host) for host in hosts])
            made = made.add_extension(names, critical=False)
        if hosts is not None:
            use = ExtendedKeyUsageOID.SERVER_AUTH if hosts else ExtendedKeyUsageOID.CLIENT_AUTH
            made = made.add_extension(x509.ExtendedKeyUsage([use]), critical=False)
        return made.sign(self._key, hashes.SHA256())

    def _write(self, name: str, data: bytes) -> Path:
        path = self._folder / name
        # Made unreadable to others before there is anything to read.
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, _MODE)
        with open(descriptor, "wb") as file:  # noqa: PTH123 - of a descriptor
            file.write(data)
        return path


def _new_key() -> ec.EllipticCurvePrivateKey:
    from cryptography.hazmat.primitives.asymmetric import ec

    return ec.generate_private_key(ec.SECP256R1())


def _name(common_name: str) -> x509.Name:
    from cryptography import x509
    from cryptography.x509.oid import NameOID

    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


def _general_name(host: str) -> x509.GeneralName:
    from cryptography import x509

    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def _key_usage(*, authority: bool) -> x509.KeyUsage:
    from cryptography import x509

    return x509.KeyUsage(
        digital_signature=True,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=authority,
        crl_sign=authority,
        encipher_only=False,
        decipher_only=False,
    )


def _certificate_pem(certificate: x509.Certificate) -> bytes:
    from cryptography.hazmat.primitives.serialization import Encoding

    return certificate.public_bytes(Encoding.PEM)


def _key_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    from cryptography.hazmat.primitives.serialization import (
        Encoding,
        NoEncryption,
        PrivateFormat,
    )

    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def _remove(folder: Path, owner: int) -> None:
    # A forked child has a copy of the object, and no broker.
    if os.getpid() == owner:
        shutil.rmtree(folder, ignore_errors=True)
