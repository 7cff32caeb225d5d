"""One token for all connections, renewed before it ends, with the provider's failures told once."""

from __future__ import annotations

import asyncio
import logging
import threading
from functools import partial

import pytest

from pyproducer import AsyncProducer, ProducerConfig
from pyproducer.errors import InvalidToken, ProducerClosed, ProviderFailed
from pyproducer.net.credentials import Credentials, TokenKeeper
from pyproducer.security import Token

NEVER = 10_000.0


class Time:
    """A clock that a test sets."""

    def __init__(self):
        self.now = 100.0

    def monotonic(self):
        return self.now

    def wall_ms(self):
        return int(1_700_000_000_000 + self.now * 1000)


class Provider:
    """Numbered tokens, or what it is told to raise."""

    def __init__(self, lifetime=NEVER):
        self.lifetime = lifetime
        self.asked = 0
        self.error = None
        self.slow = None

    async def __call__(self):
        self.asked += 1
        number = self.asked
        if self.slow is not None:
            await self.slow.wait()
        if self.error is not None:
            raise self.error
        return Token(f"token-{number}", lifetime=self.lifetime)


async def until(condition):
    async with asyncio.timeout(60):
        while not condition():
            await asyncio.sleep(0.005)


async def test_connections_share_one_token():
    """
    However many ask at once, the provider is asked once, and not again while the token is good.
    """
    provider = Provider()
    provider.slow = asyncio.Event()
    keeper = TokenKeeper(provider, Time())
    waiting = [asyncio.ensure_future(keeper.get()) for _ in range(20)]
    await until(lambda: provider.asked)
    provider.slow.set()
    tokens = await asyncio.gather(*waiting)
    tokens.append(await keeper.get())

    assert {"token-1"} == {token.value for token in tokens}
    assert 1 == provider.asked
    assert set() == keeper.close()


async def test_one_who_gives_up_does_not_stop_the_others():
    """
    A connection that is called off takes nothing away from those that wait for the same token.
    """
    provider = Provider()
    provider.slow = asyncio.Event()
    keeper = TokenKeeper(provider, Time())
    first, second = asyncio.ensure_future(keeper.get()), asyncio.ensure_future(keeper.get())
    await until(lambda: provider.asked)
    first.cancel()
    provider.slow.set()

    assert "token-1" == (await second).value
    assert first.cancelled()
    keeper.close()


async def test_a_token_is_renewed_while_nobody_asks():
    """
    At 80 % of its life the next one is got, whether anything is sent or not.
    """
    provider = Provider(lifetime=0.5)
    keeper = TokenKeeper(provider, Time())
    await keeper.get()
    asked = asyncio.get_running_loop().time()
    await until(lambda: provider.asked == 3)
    # Twice 0.4 s, on a clock that may be late but never early.
    assert asyncio.get_running_loop().time() - asked >= 0.79
    await until(lambda: keeper._asking is None)

    assert "token-3" == (await keeper.get()).value
    keeper.close()


async def test_a_failure_is_told_once_while_the_old_token_is_good(caplog):
    """
    The old token goes on being used, the provider is asked again, and the log says so once.
    """
    caplog.set_level(logging.INFO, "pyproducer.net")
    provider, time = Provider(lifetime=0.5), Time()
    keeper = TokenKeeper(provider, time)
    await keeper.get()
    provider.error = OSError("down")
    provider.lifetime = NEVER
    await until(lambda: provider.asked == 3)

    assert "token-1" == (await keeper.get()).value
    provider.error = None
    await until(lambda: provider.asked == 4)
    await until(lambda: keeper._asking is None)
    assert "token-4" == (await keeper.get()).value
    told = [one for one in caplog.records if one.name == "pyproducer.net"]
    assert [logging.WARNING, logging.INFO] == [one.levelno for one in told]
    assert "OSError: down; asking again" in told[0].getMessage()
    keeper.close()


