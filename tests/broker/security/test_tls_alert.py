"""A client that is not let in hears why, before the connection ends."""

from __future__ import annotations

import socket
import ssl

import pytest

from pyproducer.broker import Broker
from tests.helpers.authority import Authority

PATIENCE = 10.0


def open_mtls(authority: Authority) -> Broker:
    """A broker that wants certificates of this authority."""
    return Broker(
        security="SSL",
        config={
            "ssl.client.auth": "required",
            "ssl.keystore.type": "PEM",
            "ssl.keystore.location": str(authority.server("alerting").both),
            "ssl.truststore.type": "PEM",
            "ssl.truststore.location": str(authority.certificate),
        },
    )


def dial(broker: Broker) -> socket.socket:
    host, port = broker.bootstrap_servers.rsplit(":", 1)
    return socket.create_connection((host, int(port)), timeout=PATIENCE)


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
@pytest.mark.parametrize(
    ("shown", "alert"),
    [("none", "CERTIFICATE_REQUIRED|HANDSHAKE_FAILURE"), ("foreign", "UNKNOWN_CA")],
)
def test_client_certificate(
    authority: Authority,
    tmp_path_factory: pytest.TempPathFactory,
    version: ssl.TLSVersion,
    shown: str,
    alert: str,
):
    """
    One without a certificate, or with a stranger's, gets the alert of TLS for it.
    """
    context = ssl.create_default_context(cafile=authority.certificate)
    context.maximum_version = version
    if shown == "foreign":
        other = Authority(tmp_path_factory.mktemp("foreign"), "foreign").client("mallory")
        context.load_cert_chain(other.certificate, other.key)

    # With TLS 1.3 the client's own part is over before it is judged.
    with (
        open_mtls(authority) as broker,
        dial(broker) as sock,
        pytest.raises(ssl.SSLError, match=alert),
        context.wrap_socket(sock, server_hostname="127.0.0.1") as secured,
    ):
        secured.recv(1)


def test_client_without_tls(authority: Authority):
    """
    One that speaks plain Kafka gets a fatal alert, by which it can tell what stands there.
    """
    with open_mtls(authority) as broker, dial(broker) as sock:
        sock.sendall(b"\0\0\0\x10" + bytes(16))
        answer = sock.recv(100)

    assert (0x15, 0x03, 2) == (answer[0], answer[1], answer[5])
