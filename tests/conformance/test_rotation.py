"""Certificates, passwords and tokens that change while 100,000 records are written: none is lost."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from pyproducer import AsyncProducer, AuthorizationError
from tests.helpers.authority import Authority, Identity
from tests.helpers.cluster_admin import Allowed, allow, forbid_all
from tests.helpers.read_back import read_foreign
from tests.helpers.scoreboard import Row, Scoreboard
from tests.helpers.secured import CHANGING, USER, USERS, Secured, access, principals

RECORDS = 100_000
CHUNK = 1_000
#: For all of it, on a machine that does much else.
SECONDS = 180.0


async def write_through(
    producer: AsyncProducer,
    topic: str,
    change: Callable[[], Awaitable[None]],
    enough: Callable[[], bool],
    seal: Callable[[], Awaitable[None]] | None = None,
) -> int:
    """Write in order, with the change after a third; returns how many records were acknowledged.

    It goes on beyond the 100,000 until the change is made and has had its effect. Then what was
    before is made impossible by ``seal``, and more is written.
    """
    sent = 0
    changing: asyncio.Task[None] | None = None
    async with asyncio.timeout(SECONDS):
        while sent < RECORDS or changing is None or not changing.done() or not enough():
            await producer.send_many(topic, [str(sent + one) for one in range(CHUNK)])
            sent += CHUNK
            if changing is None and sent * 3 >= RECORDS:
                changing = asyncio.ensure_future(change())
        await changing
        if seal is not None:
            await seal()
        # Once more with everything changed.
        await producer.send_many(topic, [str(sent + one) for one in range(CHUNK)])
    return sent + CHUNK


async def check(secured: Secured, scoreboard: Scoreboard, what: str, topic: str, sent: int) -> None:
    """A foreign consumer reads each record once and in order."""
    found = await asyncio.to_thread(read_foreign, secured.bootstrap_servers, [topic], timeout=60.0)
    values = [int(one.value) for one in found]
    difference = None
    if values != list(range(sent)):
        lost = sorted(set(range(sent)) - set(values))
        difference = f"{len(values)} instead of {sent}; lost {lost[:5]}"
    scoreboard.add(
        Row(
            f"AsyncProducer, {what}", secured.name, "confluent-kafka", "none", "all", sent,
            len(values), difference,
        )
    )  # fmt: skip


def put(target: Path, *sources: Path) -> None:
    """The file has the texts of the others, and never half of them."""
    new = target.with_suffix(".new")
    new.write_bytes(b"".join(source.read_bytes() for source in sources))
    new.replace(target)


async def test_certificates(
    secured: Secured,
    scoreboard: Scoreboard,
    tmp_path: Path,
) -> None:
    """
    The broker's certificate comes from another authority, ours is replaced, and connections break.

    Ours says another name than before, and in the end only the new name may write.
    """
    old, new = secured.certificates.authority, Authority(tmp_path, "new")
    ours = Identity(tmp_path / "own.pem", tmp_path / "own.key", tmp_path / "own.both.pem")
    trusted = tmp_path / "trusted.pem"

    def show(identity: Identity) -> None:
        put(ours.key, identity.key)
        put(ours.certificate, identity.certificate)

    names = ("before", "after")
    mine, renewed = (old.client(name) for name in names)
    before_it, after_it = (principals(name)[1] for name in names)
    show(mine)
    put(trusted, old.certificate)
    way = dataclasses.replace(access(secured, "BEHIND"), authority=trusted, shown=ours)
    topic = "rotation-certificates"
    await asyncio.to_thread(secured.create_topics, {topic: 1})
    for one in (before_it, after_it):
        rule = Allowed("TOPIC", topic, "WRITE")
        await asyncio.to_thread(allow, secured.bootstrap_servers, one, [rule])
    proxy = secured.proxy
    before = 0

    async def change() -> None:
        nonlocal before
        put(trusted, old.certificate, new.certificate)
        show(renewed)
        await asyncio.to_thread(secured.show, new.server("renewed"))
        await asyncio.to_thread(proxy.reset)
        put(trusted, new.certificate)
        before = proxy.accepted
        await asyncio.to_thread(proxy.reset)

    async def shut_out() -> None:
        await asyncio.to_thread(forbid_all, secured.bootstrap_servers, before_it)

    async with AsyncProducer(way.address, **way.ours()) as producer:
        sent = await write_through(
            producer, topic, change, lambda: proxy.accepted > before > 0, shut_out
        )
        # Who comes with the certificate of before is told so: that is how it differs.
        show(mine)
        put(trusted, new.certificate)
        async with AsyncProducer(way.address, **way.ours()) as late:
            with pytest.raises(AuthorizationError):
                await late.send(topic, "by another name")
    await asyncio.to_thread(forbid_all, secured.bootstrap_servers, after_it)

    await check(secured, scoreboard, "new certificates", topic, sent)


async def test_password(secured: Secured, scoreboard: Scoreboard) -> None:
    """
    A password changes on the broker, and a moment later in what gives it to the producer.
    """
    way = access(secured, "BRIEF", "SCRAM-SHA-512", CHANGING)
    topic = "rotation-password"
    await asyncio.to_thread(secured.create_topics, {topic: 1})
    old, new = USERS[CHANGING], "another-password"
    known = old
    given: list[str] = []

    def password() -> str:
        given.append(known)
        return known

    async def change() -> None:
        nonlocal known
        await asyncio.to_thread(secured.set_password, CHANGING, new)
        # Sessions end meanwhile, and cannot be renewed.
        before = len(given)
        while len(given) < before + 2:
            await asyncio.sleep(0.01)
        known = new

    options = {**way.ours(), "sasl_password": password}
    try:
        async with AsyncProducer(way.address, **options) as producer:
            sent = await write_through(producer, topic, change, lambda: given.count(new) > 1)
    finally:
        await asyncio.to_thread(secured.set_password, CHANGING, old)

    await check(secured, scoreboard, "new password", topic, sent)


async def test_tokens(secured: Secured, scoreboard: Scoreboard) -> None:
    """
    Tokens end every second, and for a while there are no new ones.
    """
    way = access(secured, "BRIEF", "OAUTHBEARER")
    topic = "rotation-tokens"
    await asyncio.to_thread(secured.create_topics, {topic: 1})
    failing = False
    made = failed = 0

    def token() -> str:
        nonlocal made, failed
        if failing:
            failed += 1
            raise OSError("the identity provider is away")
        made += 1
        return secured.tokens.token(USER, lifetime=1.0)

    async def change() -> None:
        nonlocal failing
        failing = True
        while failed < 5:
            await asyncio.sleep(0.01)
        failing = False

    options = dataclasses.replace(way, token=token).ours()
    async with AsyncProducer(way.address, **options) as producer:
        sent = await write_through(producer, topic, change, lambda: made > 6)

    await check(secured, scoreboard, "tokens of a second", topic, sent)
