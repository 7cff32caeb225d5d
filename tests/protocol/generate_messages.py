"""Writes ``pyproducer/protocol/messages`` from Kafka's own message definitions.

Run it as ``python tests/protocol/generate_messages.py`` after an upgrade of the definitions, which
are read from the kafka-python distribution. What Kafka 4 no longer describes, and old clients
still send, is in ``OLDER`` below; the APIs that kafka-python lacks are in ``MISSING``. The
tests compare every message in every version with kio, which was generated independently.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

TARGET = Path(__file__).parents[2] / "pyproducer" / "protocol" / "messages"

APIS = [
    "Produce",
    "Fetch",
    "ListOffsets",
    "Metadata",
    "OffsetCommit",
    "OffsetFetch",
    "FindCoordinator",
    "JoinGroup",
    "Heartbeat",
    "LeaveGroup",
    "SyncGroup",
    "DescribeGroups",
    "ListGroups",
    "SaslHandshake",
    "ApiVersions",
    "CreateTopics",
    "DeleteTopics",
    "DeleteRecords",
    "InitProducerId",
    "OffsetForLeaderEpoch",
    "AddPartitionsToTxn",
    "AddOffsetsToTxn",
    "EndTxn",
    "WriteTxnMarkers",
    "TxnOffsetCommit",
    "DescribeAcls",
    "CreateAcls",
    "DeleteAcls",
    "DescribeConfigs",
    "AlterConfigs",
    "DescribeLogDirs",
    "SaslAuthenticate",
    "CreatePartitions",
    "CreateDelegationToken",
    "RenewDelegationToken",
    "ExpireDelegationToken",
    "DescribeDelegationToken",
    "DeleteGroups",
    "IncrementalAlterConfigs",
    "ElectLeaders",
    "AlterPartitionReassignments",
    "ListPartitionReassignments",
    "OffsetDelete",
    "DescribeClientQuotas",
    "AlterClientQuotas",
    "DescribeUserScramCredentials",
    "AlterUserScramCredentials",
    "DescribeCluster",
    "DescribeProducers",
    "DescribeTransactions",
    "ListTransactions",
    "ConsumerGroupHeartbeat",
    "ConsumerGroupDescribe",
    "DescribeTopicPartitions",
]
STRUCTURES = ["ConsumerProtocolSubscription", "ConsumerProtocolAssignment"]

LATEST = 0x7FFF
PRIMITIVES = {
    "bool": ("BOOL", "bool"),
    "int8": ("INT8", "int"),
    "int16": ("INT16", "int"),
    "uint16": ("UINT16", "int"),
    "int32": ("INT32", "int"),
    "int64": ("INT64", "int"),
    "float64": ("FLOAT64", "float"),
    "uuid": ("UUID128", "UUID"),
    "string": ("STRING", "str"),
    "bytes": ("BYTES", "bytes"),
    "records": ("RECORDS", "Records"),
}


def field(name: str, kind: str, versions: str = "0+", **more: Any) -> dict[str, Any]:
    return {"name": name, "type": kind, "versions": versions, **more}


def _null(versions: str = "0+") -> dict[str, str]:
    return {"nullableVersions": versions, "default": "null"}


_TOPIC_PARTITIONS = [field("TopicId", "uuid"), field("Partitions", "[]int32")]
_NAMED_TOPIC_PARTITIONS = [
    field("TopicId", "uuid"),
    field("TopicName", "string"),
    field("Partitions", "[]int32"),
]
_PRINCIPAL = [field("PrincipalType", "string"), field("PrincipalName", "string")]
_REQUESTER = [
    field("TokenRequesterPrincipalType", "string", "3+"),
    field("TokenRequesterPrincipalName", "string", "3+"),
]
_TOKENS = {"validVersions": "1-3", "flexibleVersions": "2+"}
_TOKEN_TIMES = {"validVersions": "1-2", "flexibleVersions": "2+"}
_EXPIRY = [
    field("ErrorCode", "int16"),
    field("ExpiryTimestampMs", "int64"),
    field("ThrottleTimeMs", "int32"),
]

MISSING: dict[str, dict[str, Any]] = {
    "CreateDelegationTokenRequest": _TOKENS
    | {
        "apiKey": 38,
        "fields": [
            field("OwnerPrincipalType", "string", "3+", nullableVersions="3+"),
            field("OwnerPrincipalName", "string", "3+", nullableVersions="3+"),
            field("Renewers", "[]CreatableRenewers", fields=_PRINCIPAL),
            field("MaxLifetimeMs", "int64"),
        ],
    },
    "CreateDelegationTokenResponse": _TOKENS
    | {
        "apiKey": 38,
        "fields": [
            field("ErrorCode", "int16"),
            *_PRINCIPAL,
            *_REQUESTER,
            field("IssueTimestampMs", "int64"),
            field("ExpiryTimestampMs", "int64"),
            field("MaxTimestampMs", "int64"),
            field("TokenId", "string"),
            field("Hmac", "bytes"),
            field("ThrottleTimeMs", "int32"),
        ],
    },
    "RenewDelegationTokenRequest": _TOKEN_TIMES
    | {"apiKey": 39, "fields": [field("Hmac", "bytes"), field("RenewPeriodMs", "int64")]},
    "RenewDelegationTokenResponse": _TOKEN_TIMES | {"apiKey": 39, "fields": _EXPIRY},
    "ExpireDelegationTokenRequest": _TOKEN_TIMES
    | {"apiKey": 40, "fields": [field("Hmac", "bytes"), field("ExpiryTimePeriodMs", "int64")]},
    "ExpireDelegationTokenResponse": _TOKEN_TIMES | {"apiKey": 40, "fields": _EXPIRY},
    "DescribeDelegationTokenRequest": _TOKENS
    | {
        "apiKey": 41,
        "fields": [
            field(
                "Owners",
                "[]DescribeDelegationTokenOwner",
                nullableVersions="0+",
                fields=_PRINCIPAL,
            )
        ],
    },
    "DescribeDelegationTokenResponse": _TOKENS
    | {
        "apiKey": 41,
        "fields": [
            field("ErrorCode", "int16"),
            field(
                "Tokens",
                "[]DescribedDelegationToken",
                fields=[
                    *_PRINCIPAL,
                    *_REQUESTER,
                    field("IssueTimestamp", "int64"),
                    field("ExpiryTimestamp", "int64"),
                    field("MaxTimestamp", "int64"),
                    field("TokenId", "string"),
                    field("Hmac", "bytes"),
                    field("Renewers", "[]DescribedDelegationTokenRenewer", fields=_PRINCIPAL),
                ],
            ),
            field("ThrottleTimeMs", "int32"),
        ],
    },
    "ConsumerGroupHeartbeatRequest": {
        "apiKey": 68,
        "fields": [
            field("GroupId", "string"),
            field("MemberId", "string"),
            field("MemberEpoch", "int32"),
            field("InstanceId", "string", **_null()),
            field("RackId", "string", **_null()),
            field("RebalanceTimeoutMs", "int32", default="-1"),
            field("SubscribedTopicNames", "[]string", **_null()),
            field("SubscribedTopicRegex", "string", "1+", **_null("1+")),
            field("ServerAssignor", "string", **_null()),
            field("TopicPartitions", "[]TopicPartitions", **_null(), fields=_TOPIC_PARTITIONS),
        ],
    },
    "ConsumerGroupHeartbeatResponse": {
        "apiKey": 68,
        "fields": [
            field("ThrottleTimeMs", "int32"),
            field("ErrorCode", "int16"),
            field("ErrorMessage", "string", **_null()),
            field("MemberId", "string", **_null()),
            field("MemberEpoch", "int32"),
            field("HeartbeatIntervalMs", "int32"),
            field(
                "Assignment",
                "Assignment",
                **_null(),
                fields=[field("TopicPartitions", "[]TopicPartitions", fields=_TOPIC_PARTITIONS)],
            ),
        ],
    },
    "ConsumerGroupDescribeRequest": {
        "apiKey": 69,
        "fields": [
            field("GroupIds", "[]string"),
            field("IncludeAuthorizedOperations", "bool"),
        ],
    },
    "ConsumerGroupDescribeResponse": {
        "apiKey": 69,
        "fields": [
            field("ThrottleTimeMs", "int32"),
            field(
                "Groups",
                "[]DescribedGroup",
                fields=[
                    field("ErrorCode", "int16"),
                    field("ErrorMessage", "string", **_null()),
                    field("GroupId", "string"),
                    field("GroupState", "string"),
                    field("GroupEpoch", "int32"),
                    field("AssignmentEpoch", "int32"),
                    field("AssignorName", "string"),
                    field(
                        "Members",
                        "[]Member",
                        fields=[
                            field("MemberId", "string"),
                            field("InstanceId", "string", **_null()),
                            field("RackId", "string", **_null()),
                            field("MemberEpoch", "int32"),
                            field("ClientId", "string"),
                            field("ClientHost", "string"),
                            field("SubscribedTopicNames", "[]string"),
                            field("SubscribedTopicRegex", "string", **_null()),
                            field("Assignment", "Assignment"),
                            field("TargetAssignment", "Assignment"),
                            field("MemberType", "int8", "1+", default="-1", ignorable=True),
                        ],
                    ),
                    field("AuthorizedOperations", "int32", default="-2147483648"),
                ],
            ),
        ],
        "commonStructs": [
            {
                "name": "Assignment",
                "fields": [
                    field("TopicPartitions", "[]TopicPartitions", fields=_NAMED_TOPIC_PARTITIONS)
                ],
            }
        ],
    },
}
MISSING = {
    name: {"validVersions": "0-1", "flexibleVersions": "0+"} | one for name, one in MISSING.items()
}

# The definitions still describe fields of versions that Kafka 4 no longer serves. These are the
# first versions we keep, for clients that pin them.
FIRST_VERSIONS = {
    "ListOffsets": 0,
    "OffsetCommit": 0,
    "OffsetFetch": 0,
    "CreateTopics": 0,
    "DeleteTopics": 0,
    "OffsetForLeaderEpoch": 0,
    "WriteTxnMarkers": 0,
    "DescribeAcls": 0,
    "CreateAcls": 0,
    "DeleteAcls": 0,
    "DescribeConfigs": 0,
    "DescribeLogDirs": 0,
}


def parse(name: str) -> dict[str, Any]:
    """Kafka's definition of a message, with the first version that we keep."""
    if name in MISSING:
        return {"name": name, **MISSING[name]}
    # Found without importing it: the package warns at import.
    [package] = find_spec("kafka").submodule_search_locations
    text = Path(package, "protocol", "schemas", "resources", f"{name}.json").read_text()
    text = re.sub(r"^\s*//.*$", "", text, flags=re.MULTILINE)
    text = re.sub(r'\s//[^"\n]*$', "", text, flags=re.MULTILINE)
    definition: dict[str, Any] = json.loads(text)
    api = name.removesuffix("Request").removesuffix("Response")
    if api in FIRST_VERSIONS:
        newest = definition["validVersions"].split("-")[-1]
        definition["validVersions"] = f"{FIRST_VERSIONS[api]}-{newest}"
    return definition


