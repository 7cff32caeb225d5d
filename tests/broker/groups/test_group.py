from __future__ import annotations

import itertools

import pytest

from pyproducer.broker.groups.member import MemberProtocol
from pyproducer.broker.groups.model import MemberIdentity, SyncRequest
from pyproducer.broker.groups.state import MOVES, GroupState, Move
from pyproducer.protocol.error_codes import ErrorCode
from tests.helpers.group_driver import GroupDriver, Parked

RANGE_AND_ROBIN = (MemberProtocol("range", b"r"), MemberProtocol("roundrobin", b"rr"))
ROBIN_AND_RANGE = tuple(reversed(RANGE_AND_ROBIN))


def test_lone_member_leads_and_sees_itself():
    """
    The only member is the leader, gets the members list, and its own assignment back.
    """
    driver = GroupDriver()
    joining = driver.join()
    driver.pass_time(0)
    joined = joining.result
    synced = driver.sync(joined.member_id, {joined.member_id: b"all"}).result

    assert (joined.error, joined.generation, joined.protocol) == (ErrorCode.NONE, 1, "range")
    assert joined.member_id == joined.leader
    assert [(joined.member_id, b"r")] == [(m.member_id, m.metadata) for m in joined.members]
    assert (synced.error, synced.assignment, synced.protocol) == (ErrorCode.NONE, b"all", "range")
    assert GroupState.STABLE is driver.group.state


def test_only_the_leader_gets_the_members():
    """
    Followers get an empty list, and everybody the same leader and generation.
    """
    driver = GroupDriver(initial_rebalance_delay_ms=3000)
    parked = [driver.join() for _ in range(3)]
    driver.pass_time(60)
    results = [each.result for each in parked]

    assert [len(result.members) for result in results] == [3, 0, 0]
    assert {(1, results[0].member_id)} == {(r.generation, r.leader) for r in results}


def test_initial_delay_waits_for_more():
    """
    The first join is answered after the delay, not before, although everybody known is there.
    """
    driver = GroupDriver(initial_rebalance_delay_ms=3000)
    joining = driver.join()
    driver.pass_time(2.9)
    assert joining.waiting

    driver.pass_time(0.1)

    assert ErrorCode.NONE is joining.result.error


def test_initial_delay_grows_with_newcomers_up_to_the_rebalance_timeout():
    """
    Each delay in which somebody came is followed by another, but never past the timeout.
    """
    driver = GroupDriver(initial_rebalance_delay_ms=3000)
    first = driver.join(rebalance_timeout=8.0)
    arrivals = [first]
    for _ in range(3):
        driver.pass_time(2.0)
        arrivals.append(driver.join(rebalance_timeout=8.0))
    driver.pass_time(1.9)
    assert first.waiting

    driver.pass_time(0.1)

    assert [each.result.generation for each in arrivals] == [1, 1, 1, 1]


def test_sync_waits_for_the_leader():
    """
    A follower's sync is parked until the leader's; a member left out gets an empty share.
    """
    driver = GroupDriver(initial_rebalance_delay_ms=10)
    parked = [driver.join() for _ in range(3)]
    driver.pass_time(1)
    leader, follower, forgotten = (each.result.member_id for each in parked)
    waiting = [driver.sync(follower), driver.sync(forgotten)]
    assert [each.waiting for each in waiting] == [True, True]

    driver.sync(leader, {leader: b"1", follower: b"2"})

    assert [each.result.assignment for each in waiting] == [b"2", b""]


def test_sync_of_a_stable_group_is_answered_at_once():
    """
    A member that asks again for its share gets the same.
    """
    driver = GroupDriver()
    [member] = driver.stable()

    assert member.encode() == driver.sync(member).result.assignment


def test_new_member_rebalances_a_stable_group():
    """
    A join makes heartbeats answer 27 until the others rejoined; then the generation is one up.
    """
    driver = GroupDriver()
    [old] = driver.stable()
    newcomer = driver.join()
    assert ErrorCode.REBALANCE_IN_PROGRESS is driver.heartbeat(old)
    assert newcomer.waiting

    back = driver.join(old)

    assert (back.result.generation, newcomer.result.generation) == (2, 2)
    assert old == newcomer.result.leader


