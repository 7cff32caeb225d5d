"""Pages made while the site is built, from the code, its tests and the changelog."""

from __future__ import annotations

import ast
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from mkdocs.structure.files import File, Files

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from mkdocs.config.defaults import MkDocsConfig

ROOT = Path(__file__).resolve().parent.parent

# The pages are made from the sources beside this file, whatever else is installed.
if str(ROOT) not in sys.path:
    sys.path.insert(0, str(ROOT))

ERROR_CODES = """\
# Error codes

What the producer does with every error code of the Kafka protocol.
These tables are made from the ones that it obeys, and tests go through every row.

- **the batch is**: what becomes of the records that got the code.
- **in the log**: whether the broker may have written them all the same.
  It decides `maybe_written` of the error, and whether a batch may get new sequence numbers.
- **`retriable`**: whether a record that failed by the code may be taken when you send it again.
- **at the end**: what the caller gets.
  `DeliveryTimeout` comes only where the code goes on for `delivery_timeout_ms`.
  With `retries` set, it is `BrokerRejected` as soon as they are used up.

What happens to the records behind such a batch stands in
[Delivery and its guarantees](../guides/delivery.md).

## In the answer to Produce

{produce}

Without idempotence there are no sequence numbers to recognise a batch by, or to lose.
`DUPLICATE_SEQUENCE_NUMBER` then fails a batch, and so does a code by which others are {recover}.

A connection that breaks, or is given up after `request_timeout_ms`, does to a batch what
`NETWORK_EXCEPTION` does.

## Codes that Produce does not have

They belong to other requests.
Should a broker give one to a batch, or a code that is not in Kafka yet, nobody can tell what it
did, so the log may have the batch.
It is sent again where Kafka calls the code retriable, and fails otherwise.

{others}

## In the answer to InitProducerId

An idempotent producer asks for its producer id before it sends its first record, so that nothing
is in any log then.
What may pass is asked again until the records' time is up; their `DeliveryTimeout` names the code.
These codes say that a right is missing: the records that wait fail with `BrokerRejected` or a class
of it, and the id is asked for again with the next ones, so that the producer goes on once the right
is given.

{denials}

These stop the producer: every record fails with `BrokerRejected`, and so does every call
after it.

{stops}

## With a transactional id

A record that fails has its transaction aborted: the commit raises `TransactionError` with
`abort_required`, and the next transaction is a new one.
Only the coordinator gives a producer with a transactional id its next epoch, so a code by which
others are {recover} fails the batch.
In the answer to Produce these codes differ:

{transactional}

Coordinators answer the requests that find them, get a producer id, add partitions and offsets to
the transaction, and end it.
What the producer does then:

{remedies}

- **again**: it asks again after a pause, for as long as the call may wait.
- **find**: it finds out where the coordinator is, and asks again.
- **abort**: it takes no more records for this transaction, which has to be aborted.
  The commit raises `TransactionError` with `abort_required`.
- **renew**: the same, and the next transaction has a new epoch.
- **denied**: `start()` raises `TransactionError` or a class of it, and may be called again.
  After the start it is fatal.
- **fenced**: another producer has taken over the transactional id, or the transaction took longer
  than `transaction_timeout_ms`.
  In the second case the transaction has to be aborted; in the first, every call raises
  `ProducerFenced`.
- **fatal**: every call raises `TransactionError` with `fatal`.
  A code that is not in the table is fatal.
"""

CONFORMANCE = """\
# How like Kafka the broker is

What a correct broker does, statement by statement, and where the embedded one does something else.
This page is made from the tests in `tests/statements`: each row is a test, which runs against the
embedded broker in `make test`, and against Apache Kafka {release} too in `make conformance`.
A row with **like Kafka** is a test that both pass as it stands.
Where it says **differs**, the test holds what each of them does.

{count} tests of {statements} statements; {different} of them differ.
"""

#: What the letter of a statement stands for, in the order of the page.
SUBJECTS = {
    "c": "Connections and requests",
    "p": "Produce",
    "z": "Recompression",
    "i": "Idempotent producers",
    "x": "Transactions",
    "l": "Leaders and epochs",
    "e": "Fetch, sessions, ListOffsets",
    "g": "Log, retention, recovery",
    "m": "Compaction",
    "n": "Topics and configurations",
    "q": "Quotas and limits",
    "u": "Consumer groups",
}

STATEMENTS = ROOT / "tests" / "statements"
_TEST = re.compile(r"test_(?P<letter>[a-z])(?P<number>\d+)_\w+")

