"""The states of an address, one after the other."""

from __future__ import annotations

import dataclasses

import pytest

from fairlead_operator.traffic import documents
from fairlead_operator.traffic.errors import TrafficError
from fairlead_operator.traffic.split import Mirror, only
from fairlead_operator.traffic.states import ROUTER, Hold, State, Want
from fairlead_runtime.contract.assignment import Run
from tests.unit.traffic.world import (
    CANDIDATE,
    OTHER,
    SETTINGS,
    STABLE,
    TIMING,
    World,
    a_split,
    a_want,
)


def test_an_address_without_a_split_is_direct_and_at_rest() -> None:
    move = World(a_want()).rest()
    assert move.select == STABLE.key
    assert (move.configuration, move.wake_s, move.hold, move.live) == (None, None, None, True)


def test_a_split_begins_with_a_router_that_gives_the_control_everything() -> None:
    world = World(a_want(1_000))
    move = world.act()
    assert (move.memory.state, move.select) == (State.STARTING, STABLE.key)
    assert move.configuration is not None
    assert move.configuration.split.counts == {"stable": 10_000, "candidate": 0}
    assert move.hold is Hold.ROUTER_NOT_READY


def test_the_address_flips_only_when_every_router_is_ready_and_has_the_table() -> None:
    world = World(a_want(1_000))
    world.act()
    world.cooperate()
    world.live["r2"] = None
    assert world.act().select == STABLE.key
    world.cooperate()
    world.ready_routers["r2"] = False
    assert world.act().select == STABLE.key
    world.cooperate()
    move = world.act()
    assert (move.select, move.memory.state) == (ROUTER, State.SETTLING)


def test_weights_wait_until_old_connections_are_gone() -> None:
    world = World(a_want(1_000))
    move = world.until(State.SETTLING)
    assert (move.hold, move.wake_s) == (Hold.SETTLING, TIMING.settle_s)
    world.wait(TIMING.settle_s - 1)
    assert world.act().memory.state is State.SETTLING
    world.wait(1)
    move = world.act()
    assert move.memory.state is State.SPLIT
    assert move.configuration is not None
    assert move.configuration.split == a_split(1_000)
    assert not move.live
    world.cooperate()
    move = world.act()
    assert move.live
    assert move.memory.confirmed_at == world.now


def test_an_arm_without_enough_replicas_gets_no_more() -> None:
    world = World(a_want(1_000))
    world.rest()
    world.want = a_want(5_000)
    world.ready[CANDIDATE.key] = 1
    move = world.act()
    assert move.hold is Hold.CAPACITY_MISSING
    assert move.message == "fraud-candidate has 1 of 2 ready replicas"
    assert move.floors == {STABLE.key: 4, CANDIDATE.key: 2}
    assert move.configuration is not None
    assert move.configuration.split == a_split(1_000)
    world.cooperate()
    assert world.act().configuration == documents.of(a_split(5_000))


def test_where_the_control_has_nobody_left_one_ready_replica_takes_everything() -> None:
    world = World(a_want(500))
    world.rest()
    world.want = a_want(10_000)
    world.ready[CANDIDATE.key] = 1
    assert world.decide().hold is Hold.CAPACITY_MISSING
    world.ready[STABLE.key] = 0
    world.want = a_want(5_000)  # half would go to nobody: no reason to hurry
    assert world.decide().hold is Hold.CAPACITY_MISSING
    world.want = a_want(10_000)
    move = world.act()
    assert move.configuration is not None
    assert move.configuration.split == a_split(10_000)


def test_an_arm_that_is_slower_needs_more_replicas_by_its_share() -> None:
    world = World(a_want(500))
    world.sized = {CANDIDATE.key: 40}
    world.rest()
    assert world.decide().floors == {STABLE.key: 4, CANDIDATE.key: 2}
    world.want = a_want(10_000)
    world.ready[CANDIDATE.key] = world.replicas[CANDIDATE.key] = 4  # as many as the stable has
    move = world.act()
    assert move.hold is Hold.CAPACITY_MISSING
    assert move.floors == {STABLE.key: 4, CANDIDATE.key: 40}


def test_a_mirror_needs_replicas_as_well() -> None:
    world = World(a_want(0))
    world.rest()
    split = dataclasses.replace(a_split(0), mirror=Mirror(arm=CANDIDATE, share=10_000))
    world.want = a_want(split=split)
    move = world.act()
    assert move.hold is Hold.CAPACITY_MISSING
    assert move.floors[CANDIDATE.key] == 4
    assert world.rest().configuration == documents.of(split)


@pytest.mark.parametrize("lagging", ["unconfirmed", "confirmed"])
def test_a_rollback_waits_for_nobody(lagging: str) -> None:
    world = World(a_want(5_000))
    world.rest()
    world.ready = {STABLE.key: 1, CANDIDATE.key: 0}
    if lagging == "unconfirmed":
        world.want = a_want(9_000)
        world.replicas[CANDIDATE.key] = world.ready[CANDIDATE.key] = 4
        world.act()
        world.live["r1"] = None
    world.want = a_want(0)
    move = world.act()
    assert move.configuration is not None
    assert move.configuration.split == a_split(0)


