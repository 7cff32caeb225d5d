"""A broker from a file of Kafka's property names."""

from __future__ import annotations

import inspect
from functools import partial
from pathlib import Path

import pytest

from pyproducer.broker import Broker, Listener
from pyproducer.broker.properties_file import options_of_file
from pyproducer.broker.settings import BrokerOptions
from pyproducer.errors import ConfigError
from tests.helpers.admin_requests import BROKER, describe_configs
from tests.helpers.processes import free_ports
from tests.helpers.wire_client import WireClient

#: What a Kafka of one node is usually started with: the settings of the file that comes with it.
SERVER = """
# The role of this server
process.roles=broker,controller
node.id=1
controller.quorum.bootstrap.servers=localhost:9093
listeners=PLAINTEXT://:{port},CONTROLLER://:9093
inter.broker.listener.name=PLAINTEXT
advertised.listeners=PLAINTEXT://localhost:{port},CONTROLLER://localhost:9093
controller.listener.names=CONTROLLER
listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,SSL:SSL,SASL_PLAINTEXT:SASL_PLAINTEXT
num.network.threads=3
num.io.threads=8
socket.send.buffer.bytes=102400
socket.receive.buffer.bytes=102400
socket.request.max.bytes=104857600
log.dirs={folder}
num.partitions=4
num.recovery.threads.per.data.dir=1
offsets.topic.replication.factor=1
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
log.retention.hours=168
log.segment.bytes=1073741824
log.retention.check.interval.ms=300000
"""

PLAIN = partial(Listener, name="PLAINTEXT")
SEVERAL = "listener.security.protocol.map=CTL:SSL,S:SASL_SSL,PLAINTEXT:PLAINTEXT"
MAPPED = "listener.security.protocol.map=IN:PLAINTEXT"


def written(folder: Path, text: str) -> Path:
    """A file with this text."""
    path = folder / "server.properties"
    path.write_text(text)
    return path


def refusal(folder: Path, text: str) -> str:
    """What is said of a file with this text."""
    with pytest.raises(ConfigError) as caught:
        options_of_file(written(folder, text))
    return str(caught.value)


def test_file_of_a_kafka_of_one_node(tmp_path: Path):
    """
    What a Kafka of one node was started with starts this broker, at its address and on its data.
    """
    [port] = free_ports(1)
    path = written(tmp_path, SERVER.format(port=port, folder=tmp_path / "logs"))
    with (
        Broker.from_properties(path, {"orders": 1}) as broker,
        WireClient(f"127.0.0.1:{port}") as client,
    ):
        assert (broker.host, broker.port) == ("localhost", port)
        assert (tmp_path / "logs" / "orders-0").is_dir()
        rows = describe_configs(client, BROKER, "1")
        assert (rows["num.partitions"].value, rows["num.partitions"].config_source) == ("4", 4)


def test_options_are_stronger_than_the_file(tmp_path: Path):
    """
    An argument beats the file; a mapping of configurations does so for what it names.
    """
    path = written(tmp_path, "listeners=PLAINTEXT://127.0.0.1:1\nnum.partitions=4\nnode.id=7\n")
    with (
        Broker.from_properties(path, port=0, config={"num.partitions": "5"}) as broker,
        WireClient(broker.bootstrap_servers) as client,
    ):
        rows = describe_configs(client, BROKER, "7")
        assert broker.port > 1
        assert rows["num.partitions"].value == "5"


