from __future__ import annotations

import json

from tests.helpers.command_line import call_cli, one_line


def test_a_topics_life(cli, broker):
    """
    A topic is created, listed, altered, described and deleted, and is gone then.
    """
    done = cli("topics", "create", "life.of-a", "--partitions", 2, "--config", "retention.ms=7000")
    assert (0, "created life.of-a with 2 partitions\n", "") == (
        done.returncode,
        done.stdout,
        done.stderr,
    )

    listed = {
        one["topic"]: one["partitions"]
        for one in json.loads(cli("topics", "list", "--json").stdout)
    }
    assert 2 == listed["life.of-a"]

    done = cli(
        "topics", "alter", "life.of-a", "--partitions", 5,
        "--config", "segment.bytes=2000000", "--delete-config", "retention.ms",
    )  # fmt: skip
    assert 0 == done.returncode, done.stderr
    assert "keys may go to other partitions" in one_line(done.stderr)

    described = json.loads(cli("topics", "describe", "life.of-a", "--json").stdout)
    assert {"segment.bytes": "2000000"} == described["configs"]
    assert [0, 1, 2, 3, 4] == [one["partition"] for one in described["partitions"]]
    assert {(0, 0)} == {(one["first_offset"], one["end_offset"]) for one in described["partitions"]}

    done = cli("topics", "delete", "life.of-a", "--yes")
    assert (0, "deleted life.of-a\n") == (done.returncode, done.stdout)
    assert "life.of-a" not in cli("topics", "list").stdout


def test_describe_shows_offsets_and_all_configs(cli, topic):
    """
    Offsets follow what was produced, and --all-configs adds the defaults.
    """
    cli("produce", topic, stdin="one\ntwo\n")
    described = json.loads(cli("topics", "describe", topic, "--json", "--all-configs").stdout)

    assert 2 == sum(one["end_offset"] for one in described["partitions"])
    assert "604800000" == described["configs"]["retention.ms"]

    table = cli("topics", "describe", topic)

    assert "end offset" in table.stdout
    assert "retention.ms" not in table.stdout


def test_refusals_are_one_line(servers, topic):
    """
    What the cluster refuses ends with 1 and one line with the broker's reason and Kafka's name.
    """
    for words, told in [
        (["create", topic], "TOPIC_ALREADY_EXISTS"),
        (["describe", "not.there"], "there is no topic 'not.there'"),
        (["delete", "not.there", "--yes"], "UNKNOWN_TOPIC_OR_PARTITION"),
        (["alter", topic, "--partitions", "1"], "INVALID_PARTITIONS"),
        (["alter", topic, "--config", "no.such=1"], "no.such"),
    ]:
        done = call_cli("topics", *words, "--bootstrap-server", servers)

        assert 1 == done.returncode, words
        assert told in one_line(done.stderr)


def test_delete_asks(cli, topic):
    """
    Without a terminal to ask, deleting is refused, and nothing is deleted.
    """
    done = cli("topics", "delete", topic, stdin="y\n")

    assert 2 == done.returncode
    assert "--yes" in one_line(done.stderr)
    assert topic in cli("topics", "list").stdout


def test_create_advises_on_names(cli):
    """
    A bare name is created all the same, with a hint on stderr.
    """
    done = cli("topics", "create", "clicks")

    assert (0, "created clicks with 1 partition\n") == (done.returncode, done.stdout)
    assert "shop.clicks" in one_line(done.stderr)


def test_plan_computes_partitions():
    """
    The plan is the larger quotient, rounded up, and needs no cluster.
    """
    words = ["topics", "plan", "--throughput", "50MB", "--per-producer", "10MB"]
    done = call_cli(*words, "--per-consumer", "4MB", "--json")
    assert {"partitions": 13, "for_producers": 5.0, "for_consumers": 12.5} == json.loads(
        done.stdout
    )

    told = call_cli(*words, "--per-consumer", "4MB").stdout
    assert told.startswith("13 partitions\n")
    assert "The consumers decide" in told

    mixed = call_cli(*words, "--per-consumer", "400")
    assert 2 == mixed.returncode
    assert "of one kind" in one_line(mixed.stderr)
