"""Writes the encoder of a message in one version; see :mod:`pyproducer.protocol.compiler`."""

from __future__ import annotations

import struct
from typing import Any

from pyproducer.model import Buffer
from pyproducer.protocol.compiler import NULL_LENGTH, TAGS, Code, Generator, join_path
from pyproducer.protocol.primitives import (
    MAX_STRING,
    RECORDS,
    STRING,
    UUID128,
    Array,
    Fixed,
    Variable,
    WireType,
    pack_uvarint,
)
from pyproducer.protocol.schema import Message, Struct, Wire

__all__ = ["compile_encoder"]


def compile_encoder(cls: type[Message], version: int) -> Code:
    """An ``encode(v, out, buffers)`` for ``cls`` in ``version``."""
    generator = _EncoderGenerator(cls, version)
    generator.struct(cls, "v")
    generator.flush()
    generator.emit("if out:")
    generator.emit("    buffers.append(out)")
    return generator.finish("encode(v, out, buffers)")


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


class _EncoderGenerator(Generator):
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
            name = self.layout(layout, "pack")
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
            self.emit(f"    n = {0 if self.flexible else NULL_LENGTH}")
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
            self.path = join_path(outer, attribute)
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
        outer, self.path = self.path, join_path(self.path, TAGS)
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
            self.path = join_path(outer, attribute)
            self.emit(f"if {test}:")
            self.depth += 1
            self.emit("out = bytearray()")
            self.value(wire.type, f"{name}.{attribute}", nullable=wire.null_in(self.version))
            self.flush()
            self.emit(f"{fields}.append(({wire.tag}, out))")
            self.depth -= 1
        self.path = join_path(outer, TAGS)
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
