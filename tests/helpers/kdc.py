"""A Kerberos realm on loopback: its key distribution centre, its principals, their keytabs."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from tests.helpers.processes import (
    ChildProcess,
    PeerFailed,
    PeerMissing,
    accepts_connections,
    free_ports,
)

REALM: Final = "PYPRODUCER.TEST"

_CONFIG = """[libdefaults]
default_realm = {realm}
dns_lookup_kdc = false
dns_lookup_realm = false
dns_canonicalize_hostname = false
rdns = false
udp_preference_limit = 1
[realms]
{realm} = {{
  kdc = 127.0.0.1:{port}
}}
[domain_realm]
localhost = {realm}
"""
_SERVER = """[kdcdefaults]
kdc_listen = 127.0.0.1:{port}
kdc_tcp_listen = 127.0.0.1:{port}
[realms]
{realm} = {{
  database_name = {folder}/principal
  key_stash_file = {folder}/stash
  max_life = {life}
}}
"""


def missing() -> str:
    """Why there can be no realm on this machine; empty if there can."""
    try:
        for name in ("krb5kdc", "kadmin.local", "kdb5_util"):
            _program(name)
    except PeerMissing as error:
        return str(error)
    return ""


class Kdc:
    """A realm, running for the ``with`` block.

    Attributes:
        config: the ``krb5.conf`` of its clients and servers.
    """

    def __init__(self, folder: Path, *, ticket_life: str = "1h") -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        (self._port,) = free_ports(1)
        self.config = folder / "krb5.conf"
        self.config.write_text(_CONFIG.format(realm=REALM, port=self._port))
        server = folder / "kdc.conf"
        server.write_text(
            _SERVER.format(realm=REALM, port=self._port, folder=folder, life=ticket_life)
        )
        self._environment = {"KRB5_CONFIG": str(self.config), "KRB5_KDC_PROFILE": str(server)}
        self._process: ChildProcess | None = None

    def keytab(self, principal: str) -> Path:
        """A new principal of the realm, and the file with its key."""
        file = self._folder / f"{principal.replace('/', '-')}.keytab"
        self._run("kadmin.local", "-q", f"addprinc -randkey {principal}@{REALM}")
        self._run("kadmin.local", "-q", f"ktadd -k {file} {principal}@{REALM}")
        return file

    def client(self, keytab: Path) -> Mapping[str, str]:
        """The environment in which a program is the keytab's principal."""
        return {
            "KRB5_CONFIG": str(self.config),
            "KRB5_CLIENT_KTNAME": str(keytab),
            "KRB5CCNAME": f"FILE:{keytab}.cache",
        }

    def __enter__(self) -> Self:
        self._run("kdb5_util", "create", "-s", "-r", REALM, "-P", "of-the-whole-realm")
        command = [_program("krb5kdc"), "-n", "-P", str(self._folder / "kdc.pid")]
        self._process = ChildProcess(command, log=self._folder / "kdc.out", env=self._environment)
        self._process.wait_until(lambda: accepts_connections(self._port), timeout=20)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._process is not None:
            self._process.stop()

    def _run(self, name: str, *arguments: str) -> None:
        done = subprocess.run(
            [_program(name), *arguments],
            env={**os.environ, **self._environment},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        if done.returncode != 0:
            raise PeerFailed(f"{name} ended with {done.returncode}:\n{done.stdout}{done.stderr}")


def _program(name: str) -> str:
    # Debian keeps them where only the system's administrator looks.
    path = shutil.which(name, path=f"{os.environ['PATH']}{os.pathsep}/usr/sbin{os.pathsep}/sbin")
    if path is None:
        raise PeerMissing(
            f"{name!r} is not installed: 'apt-get install krb5-kdc krb5-admin-server' has it"
        )
    return path
