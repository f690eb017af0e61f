"""One address, split by a real router on a real node, under clients that count what fails."""

from __future__ import annotations

from fairlead_operator.traffic.states import State
from tests.e2e.splits import USERS, Address, check_shares, failed
from tests.e2e.world import condition, until


def cycle(address: Address, winner: str, *, hold_s: float = 4.0) -> None:
    """Go direct -> 90/10 -> 50/50 -> 0/100 -> direct, to a version that replaces the other."""
    address.split({}, **USERS)
    address.deploy(winner)
    for share in (1_000, 5_000, 10_000):
        address.split({winner: share}, **USERS)
        address.hold(share, winner, hold_s)
    address.split(None)
    address.world.ready(address.name, version=winner)
    address.until_state(None)


def test_a_cycle_through_a_split_loses_no_request(address: Address) -> None:
    address.deploy("1")
    address.world.ready("fraud", version="1")
    with address.clients(300) as answers:
        cycle(address, "2")
        until("the loser is gone", lambda: len(address.world.all("deployments")) == 1)
    assert failed(answers) == []
    seen = check_shares(answers, address.windows)
    assert len(seen) == 4, f"kinds of clients that were there in a split: {seen}"
    live = address.live()
    assert condition(live, "Ready")["status"] == "True"
    assert "traffic" not in live["status"]
    assert {a["version"] for a in answers[-8:]} == {"2"}
    assert State.SPLIT.value not in str(live["status"])
