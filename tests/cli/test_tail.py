from __future__ import annotations

import json
import signal

from pyproducer import SyncProducer
from tests.helpers.command_line import call_cli, one_line, start_cli


def fill(servers: str, topic: str) -> None:
    with SyncProducer(servers) as producer:
        producer.send(topic, b"one", key=b"k", partition=0, timestamp_ms=5)
        producer.send(topic, b"\xff\x00", key=b"\xfe", partition=0, headers={"h": b"\xfd"})
        producer.send(topic, None, partition=2)


def tail(servers: str, *words: object):
    return call_cli("tail", *words, "--bootstrap-server", servers)


def test_formats(servers, topic):
    """
    Text has the values, hex their bytes, and JSON everything without loss.
    """
    fill(servers, topic)
    words = [topic, "--from-beginning", "-n", 3]

    assert ["", "\\xff\x00", "one"] == sorted(tail(servers, *words).stdout.splitlines())
    assert {"k\tone", "\\xfe\t\\xff\x00", "\t"} == set(
        tail(servers, *words, "--keys").stdout.split("\n")[:-1]
    )
    assert {"6f6e65", "ff00", ""} == set(
        tail(servers, *words, "--format", "hex").stdout.split("\n")
    )

    found = [json.loads(one) for one in tail(servers, *words, "--json").stdout.splitlines()]
    assert [(0, 0), (0, 1), (2, 0)] == sorted((one["partition"], one["offset"]) for one in found)
    first, second, third = sorted(found, key=lambda one: (one["partition"], one["offset"]))
    assert ("k", "one", 5) == (first["key"], first["value"], first["timestamp_ms"])
    assert ("/g==", "/wA=") == (second["key_base64"], second["value_base64"])
    assert [{"name": "h", "value_base64": "/Q=="}] == second["headers"]
    assert (None, None) == (third["key"], third["value"])


def test_partition_and_count(servers, topic):
    """
    --partition reads that one only, and -n stops after so many records.
    """
    fill(servers, topic)
    words = [topic, "--from-beginning", "--partition", 0]

    assert "one\n" == tail(servers, *words, "-n", 1).stdout
    assert "one\n\\xff\x00\n" == tail(servers, *words, "--timeout", 0.3).stdout
    done = tail(servers, topic, "--partition", 3)
    assert (2, True) == (done.returncode, "no partition 3" in one_line(done.stderr))


def test_timeout_before_all_have_come(servers, topic):
    """
    Ends with 1 if --timeout passes before the records asked for.
    """
    done = tail(servers, topic, "-n", 2, "--timeout", 0.2)

    assert (1, "") == (done.returncode, done.stdout)
    assert "0 of 2 records" in one_line(done.stderr)


def test_wrong_names(servers, topic):
    """
    An unknown topic ends with 1, an unknown format with 2, in one line each.
    """
    done = tail(servers, "not.there")
    assert (1, True) == (done.returncode, "'not.there'" in one_line(done.stderr))

    done = tail(servers, topic, "--format", "xml")
    assert (2, True) == (done.returncode, "'xml'" in one_line(done.stderr))


def test_follows_until_interrupted(servers, topic):
    """
    Without -n it prints what comes as it comes, and Ctrl-C is its normal end.
    """
    process = start_cli("tail", topic, "--from-beginning", servers=servers)
    with process, SyncProducer(servers) as producer:
        for number in range(3):
            producer.send(topic, b"%d" % number)
            assert b"%d\n" % number == process.stdout.readline()
        process.send_signal(signal.SIGINT)
        output, errors = process.communicate(timeout=20)

    assert (0, b"", b"") == (process.returncode, output, errors)


def test_reader_of_the_output_may_leave(servers, topic):
    """
    A closed pipe ends it quietly, as in 'tail | head -1'.
    """
    process = start_cli("tail", topic, "--from-beginning", servers=servers)
    with process, SyncProducer(servers) as producer:
        producer.send(topic, b"first")
        assert b"first\n" == process.stdout.readline()
        process.stdout.close()
        producer.send(topic, b"second")
        process.wait(20)
        errors = process.stderr.read()

    assert (0, b"") == (process.returncode, errors)
