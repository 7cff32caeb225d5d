"""Every error code in every answer that a transactional producer gets, seen from outside."""

from __future__ import annotations

import pytest

from pyproducer.core import coordination
from pyproducer.core.coordination import TABLE, Remedy
from pyproducer.core.transaction import State
from pyproducer.core.verdict import TRANSACTIONAL, Action
from pyproducer.errors import (
    BrokerRejected,
    DeliveryError,
    ProducerError,
    ProducerFenced,
    TransactionAborted,
    TransactionError,
)
from pyproducer.protocol.api import ApiKey
from pyproducer.protocol.error_codes import ErrorCode, is_retriable
from tests.helpers.expected_verdicts import (
    ACKNOWLEDGED,
    AGAIN,
    EPOCH,
    FAILED,
    HALVES,
    LEADER,
    STOPPED,
    case_id,
    expected,
)
from tests.helpers.expected_verdicts import TRANSACTIONAL as EXPECTED_ROWS
from tests.helpers.transaction_rig import TransactionRig

E = ErrorCode

DONE = "done"
RETRIED = "asked again"
FOUND = "asked again where the coordinator is found to be"
ABORTED = "the transaction has to be aborted"
RENEWED = "the transaction has to be aborted, and a new epoch is asked for"
FENCED = "the producer is fenced"
DENIED = "the start is refused, and may be tried again"
DEAD = "the producer is dead"

# Written out a second time, on purpose: from what Kafka's coordinators mean by each code. A code
# that is in none of these is the producer's end.
EVERYWHERE = {
    DONE: {"NONE"},
    RETRIED: {
        "COORDINATOR_LOAD_IN_PROGRESS",
        "CONCURRENT_TRANSACTIONS",
        "THROTTLING_QUOTA_EXCEEDED",
        "NOT_ENOUGH_REPLICAS",
        "NOT_ENOUGH_REPLICAS_AFTER_APPEND",
        "KAFKA_STORAGE_ERROR",
        "LEADER_NOT_AVAILABLE",
    },
    FOUND: {
        "COORDINATOR_NOT_AVAILABLE",
        "NOT_COORDINATOR",
        "REQUEST_TIMED_OUT",
        "NETWORK_EXCEPTION",
        "NOT_LEADER_OR_FOLLOWER",
    },
    ABORTED: {"TRANSACTION_ABORTABLE"},
    RENEWED: {"UNKNOWN_PRODUCER_ID", "INVALID_PRODUCER_ID_MAPPING"},
    FENCED: {"PRODUCER_FENCED", "INVALID_PRODUCER_EPOCH"},
}
GROUP_REFUSES = {"GROUP_AUTHORIZATION_FAILED", "INVALID_GROUP_ID"}
# There is nobody else to ask where a coordinator is.
FINDING = {RETRIED: {*EVERYWHERE[FOUND], "UNKNOWN_SERVER_ERROR"}}

