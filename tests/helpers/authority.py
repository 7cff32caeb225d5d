"""A certificate authority for tests: certificates as peers are given them, good and bad ones."""

from __future__ import annotations

import datetime as dt
import ssl
from dataclasses import dataclass
from pathlib import Path

import trustme
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

#: Names a certificate for a server in a test is for.
LOOPBACK = ("localhost", "127.0.0.1", "::1")


@dataclass(frozen=True)
class Identity:
    """A certificate with its key, in PEM files.

    Attributes:
        certificate: the chain, the holder's own first.
        key: the private key, without a password.
        both: key and chain in one file, as Java's PEM key stores want it.
    """

    certificate: Path
    key: Path
    both: Path


class Authority:
    """Signs certificates into a folder.

    Args:
        folder: an existing folder; every file is made in it.
        name: leads the files' names.
    """

    def __init__(self, folder: Path, name: str = "ca") -> None:
        self._folder = folder
        self._ca = trustme.CA(key_type=trustme.KeyType.RSA)
        #: The authority's own certificate, which the other side has to trust.
        self.certificate = folder / f"{name}.pem"
        self._ca.cert_pem.write_to_path(self.certificate)
        self._name = name

    def server(self, name: str = "server", hosts: tuple[str, ...] = LOOPBACK) -> Identity:
        """A server's certificate, for these host names and addresses."""
        return self._identity(name, hosts)

    def client(self, common_name: str, *, organization: str = "pyproducer tests") -> Identity:
        """A client's certificate; its subject is ``CN=...,OU=Testing,O=...``."""
        cert = self._ca.issue_cert(
            f"{common_name}@clients.test",
            common_name=common_name,
            organization_name=organization,
            organization_unit_name="Testing",
            key_type=trustme.KeyType.RSA,
        )
        return self._write(common_name, cert)

    def expired(self, name: str = "expired", hosts: tuple[str, ...] = LOOPBACK) -> Identity:
        """A server's certificate that ended yesterday."""
        now = dt.datetime.now(dt.UTC)
        day = dt.timedelta(days=1)
        return self._identity(name, hosts, not_before=now - 30 * day, not_after=now - day)

    def not_yet_valid(self, name: str = "early", hosts: tuple[str, ...] = LOOPBACK) -> Identity:
        """A server's certificate that begins tomorrow."""
        now = dt.datetime.now(dt.UTC)
        day = dt.timedelta(days=1)
        return self._identity(name, hosts, not_before=now + day, not_after=now + 30 * day)

    def server_context(self, identity: Identity) -> ssl.SSLContext:
        """What a server of Python's own uses to show the certificate."""
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(identity.certificate, identity.key)
        return context

    def _identity(
        self,
        name: str,
        hosts: tuple[str, ...],
        *,
        not_before: dt.datetime | None = None,
        not_after: dt.datetime | None = None,
    ) -> Identity:
        cert = self._ca.issue_cert(
            *hosts,
            common_name=hosts[0],
            key_type=trustme.KeyType.RSA,
            not_before=not_before,
            not_after=not_after,
        )
        return self._write(name, cert)

    def _write(self, name: str, cert: trustme.LeafCert) -> Identity:
        stem = f"{self._name}-{name}"
        chain = b"".join(blob.bytes() for blob in cert.cert_chain_pems)
        identity = Identity(
            certificate=self._folder / f"{stem}.pem",
            key=self._folder / f"{stem}.key",
            both=self._folder / f"{stem}.both.pem",
        )
        identity.certificate.write_bytes(chain)
        # Java reads PKCS #8 alone.
        key = load_pem_private_key(cert.private_key_pem.bytes(), None).private_bytes(
            Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()
        )
        identity.key.write_bytes(key)
        identity.both.write_bytes(key + chain)
        return identity
