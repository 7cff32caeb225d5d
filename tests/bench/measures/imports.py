"""How long a program waits for its imports."""

from __future__ import annotations

import subprocess
import sys

from tests.bench.bytecode import IMPORTED, compile_sources
from tests.bench.driver_process import ROOT
from tests.bench.series import Key
from tests.bench.session import Session, rotated

NAME = "imports"

STATEMENTS = (
    "import pyproducer",
    "from pyproducer import AsyncProducer",
    "from pyproducer.broker import Broker",
    "from confluent_kafka import Producer",
    "from aiokafka import AIOKafkaProducer",
    "from kafka import KafkaProducer",
    "import asyncio",
)
_CODE = "import time; t = time.perf_counter(); {}; print(time.perf_counter() - t)"


def run(session: Session) -> None:
    """Each in a new interpreter that has imported nothing before, its files in the page cache."""
    compile_sources(*IMPORTED)
    rounds = session.scale.rounds * 3
    session.say(f"{NAME}: {rounds} rounds")
    for number in range(rounds + 1):
        for statement in rotated(STATEMENTS, number):
            took = float(
                subprocess.run(
                    [sys.executable, "-c", _CODE.format(statement)],
                    cwd=ROOT,
                    capture_output=True,
                    text=True,
                    check=True,
                ).stdout
            )
            if number:
                session.results.add(Key(NAME, "import", "none", statement, "ms"), took * 1e3)