#: What is asked, in which request, and what differs from everywhere else.
SCENES = {
    "find the coordinator": (
        ApiKey.FIND_COORDINATOR,
        # Before there is a transaction there is none to abort.
        FINDING
        | {
            DEAD: {*EVERYWHERE[ABORTED], *EVERYWHERE[RENEWED]},
            DENIED: {"TRANSACTIONAL_ID_AUTHORIZATION_FAILED"},
        },
    ),
    "find the group": (ApiKey.FIND_COORDINATOR, FINDING | {ABORTED: GROUP_REFUSES}),
    "get an id": (
        ApiKey.INIT_PRODUCER_ID,
        {
            RETRIED: {"TRANSACTION_ABORTABLE", "UNKNOWN_SERVER_ERROR"},
            DEAD: {*EVERYWHERE[RENEWED]},
            DENIED: {"TRANSACTIONAL_ID_AUTHORIZATION_FAILED", "CLUSTER_AUTHORIZATION_FAILED"},
        },
    ),
    "add partitions": (
        ApiKey.ADD_PARTITIONS_TO_TXN,
        {
            RETRIED: {"UNKNOWN_TOPIC_OR_PARTITION", "OPERATION_NOT_ATTEMPTED"},
            ABORTED: {"TOPIC_AUTHORIZATION_FAILED", "UNKNOWN_SERVER_ERROR"},
        },
    ),
    "add offsets": (
        ApiKey.ADD_OFFSETS_TO_TXN,
        {ABORTED: {*GROUP_REFUSES, "UNKNOWN_SERVER_ERROR"}},
    ),
    "commit offsets": (
        ApiKey.TXN_OFFSET_COMMIT,
        {
            RETRIED: {"UNKNOWN_TOPIC_OR_PARTITION"},
            ABORTED: {
                *GROUP_REFUSES,
                "UNKNOWN_SERVER_ERROR",
                "TOPIC_AUTHORIZATION_FAILED",
                "GROUP_ID_NOT_FOUND",
                "INVALID_COMMIT_OFFSET_SIZE",
                "OFFSET_METADATA_TOO_LARGE",
                "UNKNOWN_MEMBER_ID",
                "ILLEGAL_GENERATION",
                "REBALANCE_IN_PROGRESS",
                "FENCED_INSTANCE_ID",
                "STALE_MEMBER_EPOCH",
                "FENCED_MEMBER_EPOCH",
                "INVALID_TXN_STATE",
            },
        },
    ),
    "end": (ApiKey.END_TXN, {}),
}
BEFORE_ANY = {"find the coordinator", "get an id"}


def fate_of(scene: str, code: int) -> str:
    """What an answer with the code has to lead to."""
    name = case_id(code)
    for table in (SCENES[scene][1], EVERYWHERE):
        for fate, names in table.items():
            if name in names:
                return fate
    # Of all others, Kafka's own list of codes says which may pass.
    return RETRIED if is_retriable(code) else DEAD


class Asking:
    """A producer on its way to a commit, with one question of which is answered with a code."""

    def __init__(self, scene: str, code: int) -> None:
        self.api, _ = SCENES[scene]
        self.scene = scene
        self.rig = rig = TransactionRig()
        if scene in BEFORE_ANY:
            self.expect(code)
            self.outcome = rig.transactions.initialise()
            rig.turn()
            return
        rig.begin()
        if scene == "add partitions":
            self.expect(code)
        self.delivery = rig.send(b"a")
        rig.turn()
        if scene == "add partitions":
            return
        assert rig.sent
        rig.answer(rig.sent[0])
        self.expect(code)
        if scene == "end":
            self.outcome = rig.transactions.commit(rig.now)
            rig.turn()
        else:
            self.outcome = rig.commit_offsets()

    def expect(self, code: int) -> None:
        """The next question of this kind is answered with the code."""
        self.since = len(self.rig.asked)
        self.rig.codes[self.api].append(code)

    def seen(self) -> str:
        """What it leads to, in the words of this file."""
        rig, api = self.rig, self.api
        error = rig.transactions.error
        if rig.state is State.DEAD:
            assert error is not None
            assert error.fatal
            assert error is rig.engine.fatal_error
            with pytest.raises(TransactionError):
                rig.send(b"b")
            return FENCED if isinstance(error, ProducerFenced) else DEAD
        if rig.state is State.UNREADY:
            return self.seen_to_be_denied()
        if rig.state is State.DOOMED:
            return self.seen_to_be_doomed()
        rig.advance(2)
        assert self.settled()
        first, *more = [at for at, one, _ in rig.asked[self.since :] if one is api]
        if not more:
            return DONE
        # A broker that cannot answer now is not asked again at once.
        assert more[0] > first + 0.01
        after = rig.apis(self.since)
        after = after[after.index(api) + 1 :]
        return FOUND if ApiKey.FIND_COORDINATOR in after[: after.index(api)] else RETRIED

    def seen_to_be_denied(self) -> str:
        """The start has failed, and the next one goes."""
        rig, error = self.rig, self.outcome.error
        assert isinstance(error, TransactionError)
        assert (error.fatal, error.abort_required, error.maybe_committed) == (False, False, False)
        assert rig.engine.fatal_error is None
        again = rig.transactions.initialise()
        rig.advance(2)
        assert (again.done, again.error) == (True, None)
        assert_next_transaction_commits(rig)
        return DENIED

    def settled(self) -> bool:
        """The question has got its answer."""
        if self.scene == "add partitions":
            return bool(self.rig.sent)
        return self.outcome.done and self.outcome.error is None

    def seen_to_be_doomed(self) -> str:
        """The commit is refused, the abort is not, and the next transaction goes."""
        rig = self.rig
        error = rig.transactions.error
        assert error is not None
        assert (error.abort_required, error.fatal, error.maybe_committed) == (True, False, False)
        with pytest.raises(TransactionError, match="cannot be committed"):
            rig.transactions.commit(rig.now)
        if self.scene == "add partitions":
            assert isinstance(self.delivery.exception(), TransactionAborted)
            assert not self.delivery.exception().maybe_written
        else:
            assert self.outcome.error is error
        aborted = rig.transactions.abort(rig.now)
        rig.advance(2)
        assert (aborted.done, aborted.error) == (True, None)
        renewed = ApiKey.INIT_PRODUCER_ID in rig.apis(self.since)
        assert_next_transaction_commits(rig)
        return RENEWED if renewed else ABORTED