def test_member_that_does_not_rejoin_is_dropped():
    """
    The join phase ends at the longest rebalance timeout; who is not back by then is out.
    """
    driver = GroupDriver()
    [old] = driver.stable(rebalance_timeout=20.0, session_timeout=30.0)
    newcomer = driver.join(rebalance_timeout=5.0)
    driver.pass_time(19)
    driver.heartbeat(old)
    assert newcomer.waiting

    driver.pass_time(1)

    assert [newcomer.result.member_id] == [m.member_id for m in newcomer.result.members]
    assert ErrorCode.UNKNOWN_MEMBER_ID is driver.heartbeat(old)


def test_silent_member_is_dropped_and_the_rest_rebalances():
    """
    A session timeout without a heartbeat removes the member and starts a rebalance.
    """
    driver = GroupDriver(initial_rebalance_delay_ms=10)
    lively, silent = driver.stable(2)
    for _ in range(3):
        driver.pass_time(3)
        assert ErrorCode.NONE is driver.heartbeat(lively)
    driver.pass_time(1.1)

    assert ErrorCode.REBALANCE_IN_PROGRESS is driver.heartbeat(lively)
    assert ErrorCode.UNKNOWN_MEMBER_ID is driver.heartbeat(silent)
    assert [lively] == [m.member_id for m in driver.join(lively).result.members]


def test_parked_member_is_not_taken_for_silent():
    """
    A known member whose join is parked longer than its session timeout stays in.
    """
    driver = GroupDriver(initial_rebalance_delay_ms=10)
    waiting, late = driver.stable(2)
    rejoined = driver.join(waiting)
    for _ in range(5):
        driver.pass_time(8)
        assert ErrorCode.REBALANCE_IN_PROGRESS is driver.heartbeat(late)
    driver.join(late)

    assert len(rejoined.result.members) == 2


def test_first_join_does_not_wait_for_ever():
    """
    A new member whose join stays parked for five minutes hears UNKNOWN_MEMBER_ID.
    """
    driver = GroupDriver()
    [old] = driver.stable(rebalance_timeout=1000.0)
    newcomer = driver.join()
    for _ in range(60):
        driver.heartbeat(old)
        driver.pass_time(5.1)

    assert ErrorCode.UNKNOWN_MEMBER_ID is newcomer.result.error
    assert newcomer.result.member_id == ""


def test_member_that_never_syncs_is_dropped():
    """
    Who joined and sends heartbeats, but does not sync in the rebalance timeout, is out.
    """
    driver = GroupDriver(initial_rebalance_delay_ms=10)
    leader, idle = (driver.join() for _ in range(2))
    driver.pass_time(1)
    first, second = leader.result.member_id, idle.result.member_id
    driver.sync(first, {})
    for _ in range(12):
        driver.pass_time(5)
        driver.heartbeat(first)
        driver.heartbeat(second)

    assert ErrorCode.UNKNOWN_MEMBER_ID is driver.heartbeat(second)
    assert ErrorCode.REBALANCE_IN_PROGRESS is driver.heartbeat(first)


def test_leader_that_never_syncs_ends_the_followers_wait():
    """
    A follower's parked sync gets 27 when the leader leaves.
    """
    driver = GroupDriver(initial_rebalance_delay_ms=10)
    parked = [driver.join() for _ in range(2)]
    driver.pass_time(1)
    leader, follower = (each.result.member_id for each in parked)
    waiting = driver.sync(follower)
    driver.leave(MemberIdentity(leader, None))

    assert ErrorCode.REBALANCE_IN_PROGRESS is waiting.result.error
    assert follower == driver.join(follower).result.leader


