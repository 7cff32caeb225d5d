"""A real Apache Kafka: broker and controller in one process, and Kafka's own log reader."""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.helpers.jars import Artifact, cache_folder, fetch_jars
from tests.helpers.kafka_node import LOGGING_JARS, SERVER_JVM, KafkaNode, java
from tests.helpers.processes import PeerFailed, free_ports
from tests.helpers.topics import cluster_answers, create_topics

#: The newest release of the tools, which are published apart from the broker.
TOOLS_VERSION = "4.3.1"

# Kafka Connect and the web server inside it are two thirds of the download and play no part.
_TOOLS = Artifact(
    "org.apache.kafka",
    "kafka-tools",
    TOOLS_VERSION,
    without=(("org.apache.kafka", "connect-runtime"),),
)

_PROPERTIES = {
    "process.roles": "broker,controller",
    "node.id": "1",
    "listener.security.protocol.map": "CLIENT:PLAINTEXT,CONTROLLER:PLAINTEXT",
    "inter.broker.listener.name": "CLIENT",
    "controller.listener.names": "CONTROLLER",
    "offsets.topic.num.partitions": "1",
    "offsets.topic.replication.factor": "1",
    "transaction.state.log.num.partitions": "1",
    "transaction.state.log.replication.factor": "1",
    "transaction.state.log.min.isr": "1",
    "group.initial.rebalance.delay.ms": "0",
    "auto.create.topics.enable": "false",
}


def tools_jars() -> Path:
    """The folder with the tools' jars, fetched when missing."""
    return fetch_jars(_TOOLS, LOGGING_JARS, folder=cache_folder() / "kafka-tools" / TOOLS_VERSION)


class ApacheKafka:
    """One Kafka node in KRaft mode on loopback, with fresh storage, for the ``with`` block.

    Args:
        properties: settings added to (or replacing) those of ``server.properties``.
        served: with the options of Kafka's own start script, not with those that suit a test.
    """

    def __init__(
        self, properties: Mapping[str, str] | None = None, *, served: bool = False
    ) -> None:
        client, controller = free_ports(2)
        self.bootstrap_servers = f"127.0.0.1:{client}"
        self._folder = tempfile.TemporaryDirectory(prefix="apache-kafka-")
        addresses = {
            "controller.quorum.voters": f"1@127.0.0.1:{controller}",
            "listeners": f"CLIENT://127.0.0.1:{client},CONTROLLER://127.0.0.1:{controller}",
            "advertised.listeners": f"CLIENT://127.0.0.1:{client}",
        }
        settings = {**_PROPERTIES, **addresses, **(properties or {})}
        jvm = {"jvm": SERVER_JVM} if served else {}
        self._node = KafkaNode(Path(self._folder.name), settings, **jvm)

    @property
    def pid(self) -> int:
        return self._node.process.pid

    @property
    def data_dir(self) -> Path:
        """The folder of partition folders."""
        return self._node.data_dir

    def __enter__(self) -> Self:
        try:
            self._node.format()
            self.start()
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
        if self._node.running:
            self._node.stop()
        self._folder.cleanup()

    def start(self) -> None:
        """It runs on the storage it had, and answers."""
        self._node.start()
        try:
            self._node.process.wait_until(
                lambda: cluster_answers(self.bootstrap_servers), timeout=60
            )
        except PeerFailed:
            # What would not run is not in the way of the next start.
            self._node.kill()
            raise

    def stop(self) -> None:
        """It has ended as an operator ends it."""
        self._node.stop()

    def kill(self) -> None:
        """It is gone at once (SIGKILL)."""
        self._node.kill()

    def create_topics(self, topics: Mapping[str, int]) -> None:
        """Create topics with their numbers of partitions, ready to be written when this returns."""
        create_topics(self.bootstrap_servers, topics)


def dump_log_segments(files: Iterable[Path], *options: str) -> str:
    """Return what Kafka's DumpLogSegments prints about the files, complaints included.

    It reads ``.log``, ``.index``, ``.timeindex``, ``.txnindex`` and ``.snapshot`` files.

    Raises:
        PeerFailed: the tool ended with an error.
    """
    command = java("-cp", f"{tools_jars()}/*", "org.apache.kafka.tools.DumpLogSegments")
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
    command = java("-cp", f"{tools_jars()}/*", main_class, *options)
    done = subprocess.run(command, capture_output=True, timeout=120, check=False)
    text = done.stdout.decode(errors="replace")
    if done.returncode != 0:
        complaint = done.stderr.decode(errors="replace")
        raise PeerFailed(f"{main_class} ended with {done.returncode}:\n{text}{complaint}"[-4000:])
    return text