def test_only_what_the_file_says(tmp_path: Path):
    """
    What a file does not mention is left to the defaults of a broker.
    """
    assert options_of_file(written(tmp_path, "\n# nothing\n")) == {"config": {}}


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("listeners=PLAINTEXT://10.0.0.1:5", [PLAIN(host="10.0.0.1", port=5)]),
        ("listeners=PLAINTEXT://[::1]:5", [PLAIN(host="::1", port=5)]),
        ("listeners = PLAINTEXT://:5", [PLAIN(host="", port=5)]),
        (
            "advertised.listeners=IN://broker:5\nlisteners=IN://0.0.0.0:5\n" + MAPPED,
            [Listener(name="IN", host="0.0.0.0", port=5, advertised_host="broker")],
        ),
        (
            "listeners=PLAINTEXT://:1\nadvertised.listeners=PLAINTEXT://localhost:2",
            [PLAIN(host="", port=1, advertised_host="localhost", advertised_port=2)],
        ),
        (
            "advertised.listeners=PLAINTEXT://broker:5",
            [PLAIN(port=5, advertised_host="broker")],
        ),
        (
            "listeners=PLAINTEXT://a:1,S://b:2,CTL://c:3\ncontroller.listener.names=CTL\n"
            + SEVERAL,
            [
                PLAIN(host="a", port=1),
                Listener(name="S", protocol="SASL_SSL", host="b", port=2),
            ],
        ),
    ],
)
def test_where_it_listens(tmp_path: Path, text: str, found: list[Listener]):
    """
    Addresses, what clients are told and what is spoken become the broker's listeners.
    """
    assert options_of_file(written(tmp_path, text)) == {"config": {}, "listeners": found}


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("log.dir=/a\nlog.dirs=/b", {"data_dir": "/b"}),
        ("log.dir=/a", {"data_dir": "/a"}),
        ("node.id=3\ncontroller.quorum.voters=3@localhost:9093", {"config": {"node.id": "3"}}),
    ],
)
def test_where_it_keeps_its_data(tmp_path: Path, text: str, found: dict):
    """
    Directories become an argument of the broker, and voters have to be itself.
    """
    assert options_of_file(written(tmp_path, text)) == {"config": {}} | found


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("pyproducer.slow.reader.timeout.ms=1500", {"slow_reader_timeout": 1.5}),
        ("pyproducer.slow.reader.timeout.ms=-1", {"slow_reader_timeout": None}),
        ("pyproducer.authentication.timeout.ms = 250", {"authentication_timeout": 0.25}),
        ("pyproducer.authentication.timeout.ms=-1", {"authentication_timeout": None}),
    ],
)
def test_limits_that_kafka_has_no_name_for(tmp_path: Path, text: str, found: dict):
    """
    Limits of this broker's own stand in a file too, in milliseconds, where -1 is none.
    """
    assert options_of_file(written(tmp_path, text)) == {"config": {}} | found


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("num.partition=3", "did you mean num.partitions?"),
        ("num.partitions=x", "num.partitions=x must be a whole number from 1"),
        ("num.io.threads=16", "has no effect in this broker"),
        ("offsets.topic.replication.factor=2", "or at 1"),
        ("process.roles=broker", "process.roles=broker has no effect"),
        ("retention.ms=5", "the broker configuration log.retention.ms"),
        ("zookeeper.connect=localhost:2181", "there is no ZooKeeper"),
        ("port=9092", "say it with listeners"),
        ("listeners=PLAINTEXT:1", "'PLAINTEXT:1' is not NAME://HOST:PORT"),
        ("listener.security.protocol.map=A:TLS\nlisteners=A://:1", "A is TLS, which is none of"),
        ("advertised.listeners=PLAINTEXT://b:2\nlisteners=SSL://a:1", "PLAINTEXT is no listener"),
        ("security.inter.broker.protocol=SSL", "SSL is no listener of this broker"),
        ("listeners=INSIDE://:1", "...,INSIDE:PLAINTEXT"),
        ("inter.broker.listener.name=INSIDE", "INSIDE is no listener of this broker"),
        ("advertised.listeners=A://a:1,B://b:1", "name the one listener"),
        ("log.dirs=/a,/b", "keeps everything in one directory, not in 2"),
        ("controller.quorum.voters=1@a:1,2@b:1", "joins no other"),
        ("controller.quorum.bootstrap.servers=a:1,b:1", "its own and only controller"),
        ("advertised.listeners=INSIDE://a:1", "...,INSIDE:PLAINTEXT"),
        ("broken", "no value"),
        ("pyproducer.slow.reader.timeout.ms=0", "give milliseconds, 1 at least, or -1"),
        ("pyproducer.authentication.timeout.ms=1.5", "give milliseconds, 1 at least, or -1"),
        ("pyproducer.slow.reader.timeout=5", "there are pyproducer.authentication.timeout.ms"),
    ],
)
def test_what_cannot_be_used_is_told_with_its_line(tmp_path: Path, line: str, why: str):
    """
    A setting that this broker cannot follow is refused with file, line and reason.
    """
    told = refusal(tmp_path, f"# one\n\n{line}\n")

    assert told.startswith(f"{tmp_path / 'server.properties'}, line 3: ")
    assert why in told


def test_place_of_several_listeners_is_not_moved(tmp_path: Path):
    """
    A port for a file with several listeners is refused: it could be meant for any.
    """
    path = written(tmp_path, "listeners=PLAINTEXT://:1,SASL_PLAINTEXT://:2")

    with pytest.raises(ConfigError, match="the file has 2: say them with listeners"):
        Broker.from_properties(path, port=0)


def test_all_that_cannot_be_used_is_told_at_once(tmp_path: Path):
    """
    A file with several such settings is refused for all of them, in its order.
    """
    told = refusal(tmp_path, "num.io.threads=16\nnode.id=1\nlog.dirs=/a,/b\nnum.partition=2\n")

    assert told.startswith(f"{tmp_path / 'server.properties'} has 3 settings")
    numbers = [line.split(":")[0].split()[-1] for line in told.splitlines()[1:]]
    assert numbers == ["1", "3", "4"]


def test_file_that_is_not_there(tmp_path: Path):
    """
    A file that cannot be read is named.
    """
    with pytest.raises(ConfigError, match=r"nowhere\.properties cannot be read"):
        Broker.from_properties(tmp_path / "nowhere.properties")


def test_options_are_those_of_a_broker():
    """
    Whatever may be given to a broker by name may be given beside a file.
    """
    wanted = inspect.signature(Broker.__init__).parameters
    by_name = {name for name, one in wanted.items() if one.kind is inspect.Parameter.KEYWORD_ONLY}

    assert set(BrokerOptions.__annotations__) == by_name
