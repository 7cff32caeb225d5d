"""What says who is who: PEM, certificates' names and rules about them, JAAS, principals.

The input is what reads it, then the text, for rules behind the name that they are for.
"""

from __future__ import annotations

import ssl
import tempfile
import warnings
from collections.abc import Callable, Iterator
from functools import cache

import trustme

from pyproducer.broker.security.distinguished_name import subject_of
from pyproducer.broker.security.pem import pem_blocks
from pyproducer.broker.security.principal_mapping import NoRuleApplies, PrincipalMapping
from pyproducer.config import ProducerConfig
from pyproducer.config.certificates import Certificates
from pyproducer.errors import ConfigError
from pyproducer.jaas import parse_jaas
from pyproducer.protocol.principal import Principal
from tests.fuzz.bites import Bites
from tests.fuzz.target import Target
from tests.fuzz.targets._files import memory_folder

_FOLDER = memory_folder()
#: Characters of a name that fuzzed rules are tried on: patterns are their writer's own, and some
#: take time that doubles with each character.
_SHORT = 10
_SECRET = "kept-to-itself"


def _text(data: bytes) -> str:
    return data.decode("utf-8", "surrogateescape")


def _pem(bites: Bites) -> None:
    found = pem_blocks(_text(bites.rest()))
    for what, text in found.items():
        # What was made of it is the same when it is read again.
        assert pem_blocks(text)[what] == text


def _trusted(bites: Bites) -> None:
    try:
        Certificates(_text(b"-----BEGIN" + bites.rest()), None, None, None, True).check()
    except ConfigError as error:
        assert str(error)


def _own(bites: Bites) -> None:
    text = _text(bites.rest())
    # OpenSSL reads files alone; there is no need for a disk.
    before, tempfile.tempdir = tempfile.tempdir, _FOLDER.name
    try:
        Certificates(None, f"-----BEGIN{text}", None, "password", True).check()
    except ConfigError as error:
        assert str(error)
    finally:
        tempfile.tempdir = before


def _rules(bites: Bites) -> None:
    name = _text(bites.some())[:_SHORT]
    try:
        with warnings.catch_warnings(action="ignore"):
            found = PrincipalMapping(_text(bites.rest())).name(name)
    except NoRuleApplies:
        return
    except ValueError as error:
        assert str(error)
        return
    assert isinstance(found, str)


@cache
def _mapping() -> PrincipalMapping:
    return PrincipalMapping(
        r"RULE:^CN=(.*?),OU=(.*?),O=(.*?)$/$1@$2/L, RULE:^.*CN=([^,]*),.*$/$1/U, DEFAULT"
    )


def _subject(bites: Bites) -> None:
    try:
        name = subject_of(bites.rest())
    except ValueError as error:
        assert str(error)
        return
    assert _mapping().name(name) is not None


def _jaas(bites: Bites) -> None:
    text = _text(bites.rest())
    try:
        module = parse_jaas(text)
    except ValueError as error:
        assert _SECRET not in str(error)
        return
    assert not any(value in repr(module) for value in module.options.values() if len(value) > 60)


def _options(bites: Bites) -> None:
    mechanism = bites.one_of(("PLAIN", "SCRAM-SHA-512", "OAUTHBEARER", "GSSAPI", None))
    options: dict[str, object] = {
        "bootstrap.servers": "localhost:9092",
        "security.protocol": "SASL_PLAINTEXT",
        "sasl.oauthbearer.token.endpoint.url": "https://localhost/token",
        "sasl.jaas.config": _text(bites.rest()),
    }
    if mechanism is not None:
        options["sasl.mechanism"] = mechanism
    if mechanism != "OAUTHBEARER":
        del options["sasl.oauthbearer.token.endpoint.url"]
    try:
        config = ProducerConfig.from_kafka(options, dialect="java")
    except ConfigError as error:
        assert _SECRET not in str(error)
        return
    assert _SECRET not in repr(config)


def _principal(bites: Bites) -> None:
    text = _text(bites.rest())
    try:
        assert str(Principal.parse(text)) == text
    except ValueError as error:
        assert str(error)


_READERS: dict[bytes, Callable[[Bites], None]] = {
    b"p": _pem,
    b"t": _trusted,
    b"o": _own,
    b"r": _rules,
    b"s": _subject,
    b"j": _jaas,
    b"k": _options,
    b"u": _principal,
}


def run(data: bytes) -> None:
    """A text says something, or a ValueError, mostly a ConfigError, tells what to write instead."""
    bites = Bites(data)
    reader = _READERS.get(bites.take(1))
    if reader is not None:
        reader(bites)


@cache
def _certificate() -> tuple[bytes, bytes]:
    """A certificate with its key in PEM, and in DER without."""
    authority = trustme.CA(key_type=trustme.KeyType.ECDSA)
    issued = authority.issue_cert(
        "alice@x", common_name="alice", organization_name="x", key_type=trustme.KeyType.ECDSA
    )
    certificate = issued.cert_chain_pems[0].bytes()
    return (
        certificate + issued.private_key_pem.bytes(),
        ssl.PEM_cert_to_DER_cert(certificate.decode()),
    )


_CLIENT = b'clientId="a" clientSecret="kept-to-itself" extension_a="b";'


def seeds() -> Iterator[bytes]:
    """What each reads, and what is nearly that."""
    pem, der = _certificate()
    yield b"p" + pem
    yield b"p" + pem.replace(b"\n", b" ")
    headers = b"Proc-Type: 4,ENCRYPTED\nDEK-Info: x\n"
    yield b"p-----BEGIN RSA PRIVATE KEY-----\n%b\nAA\n-----END RSA PRIVATE KEY-----" % headers
    yield b"t" + pem.removeprefix(b"-----BEGIN")
    yield b"t CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n# \xc3\xa9"
    yield b"o" + pem.removeprefix(b"-----BEGIN")
    yield b"o CERTIFICATE-----\nAA\n-----END CERTIFICATE-----\n-----BEGIN PRIVATE KEY-----\nAA\n"
    yield b"s" + der
    name = b"CN=alice,O=x"
    for rules in (
        b"DEFAULT",
        b"RULE:^CN=(.*?),O=(.*?)$/$1@$2/L,DEFAULT",
        b"RULE:^(.*)$/\\$1$9$0$1/U",
        b"RULE:a{99999999999}/x/",
        b"RULE:" + b"(" * 120 + b"/x/",
        b"RULE:[[a]--b]/x/",
        b"RULE:(?i)a(?<n>b)\\/(?=c)/x/, RULE:x",
    ):
        yield b"r" + bytes((len(name),)) + name + rules
    for text in (
        b'x.PlainLoginModule required username="a" password="kept-to-itself";',
        b"x.ScramLoginModule required username='a\\101' password=kept-to-itself ;",
        b'x required a="\\777" b = c',
        b"x required " + b"a=b " * 40 + b";",
    ):
        yield b"j" + text
    package = b"org.apache.kafka.common.security."
    for number, text in enumerate(
        (
            b'plain.PlainLoginModule required username="a" password="kept-to-itself";',
            b'scram.ScramLoginModule required username="a" password="kept-to-itself";',
            b"oauthbearer.OAuthBearerLoginModule required " + _CLIENT,
        )
    ):
        yield b"k" + bytes((number,)) + package + text
        yield b"k\x04" + package + text
    yield b'k\x03com.sun.security.auth.module.Krb5LoginModule required serviceName="kafka";'
    yield b"uUser:alice"
    yield b"u:"


TARGET = Target(run, seeds, max_len=1500)