async def test_a_failure_is_raised_once_the_old_token_has_ended():
    """
    Without a good token whoever needs one gets the provider's error, each a copy of its own.
    """
    provider, time = Provider(lifetime=50.0), Time()
    keeper = TokenKeeper(provider, time)
    await keeper.get()
    provider.error = OSError("down")
    time.now += 60
    for _ in range(2):
        with pytest.raises(ProviderFailed, match="OSError: down") as caught:
            await keeper.get()
        assert isinstance(caught.value.__cause__, OSError)
    provider.error = None

    assert (await keeper.get()).value.startswith("token-")
    keeper.close()


@pytest.mark.parametrize(
    ("made", "cls", "text"),
    [
        ("a str", ProviderFailed, "must give a pyproducer.security.Token, not str"),
        (Token("abc", expires_at=5.0), InvalidToken, "has expired"),
    ],
)
async def test_what_is_no_good_token(made, cls, text):
    """
    What a provider gives is looked at before it is shown to a broker.
    """
    keeper = TokenKeeper(lambda: made, Time())
    with pytest.raises(cls, match=text):
        await keeper.get()
    keeper.close()


async def test_plain_functions_run_in_threads():
    """
    A function that takes its time does not hold up the event loop; a coroutine runs on it.
    """
    threads = []

    def plain():
        threads.append(threading.current_thread())
        return Token("abc", lifetime=60)

    async def coroutine(name):
        threads.append(threading.current_thread())
        return Token(name, lifetime=60)

    for provider in (plain, partial(coroutine, "abc"), lambda: coroutine("abc")):
        keeper = TokenKeeper(provider, Time())
        assert "abc" == (await keeper.get()).value
        keeper.close()

    assert threads[0] is not threading.main_thread()
    assert [threading.main_thread()] * 2 == threads[1:]


async def test_closing_takes_back_a_question():
    """
    A provider that is being asked when the producer closes is not waited for.
    """
    provider = Provider()
    provider.slow = asyncio.Event()
    keeper = TokenKeeper(provider, Time())
    waiting = asyncio.ensure_future(keeper.get())
    await until(lambda: provider.asked)
    left = keeper.close()
    await asyncio.wait(left)

    with pytest.raises(ProviderFailed, match="closed"):
        await waiting


def config(**options):
    return ProducerConfig(
        security_protocol="SASL_SSL", sasl_mechanism="PLAIN", sasl_username="alice", **options
    )


async def test_a_password_is_asked_for_each_time():
    """
    A callable password gives what holds now, awaited or not.
    """
    passwords = iter(["one", "two", "three"])

    async def later():
        return next(passwords)

    for password in (lambda: next(passwords), later):
        credentials = Credentials(config(sasl_password=password), Time())
        said = (await credentials.get())("host").step(None)
        assert said in {b"\0alice\0one", b"\0alice\0two"}
    assert "three" == next(passwords)


@pytest.mark.parametrize(
    ("password", "text"),
    [
        (lambda: 1 / 0, "sasl_password raised ZeroDivisionError"),
        (lambda: None, "must be a non-empty str, not NoneType"),
        (lambda: "with\0nul", "must be a non-empty str"),
    ],
)
async def test_a_password_that_cannot_be_had(password, text):
    """
    What a callable password fails by is told, and nothing that it gave.
    """
    with pytest.raises(ProviderFailed, match=text) as caught:
        await Credentials(config(sasl_password=password), Time()).get()
    assert "nul" not in str(caught.value)


async def test_closing_does_not_wait_for_a_password(port, front, authority):
    """
    A password that takes its time in a thread holds up neither the close nor the next start.
    """
    answer = threading.Event()

    def password():
        answer.wait(30)
        return "late"

    producer = AsyncProducer(
        front.address,
        security_protocol="SASL_SSL",
        ssl_ca=authority.certificate,
        sasl_mechanism="PLAIN",
        sasl_username="alice",
        sasl_password=password,
    )
    starting = asyncio.ensure_future(producer.start())
    await asyncio.sleep(0)
    async with asyncio.timeout(20):
        await producer.close()
    with pytest.raises(ProducerClosed):
        await starting
    answer.set()
