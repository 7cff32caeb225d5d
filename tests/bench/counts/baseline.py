"""The counts that are expected: one committed file, with the machines that they were taken on.

Instructions depend on the interpreter's version, how it was compiled, and for which processor. The
file has a table for each such machine; where this one has none, only what is the same everywhere
is compared.
"""

from __future__ import annotations

import platform
import re
import sys
import sysconfig
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

__all__ = ["BASELINE", "Baseline", "Machine", "this_machine"]

BASELINE = Path(__file__).with_name("baseline.toml")

_HEAD = """\
# Written by 'python -m tests.bench.counts --update'. What each count means is in measures.py.
"""


@dataclass(frozen=True)
class Machine:
    """What counts depend on.

    Attributes:
        python: the interpreter and its version, "cpython 3.11".
        processor: its architecture.
        compiler: what compiled the interpreter, without the patch level.
        build: how it was compiled, in words.
    """

    python: str
    processor: str
    compiler: str
    build: str

    def __str__(self) -> str:
        return f"{self.python}, {self.processor}, {self.compiler}, {self.build}"


def this_machine() -> Machine:
    """The one that this runs on."""
    arguments = sysconfig.get_config_var("CONFIG_ARGS") or ""
    flags = sysconfig.get_config_var("PY_CFLAGS") or ""
    build = [f"-O{level}" for level in re.findall(r"-O(\w)", flags)[-1:]]
    for word, name in (
        ("--enable-optimizations", "profiled"),
        ("--with-lto", "link-time optimized"),
        ("--enable-shared", "shared"),
        ("--disable-gil", "free-threaded"),
    ):
        if word in arguments:
            build.append(name)
    name = sys.implementation.name
    compiler = re.sub(r"(\d+)(\.\d+)*", r"\1", platform.python_compiler(), count=1)
    return Machine(
        python="{} {}.{}".format(name, *sys.version_info[:2]),
        processor=platform.machine(),
        compiler=compiler.split("(")[0].strip(),
        build=" ".join(build) or "plain",
    )


@dataclass
class Baseline:
    """The tables of a baseline file.

    Attributes:
        tables: the counts taken on each machine, by measure.
    """

    tables: dict[Machine, dict[str, float]] = field(default_factory=dict)

    @classmethod
    def read(cls, path: Path) -> Baseline:
        """What the file says; nothing if there is none.

        Raises:
            ValueError: it is not such a file.
        """
        if not path.exists():
            return cls()
        found = tomllib.loads(path.read_text(encoding="utf-8"))
        try:
            return cls(
                {
                    Machine(**{name: table[name] for name in Machine.__dataclass_fields__}): {
                        name: float(value) for name, value in table["counts"].items()
                    }
                    for table in found["taken"]
                }
            )
        except (AttributeError, KeyError, TypeError) as error:
            raise ValueError(f"{path} is no file of expected counts: {error!r}") from error

    def write(self, path: Path) -> None:
        """Replace the file."""
        lines = [_HEAD]
        for machine, counts in self.tables.items():
            lines.append("[[taken]]")
            lines += [
                f'{name} = "{getattr(machine, name)}"' for name in Machine.__dataclass_fields__
            ]
            lines += ["[taken.counts]", *_rows(counts), ""]
        path.write_text("\n".join(lines), encoding="utf-8")


def _rows(counts: Mapping[str, float]) -> list[str]:
    return [f'"{name}" = {_short(value)}' for name, value in sorted(counts.items())]


def _short(value: float) -> str:
    """As many digits as mean something."""
    return f"{value:.1f}" if abs(value) >= 100 else f"{value:.4g}"