def assert_next_transaction_commits(rig: TransactionRig) -> None:
    """One more transaction goes as it should."""
    assert rig.state is State.READY
    rig.begin()
    delivery = rig.send(b"next")
    sent = rig.advance(1)
    assert sent
    rig.answer(sent[-1])
    outcome = rig.transactions.commit(rig.now)
    rig.advance(1)
    assert delivery.exception() is None
    assert (outcome.done, outcome.error) == (True, None)


CODES = [*map(int, E), -2, 32000]


@pytest.mark.parametrize("scene", SCENES)
@pytest.mark.parametrize("code", CODES, ids=case_id)
def test_coordinators_answer(scene, code):
    """
    What follows from each error code in each answer of a coordinator is what this file says.
    """
    assert fate_of(scene, code) == Asking(scene, code).seen()


def test_every_api_is_expected():
    """
    There is no other API with a table.
    """
    assert {api for api, _ in SCENES.values()} == set(TABLE)


def others(api: ApiKey, code: int) -> set[Remedy]:
    """The remedies that make a difference to the one of the table."""
    row = TABLE[api][code]
    found = set(Remedy) - {row}
    same = [{Remedy.RETRY, Remedy.FIND}] if api is ApiKey.FIND_COORDINATOR else []
    if api not in {ApiKey.FIND_COORDINATOR, ApiKey.INIT_PRODUCER_ID}:
        # Only a start can be denied.
        same.append({Remedy.DENIED, Remedy.FATAL})
    if api is ApiKey.INIT_PRODUCER_ID:
        same.append({Remedy.ABORT, Remedy.RENEW, Remedy.FATAL})
    if api is ApiKey.ADD_PARTITIONS_TO_TXN:
        # Partitions that were added are, whatever becomes of the others.
        same.append({Remedy.DONE, Remedy.RETRY, Remedy.FIND} if code == E.NONE else set())
    return found.difference(*(group for group in same if row in group))


def holds(api: ApiKey, code: int) -> bool:
    """Whether what an answer of the API leads to is what this file says."""
    try:
        return all(
            fate_of(scene, code) == Asking(scene, code).seen()
            for scene, (one, _) in SCENES.items()
            if one is api
        )
    except (AssertionError, ProducerError):
        return False


@pytest.mark.parametrize(
    ("api", "code"),
    [(api, code) for api, rows in TABLE.items() for code in rows],
    ids=lambda value: value.name,
)
def test_wrong_row_of_a_coordinator_fails(api, code, monkeypatch):
    """
    A row of a coordinator's table with any other remedy fails the tests of this file.
    """
    assert holds(api, code)
    for wrong in others(api, code):
        rows = {**TABLE, api: {**TABLE[api], code: wrong}}
        with monkeypatch.context() as patch:
            patch.setattr(coordination, "TABLE", rows)
            assert not holds(api, code), wrong


