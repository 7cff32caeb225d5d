"""Certificates and keys in PEM, in texts and files; other stores with how to make PEM of them."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

from pyproducer.errors import ConfigError

__all__ = ["PEM", "pem_blocks", "refuse_other_stores"]

PEM: Final = "PEM"
_BLOCK: Final = re.compile(
    r"-----BEGIN (?P<kind>[A-Z0-9 ]+)-----(?P<body>[^-]*)-----END (?P=kind)-----"
)
_HEADERS: Final = re.compile(r"^(?:Proc-Type|DEK-Info):.*$", re.MULTILINE)
_WIDTH: Final = 64


def pem_blocks(text: str) -> dict[str, str]:
    """The keys and the certificates in a text, each kind with line breaks where OpenSSL has them.

    In a file of properties a value is one line, so that the breaks may be spaces, or gone.

    Returns:
        `key` and `certificates`; "" for what is not there.
    """
    found = {"key": "", "certificates": ""}
    for match in _BLOCK.finditer(text):
        kind = match["kind"]
        what = "key" if kind.endswith("KEY") else "certificates" if "CERTIFICATE" in kind else ""
        if not what:
            continue
        headers = _HEADERS.findall(match["body"])
        body = "".join(_HEADERS.sub("", match["body"]).split())
        lines = [body[at : at + _WIDTH] for at in range(0, len(body), _WIDTH)]
        inner = "\n".join([*headers, "", *lines] if headers else lines)
        found[what] += f"-----BEGIN {kind}-----\n{inner}\n-----END {kind}-----\n"
    # OpenSSL takes nothing else, and says so in another way than of what is no PEM.
    return {what: text.encode("ascii", "replace").decode("ascii") for what, text in found.items()}


def refuse_other_stores(setting: str, kind: str | None, location: str | None) -> None:
    """Returns if a store is in PEM.

    Args:
        setting: Name of the setting that says of what kind it is.
        kind: What it says.
        location: Where the store is, if that is said.

    Raises:
        ConfigError: It is of a kind that only Java reads; says how to make PEM of it.
    """
    if (kind or "").strip().upper() == PEM:
        return
    path = location or "store"
    stem = str(Path(path).with_suffix(""))
    steps = f"openssl pkcs12 -in {stem}.p12 -out {stem}.pem -nodes"
    if (kind or "JKS").upper() == "JKS":
        steps = (
            f"keytool -importkeystore -srckeystore {path} -destkeystore {stem}.p12 "
            f"-deststoretype PKCS12, then {steps}"
        )
    raise ConfigError(
        f"{setting}={kind or 'JKS'}: this broker reads PEM alone; set {setting}=PEM for {path} if "
        f"that is what it is, or make it so: {steps}",
        option="config",
    )
