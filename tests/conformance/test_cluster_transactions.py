"""Transactions on three Apache Kafka brokers, struck at every step, in both protocols.

A read_committed consumer sees committed transactions whole and aborted ones not at all, the
group's offset is that of the last commit, and where nobody can tell the producer says so.
"""

from __future__ import annotations

import asyncio

import pytest

from pyproducer import AsyncProducer
from pyproducer.protocol.api import ApiKey
from tests.helpers.history import Verdict, check, table
from tests.helpers.kafka_cluster import KafkaCluster
from tests.helpers.read_back import read_foreign
from tests.helpers.scoreboard import Scoreboard
from tests.helpers.transaction_trials import STEPS_V0, STEPS_V2, Trials, all_trials

pytestmark = pytest.mark.needs("kafka")

TOPICS = {"orders": 2, "payments": 1}

#: What `transaction.version` is finalized at, and the requests that transactions are made of then.
PROTOCOLS = {2: STEPS_V2, 0: STEPS_V0}


async def run_trials(level: int, steps: tuple[ApiKey, ...]) -> tuple[Trials, Verdict]:
    """Strike at every step on a cluster of its own, and compare with what is read there."""
    cluster = KafkaCluster(trapped=True, features={"transaction.version": level})
    await asyncio.to_thread(cluster.__enter__)
    try:
        trials = Trials(
            cluster,
            TOPICS,
            lambda name: AsyncProducer(
                cluster.bootstrap_servers,
                transactional_id=name,
                delivery_timeout_ms=30_000,
                request_timeout_ms=2000,
            ),
        )
        await trials.prepare()
        for trial in all_trials(steps):
            try:
                await trials.run(trial)
            except BaseException as error:
                told = "\n".join(trials.log[-5:])
                error.add_note(f"{trial}, with transaction.version {level}, after\n{told}")
                raise
        await trials.close()
        await asyncio.to_thread(cluster.wait_no_transactions, TOPICS)
        read = await asyncio.to_thread(read_foreign, cluster.inside_servers, TOPICS)
    finally:
        await asyncio.to_thread(cluster.__exit__, None, None, None)
    return trials, check(trials.history, read, faults=trials.faults.total())


async def test_transactions_are_whole_whatever_strikes(scoreboard: Scoreboard):
    """
    Clients are cut off and fenced, brokers killed and paused, at each request of a transaction.
    """
    # Most of the time is spent waiting for one broker to come back: both protocols do it at once.
    async with asyncio.TaskGroup() as group:
        runs = {
            level: group.create_task(run_trials(level, steps)) for level, steps in PROTOCOLS.items()
        }

    rows, note = {}, ["transactions, struck at every step and read by read_committed"]
    for level, run in runs.items():
        trials, verdict = run.result()
        rows[f"transaction.version {level}"] = verdict.counts
        harms = ", ".join(f"{count} {harm}" for harm, count in trials.faults.items())
        note.append(f"with transaction.version {level}: {harms}")
    scoreboard.note("\n".join([*note, *table(rows)]))
    for level, run in runs.items():
        _, verdict = run.result()
        verdict.assert_clean()
        # The one in peace of each trial; and some that were struck went through, some did not.
        assert verdict.counts.committed > len(list(all_trials(PROTOCOLS[level])))
        assert verdict.counts.aborted > len(list(all_trials(PROTOCOLS[level])))
        assert verdict.counts.unknown > 0
