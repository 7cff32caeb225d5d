"""librdkafka's mock cluster in a process of its own.

The mock lives inside the C library that confluent-kafka's wheel carries and has no Python face, so
it is reached through ctypes. A process of its own keeps its threads and its allocator away from
the code under test, which also may load the same library.

Run ``python -m tests.helpers.mock_cluster --topics orders:4`` to have one by hand. It prints the
bootstrap address, then obeys one command a line on standard input, answering each with ``ok`` or
``error ...``, until standard input ends:

    topic NAME PARTITIONS
    errors API_KEY CODE [CODE ...]      answer the next requests of this API with these codes
    clear API_KEY                       forget the errors not yet answered
    refuse NAME PARTITION CODE [CODE ...]
                                        answer the next batches of a partition with these codes
    down NODE | up NODE                 close and refuse a broker's connections, accept them again
    rtt NODE MILLISECONDS               answer so much later, without holding up what follows
"""

from __future__ import annotations

import argparse
import ctypes
import subprocess
import sys
import threading
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import IO, Self

from tests.helpers.processes import PeerFailed, PeerMissing, end_by_input

_RD_KAFKA_PRODUCER = 0
_PRODUCE = 0


def _library() -> ctypes.CDLL:
    # Importing the package first maps the wheel's own copies of what librdkafka links to.
    import confluent_kafka

    folder = Path(confluent_kafka.__file__).parent.parent / "confluent_kafka.libs"
    found = sorted(folder.glob("librdkafka-*.so*"))
    if not found:
        raise PeerMissing(
            f"no librdkafka in {folder}: the mock cluster needs confluent-kafka's binary wheel"
        )
    library = ctypes.CDLL(str(found[0]))
    pointer, text, integer = ctypes.c_void_p, ctypes.c_char_p, ctypes.c_int
    for name, result, arguments in (
        ("rd_kafka_conf_new", pointer, []),
        ("rd_kafka_conf_set", integer, [pointer, text, text, text, ctypes.c_size_t]),
        ("rd_kafka_new", pointer, [integer, pointer, text, ctypes.c_size_t]),
        ("rd_kafka_destroy", None, [pointer]),
        ("rd_kafka_mock_cluster_new", pointer, [pointer, integer]),
        ("rd_kafka_mock_cluster_destroy", None, [pointer]),
        ("rd_kafka_mock_cluster_bootstraps", text, [pointer]),
        ("rd_kafka_mock_topic_create", integer, [pointer, text, integer, integer]),
        ("rd_kafka_mock_clear_request_errors", None, [pointer, ctypes.c_int16]),
        ("rd_kafka_mock_broker_set_down", integer, [pointer, ctypes.c_int32]),
        ("rd_kafka_mock_broker_set_up", integer, [pointer, ctypes.c_int32]),
        ("rd_kafka_mock_broker_set_rtt", integer, [pointer, ctypes.c_int32, integer]),
        (
            "rd_kafka_mock_push_request_errors_array",
            None,
            [pointer, ctypes.c_int16, ctypes.c_size_t, ctypes.POINTER(integer)],
        ),
        # The codes come as variadic arguments.
        (
            "rd_kafka_mock_partition_push_request_errors",
            integer,
            [pointer, text, ctypes.c_int32, ctypes.c_int16, ctypes.c_size_t],
        ),
    ):
        function = getattr(library, name)
        function.restype = result
        function.argtypes = arguments
    return library


class _Cluster:
    """The C objects, inside the process that hosts them."""

    def __init__(self, brokers: int) -> None:
        self._library = library = _library()
        message = ctypes.create_string_buffer(512)
        conf = library.rd_kafka_conf_new()
        # The hosting client connects to nobody, which librdkafka would call a likely mistake.
        library.rd_kafka_conf_set(conf, b"log_level", b"0", message, len(message))
        self._client = library.rd_kafka_new(_RD_KAFKA_PRODUCER, conf, message, len(message))
        if not self._client:
            raise PeerFailed(message.value.decode())
        self._cluster = library.rd_kafka_mock_cluster_new(self._client, brokers)
        self.bootstrap_servers: str = library.rd_kafka_mock_cluster_bootstraps(
            self._cluster
        ).decode()

    def obey(self, command: str, *arguments: str) -> int:
        """Carry out one command; return librdkafka's error code, 0 for success."""
        library, cluster = self._library, self._cluster
        match command, arguments:
            case "topic", (name, partitions):
                code: int = library.rd_kafka_mock_topic_create(
                    cluster, name.encode(), int(partitions), 1
                )
                return code
            case "errors", (api_key, first, *rest):
                codes = [int(first), *map(int, rest)]
                array = (ctypes.c_int * len(codes))(*codes)
                library.rd_kafka_mock_push_request_errors_array(
                    cluster, int(api_key), len(codes), array
                )
                return 0
            case "refuse", (name, partition, first, *rest):
                codes = [int(first), *map(int, rest)]
                code = library.rd_kafka_mock_partition_push_request_errors(
                    cluster,
                    name.encode(),
                    int(partition),
                    _PRODUCE,
                    len(codes),
                    *map(ctypes.c_int, codes),
                )
                return int(code)
            case "clear", (api_key,):
                library.rd_kafka_mock_clear_request_errors(cluster, int(api_key))
                return 0
            case "down", (node,):
                return int(library.rd_kafka_mock_broker_set_down(cluster, int(node)))
            case "up", (node,):
                return int(library.rd_kafka_mock_broker_set_up(cluster, int(node)))
            case "rtt", (node, milliseconds):
                return int(
                    library.rd_kafka_mock_broker_set_rtt(cluster, int(node), int(milliseconds))
                )
        raise ValueError(f"unknown command: {command} {' '.join(arguments)}")

    def close(self) -> None:
        self._library.rd_kafka_mock_cluster_destroy(self._cluster)
        self._library.rd_kafka_destroy(self._client)


