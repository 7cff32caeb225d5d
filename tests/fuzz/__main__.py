"""Runs the fuzz targets under atheris: python -m tests.fuzz [TARGET...] [--inputs N] [--seconds S].

Each target has a process of its own. Inputs that reach new code are kept in .cache/fuzz/corpus,
and the next run begins with them. What breaks something is written to .cache/fuzz/crashes.
"""

from __future__ import annotations

import argparse
import gc
import logging
import os
import re
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

from tests.fuzz.target import CORPUS, REGRESSIONS, kept, load, names
from tests.helpers.source_tree import ROOT

_CACHE = ROOT / ".cache" / "fuzz"
#: Seconds that one input may take, and MiB that a process may.
_SLOW = 20
_LARGE = 2048
#: Inputs of one target that are kept beside the tests.
_KEPT = 40
_TAIL = 40
_STATS = re.compile(r"stat::number_of_executed_units:\s+(\d+)")
_COVER = re.compile(r"cov: (\d+)")


def _child(name: str, arguments: list[str]) -> None:
    import atheris

    from pyproducer.protocol.compiler import Generator

    # Decoders are made at run time, and are what is to be covered most of all.
    finish = Generator.finish

    def instrumented(self, *args):
        code = finish(self, *args)
        return replace(code, function=atheris.instrument_func(code.function))

    Generator.finish = instrumented
    logging.disable(logging.CRITICAL)
    with atheris.instrument_imports(include=["pyproducer", "serializers"]):
        target = load(name)
    # What is there now stays; to look through it again and again takes a tenth of the time.
    gc.collect()
    gc.freeze()
    atheris.Setup([name, *arguments], target.run)
    atheris.Fuzz()


def _fuzz(name: str, options: argparse.Namespace) -> bool:
    """Runs one target and tells what came of it; returns whether all held."""
    target = load(name)
    corpus, seeds, crashes = (_CACHE / part / name for part in ("corpus", "seeds", "crashes"))
    for folder in (corpus, seeds, crashes):
        folder.mkdir(parents=True, exist_ok=True)
    for number, data in enumerate(target.seeds()):
        (seeds / f"{number:03}").write_bytes(data[: target.max_len])
    folders = [corpus, seeds, CORPUS / name, REGRESSIONS / name]
    began = time.monotonic()
    done = _libfuzzer(
        name,
        f"-runs={options.inputs}",
        f"-max_total_time={options.seconds}",
        f"-max_len={target.max_len}",
        f"-timeout={_SLOW}",
        f"-rss_limit_mb={_LARGE}",
        f"-artifact_prefix={crashes}/",
        "-print_final_stats=1",
        *(str(folder) for folder in folders if folder.is_dir()),
    )
    took = time.monotonic() - began
    found = _STATS.search(done.stderr)
    count = int(found[1]) if found else 0
    covered = _COVER.findall(done.stderr) or ["0"]
    held = done.returncode == 0
    print(
        f"{name:20} {count:>9,} inputs {took:7.0f} s {count / took:>8,.0f}/s "
        f"{covered[-1]:>6} branches  {'ok' if held else 'BROKEN'}",
        flush=True,
    )
    if not held:
        # The rest is how far it had come.
        told = [line for line in done.stderr.splitlines() if line[:1] not in {"#", ""}]
        print("\n".join([*told[-_TAIL:], *done.stdout.splitlines()[-_TAIL:]]), flush=True)
    return held


def _libfuzzer(name: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    # What is compiled has no counters of lines; twins are compared all the same.
    environment = {"PYPRODUCER_PURE": "1", **os.environ}
    return subprocess.run(
        [sys.executable, "-m", "tests.fuzz", "--child", name, *arguments],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
    )


def _keep(name: str) -> None:
    """The corpus beside the tests is a part of what was found, each input as short as it got."""
    # What reaches nothing new is not written, and what is shorter takes the place of the longer.
    found = [*kept(_CACHE / "corpus", name).items(), *kept(CORPUS, name).items()]
    chosen = sorted(
        {data: file for file, data in found}.items(), key=lambda one: (len(one[0]), one[1])
    )
    # From the small to the large in even steps: the large reach furthest.
    step = max(1, len(chosen) / _KEPT)
    chosen = [chosen[int(at * step)] for at in range(min(_KEPT, len(chosen)))]
    place = CORPUS / name
    place.mkdir(parents=True, exist_ok=True)
    for old in place.iterdir():
        old.unlink()
    for data, file in chosen:
        (place / file[:12]).write_bytes(data)
    print(f"{name:20} {len(chosen):3} inputs kept, {sum(len(data) for data, _ in chosen):,} bytes")


def main() -> int:
    if sys.argv[1:2] == ["--child"]:
        _child(sys.argv[2], sys.argv[3:])
        return 0
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("targets", nargs="*", choices=[[], *names()], metavar="TARGET")
    parser.add_argument("--inputs", type=int, default=1_000_000, help="of each target")
    parser.add_argument("--seconds", type=int, default=0, help="of each target at most; 0: no end")
    parser.add_argument("--keep", action="store_true", help="write tests/fuzz/corpus anew")
    options = parser.parse_args()
    chosen = options.targets or names()
    if options.keep:
        for name in chosen:
            _keep(name)
        return 0
    broken = [name for name in chosen if not _fuzz(name, options)]
    if broken:
        print(f"broken: {', '.join(broken)}; the inputs are in {Path('.cache/fuzz/crashes')}")
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
