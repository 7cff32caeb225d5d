"""Commands at listeners that are secured: by a file of options, by options, and by a password."""

from __future__ import annotations

import os

import pytest

from pyproducer.broker import Broker
from pyproducer.cli.exits import CliError
from pyproducer.cli.secrets_of_user import find_password
from pyproducer.cli.shared import Shared
from tests.helpers.authority import Authority
from tests.helpers.command_line import run_cli
from tests.helpers.tls_front import FRONT, TlsFront


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module")
def front(authority):
    """A broker behind TLS."""
    with Broker({"t": 1}, advertised_host=FRONT) as broker:
        port = int(broker.bootstrap_servers.rpartition(":")[2])
        context = authority.server_context(authority.server("front", (FRONT,)))
        with TlsFront(port, context) as running:
            yield running


def test_commands_speak_tls(front, authority):
    """
    Options say how the listener is secured, before the command or behind it.
    """
    tls = ("--security-protocol", "SSL", "--ssl-ca", authority.certificate)
    done = run_cli("topics", "create", "shop.made", *tls, servers=front.address)
    assert 0 == done.returncode, done.stderr
    done = run_cli(*tls, "produce", "shop.made", servers=front.address, stdin="one tea\n")
    assert 0 == done.returncode, done.stderr
    done = run_cli("tail", "shop.made", "--from-beginning", "-n", "1", *tls, servers=front.address)
    assert (0, "one tea\n") == (done.returncode, done.stdout), done.stderr


def test_a_file_of_options_says_it(front, authority, tmp_path):
    """
    A file for Java's clients, or for librdkafka's, is read as it is.
    """
    java = tmp_path / "java.properties"
    java.write_text(
        f"security.protocol=SSL\nssl.truststore.type=PEM\n"
        f"ssl.truststore.location={authority.certificate}\n"
    )
    librdkafka = tmp_path / "librdkafka.properties"
    librdkafka.write_text(f"security.protocol=ssl\nssl.ca.location={authority.certificate}\n")
    for file, more in [(java, ()), (librdkafka, ("--dialect", "librdkafka"))]:
        done = run_cli("topics", "list", "--config", file, *more, servers=front.address)
        assert 0 == done.returncode, done.stderr
        assert "t" in done.stdout.split()


def test_failures_are_one_line(front, tmp_path):
    """
    A certificate that is not trusted ends a command with status 3, and says what to do.
    """
    done = run_cli("topics", "list", "--security-protocol", "SSL", servers=front.address)

    assert 3 == done.returncode
    assert 1 == len(done.stderr.splitlines()), done.stderr
    assert "ssl_ca" in done.stderr
    assert front.address in done.stderr


def test_the_password_comes_from_a_file_or_the_environment(tmp_path, monkeypatch):
    """
    A file wins over the environment; without either, and without a terminal, nothing is guessed.
    """
    file = tmp_path / "password"
    file.write_text("from the file \nanother line\n")
    options = {"security_protocol": "SASL_SSL", "sasl_mechanism": "PLAIN", "username": "alice"}
    monkeypatch.setenv("PYPRODUCER_PASSWORD", "from the environment")

    config = Shared(**options).producer_config()
    assert ("alice", "from the environment") == (config.sasl_username, config.sasl_password)
    assert "from the file " == Shared(**options, password_file=file).producer_config().sasl_password
    monkeypatch.delenv("PYPRODUCER_PASSWORD")
    with pytest.raises(CliError, match="set PYPRODUCER_PASSWORD, or name a file"):
        Shared(**options).producer_config()
    with pytest.raises(CliError, match="cannot be read: No such file"):
        find_password(tmp_path / "none", "alice")
    (tmp_path / "empty").touch()
    with pytest.raises(CliError, match="is empty"):
        find_password(tmp_path / "empty", "alice")


def test_no_option_takes_a_password():
    """
    Arguments are read by everybody on the machine, so that none of them is a password.
    """
    done = run_cli("topics", "list", "--help")

    assert "--username" in done.stdout
    assert "--password-file" in done.stdout
    assert "--password " not in done.stdout
    assert os.environ.get("PYPRODUCER_PASSWORD") is None