def _serve(topics: Mapping[str, int], brokers: int, commands: IO[str]) -> None:
    cluster = _Cluster(brokers)
    for name, partitions in topics.items():
        cluster.obey("topic", name, str(partitions))
    print(cluster.bootstrap_servers, flush=True)
    for line in commands:
        try:
            code = cluster.obey(*line.split())
        except (TypeError, ValueError) as error:
            print(f"error {error}", flush=True)
        else:
            print(f"error librdkafka answered {code}" if code else "ok", flush=True)
    cluster.close()


class MockCluster:
    """The mock cluster for the ``with`` block. Orders may come from several threads."""

    def __init__(self, topics: Mapping[str, int] | None = None, *, brokers: int = 1) -> None:
        self.bootstrap_servers = ""
        self._topics = dict(topics or {})
        self._brokers = brokers
        self._process: subprocess.Popen[str] | None = None
        self._lock = threading.Lock()

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def __enter__(self) -> Self:
        command = [sys.executable, "-m", "tests.helpers.mock_cluster"]
        command += ["--brokers", str(self._brokers), "--topics"]
        command += [f"{name}:{partitions}" for name, partitions in self._topics.items()]
        self._process = subprocess.Popen(
            command,
            cwd=Path(__file__).parents[2],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.bootstrap_servers = self._answer()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        assert self._process is not None
        end_by_input(self._process, 10)

    def create_topics(self, topics: Mapping[str, int]) -> None:
        """Create topics with their numbers of partitions, ready to be written when this returns."""
        for name, partitions in topics.items():
            self._order("topic", name, partitions)

    def push_errors(self, api_key: int, *codes: int) -> None:
        """Have the next ``len(codes)`` requests of an API answered with these error codes."""
        self._order("errors", api_key, *codes)

    def refuse(self, topic: str, partition: int, *codes: int) -> None:
        """Have the next ``len(codes)`` batches of a partition answered with these error codes.

        They are not in its log then, whatever the code says. Code 0 lets a batch pass.
        """
        self._order("refuse", topic, partition, *codes)

    def clear_errors(self, api_key: int) -> None:
        """Forget the errors of an API that were not answered yet."""
        self._order("clear", api_key)

    def set_down(self, node: int) -> None:
        """Close a broker's connections and refuse new ones."""
        self._order("down", node)

    def set_up(self, node: int) -> None:
        """Accept a broker's connections again."""
        self._order("up", node)

    def set_round_trip(self, node: int, milliseconds: int) -> None:
        """Have a broker's answers come so much later; requests are taken as they come."""
        self._order("rtt", node, milliseconds)

    def _order(self, *words: object) -> None:
        assert self._process is not None
        assert self._process.stdin is not None
        with self._lock:
            self._process.stdin.write(" ".join(map(str, words)) + "\n")
            self._process.stdin.flush()
            answer = self._answer()
        if answer != "ok":
            raise PeerFailed(f"the mock cluster refused {words}: {answer}")

    def _answer(self) -> str:
        assert self._process is not None
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise PeerFailed(f"the mock cluster ended with {self._process.wait(10)}")
        return line.rstrip("\n")


def _main() -> None:
    parser = argparse.ArgumentParser(description="Run librdkafka's mock cluster until stdin ends.")
    parser.add_argument("--topics", nargs="*", default=[], metavar="NAME:PARTITIONS")
    parser.add_argument("--brokers", type=int, default=1)
    options = parser.parse_args()
    pairs = (one.rsplit(":", 1) for one in options.topics)
    _serve({name: int(count) for name, count in pairs}, options.brokers, sys.stdin)


if __name__ == "__main__":
    _main()