def test_the_stables_floor_holds_while_traffic_is_split() -> None:
    world = World(a_want(9_000))
    world.rest()
    world.replicas[STABLE.key] = 1
    assert world.act().floors == {STABLE.key: 4, CANDIDATE.key: 4}
    world.want = a_want(10_000)
    assert world.rest().floors[STABLE.key] == 4


def test_a_router_that_does_not_take_a_table_is_named_and_holds_everything() -> None:
    world = World(a_want(1_000))
    world.rest()
    world.want = a_want(2_000)
    world.act()
    world.cooperate()
    world.live["r2"] = documents.versions(documents.of(a_split(1_000)), SETTINGS)
    move = world.act()
    assert (move.hold, move.wake_s) == (Hold.ROUTER_UNCONFIRMED, 0.5)
    world.wait(TIMING.confirm_s)
    world.want = a_want(3_000)
    move = world.act()
    assert move.hold is Hold.ROUTER_UNCONFIRMED
    assert move.message.startswith("r2: not taken what was written at 2026-01-01T")
    assert move.configuration == documents.of(a_split(2_000))
    assert not move.live


def test_routes_wait_for_the_clusters_that_they_name() -> None:
    world = World(a_want(0))
    world.rest()
    world.want = a_want(split=a_split(100, candidate=OTHER))
    move = world.act()
    assert move.configuration is not None
    assert move.configuration.arms == (STABLE, OTHER, CANDIDATE)
    assert move.configuration.split == a_split(0)
    assert world.act().configuration == move.configuration
    world.cooperate()
    move = world.act()
    assert move.configuration is not None
    assert move.configuration.split == a_split(100, candidate=OTHER)
    # The old arm's clusters stay until no request can need them any more.
    assert CANDIDATE in move.configuration.arms
    assert world.rest().configuration == documents.of(a_split(100, candidate=OTHER))


def test_another_salt_goes_through_the_control_and_settles_anew() -> None:
    world = World(a_want(5_000))
    world.rest()
    world.want = a_want(split=a_split(5_000, salt="other"))
    seen: list[tuple[str, int, State]] = []
    while not seen or not world.moves[-1].live:
        move = world.act()
        assert move.configuration is not None
        split = move.configuration.split
        seen.append((split.salt, split.counts["candidate"], move.memory.state))
        world.cooperate()
        world.wait(move.wake_s or 0)
    distinct = list(dict.fromkeys(seen))
    assert distinct == [
        ("s", 0, State.SPLIT),
        ("other", 0, State.SETTLING),
        ("other", 5_000, State.SPLIT),
    ]


def test_on_the_way_back_the_winner_has_everything_before_the_address_flips() -> None:
    world = World(a_want(5_000))
    world.rest()
    world.want = Want(stable=CANDIDATE)
    move = world.act()
    assert move.hold is Hold.CAPACITY_MISSING
    assert move.floors == {STABLE.key: 4, CANDIDATE.key: 4}
    world.cooperate()
    move = world.act()
    assert move.select == ROUTER
    assert move.configuration is not None
    assert move.configuration.split.counts == {"stable": 0, "candidate": 10_000}
    world.cooperate()
    move = world.act()
    assert (move.select, move.memory.state) == (CANDIDATE.key, State.DRAINING)
    assert move.configuration is not None


def test_the_router_stays_while_it_has_connections_but_not_for_ever() -> None:
    world = World(a_want(5_000))
    world.rest()
    world.want = a_want()
    world.until(State.DRAINING)
    world.connections = 1
    world.wait(2 * TIMING.connection_age_s - 1)
    assert world.act().configuration is not None
    world.wait(1)
    move = world.act()
    assert (move.configuration, move.memory.state) == (None, State.DIRECT)


def test_the_router_leaves_early_when_nobody_is_connected() -> None:
    world = World(a_want(5_000))
    world.rest()
    world.want = a_want()
    world.until(State.DRAINING)
    world.connections = 0
    assert world.act().memory.state is State.DRAINING
    world.wait(TIMING.least_drain_s)
    assert world.act().memory.state is State.DIRECT


@pytest.mark.parametrize("state", [State.STARTING, State.SETTLING, State.SPLIT])
def test_each_state_leads_back_when_the_split_is_taken_away(state: State) -> None:
    world = World(a_want(5_000))
    world.until(state)
    world.want = a_want()
    assert world.rest().memory.state is State.DIRECT
    assert world.selected == STABLE.key


