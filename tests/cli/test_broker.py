from __future__ import annotations

import json
import re
import signal
import socket
import ssl
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from pyproducer import SyncProducer
from pyproducer.broker import Broker
from pyproducer.protocol.messages.fetch import FetchPartition, FetchRequest, FetchTopic
from tests.helpers.command_line import one_line, run_cli, start_cli
from tests.helpers.partition_logs import batch
from tests.helpers.processes import free_ports
from tests.helpers.secure_client import SecureClient
from tests.helpers.statement_servers import eventually
from tests.helpers.wire_client import WireClient


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=lambda one: one.name)
def test_serves_until_a_signal(tmp_path, number):
    """
    It says where it listens, serves, and ends cleanly with its records on disk.
    """
    [http] = free_ports(1)
    words = ["broker", "--port", 0, "--data-dir", tmp_path, "--topic", "a.b:2", "--http-port", http]
    process = start_cli(*words)
    with process:
        line = process.stdout.readline().decode()
        found = re.fullmatch(r"listening on (127\.0\.0\.1:[0-9]+)\n", line)
        assert found, line
        assert f"http on 127.0.0.1:{http}\n" == process.stdout.readline().decode()
        with SyncProducer(found[1]) as producer:
            assert 0 == producer.send("a.b", b"x", partition=1).offset
        with urllib.request.urlopen(f"http://127.0.0.1:{http}/health", timeout=10) as answer:
            assert 200 == answer.status
        process.send_signal(number)
        output, errors = process.communicate(timeout=20)

    assert (0, b"", b"") == (process.returncode, output, errors)
    assert b"x" in (tmp_path / "a.b-1" / f"{0:020d}.log").read_bytes()


def test_port_in_use(broker):
    """
    A port that is taken ends with 1 and one line.
    """
    done = run_cli("broker", "--port", broker.port)

    assert (1, "") == (done.returncode, done.stdout)
    assert str(broker.port) in one_line(done.stderr)


def test_properties_file_and_options(tmp_path):
    """
    With --properties the file says where it listens and what it does, and options are stronger.
    """
    first, second = free_ports(2)
    path = tmp_path / "server.properties"
    path.write_text(
        f"listeners=PLAINTEXT://127.0.0.1:{first}\nlog.dirs={tmp_path / 'a'}\nnum.partitions=3\n"
    )
    for options, port, folder in (
        ((), first, "a"),
        (("--port", second, "--data-dir", tmp_path / "b"), second, "b"),
    ):
        with start_cli("broker", "--properties", path, "--topic", "t", *options) as process:
            line = process.stdout.readline().decode()
            assert line == f"listening on 127.0.0.1:{port}\n"
            assert (tmp_path / folder / "t-0").is_dir()
            process.terminate()
            process.communicate(timeout=20)


def test_properties_file_that_cannot_be_used(tmp_path):
    """
    A file with a setting that has no effect ends with 2, its name and the line.
    """
    path = tmp_path / "server.properties"
    path.write_text("num.partitions=3\nnum.io.threads=16\n")
    done = run_cli("broker", "--properties", path)

    assert (2, "") == (done.returncode, done.stdout)
    assert f"{path}, line 2: num.io.threads=16 has no effect" in one_line(done.stderr)


def test_free_http_port_is_told():
    """
    With --http-port 0 the second line says where the HTTP side is.
    """
    process = start_cli("broker", "--port", 0, "--http-port", 0)
    with process:
        assert process.stdout.readline().startswith(b"listening on 127.0.0.1:")
        found = re.fullmatch(r"http on (\S+)\n", process.stdout.readline().decode())
        with urllib.request.urlopen(f"http://{found[1]}/health", timeout=10) as answer:
            assert 200 == answer.status
        process.terminate()
        process.communicate(timeout=20)


def status_of(place: str, token: str | None) -> int:
    """What the HTTP side says to somebody with that token."""
    headers = {} if token is None else {"Authorization": f"Bearer {token}"}
    request = urllib.request.Request(f"http://{place}/health", headers=headers)
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return answer.status
    except urllib.error.HTTPError as refused:
        with refused:
            return refused.code


@pytest.mark.parametrize("where", ["file", "environment"])
def test_token_of_the_http_side(tmp_path, monkeypatch, where):
    """
    The token comes from a file or the environment, so that no list of processes shows it.
    """
    token, options = "token-of-the-command-line", []
    if where == "file":
        (tmp_path / "token").write_text(f"{token}\n")
        options = ["--http-token-file", tmp_path / "token"]
    else:
        monkeypatch.setenv("PYPRODUCER_HTTP_TOKEN", token)
    with start_cli("broker", "--port", 0, "--http-port", 0, *options) as process:
        process.stdout.readline()
        place = process.stdout.readline().decode().removeprefix("http on ").strip()
        assert [401, 200] == [status_of(place, None), status_of(place, token)]
        process.terminate()
        process.communicate(timeout=20)


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--http-port", 0, "--http-host", "0.0.0.0"], "can be reached from other machines"),
        (["--http-port", 0, "--http-token-file", "/no/such"], "cannot be read from /no/such"),
        (["--http-certificate", "some.pem"], "give --http-port"),
    ],
)
def test_http_side_that_cannot_be(options, told):
    """
    What the HTTP side cannot be is wrong usage, told in a line.
    """
    done = run_cli("broker", "--port", 0, *options)

    assert (2, "") == (done.returncode, done.stdout)
    assert told in one_line(done.stderr)


