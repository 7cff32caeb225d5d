"""Work for the processes of multiprocessing and concurrent.futures, by a producer of the module's.

``python workers.py SERVERS METHOD WAY``; whoever works closes nothing.
"""

import multiprocessing
import os
import sys
from concurrent.futures import ProcessPoolExecutor

from pyproducer import ForkedProducer, SyncProducer

producer = SyncProducer(os.environ["SERVERS"], linger_ms=60_000)


def work(number):
    """Queue records; only the end of the process sends them."""
    for index in range(10):
        producer.enqueue("t", f"{number} {index}", key=str(index))
    return os.getpid()


def work_and_quit(number):
    work(number)
    sys.exit(3)


def refused(number):
    try:
        producer.send("t", "x")
    except ForkedProducer:
        return True
    return False


def main(method, way):
    context = multiprocessing.get_context(method)
    if way == "process":
        workers = [context.Process(target=work, args=(n,)) for n in range(3)]
        workers.append(context.Process(target=work_and_quit, args=(3,)))
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join(30)
        assert [worker.exitcode for worker in workers] == [0, 0, 0, 3]
    elif way == "futures":
        with ProcessPoolExecutor(2, mp_context=context) as pool:
            list(pool.map(work, range(4)))
    elif way == "pool":
        pool = context.Pool(2)
        pool.map(work, range(4))
        pool.close()
        pool.join()
    else:
        producer.send("one", "parent before")
        with ProcessPoolExecutor(2, mp_context=context) as pool:
            found = set(pool.map(refused, range(4)))
        # Only a fork takes the started producer along.
        assert found == {method == "fork"}, found
        producer.send("one", "parent after")
        producer.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
