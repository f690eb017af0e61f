"""Whatever happens in whatever order, an address keeps its promises and ends where it should."""

from __future__ import annotations

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from fairlead_operator.traffic import documents
from fairlead_operator.traffic.documents import Configuration
from fairlead_operator.traffic.split import Arm, only
from fairlead_operator.traffic.states import ROUTER, Move, State, Want
from fairlead_operator.traffic.weights import replicas_needed
from tests.searching import searches
from tests.unit.traffic import world as w
from tests.unit.traffic.world import CANDIDATE, OTHER, SETTINGS, STABLE, World

SHARES = st.sampled_from([0, 100, 1_000, 5_000, 10_000])


def checked(world: World, *, until: int = 3) -> Move:
    """Do one pass and hold it to everything that is promised of each."""
    selected, written, memory = world.selected, world.written, world.memory
    routers = world.view.routers
    move = world.decide()
    assert move == world.decide(), "the same view gives another decision"
    wanted = move.configuration
    if wanted is not None:
        documents.files(wanted, SETTINGS)
    if move.select == ROUTER:
        assert wanted is not None
        assert any(router.ready for router in routers), "the address selects nobody"
    if ROUTER in (selected, move.select) and selected != move.select:
        _check_flip(world, move)
    if move.memory.state is State.SETTLING:
        assert wanted is not None
        assert wanted.split.counts[STABLE.name] == 10_000, "weight before old connections ended"
    assert move.wake_s is None or 0 <= move.wake_s <= 120
    assert move.wake_s is not None or (move.live and move.hold is None), "it would wait for ever"
    assert move.hold is None or move.message
    if selected == ROUTER and wanted is not None:
        assert move.floors[STABLE.key] >= move.memory.at_start
    if written is not None and wanted is not None and memory.configuration == written:
        _check_growth(world, written, move)
    if move.memory.state is State.DRAINING or (selected != ROUTER and wanted is None):
        early = any(router.connections for router in routers) and wanted is None
        age = (world.now - memory.since).total_seconds()
        assert not early or memory.state in (State.DIRECT, State.STARTING) or age >= 120
    return world.act(until=until)


def _check_flip(world: World, move: Move) -> None:
    configuration = world.memory.configuration
    ready = [router for router in world.view.routers if router.ready]
    if move.select == ROUTER:
        assert move.configuration is not None
        assert move.configuration.split.counts[STABLE.name] == 10_000
        base = documents.versions(move.configuration, SETTINGS)
        assert all(each == base for each in world.live.values())
    elif ready and configuration is not None:
        # On the way back the one that gets the address has everything at every router already.
        assert configuration.split.counts[STABLE.name] == 10_000
        versions = documents.versions(configuration, SETTINGS)
        assert all(router.versions == versions for router in ready)


def _check_growth(world: World, written: Configuration, move: Move) -> None:
    assert move.configuration is not None
    old, new = written.split, move.configuration.split
    if old == new:
        return
    had = {arm.key: old.counts[arm.name] for arm in old.arms}
    growing = [
        arm
        for arm in new.arms
        if arm.key != STABLE.key and new.counts[arm.name] > had.get(arm.key, 0)
    ]
    for arm in growing:
        need = replicas_needed(
            least=1, whole=move.memory.at_start, slots=new.counts[arm.name], mirrored=0
        )
        if not world.ready[STABLE.key] and not new.counts[new.control.name]:
            need = 1  # better than nobody
        assert world.ready[arm.key] >= need, "weight before capacity"
        assert arm in written.arms, "a route before its cluster"
    if growing:
        ready = [router for router in world.view.routers if router.ready]
        taken = documents.versions(written, SETTINGS)
        assert all(router.versions == taken for router in ready), "a router is left behind"
        if had.get(STABLE.key) != 10_000:
            assert (old.header, old.salt) == (new.header, new.salt), "users change in mid-split"


class Address(RuleBasedStateMachine):
    """Passes, whole and cut off, among everything that may happen meanwhile."""

    def __init__(self) -> None:
        super().__init__()
        self.world = World(w.a_want())

    @rule(until=st.integers(0, 3))
    def one_pass(self, until: int) -> None:
        checked(self.world, until=until)

    @rule(passes=st.integers(1, 15))
    def all_goes_well_for_a_while(self, passes: int) -> None:
        for _ in range(passes):
            move = checked(self.world)
            self.world.cooperate()
            self.world.wait(move.wake_s or 0)

    @rule(share=SHARES, candidate=st.sampled_from([CANDIDATE, OTHER]), always=st.booleans())
    def a_split_is_wanted(self, share: int, candidate: Arm, always: bool) -> None:
        split = w.a_split(share, candidate=candidate)
        self.world.want = Want(stable=STABLE, split=split, always=always)

    @rule(salt=st.sampled_from(["s", "t"]), share=SHARES)
    def another_experiment_is_wanted(self, salt: str, share: int) -> None:
        self.world.want = Want(stable=STABLE, split=w.a_split(share, salt=salt))

    @rule(always=st.booleans())
    def no_split_is_wanted(self, always: bool) -> None:
        self.world.want = Want(stable=STABLE, always=always)

    @rule(seconds=st.sampled_from([0.1, 1.0, 5.0, 60.0, 200.0]))
    def time_passes(self, seconds: float) -> None:
        self.world.wait(seconds)

    @rule()
    def everything_does_its_work(self) -> None:
        self.world.cooperate()

    @precondition(lambda self: self.world.live)
    @rule(data=st.data(), ready=st.booleans())
    def a_router_changes(self, data: st.DataObject, ready: bool) -> None:
        name = data.draw(st.sampled_from(sorted(self.world.live)))
        self.world.ready_routers[name] = ready

    @precondition(lambda self: self.world.live)
    @rule(data=st.data())
    def a_router_is_replaced(self, data: st.DataObject) -> None:
        name = data.draw(st.sampled_from(sorted(self.world.live)))
        self.world.live[name] = None
        self.world.ready_routers[name] = False

    @rule(key=st.sampled_from([STABLE.key, CANDIDATE.key, OTHER.key]), ready=st.integers(0, 4))
    def pods_come_and_go(self, key: str, ready: int) -> None:
        self.world.ready[key] = ready

    @rule(connections=st.integers(0, 3))
    def clients_come_and_go(self, connections: int) -> None:
        self.world.connections = connections

    @invariant()
    def left_alone_it_ends_where_it_should(self) -> None:
        """Try it on a copy at every point."""
        copy = World(self.world.want)
        for name, value in vars(self.world).items():
            setattr(copy, name, value.copy() if isinstance(value, dict) else value)
        copy.moves = []
        for _ in range(100):
            move = checked(copy)
            if move.wake_s is None and copy.decide() == move:
                break
            copy.cooperate()
            copy.wait(move.wake_s or 0)
        else:
            raise AssertionError(f"no rest: {move}")
        want = copy.want
        if not want.router:
            assert (move.select, move.configuration) == (STABLE.key, None)
            return
        assert move.select == ROUTER
        assert move.configuration == documents.of(want.split or only(STABLE))


Address.TestCase.settings = searches(150, steps=20)
TestAddress = Address.TestCase
