"""A process that appends to a log until it is killed, telling each acknowledged batch.

Run ``python -m tests.helpers.appending_process DIRECTORY``: for each batch it prints base offset
and sequence once the append returned, so that whoever reads the lines knows what must be found.
"""

from __future__ import annotations

import sys
from pathlib import Path

from tests.helpers.partition_logs import batch, open_log, put

#: How many records each batch has; every third batch is large enough to span many pages.
COUNT = 3
SETTINGS = {"segment_bytes": 200_000, "index_interval_bytes": 512}


def main() -> None:
    log = open_log(Path(sys.argv[1]), **SETTINGS)
    sequence = log.producers()[0].last_sequence + 1 if log.producers() else 0
    while True:
        size = 20_000 if sequence % 9 == 0 else 200
        data = batch(COUNT, value=b"%d." % sequence * (size // 8), producer=(5, 0, sequence))
        result = put(log, data, leader_epoch=sequence // 300)
        print(result.base_offset, sequence, flush=True)
        sequence += COUNT


if __name__ == "__main__":
    main()
