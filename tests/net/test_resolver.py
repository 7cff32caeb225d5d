"""Host names to addresses."""

from __future__ import annotations

import asyncio
import socket

import pytest

from pyproducer.errors import ConnectionFailed
from pyproducer.net.resolver import Resolver
from tests.helpers.network import Names, resolver_threads, wait_for_threads


@pytest.fixture
def names(monkeypatch: pytest.MonkeyPatch) -> Names:
    """A name service of the test's own."""
    return Names(monkeypatch)


async def ips(resolver: Resolver, host: str) -> list[str]:
    return [address.ip for address in await resolver.addresses(host, 9092)]


async def test_address_needs_no_lookup(names):
    """
    A host that is an address is taken as it is, whatever the name service does.
    """
    names.hold.clear()
    resolver = Resolver(asyncio.get_running_loop())
    [four] = await resolver.addresses("10.1.2.3", 9092)
    [six] = await resolver.addresses("fd00::1", 9093)

    assert (socket.AF_INET, ("10.1.2.3", 9092)) == (four.family, four.sockaddr)
    assert (socket.AF_INET6, ("fd00::1", 9093)) == (six.family, six.sockaddr[:2])


async def test_families_take_turns(names):
    """
    A network without IPv6 costs one attempt, not one for each IPv6 address; each comes once.
    """
    names["kafka"] = ["fd00::1", "fd00::2", "fd00::1", "10.0.0.1", "10.0.0.2", "10.0.0.3"]
    resolver = Resolver(asyncio.get_running_loop())

    assert ["fd00::1", "10.0.0.1", "fd00::2", "10.0.0.2", "10.0.0.3"] == await ips(
        resolver, "kafka"
    )


async def test_address_that_did_not_work_comes_last(names):
    """
    Those that failed stand behind the others, the longest ago first, until they work again.
    """
    names["kafka"] = ["10.0.0.1", "10.0.0.2", "10.0.0.3"]
    resolver = Resolver(asyncio.get_running_loop())
    one, two, _ = await resolver.addresses("kafka", 9092)
    resolver.blame(one)
    assert ["10.0.0.2", "10.0.0.3", "10.0.0.1"] == await ips(resolver, "kafka")
    resolver.blame(two)
    assert ["10.0.0.3", "10.0.0.1", "10.0.0.2"] == await ips(resolver, "kafka")
    resolver.blame(one)
    assert ["10.0.0.3", "10.0.0.2", "10.0.0.1"] == await ips(resolver, "kafka")
    resolver.trust(one)

    assert ["10.0.0.1", "10.0.0.3", "10.0.0.2"] == await ips(resolver, "kafka")


async def test_names_are_looked_up_anew(names):
    """
    Nothing is remembered of what a name meant before.
    """
    names["kafka"] = ["10.0.0.1"]
    resolver = Resolver(asyncio.get_running_loop())
    await ips(resolver, "kafka")
    names["kafka"] = ["10.0.0.9"]

    assert ["10.0.0.9"] == await ips(resolver, "kafka")


async def test_one_lookup_for_all_who_ask(names):
    """
    While a name is looked up others join in, and who gives up takes nothing from them.
    """
    names["kafka"] = ["10.0.0.1"]
    names.hold.clear()
    resolver = Resolver(asyncio.get_running_loop())
    asking = [asyncio.create_task(ips(resolver, "kafka")) for _ in range(10)]
    await asyncio.sleep(0)
    assert 1 == wait_for_threads(1)
    asking[0].cancel()
    names.hold.set()

    assert [["10.0.0.1"]] * 9 == await asyncio.gather(*asking[1:])
    assert ["kafka"] == names.asked
    assert 0 == wait_for_threads(0)


def test_lookup_outlives_its_loop(names):
    """
    A lookup that ends after its loop did disturbs nobody.
    """
    names["kafka"] = ["10.0.0.1"]
    names.hold.clear()

    async def ask() -> None:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await ips(Resolver(asyncio.get_running_loop()), "kafka")

    asyncio.run(ask())
    assert 1 == len(resolver_threads())
    names.hold.set()

    assert 0 == wait_for_threads(0)


@pytest.mark.parametrize(
    ("host", "port", "text"),
    [
        ("nowhere", 9092, "'nowhere' cannot be resolved: Name or service not known"),
        ("a" * 70 + ".example", 9092, "is no host name: .*label"),
        ("a\0b", 9092, r"'a\\x00b' is no host name"),
        ("", 9092, "there is no host to connect to"),
        ("kafka", 0, "0 is no port"),
        ("kafka", 70_000, "70000 is no port"),
        ("kafka", -1, "-1 is no port"),
    ],
)
async def test_what_is_no_address(names, host, port, text):
    """
    Whatever a broker advertises, the error is the typed one and says what is wrong with it.
    """
    names["nowhere"] = []
    with pytest.raises(ConnectionFailed, match=text):
        await Resolver(asyncio.get_running_loop()).addresses(host, port)
