"""A real Apache Kafka: broker and controller in one process, and Kafka's own log reader."""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.helpers.jars import Artifact, cache_folder, fetch_jars
from tests.helpers.processes import ChildProcess, PeerFailed, free_ports, require_program
from tests.helpers.topics import cluster_answers, create_topics

#: The newest 4.x broker, and the newest release of the tools (which are published apart).
BROKER_VERSION = "4.4.0"
TOOLS_VERSION = "4.3.1"

_LOGGING = Artifact("org.apache.logging.log4j", "log4j-slf4j-impl", "2.25.4")
_BROKER = Artifact("org.apache.kafka", "kafka_2.13", BROKER_VERSION)
# Kafka Connect and the web server inside it are two thirds of the download and play no part.
_TOOLS = Artifact(
    "org.apache.kafka",
    "kafka-tools",
    TOOLS_VERSION,
    without=(("org.apache.kafka", "connect-runtime"),),
)

_LOG4J = """<Configuration status="ERROR">
  <Appenders><Console name="out"><PatternLayout pattern="%d %p %c: %m%n"/></Console></Appenders>
  <Loggers><Root level="WARN"><AppenderRef ref="out"/></Root></Loggers>
</Configuration>
"""

_SERVER_PROPERTIES = """process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:{controller}
listeners=CLIENT://127.0.0.1:{client},CONTROLLER://127.0.0.1:{controller}
advertised.listeners=CLIENT://127.0.0.1:{client}
listener.security.protocol.map=CLIENT:PLAINTEXT,CONTROLLER:PLAINTEXT
inter.broker.listener.name=CLIENT
controller.listener.names=CONTROLLER
log.dirs={data}
offsets.topic.num.partitions=1
offsets.topic.replication.factor=1
transaction.state.log.num.partitions=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
group.initial.rebalance.delay.ms=0
auto.create.topics.enable=false
"""

# A test's broker lives for seconds: the optimising compiler and a parallel collector cost more
# than they earn, and leave the other processes on a small machine less.
_JVM = ["-Xms128m", "-Xmx512m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"]


def _java(*arguments: str) -> list[str]:
    return [require_program("java", "default-jre-headless"), *_JVM, *arguments]


def broker_jars() -> Path:
    """The folder with the broker's jars, fetched when missing."""
    return fetch_jars(_BROKER, _LOGGING, folder=cache_folder() / "kafka" / BROKER_VERSION)


def tools_jars() -> Path:
    """The folder with the tools' jars, fetched when missing."""
    return fetch_jars(_TOOLS, _LOGGING, folder=cache_folder() / "kafka-tools" / TOOLS_VERSION)


class ApacheKafka:
    """One Kafka node in KRaft mode on loopback, with fresh storage, for the ``with`` block.

    Args:
        properties: settings added to (or replacing) those of ``server.properties``.
    """

    def __init__(self, properties: Mapping[str, str] | None = None) -> None:
        self.bootstrap_servers = ""
        self._properties = dict(properties or {})
        self._folder = tempfile.TemporaryDirectory(prefix="apache-kafka-")
        self._process: ChildProcess | None = None

    @property
    def data_dir(self) -> Path:
        """The folder of partition folders."""
        return Path(self._folder.name, "data")

    def __enter__(self) -> Self:
        try:
            self._start()
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._process is not None:
            self._process.stop()
        self._folder.cleanup()

    def create_topics(self, topics: Mapping[str, int]) -> None:
        """Create topics with their numbers of partitions, ready to be written when this returns."""
        create_topics(self.bootstrap_servers, topics)

    def _start(self) -> None:
        home = Path(self._folder.name)
        client, controller = free_ports(2)
        config = home / "server.properties"
        lines = _SERVER_PROPERTIES.format(client=client, controller=controller, data=self.data_dir)
        extra = "".join(f"{key}={value}\n" for key, value in self._properties.items())
        config.write_text(lines + extra)
        (home / "log4j2.xml").write_text(_LOG4J)
        java = _java(
            f"-Dlog4j2.configurationFile={home / 'log4j2.xml'}", "-cp", f"{broker_jars()}/*"
        )
        storage = [*java, "kafka.tools.StorageTool", "format"]
        # A cluster id is 16 bytes in URL-safe base64; any will do for storage that is thrown away.
        storage += ["--cluster-id", "cHlwcm9kdWNlci10ZXN0cw", "--config", str(config)]
        done = subprocess.run(storage, capture_output=True, text=True, timeout=60, check=False)
        if done.returncode != 0:
            raise PeerFailed(f"Kafka's StorageTool refused:\n{done.stdout}{done.stderr}")
        self._process = ChildProcess([*java, "kafka.Kafka", str(config)], log=home / "kafka.out")
        self.bootstrap_servers = f"127.0.0.1:{client}"
        self._process.wait_until(lambda: cluster_answers(self.bootstrap_servers), timeout=60)


def dump_log_segments(files: Iterable[Path], *options: str) -> str:
    """Return what Kafka's DumpLogSegments prints about the files, complaints included.

    It reads ``.log``, ``.index``, ``.timeindex``, ``.txnindex`` and ``.snapshot`` files.

    Raises:
        PeerFailed: the tool ended with an error.
    """
    command = _java("-cp", f"{tools_jars()}/*", "org.apache.kafka.tools.DumpLogSegments")
    command += ["--files", ",".join(str(file) for file in files), *options]
    done = subprocess.run(command, capture_output=True, timeout=300, check=False)
    # Records are printed as they are, so the output need not be text.
    text = (done.stdout + done.stderr).decode(errors="replace")
    if done.returncode != 0:
        raise PeerFailed(f"DumpLogSegments ended with {done.returncode}:\n{text[-4000:]}")
    return text


def run_tool(main_class: str, *options: str) -> str:
    """Return what one of Kafka's command line tools prints.

    Raises:
        PeerFailed: the tool ended with an error.
    """
    command = _java("-cp", f"{tools_jars()}/*", main_class, *options)
    done = subprocess.run(command, capture_output=True, timeout=120, check=False)
    text = done.stdout.decode(errors="replace")
    if done.returncode != 0:
        complaint = done.stderr.decode(errors="replace")
        raise PeerFailed(f"{main_class} ended with {done.returncode}:\n{text}{complaint}"[-4000:])
    return text