def snake(name: str) -> str:
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", name).lower()


def version_range(text: str) -> tuple[int, int]:
    if text.endswith("+"):
        return int(text[:-1]), LATEST
    first, _, last = text.partition("-")
    return int(first), int(last or first)


class Module:
    """One file: the classes of a request and its response, innermost first."""

    def __init__(self) -> None:
        self.classes: dict[str, str] = {}
        self.imports: set[str] = set()
        self.uuid = False

    def message(self, definition: dict[str, Any]) -> None:
        name = definition["name"]
        first, last = version_range(definition["validVersions"])
        flexible = definition["flexibleVersions"]
        shared = {one["name"]: one["fields"] for one in definition.get("commonStructs", [])}
        body = self.fields(definition["fields"], shared, name, last)
        head = [
            f'    """{name}, versions {first} to {last}."""',
            "",
        ]
        if "apiKey" in definition:
            head.append(f"    api_key: ClassVar[int] = {definition['apiKey']}")
        head.append(f"    min_version: ClassVar[int] = {first}")
        head.append(f"    max_version: ClassVar[int] = {last}")
        if flexible != "none":
            since = version_range(flexible)[0]
            head.append(f"    flexible_since: ClassVar[int] = {since}")
        self.write(name, "Message", "\n".join([*head, "", *body]))

    def struct(self, name: str, fields: list[dict[str, Any]], shared: Any, owner: str, last: int):
        body = "\n".join(
            [f'    """Part of {owner}."""', "", *self.fields(fields, shared, owner, last)]
        )
        key = name
        text = self.text(key, "Struct", body)
        strip = re.compile(r'^    """Part of .*$', re.MULTILINE)
        if key in self.classes and strip.sub("", self.classes[key]) != strip.sub("", text):
            # Request and response use one name for different things.
            kind = "Request" if owner.endswith("Request") else "Response"
            key = kind + name
            text = self.text(key, "Struct", body)
            assert self.classes.get(key, text) == text, key
        self.classes.setdefault(key, text)
        return key

    def text(self, name: str, base: str, body: str) -> str:
        return f"class {name}({base}):\n{body}\n"

    def write(self, name: str, base: str, body: str) -> None:
        assert name not in self.classes, name
        self.classes[name] = self.text(name, base, body)

    def fields(
        self, fields: list[dict[str, Any]], shared: dict[str, Any], owner: str, last: int
    ) -> list[str]:
        # A list, so that nested structs are written before the one that names them.
        return [self.field(one, shared, owner, last) for one in fields if one["versions"] != "none"]

    def field(self, one: dict[str, Any], shared: dict[str, Any], owner: str, last: int) -> str:
        kind = one["type"].strip()
        array = kind.startswith("[]")
        kind = kind.removeprefix("[]")
        if kind in PRIMITIVES:
            wire, python = PRIMITIVES[kind]
            self.imports.add(wire)
        else:
            wire = python = self.struct(
                kind, one.get("fields") or shared[kind], shared, owner, last
            )
        if array:
            self.imports.add("Array")
            wire, python = f"Array({wire})", f"list[{python}]"
        arguments = [wire]
        since, until = version_range(one["versions"])
        if since:
            arguments.append(f"since={since}")
        if until < last:
            arguments.append(f"until={until}")
        nullable = one.get("nullableVersions", "none")
        tagged = "tag" in one
        optional = kind == "records" or (tagged and not array and kind not in PRIMITIVES)
        if nullable != "none":
            null_since, null_until = version_range(nullable)
            assert null_until in {until, LATEST} or null_until >= min(until, last), one
            arguments.append(f"nullable={null_since}")
            optional = True
        if tagged:
            assert one["versions"] == one["taggedVersions"], one
            arguments.append(f"tag={one['tag']}")
        if one.get("ignorable"):
            arguments.append("ignorable=True")
        default = self.default(one, kind)
        if default is not None:
            arguments.append(f"default={default}")
            if default == "None":
                optional = True
        if optional:
            python += " | None"
        return f"    {snake(one['name'])}: {python} = wire({', '.join(arguments)})"

    @staticmethod
    def default(one: dict[str, Any], kind: str) -> str | None:
        default = one.get("default")
        if default in {None, ""}:
            return None
        if default in {"null", None}:
            return "None"
        if kind == "bool":
            value = str(default).lower() == "true"
            return "True" if value else None
        if kind == "string":
            return repr(default).replace("'", '"')
        number = int(str(default), 0)
        return str(number) if number else None

    def source(self, title: str) -> str:
        body = "\n\n".join(self.classes.values())
        lines = [f'"""{title}. Written by tests/protocol/generate_messages.py."""', ""]
        lines += ["from __future__ import annotations", ""]
        lines.append("from typing import ClassVar")
        if "UUID" in re.findall(r"\w+", body):
            lines.append("from uuid import UUID")
        lines.append("")
        if self.imports:
            names = ", ".join(sorted(self.imports, key=lambda n: (not n.isupper(), n)))
            lines.append(f"from pyproducer.protocol.primitives import {names}")
        used = [n for n in ("Message", "Records", "Struct", "wire") if re.search(rf"\b{n}\b", body)]
        lines.append(f"from pyproducer.protocol.schema import {', '.join(used)}")
        return "\n".join(lines) + "\n\n\n" + body


