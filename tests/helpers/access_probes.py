"""Of every API what it takes, and what somebody is told who lacks it: one row for each need."""

from __future__ import annotations

from tests.helpers.access_probe import Probe
from tests.helpers.access_probes_cluster import CLUSTER_PROBES
from tests.helpers.access_probes_groups import GROUPS_PROBES
from tests.helpers.access_probes_topics import TOPICS_PROBES

PROBES: dict[str, Probe] = {**TOPICS_PROBES, **GROUPS_PROBES, **CLUSTER_PROBES}
