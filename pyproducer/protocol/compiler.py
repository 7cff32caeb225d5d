"""Compiles field tables into straight-line encoders and decoders, one per class and version.

The generated functions have no interpretation left in them: neighbouring fields of fixed size go
through one ``struct`` call, together with the length or count that follows them (a compact length
is read as one byte and continued only when it is longer), and nested structs are inlined. They
contain no bookkeeping for error messages either: every line of generated source is entered in a
table beside the field it serves, and when a line raises, its number and the local variable ``p``
tell which field broke and where.

Names in generated code: ``b`` buffer, ``p`` position, ``end`` where it ends, ``n`` a length or
count, ``q`` the position behind a value, ``out`` the bytes gathered since the last buffer that
was passed on uncopied.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple
from uuid import UUID

from pyproducer.model import Buffer
from pyproducer.protocol.primitives import (
    BYTES,
    MAX_STRING,
    RECORDS,
    STRING,
    UUID128,
    ZERO_UUID,
    Array,
    Fixed,
    Malformed,
    Variable,
    WireType,
    continue_uvarint,
    pack_uvarint,
    read_uvarint,
    skip_tags,
)
from pyproducer.protocol.schema import Message, Struct, Wire

__all__ = ["Code", "Place", "compile_decoder", "compile_encoder"]

_NULL_LENGTH = -1
_TAGS = "(tagged fields)"


class Place(NamedTuple):
    """Where an encoder or decoder stopped.

    Attributes:
        field: dotted path of the field, ``[]`` behind what is repeated.
        position: in bytes from the start of the body; -1 when encoding.
    """

    field: str
    position: int


class _Item(NamedTuple):
    """A value of fixed size that waits in a run for the common ``struct`` call."""

    code: str
    text: str
    path: str


@dataclass(frozen=True, slots=True)
class Code:
    """A compiled encoder or decoder.

    Attributes:
        function: the generated function.
        filename: the name its source goes by in tracebacks.
        source: the source, for those who debug it.
        places: the items that each line serves, by line number - 1.
        prepare: what the decoder wants done to the buffer first.
    """

    function: Callable[..., Any]
    filename: str
    source: str
    places: list[list[_Item]]
    prepare: Callable[[Buffer], Buffer]

    def locate(self, error: BaseException) -> Place | None:
        """The place that ``error`` came from, or None if it did not pass through this code."""
        trace = error.__traceback__
        while trace is not None and trace.tb_frame.f_code.co_filename != self.filename:
            trace = trace.tb_next
        if trace is None or trace.tb_lineno is None:
            return None
        local = trace.tb_frame.f_locals
        items = self.places[trace.tb_lineno - 1]
        position = local.get("p")
        if position is None:
            return Place(" or ".join(dict.fromkeys(item.path for item in items)), -1)
        for item in items:
            size = struct.calcsize(">" + item.code)
            if position + size > local["end"]:
                break
            position += size
        else:
            position = local["p"]
        return Place(item.path, position)


class _Generator:
    """What encoder and decoder generation share: lines, runs, names."""

    def __init__(self, cls: type[Message], version: int) -> None:
        self.version = version
        self.flexible = version >= cls.flexible_since
        self.lines: list[str] = []
        self.places: list[list[_Item]] = []
        self.depth = 1
        self.run: list[_Item] = []
        self.path = ""
        self.names: dict[str, Any] = {"Malformed": Malformed}
        self._fresh = 0

    def emit(self, line: str, items: list[_Item] | None = None) -> None:
        self.lines.append("    " * self.depth + line)
        self.places.append(items or [_Item("", "", self.path)])

    def fresh(self, prefix: str) -> str:
        self._fresh += 1
        return f"{prefix}{self._fresh}"

    def bind(self, prefix: str, value: Any) -> str:
        """The name under which generated code sees ``value``."""
        for name, bound in self.names.items():
            if bound is value or (prefix == "K" and bound == value and type(bound) is type(value)):
                return name
        name = self.fresh(prefix)
        self.names[name] = value
        return name

    def constant(self, value: Any) -> str:
        """Source text of a field default that is no list and no struct."""
        if value is None or isinstance(value, (bool, int, str, bytes)):
            return repr(value)
        return self.bind("K", value)

    def add(self, code: str, text: str) -> None:
        self.run.append(_Item(code, text, self.path))

    def format(self) -> str:
        return ">" + "".join(item.code for item in self.run)

    def finish(self, name: str, head: str, kind: str) -> Code:
        filename = f"<{name} v{self.version} {kind}>"
        source = head + "\n" + "\n".join(self.lines) + "\n"
        exec(compile(source, filename, "exec"), self.names)  # noqa: S102 - source made above
        return Code(
            self.names[kind],
            filename,
            source,
            [[_Item("", "", name)], *self.places],
            bytes,
        )


def _join(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name


# Decoding


def compile_decoder(cls: type[Message], version: int) -> Code:
    """A ``decode(b, end) -> (message, position)`` for ``cls`` in ``version``."""
    generator = _DecoderGenerator(cls, version)
    generator.struct(cls, "v")
    generator.flush()
    generator.emit("return v, p")
    code = generator.finish(cls.__name__, "def decode(b, end):\n    p = 0", "decode")
    # finish() counts one line of head; this one has two.
    code.places.insert(0, code.places[0])
    if generator.has_records:
        return Code(code.function, code.filename, code.source, code.places, _as_view)
    return code


def _as_view(buffer: Buffer) -> memoryview:
    view = memoryview(buffer)
    return view if view.format == "B" and view.ndim == 1 else view.cast("B")


def _bad_length(length: int, left: int) -> Malformed:
    if length < 0:
        return Malformed(f"length {length} is negative")
    return Malformed(f"length {length} is more than the {left} bytes left")


def _bad_count(count: int, left: int) -> Malformed:
    if count < 0:
        return Malformed(f"count {count} is negative")
    return Malformed(f"{count} elements do not fit in the {left} bytes left")


def _null_found() -> Malformed:
    return Malformed("null where the version has none")


def _bad_tag(tag: int, size: int) -> Malformed:
    return Malformed(f"tagged field {tag} does not end where its size of {size} bytes says")


def _to_uuid(data: bytes) -> UUID:
    return UUID(bytes=data) if any(data) else ZERO_UUID


class _DecoderGenerator(_Generator):
    def __init__(self, cls: type[Message], version: int) -> None:
        super().__init__(cls, version)
        self.end = "end"
        self.has_records = _uses_records(cls, version)
        self.after: list[str] = []
        self.names |= {
            "bad_count": _bad_count,
            "bad_length": _bad_length,
            "bad_tag": _bad_tag,
            "more": continue_uvarint,
            "new": object.__new__,
            "null_found": _null_found,
            "skip_tags": skip_tags,
            "to_uuid": _to_uuid,
            "unpack_from": struct.unpack_from,
            "uvarint": read_uvarint,
        }

    def flush(self) -> None:
        """Reads the run with one call and stands behind it."""
        run, self.run = self.run, []
        after, self.after = self.after, []
        if not run:
            return
        layout = ">" + "".join(item.code for item in run)
        if layout == ">B":
            self.emit(f"{run[0].text} = b[p]", run)
        else:
            packed = struct.Struct(layout)
            unpack = self.bind("U", _same(self.names, packed.unpack_from, packed))
            targets = ", ".join(item.text for item in run)
            comma = "," if len(run) == 1 else ""
            self.emit(f"{targets}{comma} = {unpack}(b, p)", run)
        self.emit(f"p += {struct.calcsize(layout)}", run)
        for line in after:
            self.emit(line)

    def length(self, code: str) -> None:
        """Reads a length or count into ``n``: in the flexible form plus 1, 0 being null."""
        if not self.flexible:
            self.add(code, "n")
            self.flush()
            return
        self.add("B", "n")
        self.flush()
        self.emit("if n > 127:")
        self.emit("    n, p = more(b, p, n)")

    def null_branch(self, target: str, *, nullable: bool) -> None:
        """Opens the branch for a value that is not null; the caller closes it with depth - 1."""
        self.emit("if not n:" if self.flexible else f"if n == {_NULL_LENGTH}:")
        self.emit(f"    {target} = None" if nullable else "    raise null_found()")
        self.emit("else:")
        self.depth += 1
        if self.flexible:
            self.emit("n -= 1")

    def value(self, kind: WireType, target: str, *, nullable: bool) -> None:
        if isinstance(kind, Fixed):
            if kind is UUID128:
                raw = self.fresh("u")
                self.add(kind.code, raw)
                self.after.append(f"{target} = to_uuid({raw})")
            else:
                self.add(kind.code, target)
        elif isinstance(kind, Variable):
            self.variable(kind, target, nullable=nullable)
        elif isinstance(kind, Array):
            self.array(kind, target, nullable=nullable)
        else:
            self.nested(kind, target, nullable=nullable)

    def variable(self, kind: Variable, target: str, *, nullable: bool) -> None:
        self.length(kind.length_code)
        self.null_branch(target, nullable=nullable)
        self.emit("q = p + n")
        bad = f"q > {self.end}" if self.flexible else f"n < 0 or q > {self.end}"
        self.emit(f"if {bad}:")
        self.emit(f"    raise bad_length(n, {self.end} - p)")
        if kind is STRING:
            read = "str(b[p:q], 'utf-8')" if self.has_records else "b[p:q].decode()"
        elif kind is BYTES:
            read = "bytes(b[p:q])" if self.has_records else "b[p:q]"
        else:
            read = "b[p:q]"
        self.emit(f"{target} = {read}")
        self.emit("p = q")
        self.depth -= 1

    def array(self, kind: Array, target: str, *, nullable: bool) -> None:
        element = kind.element
        smallest = _smallest(element, self.version, flexible=self.flexible)
        self.length("i")
        self.null_branch(target, nullable=nullable)
        left = f"({self.end} - p)"
        fits = f"n > {left}" if smallest == 1 else f"n > {left} // {smallest}"
        self.emit(f"if {fits}:" if self.flexible else f"if n < 0 or {fits}:")
        self.emit(f"    raise bad_count(n, {left})")
        if isinstance(element, Fixed) and element is not UUID128:
            self.emit(f"{target} = list(unpack_from(f'>{{n}}{element.code}', b, p))")
            self.emit(f"p += n * {element.size}" if element.size > 1 else "p += n")
        else:
            items = self.fresh("l")
            outer, self.path = self.path, self.path + "[]"
            self.emit(f"{target} = {items} = []")
            self.emit("for _ in range(n):")
            self.depth += 1
            item = self.fresh("v")
            self.value(element, item, nullable=False)
            self.flush()
            self.emit(f"{items}.append({item})")
            self.depth -= 1
            self.path = outer
        self.depth -= 1

    def nested(self, kind: type[Struct], target: str, *, nullable: bool) -> None:
        name = target if target.isidentifier() else self.fresh("v")
        if nullable:
            self.add("b", "n")
            self.flush()
            self.emit("if n < 0:")
            self.emit(f"    {target} = None")
            self.emit("else:")
            self.depth += 1
        self.struct(kind, name)
        if name != target:
            self.emit(f"{target} = {name}")
        if nullable:
            self.flush()
            self.depth -= 1

    def struct(self, cls: type[Struct], name: str) -> None:
        outer = self.path
        self.emit(f"{name} = new({self.bind('C', cls)})")
        known = []
        for attribute, wire in cls.wire_fields().items():
            present = wire.in_version(self.version)
            if not present or wire.tag is not None:
                self.emit(f"{name}.{attribute} = {self.default(wire)}")
            if not present:
                continue
            self.path = _join(outer, attribute)
            if wire.tag is None:
                nullable = wire.null_in(self.version)
                self.value(wire.type, f"{name}.{attribute}", nullable=nullable)
            else:
                known.append((wire, attribute))
            self.path = outer
        if self.flexible:
            self.tags(name, known)

    def default(self, wire: Wire) -> str:
        if isinstance(wire.default, list):
            return "[]"
        if isinstance(wire.default, Struct):
            return self.bind("C", type(wire.default)) + "()"
        return self.constant(wire.default)

    def tags(self, name: str, known: list[tuple[Wire, str]]) -> None:
        outer, self.path = self.path, _join(self.path, _TAGS)
        self.add("B", "n")
        self.flush()
        self.emit("if n:")
        self.depth += 1
        if known:
            self.emit("if n > 127:")
            self.emit("    n, p = more(b, p, n)")
            tag, size, end = self.fresh("t"), self.fresh("z"), self.fresh("e")
            self.emit("for _ in range(n):")
            self.depth += 1
            self.emit(f"{tag}, p = uvarint(b, p)")
            self.emit(f"{size}, p = uvarint(b, p)")
            self.emit(f"{end} = p + {size}")
            self.emit(f"if {end} > {self.end}:")
            self.emit(f"    raise bad_length({size}, {self.end} - p)")
            outer_end, self.end = self.end, end
            for word, (wire, attribute) in zip(["if"] + ["elif"] * len(known), known, strict=False):
                self.path = _join(outer, attribute)
                self.emit(f"{word} {tag} == {wire.tag}:")
                self.depth += 1
                nullable = wire.null_in(self.version)
                self.value(wire.type, f"{name}.{attribute}", nullable=nullable)
                self.flush()
                self.emit(f"if p != {end}:")
                self.emit(f"    raise bad_tag({tag}, {size})")
                self.depth -= 1
            self.end = outer_end
            self.emit("else:")
            self.emit(f"    p = {end}")
            self.depth -= 1
        else:
            self.emit(f"p = skip_tags(b, p, {self.end}, n)")
        self.depth -= 1
        self.path = outer


def _uses_records(cls: type[Struct], version: int) -> bool:
    for wire in cls.wire_fields().values():
        if not wire.in_version(version):
            continue
        kind = wire.type.element if isinstance(wire.type, Array) else wire.type
        if kind is RECORDS:
            return True
        if isinstance(kind, type) and _uses_records(kind, version):
            return True
    return False


def _smallest(kind: WireType, version: int, *, flexible: bool) -> int:
    """The fewest bytes that a value of ``kind`` takes, at least 1: what bounds array counts."""
    if isinstance(kind, Fixed):
        return kind.size
    if isinstance(kind, Variable):
        return 1 if flexible else struct.calcsize(">" + kind.length_code)
    if isinstance(kind, Array):
        return 1 if flexible else 4
    total = int(flexible)
    for wire in kind.wire_fields().values():
        if wire.tag is None and wire.in_version(version):
            nullable = isinstance(wire.type, type) and wire.null_in(version)
            total += 1 if nullable else _smallest(wire.type, version, flexible=flexible)
    if not total:
        raise TypeError(f"{kind.__name__} has no fields in version {version}")
    return total


def _same(names: dict[str, Any], method: Any, packed: struct.Struct) -> Any:
    """An earlier bound method for the same layout, else ``method``."""
    for bound in names.values():
        owner = getattr(bound, "__self__", None)
        if (
            isinstance(owner, struct.Struct)
            and owner.format == packed.format
            and bound.__name__ == method.__name__
        ):
            return bound
    return method


# Encoding


def compile_encoder(cls: type[Message], version: int) -> Code:
    """An ``encode(v, out, buffers)`` for ``cls`` in ``version``."""
    generator = _EncoderGenerator(cls, version)
    generator.struct(cls, "v")
    generator.flush()
    generator.emit("if out:")
    generator.emit("    buffers.append(out)")
    return generator.finish(cls.__name__, "def encode(v, out, buffers):", "encode")


def _gather(records: Any) -> tuple[int, list[Buffer]]:
    """The size of ``records`` and its buffers that are not empty."""
    parts = [records] if isinstance(records, (bytes, bytearray, memoryview)) else records
    parts = [part for part in parts if len(part)]
    return sum(p.nbytes if isinstance(p, memoryview) else len(p) for p in parts), parts


def _put_tags(out: bytearray, fields: list[tuple[int, bytearray]]) -> None:
    out += pack_uvarint(len(fields))
    for tag, body in fields:
        out += pack_uvarint(tag)
        out += pack_uvarint(len(body))
        out += body


def _too_long(size: int) -> ValueError:
    return ValueError(f"a string of {size} bytes is longer than Kafka's limit of {MAX_STRING}")


def _absent(version: int) -> ValueError:
    return ValueError(f"version {version} cannot carry a value other than the default")


def _null_given() -> ValueError:
    return ValueError("None is not allowed in this version")


class _EncoderGenerator(_Generator):
    def __init__(self, cls: type[Message], version: int) -> None:
        super().__init__(cls, version)
        self.names |= {
            "absent": _absent,
            "gather": _gather,
            "null_given": _null_given,
            "pack": struct.pack,
            "put_tags": _put_tags,
            "too_long": _too_long,
            "uvarint": pack_uvarint,
        }

    def flush(self) -> None:
        """Appends the run to ``out`` with one call."""
        run, self.run = self.run, []
        if not run:
            return
        values = [item.text for item in run if item.code != "x"]
        layout = ">" + "".join(item.code for item in run)
        if layout == ">B":
            self.emit(f"out.append({values[0]})", run)
        elif not values:
            self.emit(f"out += {bytes(len(run))!r}", run)
        else:
            packed = struct.Struct(layout)
            name = self.bind("P", _same(self.names, packed.pack, packed))
            self.emit(f"out += {name}({', '.join(values)})", run)

    def length(self, code: str, *, string: bool = False) -> None:
        """Writes the length or count ``n``: in the flexible form plus 1, 0 being null."""
        if not self.flexible:
            self.add(code, "n")
            self.flush()
            return
        before = list(self.run)
        self.emit("if n < 128:")
        self.depth += 1
        self.add("B", "n")
        self.flush()
        self.depth -= 1
        self.emit("else:")
        self.depth += 1
        self.run = before
        self.flush()
        if string:
            self.emit(f"if n > {MAX_STRING + 1}:")
            self.emit("    raise too_long(n - 1)")
        self.emit("out += uvarint(n)")
        self.depth -= 1

    def value(self, kind: WireType, text: str, *, nullable: bool) -> None:
        if isinstance(kind, Fixed):
            self.add(kind.code, f"{text}.bytes" if kind is UUID128 else text)
        elif kind is RECORDS:
            self.records(text, nullable=nullable)
        elif isinstance(kind, Variable):
            self.variable(kind, text, nullable=nullable)
        elif isinstance(kind, Array):
            self.array(kind, text, nullable=nullable)
        else:
            self.nested(kind, text, nullable=nullable)

    def null_branch(self, name: str, empty: str, *, nullable: bool) -> None:
        """Opens the branch for a value that is not null; the caller closes it with depth - 1."""
        self.emit(f"if {name} is None:")
        if nullable:
            self.emit(f"    {name} = {empty}")
            self.emit(f"    n = {0 if self.flexible else _NULL_LENGTH}")
        else:
            self.emit("    raise null_given()")
        self.emit("else:")
        self.depth += 1

    def variable(self, kind: Variable, text: str, *, nullable: bool) -> None:
        plus = " + 1" if self.flexible else ""
        convert = "s.encode()" if kind is STRING else "s"
        self.emit(f"s = {text}")
        self.null_branch("s", 'b""', nullable=nullable)
        if convert != "s":
            self.emit(f"s = {convert}")
        self.emit(f"n = len(s){plus}")
        self.depth -= 1
        self.length(kind.length_code, string=kind is STRING)
        self.emit("out += s")

    def records(self, text: str, *, nullable: bool) -> None:
        self.emit(f"s = {text}")
        self.null_branch("s", "None", nullable=nullable)
        self.emit("n, s = gather(s)")
        if self.flexible:
            self.emit("n += 1")
        self.depth -= 1
        self.length("i")
        self.emit("if s:")
        self.emit("    buffers.append(out)")
        self.emit("    buffers += s")
        self.emit("    out = bytearray()")

    def array(self, kind: Array, text: str, *, nullable: bool) -> None:
        items = self.fresh("l")
        self.emit(f"{items} = {text}")
        self.null_branch(items, "()", nullable=nullable)
        self.emit(f"n = len({items})" + (" + 1" if self.flexible else ""))
        self.depth -= 1
        self.length("i")
        element = kind.element
        outer, self.path = self.path, self.path + "[]"
        if isinstance(element, Fixed) and element is not UUID128:
            self.emit(f"if {items}:")
            self.emit(f"    out += pack(f'>{{len({items})}}{element.code}', *{items})")
        else:
            item = self.fresh("v")
            self.emit(f"for {item} in {items}:")
            self.depth += 1
            self.value(element, item, nullable=False)
            self.flush()
            self.depth -= 1
        self.path = outer

    def nested(self, kind: type[Struct], text: str, *, nullable: bool) -> None:
        if not nullable:
            name = text
            if not text.isidentifier():
                name = self.fresh("v")
                self.emit(f"{name} = {text}")
            self.struct(kind, name)
            return
        name = self.fresh("v")
        self.flush()
        self.emit(f"{name} = {text}")
        self.emit(f"if {name} is None:")
        self.emit("    out.append(255)")
        self.emit("else:")
        self.depth += 1
        self.emit("out.append(1)")
        self.struct(kind, name)
        self.flush()
        self.depth -= 1

    def struct(self, cls: type[Struct], name: str) -> None:
        outer = self.path
        tagged = []
        for attribute, wire in cls.wire_fields().items():
            text = f"{name}.{attribute}"
            self.path = _join(outer, attribute)
            if not wire.in_version(self.version):
                if not wire.ignorable:
                    self.emit(f"if {self.differs(wire, text)}:")
                    self.emit(f"    raise absent({self.version})")
            elif wire.tag is None:
                self.value(wire.type, text, nullable=wire.null_in(self.version))
            else:
                tagged.append((wire, attribute))
            self.path = outer
        if self.flexible:
            self.tags(name, tagged)

    def differs(self, wire: Wire, text: str) -> str:
        """Source of the condition that a field is not at its default."""
        if wire.default is None:
            return f"{text} is not None"
        if isinstance(wire.default, list) or not wire.default:
            return text
        if isinstance(wire.default, Struct):
            return f"{text} != {self.bind('C', type(wire.default))}()"
        return f"{text} != {self.constant(wire.default)}"

    def tags(self, name: str, tagged: list[tuple[Wire, str]]) -> None:
        outer, self.path = self.path, _join(self.path, _TAGS)
        if not tagged:
            self.add("x", "")
            self.path = outer
            return
        tagged = sorted(tagged, key=lambda pair: pair[0].tag or 0)
        before = list(self.run)
        tests = [self.differs(wire, f"{name}.{attribute}") for wire, attribute in tagged]
        self.emit(f"if {' or '.join(tests)}:")
        self.depth += 1
        self.flush()
        fields, rest = self.fresh("g"), self.fresh("o")
        self.emit(f"{fields} = []")
        self.emit(f"{rest} = out")
        for test, (wire, attribute) in zip(tests, tagged, strict=True):
            self.path = _join(outer, attribute)
            self.emit(f"if {test}:")
            self.depth += 1
            self.emit("out = bytearray()")
            self.value(wire.type, f"{name}.{attribute}", nullable=wire.null_in(self.version))
            self.flush()
            self.emit(f"{fields}.append(({wire.tag}, out))")
            self.depth -= 1
        self.path = _join(outer, _TAGS)
        self.emit(f"out = {rest}")
        self.emit(f"put_tags(out, {fields})")
        self.depth -= 1
        self.emit("else:")
        self.depth += 1
        self.run = before
        self.add("x", "")
        self.flush()
        self.depth -= 1
        self.path = outer