# Produce.


def test_every_row_of_produce_is_expected():
    """
    The table of transactional producers has no row that this file does not know.
    """
    assert {E(code).name for code in TRANSACTIONAL} <= set(EXPECTED_ROWS)


@pytest.mark.parametrize("two", [False, True], ids=["protocol 1", "protocol 2"])
@pytest.mark.parametrize("code", CODES, ids=case_id)
def test_batch_of_a_transaction(code, two):
    """
    A batch is sent again and the transaction committed, or it fails and the transaction has to be
    aborted, after which the next one goes; or the producer is dead.
    """
    check_batch(code, two=two)


@pytest.mark.parametrize("code", TRANSACTIONAL, ids=case_id)
def test_wrong_row_of_produce_fails(code, monkeypatch):
    """
    A row of transactional producers with another action, or another doubt, fails that test.
    """
    row = TRANSACTIONAL[code]
    wrong_ones = [row._replace(action=action) for action in Action if action is not row.action]
    for wrong in [*wrong_ones, row._replace(maybe_written=not row.maybe_written)]:
        if wrong.action is Action.RECOVER and row.action is Action.FAIL:
            # The coordinator alone gives a new epoch: to recover is to fail.
            continue
        monkeypatch.setitem(TRANSACTIONAL, code, wrong)
        with pytest.raises((AssertionError, ProducerError)):
            check_batch(code, two=False)


def check_batch(code: int, *, two: bool) -> None:
    """See `test_batch_of_a_transaction`."""
    row = EXPECTED_ROWS.get(case_id(code), expected(code))
    rig = TransactionRig(two=two).begin()
    rig.advance(10)
    first = rig.send(b"0")
    [sent] = rig.advance(1)
    rig.answer(sent)
    handles = [rig.send(b"a"), rig.send(b"b")]
    [sent] = rig.advance(1)
    assert [b"a", b"b"] == sent.values
    asked = len(rig.metadata_asked)
    at_once = rig.answer(sent, code)
    if row.fate == STOPPED:
        assert rig.state is State.DEAD
        assert isinstance(rig.transactions.error, ProducerFenced) == (code == E.PRODUCER_FENCED)
        for handle in handles:
            assert isinstance(handle.exception(), DeliveryError)
        return
    if row.fate == FAILED:
        assert rig.state is State.DOOMED
        for handle in handles:
            error = handle.exception()
            assert isinstance(error, BrokerRejected)
            assert (error.code, error.maybe_written) == (code, row.doubt)
        with pytest.raises(TransactionError) as raised:
            rig.transactions.commit(rig.now)
        assert raised.value.abort_required
        aborted = rig.transactions.abort(rig.now)
        rig.advance(2)
        assert (aborted.done, aborted.error) == (True, None)
        assert_next_transaction_commits(rig)
        return
    assert rig.state is State.OPEN
    assert row.fate in {ACKNOWLEDGED, AGAIN, LEADER, HALVES}
    assert row.fate != EPOCH
    if row.fate != ACKNOWLEDGED:
        assert not any(handle.done() for handle in handles)
        again = at_once or rig.advance(2)
        assert [b"a", b"b"] == [value for one in again for value in one.values]
        assert sent.identity == again[0].identity
        assert (row.fate == LEADER) == (len(rig.metadata_asked) > asked)
        assert (row.fate == HALVES) == (len(again) > 1)
        if not two and row.fate == AGAIN:
            # What is refused now is in the log, if at all, because of the first answer.
            rig.answer(again[0], E.INVALID_RECORD)
            assert row.doubt == handles[0].exception().maybe_written
            return
        for one in again:
            rig.answer(one)
    outcome = rig.transactions.commit(rig.now)
    rig.advance(1)
    assert (outcome.done, outcome.error) == (True, None)
    assert [first.exception(), *(handle.exception() for handle in handles)] == [None] * 3
    assert_next_transaction_commits(rig)