def test_leave_rebalances_and_the_last_one_empties_the_group():
    """
    The rest rejoins after a leave; without members the group is empty and stored as such.
    """
    driver = GroupDriver(initial_rebalance_delay_ms=10)
    first, second = driver.stable(2)

    assert driver.leave(MemberIdentity(first, None)) == [ErrorCode.NONE]
    assert ErrorCode.REBALANCE_IN_PROGRESS is driver.heartbeat(second)
    assert driver.leave(MemberIdentity(second, None)) == [ErrorCode.NONE]
    assert GroupState.EMPTY is driver.group.state
    assert driver.images[-1].members == ()
    assert driver.group.deadline() is None


def test_batch_leave_answers_each():
    """
    One request removes several members, each with an answer of its own.
    """
    driver = GroupDriver(initial_rebalance_delay_ms=10)
    first, second = driver.stable(2)
    answers = driver.leave(
        MemberIdentity(first, None), MemberIdentity("stranger", None), MemberIdentity(second, None)
    )

    assert answers == [ErrorCode.NONE, ErrorCode.UNKNOWN_MEMBER_ID, ErrorCode.NONE]


def test_wrong_generation_is_22_and_stranger_is_25():
    """
    Heartbeat, sync and commit tell an old generation from an unknown member.
    """
    driver = GroupDriver()
    [member] = driver.stable()

    assert ErrorCode.ILLEGAL_GENERATION is driver.heartbeat(member, generation=0)
    assert ErrorCode.UNKNOWN_MEMBER_ID is driver.heartbeat("stranger")
    assert ErrorCode.ILLEGAL_GENERATION is driver.sync(member, generation=7).result.error
    assert ErrorCode.UNKNOWN_MEMBER_ID is driver.sync("stranger").result.error
    check = driver.group.check_commit
    assert ErrorCode.ILLEGAL_GENERATION is check(member, None, 7, driver.now)
    assert ErrorCode.UNKNOWN_MEMBER_ID is check("stranger", None, 1, driver.now)
    assert ErrorCode.UNKNOWN_MEMBER_ID is driver.join("stranger").result.error


def test_member_id_required():
    """
    From join v4 on, a newcomer first gets its id (79) and joins with that.
    """
    driver = GroupDriver()
    asked = driver.join(require_known_member_id=True).result
    assert (asked.error, asked.member_id) == (ErrorCode.MEMBER_ID_REQUIRED, "c-1")
    assert GroupState.EMPTY is driver.group.state

    joining = driver.join(asked.member_id, require_known_member_id=True)
    driver.pass_time(0)

    assert (joining.result.error, joining.result.member_id) == (ErrorCode.NONE, "c-1")


def test_pending_id_expires_with_the_session_timeout():
    """
    An id that nobody joined with is forgotten.
    """
    driver = GroupDriver()
    asked = driver.join(require_known_member_id=True).result
    driver.pass_time(10)

    assert frozenset() == frozenset(driver.group.roster.pending)
    assert ErrorCode.UNKNOWN_MEMBER_ID is driver.join(asked.member_id).result.error


def test_rebalance_waits_for_pending_ids():
    """
    Who was told an id is expected in the running rebalance, until that id expires or leaves.
    """
    driver = GroupDriver()
    [old] = driver.stable()
    asked = driver.join(require_known_member_id=True).result
    driver.join(protocols=RANGE_AND_ROBIN)
    rejoined = driver.join(old)
    assert rejoined.waiting

    assert driver.leave(MemberIdentity(asked.member_id, None)) == [ErrorCode.NONE]

    assert len(rejoined.result.members) == 2


def test_protocol_with_most_votes_wins():
    """
    Of the protocols common to all, the one that most members prefer is chosen.
    """
    driver = GroupDriver(initial_rebalance_delay_ms=10)
    parked = [
        driver.join(protocols=protocols)
        for protocols in (RANGE_AND_ROBIN, ROBIN_AND_RANGE, ROBIN_AND_RANGE)
    ]
    driver.pass_time(1)

    assert {"roundrobin"} == {each.result.protocol for each in parked}
    assert [m.metadata for m in parked[0].result.members] == [b"rr"] * 3


