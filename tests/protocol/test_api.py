"""The table of APIs."""

from __future__ import annotations

import subprocess
import sys

import pytest
from kio.schema.index import api_key_map

from pyproducer.protocol.api import API, ApiKey, negotiate


def test_keys_and_names_are_kafkas():
    """Every API has the key that kio has for its name, and its enum member is that name."""
    for key, api in API.items():
        assert api_key_map[key] == api.module
        assert ApiKey(key).name.lower() == api.module
        assert api.key is ApiKey(key)
    assert list(API) == list(ApiKey)


@pytest.mark.parametrize(
    ("ours", "theirs", "version"),
    [
        (range(3, 14), range(12), 11),
        (range(3, 8), range(12), 7),
        (range(3, 14), range(13, 20), 13),
        (range(3, 14), range(3), None),
        (range(3), range(3, 14), None),
        (range(5, 6), range(5, 6), 5),
        (range(0), range(5), None),
    ],
)
def test_negotiate(ours, theirs, version):
    """The newest version that both have, or None."""
    assert version == negotiate(ours, theirs)


def test_messages_are_imported_on_demand():
    """
    Importing the table and the connection imports the handshake's messages only, and those of
    Produce, which have a straight path of their own.
    """
    # The package's own __init__ imports the producer, which needs more; a bare one stands in.
    program = (
        "import importlib.util, sys, types\n"
        "bare = types.ModuleType('pyproducer')\n"
        "bare.__path__ = importlib.util.find_spec('pyproducer').submodule_search_locations\n"
        "sys.modules['pyproducer'] = bare\n"
        "import pyproducer.protocol.connection\n"
        "names = sorted(m.rpartition('.')[2] for m in sys.modules if '.messages.' in m)\n"
        "print(*names)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert ["api_versions", "index", "produce"] == done.stdout.split()