def generate() -> dict[str, str]:
    """File name to content, formatted."""
    sources: dict[str, str] = {}
    rows = []
    for api in APIS:
        module = Module()
        request, response = parse(f"{api}Request"), parse(f"{api}Response")
        assert request["validVersions"] == response["validVersions"], api
        assert request["flexibleVersions"] == response["flexibleVersions"], api
        module.message(request)
        module.message(response)
        sources[f"{snake(api)}.py"] = module.source(f"The {api} API")
        first, last = version_range(request["validVersions"])
        flexible = request["flexibleVersions"]
        since = "LATEST" if flexible == "none" else str(version_range(flexible)[0])
        rows.append((request["apiKey"], api, snake(api), first, last, since))
    module = Module()
    for name in STRUCTURES:
        module.message(parse(name))
    sources["consumer_protocol.py"] = module.source("What consumers tell each other in a group")
    sources["index.py"] = index(sorted(rows))
    sources["__init__.py"] = (
        '"""One module per API, with all versions of its request and response.\n\n'
        "Nothing is imported here: a producer needs six of the fifty.\n"
        '"""\n'
    )
    return {name: formatted(source) for name, source in sources.items()}


def index(rows: list[tuple[Any, ...]]) -> str:
    lines = [
        '"""The APIs in ``messages``. Written by tests/protocol/generate_messages.py."""',
        "",
        "from __future__ import annotations",
        "",
        "from pyproducer.protocol.schema import LATEST",
        "",
        "#: Key, name, module, first and last version, first flexible version.",
        "ROWS: tuple[tuple[int, str, str, int, int, int], ...] = (",
    ]
    lines += [
        f'    ({key}, "{name}", "{module}", {first}, {last}, {since}),'
        for key, name, module, first, last, since in rows
    ]
    return "\n".join([*lines, ")"]) + "\n"


def formatted(source: str) -> str:
    command = [sys.executable, "-m", "ruff", "format", "--line-length", "100", "--isolated", "-"]
    return subprocess.run(command, input=source, capture_output=True, text=True, check=True).stdout


def main() -> None:
    TARGET.mkdir(exist_ok=True)
    for name, source in generate().items():
        (TARGET / name).write_text(source)


if __name__ == "__main__":
    main()
