"""Every message in every version, against implementations that are not ours."""

from __future__ import annotations

import dataclasses
import datetime as dt
import io
import uuid
from importlib import import_module
from typing import Any

import pytest
from kio.serial import entity_reader, entity_writer
from kio.static.constants import EntityType

from pyproducer.protocol.api import API
from pyproducer.protocol.primitives import ZERO_UUID
from pyproducer.protocol.schema import Message, Struct
from tests.helpers.random_messages import MessageMaker, message_classes, versions_of
from tests.protocol import generate_messages

CLASSES = list(message_classes())
EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)


def name_of(cls: type) -> str:
    return cls.__name__


def joined(message: Message, version: int) -> bytes:
    return b"".join(message.encode(version))


def kio_class(cls: type[Message], version: int) -> type | None:
    """What kio calls this message; None below the versions it has."""
    name, kind = cls.__name__, EntityType.data
    if cls.api_key >= 0:
        kind = EntityType.request if name.endswith("Request") else EntityType.response
        name = API[cls.api_key].name
    module = f"kio.schema.{generate_messages.snake(name)}"
    try:
        import_module(f"{module}.v{version}")
    except ModuleNotFoundError:
        return None
    return getattr(import_module(f"{module}.v{version}.{kind.name}"), cls.__name__)


def as_int(value: Any) -> Any:
    """kio's rich values as what is on the wire."""
    if isinstance(value, dt.timedelta):
        return value // dt.timedelta(milliseconds=1)
    if isinstance(value, dt.datetime):
        return (value - EPOCH) // dt.timedelta(milliseconds=1)
    return value


def assert_same(ours: Any, theirs: Any, path: str = "") -> None:
    """Our value and kio's mean the same; structs are compared field by field, in wire order."""
    if isinstance(ours, Struct):
        names = [f.name for f in dataclasses.fields(theirs)]
        version = theirs.__version__
        table = ours.wire_fields()
        mine = [name for name, wire in table.items() if wire.in_version(version)]
        assert len(mine) == len(names), path
        for name, other in zip(mine, names, strict=True):
            value, counterpart = getattr(ours, name), getattr(theirs, other)
            if value is None and table[name].tag is not None and counterpart is not None:
                assert counterpart == type(counterpart)(), f"{path}.{name}"
                continue
            assert_same(value, counterpart, f"{path}.{name}")
            assert name.removesuffix("_ms") == other.removesuffix("_ms"), f"{path}.{name}"
    elif isinstance(ours, list):
        assert len(ours) == len(theirs), path
        for index, (one, other) in enumerate(zip(ours, theirs, strict=True)):
            assert_same(one, other, f"{path}[{index}]")
    elif isinstance(ours, uuid.UUID):
        assert ours == (theirs or ZERO_UUID), path
    elif theirs is None and ours == -1:
        pass  # kio's missing time
    else:
        assert ours == as_int(theirs), path


@pytest.mark.parametrize("cls", CLASSES, ids=name_of)
def test_equals_kio_in_every_version(cls):
    """kio reads what we write as the same message and writes it as the same bytes."""
    compared = 0
    for version in versions_of(cls):
        theirs = kio_class(cls, version)
        if theirs is None:
            continue
        read, write = entity_reader(theirs), entity_writer(theirs)
        for seed in range(3):
            ours = MessageMaker((cls.__name__, version, seed), tame=True).make(cls, version)
            data = joined(ours, version)
            result, size = read(data, 0)
            assert size == len(data)
            assert_same(ours, result, f"{cls.__name__} v{version}")
            out = io.BytesIO()
            write(out, result)
            assert out.getvalue() == data
            assert cls.decode(out.getvalue(), version) == ours
            compared += 1
    assert compared


# What Kafka 4 dropped and kio lacks: API, first version that kio has, aiokafka's module and name.
OLDER = [
    ("ListOffsets", 1, "offset", "Offset"),
    ("OffsetCommit", 2, "commit", "OffsetCommit"),
    ("OffsetFetch", 1, "commit", "OffsetFetch"),
    ("CreateTopics", 2, "admin", "CreateTopics"),
    ("DeleteTopics", 1, "admin", "DeleteTopics"),
    ("DescribeAcls", 1, "admin", "DescribeAcls"),
    ("CreateAcls", 1, "admin", "CreateAcls"),
    ("DeleteAcls", 1, "admin", "DeleteAcls"),
    ("DescribeConfigs", 1, "admin", "DescribeConfigs"),
]


def flat(value: Any, version: int) -> Any:
    """Nested tuples of the values on the wire, as aiokafka has them."""
    if isinstance(value, Struct):
        table = value.wire_fields()
        return tuple(
            flat(getattr(value, name), version)
            for name, wire in table.items()
            if wire.in_version(version)
        )
    if isinstance(value, list):
        return [flat(one, version) for one in value]
    return value


