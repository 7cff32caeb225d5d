"""Web applications whose module is loaded once, by gunicorn's master, and runs in its workers.

Each request queues records and answers with the worker's process id. Nothing is lingered for and
nothing closes the producer but the end of the worker.
"""

import os

from pyproducer import AsyncProducer, ProducerError, SyncProducer

SERVERS = os.environ["SERVERS"]
RECORDS = 10

producer = SyncProducer(SERVERS, linger_ms=60_000)

if "STARTED_BEFORE_FORK" in os.environ:
    producer.send("one", "master before")


def answer(start_response, text):
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(len(text)))])
    return [text.encode()]


def queueing(environ, start_response):
    """Queues records by the module's producer, which the first request starts."""
    # Records that had to wait for metadata would not linger.
    producer.partitions_for("t")
    for number in range(RECORDS):
        producer.enqueue("t", f"{environ['PATH_INFO']} {number}", key=str(number))
    return answer(start_response, str(os.getpid()))


def refused(environ, start_response):
    """Says what the module's producer, started by the master, raises in a worker."""
    found = []
    for call in (
        lambda: producer.send("one", "worker"),
        lambda: producer.enqueue_nowait("one", "worker"),
        producer.flush,
        producer.close,
    ):
        try:
            call()
        except ProducerError as error:
            found.append(type(error).__name__)
    with SyncProducer(SERVERS) as own:
        own.send("one", "worker's own")
    return answer(start_response, " ".join(found))


def on_exit(server):
    """gunicorn's hook: the master ends."""
    if "STARTED_BEFORE_FORK" in os.environ:
        producer.send("one", "master after")
        producer.close()


state = {}


async def asgi(scope, receive, send):
    """The same with the asyncio producer, opened and closed by the application's lifespan."""
    if scope["type"] == "lifespan":
        while True:
            message = await receive()
            if message["type"] == "lifespan.startup":
                state["producer"] = AsyncProducer(SERVERS, linger_ms=60_000)
                await state["producer"].start()
                await state["producer"].partitions_for("t")
                await send({"type": "lifespan.startup.complete"})
            else:
                await state["producer"].close()
                await send({"type": "lifespan.shutdown.complete"})
                return
    for number in range(RECORDS):
        await state["producer"].enqueue("t", f"{scope['path']} {number}", key=str(number))
    body = str(os.getpid()).encode()
    await send(
        {
            "type": "http.response.start",
            "status": 200,
            "headers": [(b"content-type", b"text/plain"), (b"content-length", b"%d" % len(body))],
        }
    )
    await send({"type": "http.response.body", "body": body})