def test_vote_goes_to_common_protocols_only():
    """
    A preferred protocol that another member lacks gets no vote.
    """
    driver = GroupDriver(initial_rebalance_delay_ms=10)
    driver.join(protocols=ROBIN_AND_RANGE)
    driver.join(protocols=ROBIN_AND_RANGE)
    last = driver.join()
    driver.pass_time(1)

    assert last.result.protocol == "range"


@pytest.mark.parametrize(
    "changes",
    [
        {"protocols": (MemberProtocol("sticky", b""),)},
        {"protocol_type": "connect"},
        {"protocols": ()},
        {"protocol_type": ""},
    ],
)
def test_inconsistent_protocol_is_23(changes):
    """
    A member that shares no protocol with the others is refused, and they are not disturbed.
    """
    driver = GroupDriver()
    [member] = driver.stable()

    assert ErrorCode.INCONSISTENT_GROUP_PROTOCOL is driver.join(**changes).result.error
    assert ErrorCode.NONE is driver.heartbeat(member)


def test_empty_group_takes_any_protocol_type_but_needs_one():
    """
    The first member decides what kind of group it is; none at all is refused.
    """
    driver = GroupDriver()
    assert ErrorCode.INCONSISTENT_GROUP_PROTOCOL is driver.join(protocols=()).result.error

    driver.stable(protocol_type="connect")

    assert driver.group.protocol_type == "connect"


def test_sync_with_another_protocol_is_23():
    """
    Sync v5 names protocol and type; a mismatch is refused.
    """
    driver = GroupDriver()
    [member] = driver.stable()
    wrong = ErrorCode.INCONSISTENT_GROUP_PROTOCOL

    assert wrong is driver.sync(member, protocol_type="connect").result.error
    assert wrong is driver.sync(member, protocol="sticky").result.error
    assert (
        ErrorCode.NONE
        is driver.sync(member, protocol_type="consumer", protocol="range").result.error
    )


def test_group_max_size_is_81():
    """
    A full group refuses newcomers and keeps serving its members.
    """
    driver = GroupDriver(initial_rebalance_delay_ms=10, max_size=2)
    first, _ = driver.stable(2)

    assert ErrorCode.GROUP_MAX_SIZE_REACHED is driver.join().result.error
    assert ErrorCode.NONE is driver.heartbeat(first)
    assert ErrorCode.NONE is driver.sync(first).result.error


def test_follower_with_nothing_new_does_not_rebalance():
    """
    Only a leader, or a member with other metadata, restarts a stable group by joining.
    """
    driver = GroupDriver(initial_rebalance_delay_ms=10)
    leader, follower = driver.stable(2)

    assert (
        driver.join(follower).result.generation,
        driver.join(follower).result.members,
    ) == (1, ())
    assert driver.join(follower, protocols=(MemberProtocol("range", b"new"),)).waiting
    driver.join(leader)
    assert GroupState.COMPLETING_REBALANCE is driver.group.state
    driver.sync(leader)
    assert driver.join(leader).waiting


def test_lost_join_answer_is_given_again():
    """
    Joining again unchanged before the sync gets the same generation, for the leader with members.
    """
    driver = GroupDriver(initial_rebalance_delay_ms=10)
    parked = [driver.join() for _ in range(2)]
    driver.pass_time(1)
    leader, follower = (each.result for each in parked)

    assert leader == driver.join(leader.member_id).result
    assert follower == driver.join(follower.member_id).result


def test_second_join_of_a_member_frees_the_first():
    """
    A client that gives up and joins again over another connection leaves no request behind.
    """
    driver = GroupDriver(initial_rebalance_delay_ms=10)
    first, second = driver.stable(2)
    abandoned = driver.join(first)
    again = driver.join(first)
    assert ErrorCode.REBALANCE_IN_PROGRESS is abandoned.result.error

    driver.join(second)

    assert ErrorCode.NONE is again.result.error


def test_sync_during_the_join_phase_is_27():
    """
    Whoever syncs while others are joining has to join too.
    """
    driver = GroupDriver()
    [member] = driver.stable()
    driver.join()

    assert ErrorCode.REBALANCE_IN_PROGRESS is driver.sync(member).result.error


