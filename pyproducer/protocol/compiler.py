"""What turning field tables into straight-line code needs, whichever way the bytes go.

:mod:`~pyproducer.protocol.encoder` and :mod:`~pyproducer.protocol.decoder` write one function per
class and version, with what is here.

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

from pyproducer.model import Buffer
from pyproducer.protocol.schema import Message

__all__ = ["NULL_LENGTH", "TAGS", "Code", "Generator", "Item", "Place", "join_path"]

NULL_LENGTH = -1
TAGS = "(tagged fields)"


class Place(NamedTuple):
    """Where an encoder or decoder stopped.

    Attributes:
        field: dotted path of the field, ``[]`` behind what is repeated.
        position: in bytes from the start of the body; -1 when encoding.
    """

    field: str
    position: int


class Item(NamedTuple):
    """What one value of fixed size contributes to a line of generated source.

    Attributes:
        code: its ``struct`` code; "" on a line that reads or writes nothing by ``struct``.
        text: the expression to pack, or the target to unpack to.
        path: the field it belongs to.
    """

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
    places: list[list[Item]]
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


class Generator:
    """What encoder and decoder generation share: lines, runs, names.

    Attributes:
        version: the version to generate for.
        flexible: True if that has compact lengths and tagged fields.
        depth: indentation of the next line.
        run: neighbouring values of fixed size, to go through one ``struct`` call.
        path: the field that generated lines are for.
        names: globals of the generated function.
    """

    def __init__(self, cls: type[Message], version: int) -> None:
        self.version = version
        self.flexible = version >= cls.flexible_since
        self.depth = 1
        self.run: list[Item] = []
        self.path = ""
        self.names: dict[str, Any] = {}
        self._title = f"{cls.__name__} v{version}"
        self._lines: list[str] = []
        self._places: list[list[Item]] = []
        self._layouts: dict[str, str] = {}
        self._count = 0

    def emit(self, line: str, items: list[Item] | None = None) -> None:
        """Appends a line, which serves ``items`` or else the field at ``path``."""
        self._lines.append("    " * self.depth + line)
        self._places.append(items or [Item("", "", self.path)])

    def fresh(self, prefix: str) -> str:
        """A name that was not used before."""
        self._count += 1
        return f"{prefix}{self._count}"

    def bind(self, prefix: str, value: Any) -> str:
        """The name under which generated code sees ``value``, a class or a constant."""
        for name, bound in self.names.items():
            if bound is value:
                return name
        name = self.fresh(prefix)
        self.names[name] = value
        return name

    def layout(self, layout: str, method: str) -> str:
        """The name of a method of ``struct.Struct(layout)``."""
        name = self._layouts.get(layout)
        if name is None:
            name = self._layouts[layout] = self.fresh("S")
            self.names[name] = getattr(struct.Struct(layout), method)
        return name

    def constant(self, value: Any) -> str:
        """Source text of a field default that is no list and no struct."""
        if value is None or isinstance(value, (bool, int, str, bytes)):
            return repr(value)
        return self.bind("K", value)

    def add(self, code: str, text: str) -> None:
        """Adds a value of the field at ``path`` to the run."""
        self.run.append(Item(code, text, self.path))

    def finish(self, signature: str, prepare: Callable[[Buffer], Buffer] = bytes) -> Code:
        """Compiles the lines into the body of a function with this signature."""
        filename = f"<{self._title} {signature}>"
        source = "\n".join([f"def {signature}:", *self._lines, ""])
        exec(compile(source, filename, "exec"), self.names)  # noqa: S102 - source made above
        name = signature.partition("(")[0]
        places = [[Item("", "", "")], *self._places]
        return Code(self.names[name], filename, source, places, prepare)


def join_path(path: str, name: str) -> str:
    """The path of the field ``name`` in the struct at ``path``."""
    return f"{path}.{name}" if path else name
