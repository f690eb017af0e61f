"""What takes minutes: cycle after cycle, things killed in each state, the ages of real life."""

from __future__ import annotations

import json
import statistics
import time

import pytest

from cluster import release
from cluster.node import Node
from fairlead_operator.traffic.states import State
from fairlead_runtime.contract import assignment
from tests.e2e import sharing
from tests.e2e.operating import kill_operator
from tests.e2e.splits import KINDS, USERS, Address, check_shares, failed
from tests.e2e.world import until

pytestmark = [pytest.mark.alone, pytest.mark.slow, pytest.mark.timeout(2_400, func_only=True)]
_CLIENTS = len(KINDS)
"""Each has one request in flight at most: so many may fail with a pod that is killed."""


def kill(address: Address, *pods: str) -> None:
    """End pods at once."""
    address.world.kubectl("delete", "pod", *pods, "--grace-period=0", "--force")


def test_twenty_cycles_lose_no_request(address: Address) -> None:
    address.deploy("1")
    address.world.ready("fraud", version="1")
    with address.clients(2_300, rate=2.0) as answers:
        for number in range(20):
            address.cycle("21"[number % 2], hold_s=3)
    assert failed(answers) == []
    print(f"{len(answers)} requests, {check_shares(answers, address.windows)} of them in splits")
    _tell(address)


def test_the_operator_killed_in_each_state_changes_nothing(address: Address) -> None:
    address.deploy("1")
    address.world.ready("fraud", version="1")
    with address.clients(600) as answers:
        address.split({}, **USERS)
        address.deploy("2")
        address.until_state(State.STARTING)
        kill_operator(address.world)
        address.until_state(State.SETTLING)
        kill_operator(address.world)
        address.split({"2": 1_000}, **USERS)
        address.until_state(State.SPLIT)
        kill_operator(address.world)
        address.hold(1_000, "2", 4)
        address.split({"2": 10_000}, **USERS)
        kill_operator(address.world)
        address.hold(10_000, "2", 4)
        address.split(None)
        address.until_state(State.DRAINING)
        kill_operator(address.world)
        address.until_state(None)
        address.world.ready("fraud", version="2")
        until("the loser is gone", lambda: len(address.world.all("deployments")) == 1)
    assert failed(answers) == []
    check_shares(answers, address.windows)


def test_deleting_pods_of_routers_and_models_under_a_split_loses_no_request(
    address: Address,
) -> None:
    address.begin(5_000, replicas=2)
    with address.clients(300) as answers:
        for pod in (address.routers()[0], address.pods("1")[0], address.pods("2")[0]):
            address.world.kubectl("delete", "pod", pod, "--wait=true", "--timeout=90s")
        address.hold(5_000, "2", 4)
        address.split({"9": 5_000}, **USERS)
        told = address.world.reason("fraud", "InvalidSplit")
        address.hold(5_000, "2", 4)  # a slip of the pen moves nobody
    assert told["message"].endswith("there is no revision 9")
    assert failed(answers) == []
    check_shares(answers, address.windows)


def test_a_killed_router_costs_what_it_had_in_flight_and_no_more(address: Address) -> None:
    address.begin(5_000)
    with address.clients(300) as answers:
        kill(address, address.routers()[0])
        until("two routers", lambda: len(address.routers()) == 2)
        address.hold(5_000, "2", 10)
    assert len(failed(answers)) <= _CLIENTS, failed(answers)
    check_shares(answers, address.windows)


def test_a_router_that_needs_new_pods_is_replaced_without_a_lost_request(
    address: Address,
) -> None:
    address.begin(5_000)
    before = set(address.routers())
    with address.clients(400) as answers:
        limit = {"spec": {"objectives": {"maxLatencyMs": 55}}}  # an edge of its histograms
        address.world.kubectl(
            "patch", "modeldeployment", "fraud", "--type=merge", "-p", json.dumps(limit)
        )
        until(
            "new routers", lambda: len(address.routers()) == 2 and not before & {*address.routers()}
        )
        address.split({"2": 8_000}, **USERS)
        address.hold(8_000, "2", 4)
        until("the former bootstrap is gone", lambda: len(_bootstraps(address)) == 1)
        time.sleep(20)  # the former pods answer until their clients have left
    assert failed(answers) == []
    check_shares(answers, address.windows)


def _bootstraps(address: Address) -> list[str]:
    found = [each["metadata"]["name"] for each in address.world.all("configmaps")]
    return [name for name in found if name.startswith("fraud-fl-router-")]


def test_while_an_arm_has_no_pods_the_control_answers_for_it(address: Address) -> None:
    address.begin(5_000)
    with address.clients(300) as answers:
        kill_operator(address.world)  # what holds must hold without it
        killed = time.time()
        kill(address, *address.pods("2"))
        time.sleep(3)
        address.world.kubectl(
            "wait", "--for=condition=Available", "deployment", "--all", "--timeout=120s"
        )
        # Names are asked for every second; that they have the new pod takes a busy node longer.
        time.sleep(10)
        window = address.hold(5_000, "2", 6)
    assert len(failed(answers)) <= _CLIENTS, failed(answers)
    [candidate] = [name for name, version in window.versions.items() if version == "2"]
    stood_in = [
        answer
        for answer in answers
        if killed < answer["at"] < window.began
        and answer.get("version") == "1"
        and assignment.arm(window.split.table, window.split.salt, answer["user"]) == candidate
    ]
    assert len(stood_in) > 10, "the control answered for it, and said so"
    assert {answer["variant"] for answer in stood_in} == {window.split.control.name}
    slowest = max(answer["ms"] for answer in answers)
    print(f"{len(failed(answers))} failed, {len(stood_in)} by the control, slowest {slowest} ms")
    check_shares(answers, [window])


def test_without_the_api_server_for_a_minute_a_split_goes_on(address: Address) -> None:
    node = address.world.cluster
    if not isinstance(node, Node):
        pytest.skip("only the node of this project can be without its API server")
    address.begin(1_000)
    with address.clients(400) as answers:
        time.sleep(3)
        with node.away("kube-apiserver"):
            time.sleep(60)
        until("the API server answers", node.running)
        address.split({"2": 5_000}, **USERS)
        # After a minute of refusals a kubelet takes two and more to look for ConfigMaps again.
        address.hold(5_000, "2", 5, patience_s=300)
        address.split({"2": 10_000}, **USERS)
        address.hold(10_000, "2", 5)
    assert failed(answers) == []
    check_shares(answers, address.windows)


def test_cycles_with_the_ages_of_real_life_lose_no_request(address: Address) -> None:
    world = address.world
    release.install(world.cluster, names=world.images)
    try:
        address.deploy("1")
        world.ready("fraud", version="1")
        with address.clients(1_500, rate=2.0) as answers:
            for winner in "21":
                address.cycle(winner, hold_s=20)
    finally:
        release.install(world.cluster, *sharing.values(world.cluster), names=world.images)
    assert failed(answers) == []
    check_shares(answers, address.windows)
    _tell(address)


def _tell(address: Address) -> None:
    took = address.live_after_s
    assert max(took) < 5, "a weight is live on all routers within five seconds of the decision"
    print(
        f"live on all routers after {min(took):.2f} to {max(took):.2f} s, "
        f"median {statistics.median(took):.2f} s, {len(took)} changes"
    )