BROKER_CONFIGURATION = """\
# Configurations of the broker

Every topic and broker configuration of Apache Kafka {version}, under its own name, and what this
broker does with it.
The tables are made from the one that the broker obeys; the tests hold Kafka itself to the same one.

- **yes**: it does what it does in Kafka.
- **always ...**: this broker does what is said here, whatever is set; saying so is accepted.
- **no**: it has no effect here, so that nothing but its default is accepted.

How to set them stands in [The broker](../guides/broker.md#configurations).

## Of topics

{topic}

## Of the broker

{broker}

## Without effect here

{others}
"""

#: The words of the page for what becomes of a request to a coordinator.
REMEDIES = {
    "DONE": "",
    "RETRY": "again",
    "FIND": "find",
    "ABORT": "abort",
    "RENEW": "renew",
    "DENIED": "denied",
    "FENCED": "fenced",
    "FATAL": "fatal",
}


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages whose text comes from the code and from the changelog."""
    for uri, content in pages().items():
        files.append(File.generated(config, uri, content=content))
    return files


def pages() -> dict[str, str]:
    """Return the text of each of them, by its place in the site."""
    return {
        "reference/configuration.md": configuration(),
        "reference/error-codes.md": error_codes(),
        "reference/conformance.md": conformance(),
        "reference/broker-configuration.md": broker_configuration(),
        "changelog.md": (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"),
    }


def configuration() -> str:
    """Return the page of all options, from the table that checks them."""
    from pyproducer.config import config_table

    parts = [
        "# Configuration\n",
        "Every option of `AsyncProducer`, `SyncProducer` and `ProducerConfig`, with its default.",
        "Names are Kafka's in snake case, durations end in `_ms`, sizes are bytes.",
        "An option that is unknown, out of range or in conflict with another raises `ConfigError`",
        "with the reason; nothing is patched in silence.",
        "",
        "`ProducerConfig.from_kafka(mapping, dialect)` reads the names of the other two columns.",
        "",
    ]
    for row in config_table():
        facts = [f"**Type:** `{row.type}`", f"**Default:** `{row.default!r}`"]
        if row.unit:
            facts.append(f"**Unit:** {row.unit}")
        if row.range:
            facts.append(f"**Values:** {row.range}")
        names = [
            f"`{name}` ({whose})"
            for name, whose in ((row.kafka, "Java"), (row.librdkafka, "librdkafka"))
            if name
        ]
        facts.append(f"**Elsewhere:** {', '.join(names) or 'only here'}")
        parts += [f"## {row.name}\n", row.doc, "", *(f"- {fact}" for fact in facts), ""]
    return "\n".join(parts)


def broker_configuration() -> str:
    """Return the page of the broker's configurations, from the table that it obeys."""
    from pyproducer.broker.configs import KAFKA_VERSION, ConfigSpec, broker_specs, topic_specs

    def here(spec: ConfigSpec) -> str:
        if spec.fact is not None:
            return f"always `{spec.fact}`"
        return "yes" if spec.implemented else "no"

    def table(specs: Iterable[ConfigSpec], *, topics: bool = False) -> str:
        last = "default in the broker" if topics else "changes while it runs"
        rows = []
        for spec in specs:
            changes = "no" if spec.read_only else "yes"
            behind = ", ".join(f"`{name}`" for name in spec.synonyms)
            default = "null" if spec.default is None else f"`{spec.default}`"
            values = spec.values.replace("|", "\\|")
            cells = (f"`{spec.name}`", spec.doc, default, values, here(spec))
            rows.append(f"| {' | '.join(cells)} | {behind if topics else changes} |")
        head = f"| name | meaning | default | values | here | {last} |"
        return "\n".join([head, "|---" * 6 + "|", *rows])

    broker = broker_specs().values()
    return BROKER_CONFIGURATION.format(
        version=KAFKA_VERSION,
        topic=table(topic_specs().values(), topics=True),
        broker=table(one for one in broker if one.implemented or one.fact),
        others=table(one for one in broker if not one.implemented and not one.fact),
    )


