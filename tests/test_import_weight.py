"""What an import brings along: modules, which noise cannot change, stand here for the time."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from pyproducer._pure import PURE

ROOT = Path(__file__).parents[1]
CRC = {"google_crc32c"}
PRODUCERS = "from pyproducer import AsyncProducer, SyncProducer"
BROKER = "from pyproducer.broker import Broker"
#: Makes a producer with options of its own.
MADE = "from pyproducer import AsyncProducer; AsyncProducer('broker', {})"


def loaded(statement: str) -> list[str]:
    """The modules that a statement loads in a new process, by full name."""
    code = f"import sys; before = set(sys.modules); {statement}; print(*set(sys.modules) - before)"
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        check=True,
        timeout=60,
    )
    return sorted(done.stdout.split())


def ours(modules: list[str], package: str) -> set[str]:
    """Those within one of our packages, less its name."""
    return {m.removeprefix(f"{package}.") for m in modules if m.startswith(f"{package}.")}


def foreign(modules: list[str]) -> set[str]:
    """The distributions that are neither ours nor the standard library's."""
    tops = {m.partition(".")[0] for m in modules} - sys.stdlib_module_names
    return {
        top for top in tops - {"pyproducer", "serializers"} if not top.startswith(("_", "cython"))
    }


@pytest.mark.parametrize(
    ("statement", "libraries"),
    [
        ("import pyproducer", set()),
        (PRODUCERS, CRC),
        (BROKER, CRC),
        ("import serializers", set()),
        ("from serializers import JsonSerializer; JsonSerializer()", {"orjson"}),
        ("from serializers import MsgpackSerializer; MsgpackSerializer()", {"msgpack"}),
        ("from serializers import CsvSerializer; CsvSerializer(['id'])", set()),
        ("from serializers import StringSerializer; StringSerializer()", set()),
    ],
)
def test_an_import_loads_the_libraries_it_needs(statement, libraries):
    """
    Each way in loads the libraries that it cannot do without, and no other.
    """
    assert libraries == foreign(loaded(statement))


def test_the_packages_alone_load_nothing():
    """
    The bare imports load a version and a switch: names are looked up when they are asked for.
    """
    switch = {"_pure", "_sources"} if PURE else {"_pure"}

    assert {"_version", *switch} == ours(loaded("import pyproducer"), "pyproducer")
    assert set() == ours(loaded("import serializers"), "serializers")


@pytest.mark.parametrize(
    ("options", "messages"),
    [
        ("", set()),
        (
            "transactional_id='x'",
            {
                "add_offsets_to_txn",
                "add_partitions_to_txn",
                "end_txn",
                "find_coordinator",
                "txn_offset_commit",
            },
        ),
    ],
)
def test_producers_load_the_messages_of_producing(options, messages):
    """
    A producer reads in the messages that it exchanges, and compiles none.
    """
    found = ours(loaded(MADE.format(options)), "pyproducer")

    assert {"api_versions", "index", "init_producer_id", "metadata", "produce", *messages} == {
        m.rpartition(".")[2] for m in found if m.startswith("protocol.messages.")
    }
    assert set() == found & {"protocol.compiler", "protocol.encoder", "protocol.decoder"}


@pytest.mark.parametrize(
    ("codec", "libraries"),
    [
        ("none", set()),
        ("gzip", set()),
        ("snappy", {"cramjam"}),
        ("lz4", {"lz4"}),
        ("zstd", {"zstandard"}),
    ],
)
def test_a_producer_loads_the_codec_that_it_is_for(codec, libraries):
    """
    The library that compresses is loaded when the producer is made, and no other one at all.
    """
    modules = loaded(MADE.format(f"compression_type={codec!r}"))

    assert CRC | libraries == foreign(modules)
    assert {"records.zstd_frames", "records.lz4_frames", "records.snappy_blocks"} & ours(
        modules, "pyproducer"
    ) == {f"records.{codec}_{'blocks' if codec == 'snappy' else 'frames'}" for _ in libraries}


def test_a_topic_loads_its_own_codec():
    """
    So is that of a topic, with the topic's handle.
    """
    made = (
        MADE.format("")
        .replace("AsyncProducer(", "SyncProducer(")
        .replace("import AsyncProducer", "import SyncProducer")
    )

    assert CRC | {"lz4"} == foreign(loaded(f"{made}.topic('t', compression_type='lz4')"))


def test_a_plain_producer_is_made_without_what_few_need():
    """
    No security, transactions, interceptors, columns or numbers: and of the standard library
    nothing that they alone would want.
    """
    modules = loaded(MADE.format(""))

    assert set() == ours(modules, "pyproducer") & {
        "bulk",
        "config.certificates",
        "config.dialects",
        "config.security_dialects",
        "config.security_rules",
        "config.tls_contexts",
        "core.coordination",
        "core.transaction_requests",
        "core.transactions",
        "interceptors",
        "metrics",
        "net.credentials",
        "net.security",
        "offsets",
    }
    # What shows the sources to a pure interpreter looks for them with pathlib and its like.
    paths = set() if PURE else {"ipaddress", "pathlib", "tempfile", "urllib.parse"}
    assert set() == set(modules) & {"difflib", *paths}
    assert set() == {
        m for m in ours(modules, "pyproducer") if m.startswith(("tokens", "protocol.sasl"))
    }


@pytest.mark.parametrize("statement", [PRODUCERS, BROKER])
def test_what_few_programs_need_waits(statement):
    """
    Neither side loads the other, the command line, the test plugin, or what reads foreign
    configurations; and no library for the web.
    """
    modules = loaded(statement)
    parts = {m.partition(".")[0] for m in ours(modules, "pyproducer")}
    other = {"core", "net", "producer", "sync"} if statement == BROKER else {"broker"}

    assert set() == parts & {"cli", "pytest_plugin", *other}
    assert set() == set(modules) & {"http.client", "email", "multiprocessing", "unittest", "xml"}


def test_a_plain_broker_loads_no_admin_server():
    """
    The broker's HTTP side and its program are not loaded with the broker.
    """
    assert set() == ours(loaded(BROKER), "pyproducer") & {"broker.admin_http", "broker.program"}


def test_a_plain_broker_loads_nothing_for_looks_and_mistakes():
    """
    What only a look inside or a mistyped name needs is not loaded with the broker.
    """
    rare = {"difflib", "pyproducer.broker.state"}
    if not PURE:  # whose import system has them
        rare.add("importlib.resources")

    assert set() == rare & set(loaded(BROKER))
