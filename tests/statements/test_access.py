"""What every API takes, and what is told to whoever lacks it (N8)."""

from __future__ import annotations

import pytest

from tests.helpers.access_probe import AUTHORIZATION_FAILED, Place
from tests.helpers.access_probes import PROBES
from tests.helpers.acl_requests import (
    create_acls,
    describe_acls,
)
from tests.helpers.statement_servers import eventually
from tests.helpers.wire_client import WireClient


@pytest.mark.parametrize("name", PROBES)
def test_n8_every_api(name: str, nobody: WireClient, admin: WireClient, place: Place):
    """
    Without one thing that an API takes the client is told so, and with it it is not.
    """
    probe = PROBES[name]

    def seen() -> object:
        return probe.sees(nobody.ask(probe.request(place), probe.version), place)

    *given, lacking = [place.acl(need, missing=probe.missing) for need in probe.needs]
    if given:
        create_acls(admin, *given)
        eventually(lambda: set(given) <= describe_acls(admin))
    last: list[object] = []

    def denied() -> bool:
        last[:] = [seen()]
        return last[0] == probe.denied

    # Kafka's controller learns of a rule at another moment than its broker.
    try:
        eventually(denied, timeout=5 if given else 0)
    except AssertionError:
        assert last[0] == probe.denied
    create_acls(admin, lacking)
    eventually(lambda: lacking in describe_acls(admin))

    def allowed() -> bool:
        last[:] = [seen()]
        if probe.allowed is not None:
            return last[0] == probe.allowed
        return not AUTHORIZATION_FAILED & set(_numbers(last[0]))

    try:
        eventually(allowed, timeout=5)
    except AssertionError:
        assert last[0] == probe.allowed


def _numbers(seen: object) -> list[int]:
    assert isinstance(seen, list)
    return seen
