"""Fixtures for pytest: a Kafka broker per test, or one for the whole run.

    @pytest.mark.kafka(topics={"orders": 3})
    def test_orders(kafka_broker):
        client = AnyKafkaClient(kafka_broker.bootstrap_servers)

The report of a test that fails has the newest requests to its broker, 20 unless the setting
`kafka_journal_lines` says otherwise.

pytest loads this module at every start, so nothing of the broker is imported before a test asks.
"""

from __future__ import annotations

import sys
from collections.abc import Generator, Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final

import pytest

if TYPE_CHECKING:
    from pyproducer.broker import Broker

__all__ = ["kafka_broker", "kafka_broker_session"]

_MARKER: Final = "kafka"
_LINES: Final = "kafka_journal_lines"
_SESSION_FIXTURE: Final = "kafka_broker_session"
_HELP: Final = (
    f"{_MARKER}(topics={{'name': partitions}}, config={{'property': 'value'}}): topics and broker "
    f"configurations of the fixtures kafka_broker and {_SESSION_FIXTURE}"
)


def pytest_addoption(parser: pytest.Parser) -> None:
    """The setting is known."""
    parser.addini(
        _LINES,
        "How many requests to a broker of a failed test its report shows; 0 is none",
        default="20",
    )


def pytest_configure(config: pytest.Config) -> None:
    """The marker is known."""
    config.addinivalue_line("markers", _HELP)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """A failed test's report has the newest requests to each broker among its fixtures."""
    report = yield
    # Whoever has a broker has imported it; nobody else shall.
    broker = sys.modules.get("pyproducer.broker")
    if report.when == "call" and report.failed and broker is not None:
        wanted = int(item.config.getini(_LINES))
        for name, value in getattr(item, "funcargs", {}).items():
            if wanted and isinstance(value, broker.Broker):
                entries = value.journal.requests(last=wanted)
                text = "\n".join(map(str, entries)) or "it was asked nothing"
                report.sections.append((f"newest requests to {name}", text))
    return report


@pytest.fixture
def kafka_broker(request: pytest.FixtureRequest) -> Iterator[Broker]:
    """A Kafka broker for this test alone, with the topics and config of its `kafka` markers."""
    yield from _running(_Wanted().of(request.node))


@pytest.fixture(scope="session")
def kafka_broker_session(request: pytest.FixtureRequest) -> Iterator[Broker]:
    """One Kafka broker for all tests of the run that ask for it.

    It has what the `kafka` markers of all these tests want together; two that want the same topic
    or configuration differently cannot share it.
    """
    wanted = _Wanted()
    for item in request.session.items:
        if _SESSION_FIXTURE in getattr(item, "fixturenames", ()):
            wanted.of(item, shared=True)
    yield from _running(wanted)


class _Wanted:
    """What markers want of a broker."""

    def __init__(self) -> None:
        self.topics: dict[str, Any] = {}
        self.config: dict[str, str] = {}
        self._said_by: dict[tuple[str, str], str] = {}

    def of(self, item: pytest.Item, *, shared: bool = False) -> _Wanted:
        """What the item's markers want is added; of its own the closest one holds.

        Raises:
            pytest.UsageError: A marker cannot be understood, or contradicts that of another item.
        """
        topics: dict[str, Any] = {}
        config: dict[str, str] = {}
        for marker in item.iter_markers(_MARKER):
            unknown = set(marker.kwargs) - {"topics", "config"}
            if marker.args or unknown:
                what = ", ".join(sorted(unknown)) or f"the arguments {marker.args}"
                raise pytest.UsageError(
                    f"{item.nodeid}: the marker {_MARKER} takes topics= and config=, not {what}"
                )
            topics = {**_by_name(marker.kwargs.get("topics", {})), **topics}
            config = {**marker.kwargs.get("config", {}), **config}
        for name, kind, known, new in (
            ("topic", "topics", self.topics, topics),
            ("configuration", "config", self.config, config),
        ):
            for key, value in new.items():
                if shared and known.get(key, value) != value:
                    raise pytest.UsageError(
                        f"{item.nodeid} wants {name} {key!r} as {value!r}, and "
                        f"{self._said_by[kind, key]} as {known[key]!r}: they cannot share "
                        f"{_SESSION_FIXTURE}"
                    )
                known[key] = value
                self._said_by[kind, key] = item.nodeid
        return self


def _by_name(topics: Any) -> dict[str, Any]:
    """Partition counts by name as they are, `TopicSpec`s by their names."""
    if isinstance(topics, Mapping):
        return dict(topics)
    return {one.name: one for one in topics}


def _running(wanted: _Wanted) -> Iterator[Broker]:
    from pyproducer.broker import Broker, TopicSpec

    topics = [
        TopicSpec(name, one) if isinstance(one, int) else one for name, one in wanted.topics.items()
    ]
    with Broker(topics, config=wanted.config) as broker:
        yield broker