def test_commit_rules():
    """
    Members commit while stable and while joining, not while waiting for shares; nobody in
    particular commits to an empty group only.
    """
    driver = GroupDriver()
    check = driver.group.check_commit
    assert ErrorCode.NONE is check("", None, -1, driver.now)

    [member] = driver.stable()
    assert ErrorCode.NONE is check(member, None, 1, driver.now)
    assert ErrorCode.UNKNOWN_MEMBER_ID is check("", None, -1, driver.now)

    newcomer = driver.join()
    assert ErrorCode.NONE is check(member, None, 1, driver.now)
    driver.join(member)
    assert ErrorCode.REBALANCE_IN_PROGRESS is check(newcomer.result.member_id, None, 2, driver.now)


def test_commit_counts_as_a_sign_of_life():
    """
    A member that commits in time needs no heartbeat.
    """
    driver = GroupDriver()
    [member] = driver.stable()
    for _ in range(4):
        driver.pass_time(8)
        assert ErrorCode.NONE is driver.group.check_commit(member, None, 1, driver.now)


def test_failed_store_sends_the_members_around_again():
    """
    An assignment that could not be stored is given to nobody.
    """
    driver = GroupDriver()
    joining = driver.join()
    driver.pass_time(0)
    member = joining.result.member_id
    driver.store_error = ErrorCode.COORDINATOR_NOT_AVAILABLE

    synced = driver.sync(member, {member: b"all"})

    assert (
        synced.result.error,
        synced.result.assignment,
    ) == (ErrorCode.COORDINATOR_NOT_AVAILABLE, b"")
    assert ErrorCode.REBALANCE_IN_PROGRESS is driver.heartbeat(member)


def test_assignment_stored_too_late_is_for_nobody():
    """
    A member that joins while the assignment is being stored starts the next generation.
    """
    driver = GroupDriver()
    joining = driver.join()
    driver.pass_time(0)
    member = joining.result.member_id
    synced = Parked()
    request = SyncRequest(member, None, 1, None, None, {member: b"all"})
    driver.group.sync(request, synced, driver.now)
    [store] = driver.group.take_effects()
    newcomer = driver.join()
    driver.group.stored(store.token, ErrorCode.NONE, driver.now)
    driver.settle()

    assert synced.result.error is ErrorCode.REBALANCE_IN_PROGRESS
    assert driver.group.state is GroupState.PREPARING_REBALANCE
    assert newcomer.waiting


def test_dead_group_sends_everybody_away():
    """
    Parked requests and later ones get COORDINATOR_NOT_AVAILABLE, and nothing is due any more.
    """
    driver = GroupDriver()
    [member] = driver.stable()
    parked = driver.join(member)
    newcomer = driver.join()
    driver.group.die()
    driver.settle()
    gone = ErrorCode.COORDINATOR_NOT_AVAILABLE

    assert (ErrorCode.NONE, gone) == (parked.result.error, newcomer.result.error)
    assert {gone} == {
        driver.heartbeat(member),
        driver.sync(member).result.error,
        driver.join().result.error,
        driver.leave(MemberIdentity(member, None))[0],
    }
    assert driver.group.deadline() is None


def test_moves_lead_where_kafka_s_do():
    """
    From every state exactly these states can be reached.
    """
    reachable = {
        state: {target for (source, _), target in MOVES.items() if source is state}
        for state in GroupState
    }

    assert reachable == {
        GroupState.EMPTY: {GroupState.PREPARING_REBALANCE, GroupState.DEAD},
        GroupState.PREPARING_REBALANCE: {
            GroupState.COMPLETING_REBALANCE,
            GroupState.EMPTY,
            GroupState.DEAD,
        },
        GroupState.COMPLETING_REBALANCE: {
            GroupState.STABLE,
            GroupState.PREPARING_REBALANCE,
            GroupState.DEAD,
        },
        GroupState.STABLE: {GroupState.PREPARING_REBALANCE, GroupState.DEAD},
        GroupState.DEAD: set(),
    }
    assert {(state, move) for state, move in itertools.product(GroupState, Move)} > set(MOVES)
