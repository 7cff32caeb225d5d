"""A Celery application whose tasks use the module's producer, over a folder as its broker.

``python tasks.py NAME COUNT`` asks for so many tasks of this name.
"""

import os
import sys
from pathlib import Path

from celery import Celery
from celery.signals import worker_init, worker_process_shutdown, worker_shutdown

from pyproducer import ProducerError, SyncProducer

FOLDER = Path(os.environ["FOLDER"])
SERVERS = os.environ["SERVERS"]

app = Celery("tasks", broker="filesystem://")
app.conf.update(
    broker_transport_options={
        "data_folder_in": str(FOLDER / "queue"),
        "data_folder_out": str(FOLDER / "queue"),
        "control_folder": str(FOLDER / "control"),
    },
    task_ignore_result=True,
    worker_hijack_root_logger=False,
)

producer = SyncProducer(SERVERS, linger_ms=60_000)


@app.task(name="queue")
def queue(number):
    """Queues records that leave only when the process ends."""
    # Records that had to wait for metadata would not linger.
    producer.partitions_for("t")
    for index in range(10):
        producer.enqueue("t", f"{number} {index}", key=str(index))
    Path(FOLDER / "done" / f"{os.getpid()}-{number}").touch()


@app.task(name="refused")
def refused(number):
    """Says what the module's producer, started by the parent, raises."""
    found = []
    for call in (lambda: producer.send("one", "task"), producer.flush, producer.close):
        try:
            call()
        except ProducerError as error:
            found.append(type(error).__name__)
    with SyncProducer(SERVERS) as own:
        own.send("one", f"{number} {' '.join(found)}")
    Path(FOLDER / "done" / f"{os.getpid()}-{number}").touch()


if "STARTED_BEFORE_FORK" in os.environ:

    @worker_init.connect
    def before(**_):
        producer.send("one", "parent before")

    @worker_shutdown.connect
    def after(**_):
        producer.send("one", "parent after")
        producer.close()

else:
    # The processes of Celery's pool end without the interpreter's own exit.
    @worker_process_shutdown.connect
    def close(**_):
        producer.close()


if __name__ == "__main__":
    for n in range(int(sys.argv[2])):
        app.send_task(sys.argv[1], [n])
