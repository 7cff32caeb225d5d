"""Messages as data: a slotted class per struct, a field table per class, all versions in one.

::

    class PartitionProduceData(Struct):
        index: int = wire(INT32)
        records: Records | None = wire(RECORDS, nullable=0)

A field says in which versions it is on the wire (``since``, ``until``), from which on it may be
null, and its tag if it travels in the tagged section. The order of fields is the order on the
wire. Encoder and decoder are compiled on first use, once per class and version, into
straight-line code (:mod:`pyproducer.protocol.compiler`); so is the constructor, once per class.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple, Self, TypeAlias, dataclass_transform

from pyproducer.errors import ProtocolError, UnsupportedVersion
from pyproducer.model import Buffer
from pyproducer.protocol.primitives import Array, WireType

__all__ = ["LATEST", "Message", "Records", "Struct", "Wire", "wire"]

#: A version later than all.
LATEST = 0x7FFF

#: Record batches of one partition. Decoding gives a memoryview of the frame; encoding takes one
#: buffer or several in a row and passes them on uncopied.
Records: TypeAlias = Buffer | Sequence[Buffer]

_UNSET: Any = object()


class Wire(NamedTuple):
    """What the field table knows of one field.

    Attributes:
        type: the wire type.
        since: first version that has the field.
        until: last version that has it.
        nullable: first version in which it may be null; None for never.
        tag: its tag in the tagged section, or None for a place in the fixed order.
        ignorable: True where encoding for a version without the field drops its value;
            otherwise a value other than the default is refused there.
        default: Python value of a field that is absent.
    """

    type: WireType
    since: int
    until: int
    nullable: int | None
    tag: int | None
    ignorable: bool
    default: Any

    def in_version(self, version: int) -> bool:
        """True if the field is on the wire in ``version``."""
        return self.since <= version <= self.until

    def null_in(self, version: int) -> bool:
        """True if the field may be null in ``version``."""
        return self.nullable is not None and version >= self.nullable


def wire(
    kind: WireType,
    *,
    since: int = 0,
    until: int = LATEST,
    nullable: int | None = None,
    tag: int | None = None,
    ignorable: bool = False,
    default: Any = _UNSET,
) -> Any:
    """A field with its place on the wire; see :class:`Wire` for the arguments.

    Without ``default`` a field starts as the type's zero: 0, False, "", b"", an empty list, a
    struct of defaults; None for records, and for a tagged struct, which is then not sent.
    """
    if default is _UNSET:
        default = _zero(kind, tagged=tag is not None)
    return Wire(kind, since, until, nullable, tag, ignorable, default)


def _zero(kind: WireType, *, tagged: bool) -> Any:
    if isinstance(kind, Array):
        return []
    if isinstance(kind, type):
        return None if tagged else kind()
    return kind.zero


@dataclass_transform(kw_only_default=True)
class _StructType(type):
    """Gives a class a slot for each of its fields, and keeps their table."""

    def __new__(cls, name: str, bases: tuple[type, ...], body: dict[str, Any]) -> _StructType:
        fields = {key: value for key, value in body.items() if isinstance(value, Wire)}
        for key in fields:
            del body[key]
        body["__slots__"] = tuple(fields)
        body["_wire_fields"] = fields
        return super().__new__(cls, name, bases, body)


class Struct(metaclass=_StructType):
    """Base of everything that has fields on the wire.

    A struct is made from its fields by name; those left out take their defaults. Two are equal
    if they are of one class and their fields are equal.
    """

    _wire_fields: ClassVar[dict[str, Wire]]

    if not TYPE_CHECKING:  # type checkers work out the parameters from the fields

        def __init__(self, **values: Any) -> None:
            cls = type(self)
            cls.__init__ = _compile_constructor(cls)
            cls.__init__(self, **values)

    def __repr__(self) -> str:
        values = (f"{name}={getattr(self, name)!r}" for name in self._wire_fields)
        return f"{type(self).__qualname__}({', '.join(values)})"

    def __eq__(self, other: object) -> bool:
        if type(other) is not type(self):
            return NotImplemented
        return all(getattr(self, name) == getattr(other, name) for name in self._wire_fields)

    __hash__ = None  # type: ignore[assignment] # the fields may change

    @classmethod
    def wire_fields(cls) -> dict[str, Wire]:
        """Field tables by attribute name, in wire order."""
        return cls._wire_fields

    def replace(self, **changes: Any) -> Self:
        """A copy with some fields changed; it shares the values of the others."""
        values = {name: getattr(self, name) for name in self._wire_fields}
        return type(self)(**{**values, **changes})


def _compile_constructor(cls: type[Struct]) -> Callable[..., None]:
    parameters, lines = [], []
    names: dict[str, Any] = {"unset": _UNSET}
    for name, field in cls.wire_fields().items():
        value = name
        if isinstance(field.default, (list, Struct)):
            # Both have to be fresh in every instance.
            names[f"new_{name}"] = type(field.default)
            parameters.append(f"{name}=unset")
            value = f"new_{name}() if {name} is unset else {name}"
        else:
            names[f"default_{name}"] = field.default
            parameters.append(f"{name}=default_{name}")
        lines.append(f"    self.{name} = {value}")
    star = ", *, " if parameters else ""
    head = f"def __init__(self{star}{', '.join(parameters)}):"
    exec("\n".join([head, *(lines or ["    pass"])]), names)  # noqa: S102 - our own field names
    constructor: Callable[..., None] = names["__init__"]
    constructor.__qualname__ = f"{cls.__qualname__}.__init__"
    return constructor


class Message(Struct):
    """A whole request, response or stand-alone structure.

    Attributes:
        api_key: Kafka's number of the API; -1 for structures that no API carries.
        min_version: oldest version that this class encodes and decodes.
        max_version: newest version.
        flexible_since: first version with compact lengths and tagged fields.
    """

    api_key: ClassVar[int] = -1
    min_version: ClassVar[int] = 0
    max_version: ClassVar[int] = 0
    flexible_since: ClassVar[int] = LATEST

    _encoders: ClassVar[dict[int, Callable[[Any, bytearray, list[Buffer]], None]]]
    _decoders: ClassVar[dict[int, Callable[[Buffer, bool], Any]]]

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        cls._encoders = {}
        cls._decoders = {}

    def encode(self, version: int) -> list[Buffer]:
        """The body in ``version``, as buffers to be written one behind the other.

        Records are passed on as they are, so they must not change until written.

        Raises:
            UnsupportedVersion: the class does not know ``version``.
            ValueError: a value does not fit its field, or ``version`` lacks a field that is set
                and must not be dropped.
        """
        buffers: list[Buffer] = []
        self.encode_into(bytearray(), buffers, version)
        return buffers

    def encode_into(self, head: bytearray, buffers: list[Buffer], version: int) -> None:
        """Appends the body to ``head`` and puts that, with all that follows, into ``buffers``.

        This is :meth:`encode` for a caller that has a header to write in front.
        """
        encoder = self._encoders.get(version)
        if encoder is None:
            encoder = _compile_encoder(type(self), version)
        encoder(self, head, buffers)

    @classmethod
    def decode(cls, buffer: Buffer, version: int, *, whole: bool = True) -> Self:
        """The message that ``buffer`` holds in ``version``.

        Lengths and counts are checked against the bytes left before anything is allocated.
        Unknown tagged fields are skipped. Records are memoryviews of ``buffer``.

        Args:
            buffer: The message's bytes, without its header.
            version: The version they are in.
            whole: Bytes behind the last field are an error. Broker and client say False on
                what comes from a peer, as Kafka's own do: librdkafka 2.16 asks for all topics
                (Metadata v9 and later) with three bytes too many.

        Raises:
            UnsupportedVersion: the class does not know ``version``.
            ProtocolError: the bytes are not this message; says which field and where.
        """
        decoder = cls._decoders.get(version)
        if decoder is None:
            decoder = _compile_decoder(cls, version)
        message: Self = decoder(buffer, whole)
        return message


def _check_version(cls: type[Message], version: int) -> None:
    if not cls.min_version <= version <= cls.max_version:
        raise UnsupportedVersion(
            f"{cls.__name__} has no version {version}; "
            f"known are {cls.min_version} to {cls.max_version}"
        )


def _compile_encoder(
    cls: type[Message], version: int
) -> Callable[[Any, bytearray, list[Buffer]], None]:
    from pyproducer.protocol.encoder import compile_encoder

    _check_version(cls, version)
    code = compile_encoder(cls, version)
    title = f"{cls.__name__} v{version}"

    def encoder(message: Any, head: bytearray, buffers: list[Buffer]) -> None:
        try:
            code.function(message, head, buffers)
        except (AttributeError, TypeError, ValueError, struct.error) as error:
            place = code.locate(error)
            if place is None:
                raise
            raise ValueError(f"{title} cannot be encoded: {place.field}: {error}") from error

    cls._encoders[version] = encoder
    return encoder


def _compile_decoder(cls: type[Message], version: int) -> Callable[[Buffer, bool], Any]:
    from pyproducer.protocol.decoder import compile_decoder

    _check_version(cls, version)
    code = compile_decoder(cls, version)
    title = f"{cls.__name__} v{version}"

    def decoder(buffer: Buffer, whole: bool) -> Any:
        view: Buffer = code.prepare(buffer)
        try:
            message, position = code.function(view, len(view))
        except (IndexError, ValueError, struct.error) as error:
            place = code.locate(error)
            if place is None:
                raise
            reason = str(error) if isinstance(error, ValueError) else "the message ends too early"
            raise ProtocolError(
                f"{title} cannot be decoded: {place.field} at byte {place.position} "
                f"of {len(view)}: {reason}"
            ) from error
        if whole and position != len(view):
            raise ProtocolError(
                f"{title} cannot be decoded: {len(view) - position} bytes are left over "
                f"behind its last field at byte {position}"
            )
        return message

    cls._decoders[version] = decoder
    return decoder
