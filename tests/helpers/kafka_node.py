"""One node of Apache Kafka in KRaft mode as a process: its jars, its storage, its signals."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.helpers.jars import Artifact, cache_folder, fetch_jars
from tests.helpers.processes import ChildProcess, PeerFailed, require_program

#: The newest 4.x broker.
BROKER_VERSION = "4.4.0"

LOGGING_JARS = Artifact("org.apache.logging.log4j", "log4j-slf4j-impl", "2.25.4")
_BROKER = Artifact("org.apache.kafka", "kafka_2.13", BROKER_VERSION)

_LOG4J = """<Configuration status="ERROR">
  <Appenders>
    <Console name="out"><PatternLayout pattern="%d %p %c: %m%n"/></Console>
    <File name="audit" fileName="AUDIT"><PatternLayout pattern="%p %m%n"/></File>
  </Appenders>
  <Loggers>
    <Root level="WARN"><AppenderRef ref="out"/></Root>
    <Logger name="kafka.authorizer.logger" level="LEVEL" additivity="false">
      <AppenderRef ref="audit"/>
    </Logger>
  </Loggers>
</Configuration>
"""

#: Options of Java that suit a test, whose broker lives for seconds: the optimising compiler and a
#: parallel collector cost more than they earn, and leave the other processes less.
JVM = ["-Xms128m", "-Xmx512m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"]

#: How Kafka's own start script runs a broker.
SERVER_JVM = [
    "-Xms1G", "-Xmx1G", "-server", "-XX:+UseG1GC", "-XX:MaxGCPauseMillis=20",
    "-XX:InitiatingHeapOccupancyPercent=35", "-XX:+ExplicitGCInvokesConcurrent",
]  # fmt: skip

# A cluster id is 16 bytes in URL-safe base64; any will do for storage that is thrown away.
_CLUSTER_ID = "cHlwcm9kdWNlci10ZXN0cw"


def java(*arguments: str, jvm: Sequence[str] = JVM) -> list[str]:
    """The command line that runs Java with these arguments."""
    return [require_program("java", "default-jre-headless"), *jvm, *arguments]


def broker_jars() -> Path:
    """The folder with the broker's jars, fetched when missing."""
    return fetch_jars(_BROKER, LOGGING_JARS, folder=cache_folder() / "kafka" / BROKER_VERSION)


class KafkaNode:
    """One node, which may be started, ended and started again on the same storage.

    Args:
        home: a folder of its own; what it prints is in ``kafka.out`` there.
        properties: all of ``server.properties``; ``log.dirs`` is ``data_dir`` unless given.
        jvm: Java's own options; what suits a test unless said otherwise.
        audit: whether each decision of its authorizer is a line of ``audit.out`` in its home.
    """

    def __init__(
        self,
        home: Path,
        properties: Mapping[str, str],
        *,
        jvm: Sequence[str] = JVM,
        audit: bool = False,
    ) -> None:
        self._audit = audit
        self.home = home
        self._jvm = list(jvm)
        self._properties = dict(properties)
        self._config = home / "server.properties"
        self._process: ChildProcess | None = None
        self._paused = False

    @property
    def data_dir(self) -> Path:
        """The folder of partition folders."""
        return self.home / "data"

    @property
    def audit_log(self) -> Path:
        """What its authorizer has decided, a line each."""
        return self.home / "audit.out"

    @property
    def running(self) -> bool:
        """True while the process exists, paused or not."""
        return self._process is not None

    @property
    def alive(self) -> bool:
        """True while the process exists and is not paused."""
        return self._process is not None and not self._paused

    @property
    def process(self) -> ChildProcess:
        """The running process.

        Raises:
            PeerFailed: there is none.
        """
        if self._process is None:
            raise PeerFailed(f"the node of {self.home.name} is down")
        return self._process

    def format(self, features: Mapping[str, int] | None = None) -> None:
        """The storage is fresh; ``features`` are finalized at levels below the newest."""
        self.home.mkdir(parents=True, exist_ok=True)
        properties = {"log.dirs": str(self.data_dir), **self._properties}
        self._config.write_text("".join(f"{key}={value}\n" for key, value in properties.items()))
        level = "DEBUG" if self._audit else "OFF"
        logging = _LOG4J.replace("LEVEL", level).replace("AUDIT", str(self.audit_log))
        (self.home / "log4j2.xml").write_text(logging)
        command = [*self._java(), "kafka.tools.StorageTool", "format"]
        command += ["--cluster-id", _CLUSTER_ID, "--config", str(self._config)]
        for feature, level in (features or {}).items():
            command += ["--feature", f"{feature}={level}"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
        if done.returncode != 0:
            raise PeerFailed(f"Kafka's StorageTool refused:\n{done.stdout}{done.stderr}")

    def start(self) -> None:
        """The process runs; that it answers is another matter."""
        if self._process is not None:
            raise PeerFailed(f"the node of {self.home.name} is up already")
        command = [*self._java(), "kafka.Kafka", str(self._config)]
        self._process = ChildProcess(command, log=self.home / "kafka.out")

    def stop(self, timeout: float = 30.0) -> None:
        """The node has ended as an operator ends it: it gave its leaderships away first."""
        self.process.stop(timeout)
        self._process = None

    def kill(self) -> None:
        """The node is gone at once (SIGKILL), paused or not; does nothing if it was before."""
        if self._process is not None:
            self._process.kill()
        self._process = None
        self._paused = False

    def pause(self) -> None:
        """The node stands still (SIGSTOP); its sockets stay open and the kernel acknowledges."""
        os.kill(self.process.pid, signal.SIGSTOP)
        self._paused = True

    def resume(self) -> None:
        """The node goes on (SIGCONT) where it stood, as if no time had passed."""
        os.kill(self.process.pid, signal.SIGCONT)
        self._paused = False

    def _java(self) -> list[str]:
        logging = f"-Dlog4j2.configurationFile={self.home / 'log4j2.xml'}"
        return java(logging, "-cp", f"{broker_jars()}/*", jvm=self._jvm)