@pytest.mark.parametrize("kind", ["Request", "Response"])
@pytest.mark.parametrize(("name", "until", "module", "their_name"), OLDER)
def test_equals_aiokafka_below_the_versions_of_kafka_4(name, until, module, their_name, kind):
    """Versions that Kafka 4 dropped have the layout that aiokafka wrote down when they lived."""
    cls = import_module(f"pyproducer.protocol.messages.{generate_messages.snake(name)}")
    cls = getattr(cls, name + kind)
    theirs = import_module(f"aiokafka.protocol.{module}")
    for version in range(until):
        schema = getattr(theirs, f"{their_name}{kind}_v{version}").SCHEMA
        for seed in range(10):
            ours = MessageMaker((name, kind, version, seed)).make(cls, version)
            data = joined(ours, version)
            stream = io.BytesIO(data)
            result = schema.decode(stream)
            assert stream.read() == b""
            assert flat(ours, version) == result
            assert schema.encode(result) == data
            assert cls.decode(data, version) == ours


# The remaining old versions, byte by byte.
GOLDEN = [
    # topic "t", partition 1, leader epoch 2
    ("OffsetForLeaderEpochRequest", 0, "00000001 000174 00000001 00000001 00000002"),
    ("OffsetForLeaderEpochRequest", 1, "00000001 000174 00000001 00000001 00000002"),
    # topic "t", error 3, partition 1, (leader epoch 2,) end offset 5
    (
        "OffsetForLeaderEpochResponse",
        0,
        "00000001 000174 00000001 0003 00000001 0000000000000005",
    ),
    (
        "OffsetForLeaderEpochResponse",
        1,
        "00000001 000174 00000001 0003 00000001 00000002 0000000000000005",
    ),
    # producer 7, epoch 1, commit, topic "t", partition 1, coordinator epoch 9
    (
        "WriteTxnMarkersRequest",
        0,
        "00000001 0000000000000007 0001 01 00000001 000174 00000001 00000001 00000009",
    ),
    (
        "WriteTxnMarkersResponse",
        0,
        "00000001 0000000000000007 00000001 000174 00000001 00000001 0000",
    ),
    # all topics
    ("DescribeLogDirsRequest", 0, "ffffffff"),
    # no throttle, directory "d", topic "t", partition 1, 16 bytes, lag 2, the current log
    (
        "DescribeLogDirsResponse",
        0,
        (
            "00000000 00000001 0000 000164 00000001 000174"
            " 00000001 00000001 0000000000000010 0000000000000002 00"
        ),
    ),
]


@pytest.mark.parametrize(("name", "version", "wire"), GOLDEN)
def test_old_layouts_byte_by_byte(name, version, wire):
    """Old versions that no library at hand describes decode and encode as Kafka laid them out."""
    [cls] = [cls for cls in CLASSES if cls.__name__ == name]
    data = bytes.fromhex(wire)
    message = cls.decode(data, version)
    assert joined(message, version) == data
    repeated = str(message)
    for value in ("topic='t'", "name='t'", "topics=None"):
        if value in repeated:
            break
    else:
        pytest.fail(repeated)


@pytest.mark.parametrize("cls", CLASSES, ids=name_of)
def test_round_trip_of_all_values(cls):
    """What was encoded decodes to an equal message, over the whole range of every type."""
    for version in versions_of(cls):
        for seed in range(3):
            message = MessageMaker(("all", cls.__name__, version, seed)).make(cls, version)
            assert cls.decode(joined(message, version), version) == message


@pytest.mark.parametrize("cls", CLASSES, ids=name_of)
def test_defaults_make_a_valid_message(cls):
    """A message without arguments can be sent in every version, and nothing in it is shared."""
    for version in versions_of(cls):
        assert cls.decode(joined(cls(), version), version) == cls()
    one, other = cls(), cls()
    for name in cls.wire_fields():
        value = getattr(one, name)
        if isinstance(value, (list, Struct)):
            assert value is not getattr(other, name)


def test_checked_in_modules_are_what_the_generator_writes():
    """The message modules equal the output of generate_messages.py; none is left over."""
    generated = generate_messages.generate()
    present = {path.name: path.read_text() for path in generate_messages.TARGET.glob("*.py")}
    assert sorted(present) == sorted(generated)
    for name, source in generated.items():
        assert present[name] == source, name


def test_request_and_response_agree_with_the_index():
    """The table of APIs says what the classes say, of request and response alike."""
    for key, api in API.items():
        for cls in (api.request, api.response):
            assert (cls.api_key, cls.min_version, cls.max_version, cls.flexible_since) == (
                key,
                api.min_version,
                api.max_version,
                api.flexible_since,
            )
