"""A web service that says 503 when its send buffer is full, instead of piling up memory.

enqueue_nowait never waits: there is room in buffer_memory, or it raises BufferFull at once. A
handler passes that on as 503 with Retry-After, so that the load balancer or the caller slows
down, and the service keeps its memory and its answer times.

    python examples/web_handler.py [BOOTSTRAP_SERVERS]

Needs aiohttp (pip install 'pyproducer[cli]'). The example starts the service on a free port and
plays its clients: first at an ordinary pace, then with more than the buffer can hold.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator

from _cluster import Cluster, cluster
from aiohttp import ClientSession, web

from pyproducer import AsyncProducer, BufferFull, RecordTooLarge, UnknownTopic

TOPIC = "clicks"
PRODUCER = web.AppKey("producer", AsyncProducer)


async def accept(request: web.Request) -> web.Response:
    """POST /clicks: 202 queued, 413 too large, 503 no room now."""
    body = await request.read()
    try:
        request.app[PRODUCER].enqueue_nowait(TOPIC, body, key=request.query.get("user"))
    except BufferFull:
        return web.Response(status=503, headers={"Retry-After": "1"}, text="full, try later\n")
    except RecordTooLarge as error:
        return web.Response(status=413, text=f"at most {error.limit} bytes\n")
    return web.Response(status=202)


def application(bootstrap_servers: str) -> web.Application:
    """Return the service; its producer lives exactly as long as it serves."""

    async def producer_of(app: web.Application) -> AsyncIterator[None]:
        # A small buffer, so that the example can fill it: 64 MiB is the default. The long
        # linger keeps the records in it.
        async with AsyncProducer(
            bootstrap_servers,
            buffer_memory=200_000,
            max_request_size=100_000,
            linger_ms=2_000,
            batch_size=None,
        ) as producer:
            try:
                # Ask for the topic before the first request does, so that a wrong name stops
                # the service from starting.
                await producer.partitions_for(TOPIC)
            except UnknownTopic as error:
                raise SystemExit(str(error)) from error
            app[PRODUCER] = producer
            yield

    app = web.Application()
    app.add_routes([web.post("/clicks", accept)])
    app.cleanup_ctx.append(producer_of)
    return app


async def clients(url: str) -> tuple[Counter[int], Counter[int]]:
    """Play clients, and return the status codes of a quiet and of a busy time."""
    async with ClientSession() as session:

        async def click(size: int) -> int:
            async with session.post(url, data=b"x" * size, params={"user": "1"}) as response:
                return response.status

        quiet = Counter([await click(100) for _ in range(20)])
        busy = Counter(await asyncio.gather(*(click(10_000) for _ in range(100))))
    return quiet, busy


async def main(place: Cluster) -> None:
    """Serve, be called, stop; then compare what was accepted with what arrived."""
    runner = web.AppRunner(application(place.bootstrap_servers))
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    quiet, busy = await clients(f"http://127.0.0.1:{runner.addresses[0][1]}/clicks")
    await runner.cleanup()  # closes the producer, which delivers what it accepted
    print(f"quiet: {dict(quiet)}; busy: {dict(busy)}")
    assert quiet == {202: 20}
    assert set(busy) == {202, 503}
    accepted = quiet[202] + busy[202]
    if place.broker:
        assert len(place.arrived(TOPIC)) == accepted
    print(f"{accepted} accepted and delivered, {busy[503]} told to come back")


if __name__ == "__main__":
    with cluster({TOPIC: 1}) as found:
        asyncio.run(main(found))
