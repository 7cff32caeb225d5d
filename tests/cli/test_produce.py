from __future__ import annotations

import json
import signal
import time

import pytest

from tests.helpers.command_line import call_cli, one_line, start_cli, watch_cli

SCHEMA = {
    "type": "record",
    "name": "Order",
    "fields": [{"name": "id", "type": "int"}, {"name": "what", "type": "string"}],
}


def values(broker, topic: str) -> list[bytes | None]:
    return [record.value for record in broker.records(topic)]


def test_lines_are_records(cli, broker, topic):
    """
    Each line is a record without its end, the last one too, with the headers asked for.
    """
    done = cli("produce", topic, "-H", "a=1", "-H", "a=2", stdin="one\r\n\nthree")

    assert (0, "") == (done.returncode, done.stderr)
    assert done.stdout.startswith(f"delivered 3 records to {topic} in ")
    assert {b"one", b"", b"three"} == set(values(broker, topic))
    assert (("a", b"1"), ("a", b"2")) == broker.records(topic)[0].headers


def test_json_is_sent_as_it_stands(cli, broker, topic):
    """
    Numbers are neither rounded nor respelt, keys are the field's text, bad lines are told.
    """
    lines = [
        '{"id": 12345678901234567890123, "price": 1.10}',
        "",
        "not json",
        '{"price": 1}',
        "[1]",
        '{"id": NaN}',
        '{"id": null}',
        '{"id": {}}',
    ]
    done = cli("produce", topic, "--format", "json", "--key-field", "id", stdin="\n".join(lines))

    assert 1 == done.returncode
    assert ["line 3", "line 4", "line 5", "line 6", "line 8"] == [
        one.partition(":")[0] for one in done.stderr.splitlines()
    ]
    assert {(b"12345678901234567890123", lines[0].encode()), (None, lines[6].encode())} == {
        (record.key, record.value) for record in broker.records(topic)
    }


def test_csv_rows_are_checked(cli, broker, topic, tmp_path):
    """
    Rows are sent as they stand, quoted line breaks included; a bad one costs itself only.
    """
    path = tmp_path / "orders.csv"
    path.write_bytes(b'id,what\r\n1,tea\r\n2,"two\nteas"\n3\n4,"never closed\n5,milk\n')
    done = cli(
        "produce", topic, path, "--format", "csv", "--key-field", "id", "--compression", "zstd"
    )

    assert 1 == done.returncode
    assert ["line 5", "line 6"] == [one.partition(":")[0] for one in done.stderr.splitlines()]
    assert {(b"1", b"1,tea"), (b"2", b'2,"two\nteas"'), (b"5", b"5,milk")} == {
        (record.key, record.value) for record in broker.records(topic)
    }


def test_avro_is_encoded(cli, broker, topic, tmp_path):
    """
    JSON lines become Avro of the schema, and what does not fit it is told.
    """
    from serializers import AvroDeserializer

    path = tmp_path / "order.avsc"
    path.write_text(json.dumps(SCHEMA))
    done = cli(
        "produce", topic, "--format", "avro", "--schema", path, "--key-field", "what", "--json",
        stdin='{"id": 1, "what": "tea"}\n{"id": "x", "what": "tea"}\n',
    )  # fmt: skip

    assert 1 == done.returncode
    assert "line 2" in one_line(done.stderr)
    summary = json.loads(done.stdout)
    assert (1, 1, 0) == (summary["delivered"], summary["rejected"], summary["failed"])
    [record] = broker.records(topic)
    assert b"tea" == record.key
    assert {"id": 1, "what": "tea"} == AvroDeserializer(SCHEMA)(record.value)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--format", "xml"], "xml"),
        (["--format", "avro"], "--schema"),
        (["--key-field", "id"], "--key-field"),
        (["--compression", "brotli"], "brotli"),
        (["--acks", "7"], "acks"),
        (["-H", "novalue"], "novalue"),
        (["/no/such/file"], "/no/such/file"),
    ],
    ids=lambda value: value if isinstance(value, str) else None,
)
def test_wrong_options(servers, words, told):
    """
    Options that cannot work end with 2 and one line.
    """
    done = call_cli("produce", "some.topic", *words, "--bootstrap-server", servers)

    assert (2, "") == (done.returncode, done.stdout)
    assert told in one_line(done.stderr)


def test_unknown_column(cli, broker, topic):
    """
    A key field that is none of the columns ends with 2 before anything is sent.
    """
    done = cli("produce", topic, "--format", "csv", "--key-field", "nope", stdin="id\n1\n")

    assert (2, "") == (done.returncode, done.stdout)
    assert "'nope' is none of the columns id" in one_line(done.stderr)
    assert [] == broker.records(topic)


def test_unknown_topic(cli):
    """
    A topic that is not there ends with 1 and the command that makes it.
    """
    done = cli("produce", "not.there", stdin="x\n")

    assert 1 == done.returncode
    assert "pyproducer topics create not.there" in one_line(done.stderr)


def test_too_long_lines_are_told(cli, broker, topic):
    """
    A line longer than a record may be is told and skipped, whatever its length.
    """
    done = cli("produce", topic, stdin=b"before\n" + b"x" * 3_000_000 + b"\nafter\n")

    assert 1 == done.returncode
    assert "line 2" in one_line(done.stderr)
    assert {b"before", b"after"} == set(values(broker, topic))


def test_many_lines(cli, broker, topic, tmp_path):
    """
    A file of many lines arrives whole, in order within its partitions.
    """
    path = tmp_path / "numbers"
    path.write_text("".join(f"{number}\n" for number in range(50_000)))
    done = cli("produce", topic, path, "--linger-ms", 1, "--acks", 1)

    assert 0 == done.returncode, done.stderr
    found = [(record.partition, int(record.value)) for record in broker.records(topic)]
    assert list(range(50_000)) == sorted(number for _, number in found)
    assert found == sorted(found)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=lambda one: one.name)
def test_interrupted_reading_loses_nothing(broker, servers, topic, number):
    """
    A signal in the middle of a slow pipe: every whole line taken out of it is in the log.
    """
    process = start_cli("produce", topic, "--linger-ms", 60_000, servers=servers)
    with process:
        process.stdin.write(b"".join(b"%d\n" % line for line in range(1000)) + b"unfini")
        process.stdin.flush()
        deadline = time.monotonic() + 20
        while _unread(process.stdin.fileno()) and time.monotonic() < deadline:
            time.sleep(0.02)
        assert not _unread(process.stdin.fileno())
        process.send_signal(number)
        output, errors = process.communicate(timeout=20)

    assert 1 == process.returncode
    assert b"delivered 1000 records" in output
    assert b"up to line 1000" in errors
    assert b"6 bytes of a line that had not ended" in errors
    assert [b"%d" % line for line in range(1000)] == sorted(values(broker, topic), key=int)


def test_progress_on_a_terminal(broker, servers, topic, tmp_path):
    """
    Where stderr is a terminal it shows how far things are, and stdout has the summary alone.
    """
    path = tmp_path / "numbers"
    path.write_text("".join(f"{number}\n" for number in range(20_000)))
    done, shown = watch_cli("produce", topic, path, servers=servers)

    assert 1 == done.stdout.count("\n")
    assert " delivered" in shown
    assert "108.9/108.9 kB" in shown
    assert 0 == done.returncode
    assert 20_000 == len(broker.records(topic))


def _unread(descriptor: int) -> int:
    """Bytes in a pipe that its reader has not taken yet."""
    import array
    import fcntl
    import termios

    found = array.array("i", [0])
    fcntl.ioctl(descriptor, termios.FIONREAD, found)
    return found[0]
