"""Where the instructions of one path go, function by function, for people."""

from __future__ import annotations

from collections import Counter

from tests.bench.counts.callgrind import Profile

__all__ = ["shares"]

#: Who has the instructions, by words in the function's name; the first that fits.
_GROUPS = (
    ("the appender", ("_appender_",)),
    ("record metadata", ("_metadata_", "RecordMetadata")),
    ("the record scan", ("_scan_",)),
    ("the interpreter: bytecode", ("_PyEval_EvalFrameDefault",)),
    ("the interpreter: frames and coroutines", ("Frame", "Eval", "gen_", "Gen", "Coro", "locals")),
    ("calls and arguments", ("Vectorcall", "FastCall", "vectorcall", "MakeTpCall", "Arg", "_call")),
    ("memory", ("lloc", "Free", "free", "NewReference", "ealloc", "GC_", "gc_", "Dealloc")),
    ("copying", ("memcpy", "memmove", "memset")),
    ("checksum", ("crc", "Crc")),
    ("compression", ("LZ4", "XXH", "ZSTD")),
    ("clocks", ("clock", "timespec", "time")),
    ("dicts and attributes", ("dict", "Dict", "lookup", "Lookup", "Attr", "attr", "unicode")),
    ("numbers", ("Long", "Number", "long_", "x_add")),
)


def shares(title: str, profile: Profile, count: int, unit: str, *, lines: int = 40) -> list[str]:
    """Per record or request: the groups, the functions, and who called them at what price."""
    groups: Counter[str] = Counter()
    for name, own in profile.own.items():
        groups[_group(name)] += own
    total = profile.instructions
    told = [f"## {title}: {total / count:,.0f} instructions per {unit}", "", "```"]
    told += [
        f"{own / count:9,.1f} {own / total:6.1%}  {name}" for name, own in groups.most_common()
    ]
    told += ["", f"{'own':>9} {'share':>6} {'inclusive':>10} {'calls':>7}  function"]
    for name, own in profile.own.most_common(lines):
        told.append(
            f"{own / count:9,.1f} {own / total:6.1%} {profile.inclusive[name] / count:10,.1f}"
            f" {profile.calls[name] / count:7.2f}  {name}"
        )
    told += ["", "a call's instructions with all that it calls (recursion counts twice):"]
    told += [
        f"{cost / count:9,.1f}  {caller} -> {called}"
        for (caller, called), cost in profile.edges.most_common(lines)
    ]
    return [*told, "```", ""]


def _group(name: str) -> str:
    for group, words in _GROUPS:
        if any(word in name for word in words):
            return group
    return "other"
