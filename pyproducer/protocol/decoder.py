"""Writes the decoder of a message in one version; see :mod:`pyproducer.protocol.compiler`."""

from __future__ import annotations

import struct
from uuid import UUID

from pyproducer.model import Buffer
from pyproducer.protocol.compiler import NULL_LENGTH, TAGS, Code, Generator, join_path
from pyproducer.protocol.primitives import (
    BYTES,
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
    read_uvarint,
    skip_tags,
)
from pyproducer.protocol.schema import Message, Struct, Wire

__all__ = ["compile_decoder"]


def compile_decoder(cls: type[Message], version: int) -> Code:
    """A ``decode(b, end) -> (message, position)`` for ``cls`` in ``version``."""
    generator = _DecoderGenerator(cls, version)
    generator.emit("p = 0")
    generator.struct(cls, "v")
    generator.flush()
    generator.emit("return v, p")
    # Indexing and slicing bytes is faster, but only a view can be sliced without a copy.
    return generator.finish("decode(b, end)", _as_view if generator.has_records else bytes)


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


class _DecoderGenerator(Generator):
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
            unpack = self.layout(layout, "unpack_from")
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
        self.emit("if not n:" if self.flexible else f"if n == {NULL_LENGTH}:")
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
            self.path = join_path(outer, attribute)
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
        outer, self.path = self.path, join_path(self.path, TAGS)
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
                self.path = join_path(outer, attribute)
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
