"""Files of settings in Java's form: a client's, and a broker's server.properties.

The input is who reads the file, and the file.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from pyproducer.broker.properties_file import options_of_file
from pyproducer.config import ProducerConfig
from pyproducer.errors import ConfigError
from pyproducer.properties import parse_properties
from tests.fuzz.target import Target
from tests.fuzz.targets._files import memory_folder

_FOLDER = memory_folder()
_FILE = Path(_FOLDER.name) / "server.properties"


def run(data: bytes) -> None:
    """A file is settings, or a ValueError, mostly a ConfigError, that says what to change."""
    reader, text = data[:1], data[1:]
    try:
        found = parse_properties(text.decode())
    except ValueError as error:
        assert str(error)
        found = {}
    # The next name that there is, is looked for where there is none: that takes long.
    if reader in {b"j", b"l"}:
        try:
            ProducerConfig.from_kafka(found, dialect="java" if reader == b"j" else "librdkafka")
        except ConfigError as error:
            assert str(error)
    elif reader == b"b":
        _FILE.write_bytes(text)
        try:
            options_of_file(_FILE)
        except ConfigError as error:
            assert str(error)


def seeds() -> Iterator[bytes]:
    """Files as they are, and with all that the form allows."""
    yield b"jbootstrap.servers=localhost:9092\nacks=all\nlinger.ms=5\ncompression.type=zstd\n"
    yield b"blisteners=PLAINTEXT://:9092\nlog.dirs=/tmp/x\nnode.id=1\nlog.retention.ms=1000\n"
    yield b"badvertised.listeners=PLAINTEXT://[::1]:65536,SSL://x:1\nlisteners=A://b:c\n"
    yield b"bprocess.roles=broker,controller\ncontroller.quorum.voters=1@h:9093\n"
    yield b"j! comment\n# another\n a\\ b \\\n   = c\\u0041\\uD800 \\t\\\\\n\\:=\\=\n:\n=\n"
    yield b"lkey\\u12\nlast\\"
    yield b"jtransactional.id=t\nenable.idempotence=false\nacks=0\nretries=-1\nmax.block.ms=9e99\n"
    yield b"jsecurity.protocol=SASL_SSL\nsasl.mechanism=PLAIN\nsasl.jaas.config=x required;\n"


TARGET = Target(run, seeds)