def error_codes() -> str:
    """Return the page of all error codes, from the tables that the engine obeys."""
    from pyproducer.core import coordination
    from pyproducer.core.identity_verdict import IdentityAction, judge_identity
    from pyproducer.core.verdict import TABLE, TRANSACTIONAL, Action, judge, may_pass
    from pyproducer.protocol.api import ApiKey
    from pyproducer.protocol.error_codes import ErrorCode

    ends = {
        Action.ACK: "`RecordMetadata`",
        Action.RETRY: "`DeliveryTimeout`",
        Action.REFRESH: "`DeliveryTimeout`",
        Action.RECOVER: "`DeliveryTimeout`",
        Action.SPLIT: "`BrokerRejected`",
        Action.FAIL: "`BrokerRejected`",
        Action.FATAL: "`BrokerRejected`",
    }

    def row(code: ErrorCode, *, transactional: bool = False) -> str:
        action, maybe = judge(code, transactional=transactional)
        acknowledged = action is Action.ACK
        log = "yes" if acknowledged else "maybe" if maybe else "no"
        again = "" if acknowledged else "yes" if may_pass(code, idempotent=True) else "no"
        cells = (code.text, action.value, log, again, ends[action])
        return f"| {int(code)} | `{code.name}` | {' | '.join(cells)} |"

    def table(codes: Iterable[ErrorCode], *, transactional: bool = False) -> str:
        head = "| code | name | meaning | the batch is | in the log | `retriable` | at the end |"
        rows = [row(code, transactional=transactional) for code in codes]
        return "\n".join([head, "|---" * 7 + "|", *rows])

    def remedies() -> str:
        apis = [ApiKey(api) for api in coordination.TABLE]
        names = [api.name.replace("_", " ").capitalize() for api in apis]
        known = {code for rows in coordination.TABLE.values() for code in rows if code}
        rows = [
            f"| {int(code)} | `{code.name}` | "
            + " | ".join(REMEDIES[coordination.remedy(api, code).name] for api in apis)
            + " |"
            for code in ErrorCode
            if code in known
        ]
        head = f"| code | name | {' | '.join(names)} |"
        return "\n".join([head, "|---" * (2 + len(apis)) + "|", *rows])

    def meanings(action: IdentityAction) -> str:
        found = [code for code in ErrorCode if judge_identity(code) is action]
        rows = [f"| {int(code)} | `{code.name}` | {code.text} |" for code in found]
        return "\n".join(["| code | name | meaning |", "|---|---|---|", *rows])

    return ERROR_CODES.format(
        produce=table(code for code in ErrorCode if code in TABLE),
        others=table(code for code in ErrorCode if code not in TABLE),
        recover=Action.RECOVER.value,
        transactional=table(
            (code for code in ErrorCode if code in TRANSACTIONAL), transactional=True
        ),
        remedies=remedies(),
        denials=meanings(IdentityAction.DENY),
        stops=meanings(IdentityAction.STOP),
    )


class Statement(NamedTuple):
    """A test of a statement.

    Attributes:
        letter: What it is about; see `SUBJECTS`.
        number: Which statement of these.
        text: What the test's docstring says.
        reasons: Why the embedded broker does something else, where it does.
    """

    letter: str
    number: int
    text: str
    reasons: tuple[str, ...]


def statements(folder: Path = STATEMENTS) -> Iterator[Statement]:
    """Read every test of a statement, in the order of the files.

    Raises:
        ValueError: a test has no docstring, its statement a letter that stands for nothing, or a
            difference no reason that can be read off.
    """
    for path in sorted(folder.glob("test_*.py")):
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            match = isinstance(node, ast.FunctionDef) and _TEST.fullmatch(node.name)
            if not isinstance(node, ast.FunctionDef) or not match:
                continue
            text = ast.get_docstring(node)
            if text is None or match["letter"] not in SUBJECTS:
                raise ValueError(f"{path.name}: {node.name} says nothing, or of no subject")
            reasons = tuple(_reasons(node, f"{path.name}: {node.name}"))
            yield Statement(match["letter"], int(match["number"]), " ".join(text.split()), reasons)


def _reasons(test: ast.FunctionDef, where: str) -> Iterator[str]:
    calls = [
        node
        for node in ast.walk(test)
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr == "differs"
    ]
    for call in sorted(calls, key=lambda call: call.lineno):
        [reason] = [one.value for one in call.keywords if one.arg == "reason"]
        try:
            yield ast.literal_eval(reason)
        except ValueError as error:
            raise ValueError(f"{where}: the reason of a difference is a plain text") from error


def conformance(folder: Path = STATEMENTS) -> str:
    """Return the page of statements, from the tests of them."""
    # Read and not imported: there may be other packages of the name `tests`.
    source = (ROOT / "tests" / "helpers" / "kafka_node.py").read_text(encoding="utf-8")
    [release] = re.findall(r'BROKER_VERSION = "([\d.]+)"', source)
    found = list(statements(folder))
    parts = [
        CONFORMANCE.format(
            release=release,
            count=len(found),
            statements=len({(one.letter, one.number) for one in found}),
            different=sum(bool(one.reasons) for one in found),
        )
    ]
    for letter, subject in SUBJECTS.items():
        rows = sorted((one for one in found if one.letter == letter), key=lambda one: one.number)
        if rows:
            parts += [f"## {subject}", "", "| | what holds | |", "|---|---|---|"]
            parts += [_row(one) for one in rows] + [""]
    return "\n".join(parts)


def _row(one: Statement) -> str:
    told = f"differs: {'; '.join(one.reasons)}" if one.reasons else "like Kafka"
    cells = (f"{one.letter.upper()}{one.number}", one.text, told)
    return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"