def test_unusable_data_directory_is_named(tmp_path):
    """
    A data directory that cannot be made ends with one line about it, not about the address.
    """
    (tmp_path / "file").touch()
    done = run_cli("broker", "--port", 0, "--data-dir", tmp_path / "file" / "below")

    assert (2, "") == (done.returncode, done.stdout)
    assert f"the data directory {tmp_path}/file/below cannot be used" in one_line(done.stderr)
    assert "127.0.0.1" not in done.stderr


def test_data_directory_in_use(tmp_path):
    """
    A data directory of a running broker ends with 1 and one line that says what to do.
    """
    with Broker(data_dir=tmp_path):
        done = run_cli("broker", "--port", 0, "--data-dir", tmp_path)

    assert (1, "") == (done.returncode, done.stdout)
    told = one_line(done.stderr)
    assert f"another broker runs on {tmp_path}; stop it" in told
    assert "DataDirectoryError" not in told
    assert "--debug" not in told


def test_bad_topic():
    """
    A topic that cannot be is wrong usage.
    """
    done = run_cli("broker", "--port", 0, "--topic", "a:many")

    assert (2, "") == (done.returncode, done.stdout)
    assert "a:many" in one_line(done.stderr)


@pytest.mark.parametrize("where", ["option", "file"])
def test_client_that_does_not_say_who_it_is(tmp_path, where):
    """
    Who has not authenticated in time is disconnected, whether an option or the file says when.
    """
    words = ["broker", "--port", 0, "--security", "SASL_PLAINTEXT"]
    users = tmp_path / "users.properties"
    users.write_text("alice=secret\n")
    words += ["--users", users]
    if where == "option":
        words += ["--authentication-timeout", 0.2]
    else:
        path = tmp_path / "server.properties"
        path.write_text("pyproducer.authentication.timeout.ms=200\n")
        words += ["--properties", path]
    with start_cli(*words) as process:
        servers = process.stdout.readline().decode().split()[-1]
        with SecureClient(servers) as client, SecureClient(servers) as known:
            assert known.plain("alice", "secret").error_code == 0
            assert client.is_closed()
            assert known.is_silent()
        process.terminate()
        process.communicate(timeout=20)


@pytest.mark.parametrize("where", ["option", "file"])
def test_slow_reader(tmp_path, where):
    """
    Who reads nothing of an answer is disconnected, whether an option or the file says when.
    """
    words = ["broker", "--port", 0, "--topic", "t", "--http-port", 0]
    words += ["--broker-config", "socket.send.buffer.bytes=16384"]
    if where == "option":
        words += ["--slow-reader-timeout", 0.2]
    else:
        path = tmp_path / "server.properties"
        path.write_text("pyproducer.slow.reader.timeout.ms=200\n")
        words += ["--properties", path]
    part = FetchPartition(partition=0, partition_max_bytes=50_000_000)
    with start_cli(*words) as process:
        servers = process.stdout.readline().decode().split()[-1]
        state = f"http://{process.stdout.readline().decode().split()[-1]}/state"

        def closed():
            with urllib.request.urlopen(state, timeout=10) as answer:
                return json.load(answer)["closed_connections"]

        with WireClient(servers) as client:
            for _ in range(8):
                assert client.produce("t", batch(value=b"x" * 900_000)).error_code == 0
            client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 16384)
            client.send(FetchRequest(topics=[FetchTopic(topic="t", partitions=[part])]), 11)
            assert eventually(closed) == {"slow reader": 1}
        process.terminate()
        process.communicate(timeout=20)


def test_limit_that_is_none(tmp_path):
    """
    A limit has to be above 0, or -1.
    """
    done = run_cli("broker", "--slow-reader-timeout", "0")

    assert (2, "") == (done.returncode, done.stdout)
    assert "slow_reader_timeout=0" in one_line(done.stderr)


def test_audit_log(tmp_path):
    """
    --audit-log has who came in and who did not, for the owner alone; on standard error is nothing.
    """
    users, path = tmp_path / "users.properties", tmp_path / "audit.log"
    users.write_text("alice=secret\n")
    words = ["broker", "--port", 0, "--security", "SASL_PLAINTEXT", "--users", users]
    with start_cli(*words, "--audit-log", path) as process:
        servers = process.stdout.readline().decode().split()[-1]
        for password in ("secret", "wrong"):
            with SecureClient(servers) as client:
                client.plain("alice", password)
        process.terminate()
        _, errors = process.communicate(timeout=20)
    first, second = path.read_text().splitlines()

    assert b"" == errors
    assert re.fullmatch(r"20\S+Z INFO Principal = User:alice is Authenticated from .*", first)
    assert "User:alice is Not authenticated" in second
    assert 0o600 == path.stat().st_mode & 0o777


def test_secured_broker(tmp_path):
    """
    With users and TLS it says where its authority's certificate is, and lets in who is known.
    """
    users = tmp_path / "users.properties"
    users.write_text("alice=secret\n")
    words = ["broker", "--port", 0, "--security", "SASL_SSL", "--users", users]
    process = start_cli(*words)
    with process:
        servers = process.stdout.readline().decode().split()[-1]
        found = re.fullmatch(r"ca in (/.+)\n", process.stdout.readline().decode())
        assert found
        tls = ssl.create_default_context(cafile=found[1])
        with SecureClient(servers, tls=tls) as client:
            assert client.plain("alice", "secret").error_code == 0
        with SecureClient(servers, tls=tls) as client:
            assert client.scram("SCRAM-SHA-256", "alice", "wrong").error_code == 58
        process.send_signal(signal.SIGTERM)
        output, errors = process.communicate(timeout=20)

    assert (0, b"", b"") == (process.returncode, output, errors)
    assert not Path(found[1]).exists()