def test_a_split_that_comes_back_while_draining_starts_from_the_control() -> None:
    world = World(a_want(5_000))
    world.rest()
    world.want = a_want()
    world.until(State.DRAINING)
    world.want = a_want(1_000)
    move = world.act()
    # The router is there and still has the right table: the address flips back at once.
    assert (move.select, move.memory.state) == (ROUTER, State.SETTLING)
    assert move.configuration is not None
    assert move.configuration.split.counts["candidate"] == 0
    assert world.rest().configuration == documents.of(a_split(1_000))


def test_a_router_that_is_always_there_stays_at_rest_without_a_split() -> None:
    world = World(a_want(always=True))
    move = world.rest()
    assert (move.select, move.memory.state, move.live) == (ROUTER, State.SPLIT, True)
    assert move.configuration == documents.of(only(STABLE))
    world.want = a_want(1_000, always=True)
    assert world.rest().configuration == documents.of(a_split(1_000))
    world.want = Want(stable=CANDIDATE, always=True)
    assert world.rest().configuration == documents.of(only(CANDIDATE))


def test_without_any_ready_router_the_control_answers_until_one_is_back() -> None:
    world = World(a_want(5_000))
    world.rest()
    world.ready_routers = {"r1": False, "r2": False}
    move = world.act()
    assert (move.hold, move.select, move.memory.state) == (
        Hold.ROUTER_GONE,
        STABLE.key,
        State.STARTING,
    )
    assert world.rest().configuration == documents.of(a_split(5_000))


@pytest.mark.parametrize("state", list(State))
@pytest.mark.parametrize("until", [0, 1, 2], ids=["floors", "configuration", "selector"])
def test_a_pass_that_is_cut_off_anywhere_is_taken_up(state: State, until: int) -> None:
    world = World(a_want() if state is State.DIRECT else a_want(5_000))
    world.until(state) if state is not State.DRAINING else world.rest()
    if state is State.DRAINING:
        world.want = a_want()
        world.until(state)
    for want in (a_want(2_000), a_want(), a_want(10_000)):
        world.want = want
        for _ in range(3):
            world.act(until=until)
            world.cooperate()
        world.rest()
    assert world.written == documents.of(a_split(10_000))


def flipped_but_not_remembered() -> World:
    """Return an address whose pass was cut off right after the flip."""
    world = World(a_want(1_000))
    world.act()
    world.cooperate()
    world.act(until=2)
    assert (world.selected, world.memory.state) == (ROUTER, State.STARTING)
    return world


def test_a_flip_that_nobody_remembers_is_not_taken_back() -> None:
    world = flipped_but_not_remembered()
    world.live["r2"] = None
    move = world.act()
    assert (move.select, move.memory.state) == (ROUTER, State.SETTLING)


def test_a_flip_that_nobody_remembers_is_drained_all_the_same() -> None:
    world = flipped_but_not_remembered()
    world.want = a_want()
    world.connections = 1
    move = world.act()
    assert (move.select, move.memory.state) == (STABLE.key, State.DRAINING)
    assert move.configuration is not None


def test_a_split_whose_control_has_not_the_address_is_refused() -> None:
    with pytest.raises(TrafficError, match="must be what has the address"):
        Want(stable=CANDIDATE, split=a_split(100))


def test_an_address_that_somebody_removed_is_made_again_as_it_was() -> None:
    world = World(a_want(5_000))
    before = world.rest()
    world.selected = None
    assert world.act() == before


def test_a_router_that_does_not_come_is_looked_at_ever_less() -> None:
    world = World(a_want(5_000))
    assert world.act().wake_s == 0.5
    world.wait(20)
    assert world.act().wake_s == 2.0
    world.wait(600)
    assert world.act().wake_s == 5.0


def test_a_router_that_is_going_holds_a_change_only_while_it_has_clients() -> None:
    world = World(a_want(5_000))
    world.rest()
    world.going = {"r3": 1}
    world.want = a_want(6_000)
    world.act()
    world.cooperate()
    assert world.act().hold is Hold.ROUTER_UNCONFIRMED
    assert world.written == documents.of(a_split(5_000))
    world.going = {"r3": 0}
    assert world.rest().configuration == documents.of(a_split(6_000))


def test_a_router_that_is_always_there_keeps_no_replicas_at_rest() -> None:
    world = World(a_want(always=True))
    assert world.rest().floors == {STABLE.key: 1}
    assert world.memory.at_start == 0
    world.want = a_want(1_000, always=True)
    world.act()
    assert world.memory.at_start == 4
    world.rest()
    world.want = a_want(always=True)
    assert world.rest().floors == {STABLE.key: 1}


def test_an_arm_may_get_another_name_in_mid_split() -> None:
    world = World(a_want(5_000))
    world.rest()
    control, other = (dataclasses.replace(arm, name=f"{arm.name}-2") for arm in (STABLE, CANDIDATE))
    table = tuple(Run(f"{run.arm}-2", run.slots) for run in a_split(5_000).table)
    split = dataclasses.replace(a_split(5_000), arms=(control, other), table=table)
    world.want = Want(stable=control, split=split)
    assert world.rest().configuration == documents.of(split)
