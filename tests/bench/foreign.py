"""Clients in other languages: built once into build/bench, left out where a toolchain is missing."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path

from tests.bench.driver_process import ROOT
from tests.helpers.jars import Artifact, cache_folder, fetch_jars
from tests.helpers.kafka_node import BROKER_VERSION
from tests.helpers.processes import PeerFailed, require_program

_SOURCES = ROOT / "tests/bench/drivers"
_BUILT = ROOT / "build/bench"

_JAVA_VERSION = BROKER_VERSION
_JAVA_JARS = (
    Artifact("org.apache.kafka", "kafka-clients", _JAVA_VERSION),
    Artifact("com.fasterxml.jackson.core", "jackson-databind", "2.19.2"),
    Artifact("org.slf4j", "slf4j-nop", "1.7.36"),
)


def java() -> list[str]:
    """The command that runs the driver of Java's client, compiled if it was not yet.

    Raises:
        PeerMissing: there is no Java, no Java compiler or no Maven.
        PeerFailed: it could not be fetched or compiled.
    """
    program, compiler = (
        require_program("java", "default-jdk"),
        require_program("javac", "default-jdk"),
    )
    jars = fetch_jars(*_JAVA_JARS, folder=cache_folder() / "kafka-clients" / _JAVA_VERSION)
    source, classes = _SOURCES / "java/Driver.java", _BUILT / "java"
    if _is_older(classes / "Driver.class", source):
        classes.mkdir(parents=True, exist_ok=True)
        _run([compiler, "-d", str(classes), "-cp", f"{jars}/*", str(source)])
    return [program, "-Xms1g", "-Xmx3g", "-cp", f"{classes}{os.pathsep}{jars}/*", "Driver"]


def franz() -> list[str]:
    """The command that runs the driver of franz-go, compiled if it was not yet.

    Raises:
        PeerMissing: there is no Go.
        PeerFailed: it could not be fetched or compiled.
    """
    go = require_program("go", "golang")
    source, program = _SOURCES / "franz", _BUILT / "franz-go"
    if _is_older(program, source / "main.go"):
        _BUILT.mkdir(parents=True, exist_ok=True)
        _run([go, "build", "-o", str(program), "."], folder=source)
    return [str(program)]


COMMANDS: dict[str, Callable[[], list[str]]] = {"java": java, "franz-go": franz}


def versions() -> dict[str, str]:
    """The versions of those that can take part here."""
    found = {}
    if shutil.which("javac") and shutil.which("mvn"):
        found["kafka-clients"] = _JAVA_VERSION
        found["Java"] = _first_line(["java", "-version"]).split('"')[1]
    if shutil.which("go"):
        required = (_SOURCES / "franz/go.mod").read_text().splitlines()
        [line] = [line for line in required if "github.com/twmb/franz-go v" in line]
        found["franz-go"] = line.split("github.com/twmb/franz-go v")[1].split()[0]
        found["Go"] = _first_line(["go", "version"]).split()[2].removeprefix("go")
    return found


def _first_line(command: Sequence[str]) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return (done.stdout + done.stderr).splitlines()[0]


def _is_older(built: Path, source: Path) -> bool:
    return not built.exists() or built.stat().st_mtime < source.stat().st_mtime


def _run(command: Sequence[str], *, folder: Path = ROOT) -> None:
    done = subprocess.run(
        command, cwd=folder, capture_output=True, text=True, timeout=600, check=False
    )
    if done.returncode != 0:
        raise PeerFailed(f"{command[0]} failed:\n{(done.stdout + done.stderr)[-2000:]}")
