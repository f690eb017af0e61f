"""An address that is split by hand on a real node, and clients that count what they got."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scipy import stats

from fairlead_operator.planning import names
from fairlead_operator.traffic import memory as memories
from fairlead_operator.traffic.split import Split
from fairlead_operator.traffic.states import Memory, State
from fairlead_runtime.contract import assignment
from tests.e2e.world import JSONObject, World, until

PACED = Path(__file__).with_name("paced.py")
RATE = 4.0
"""Requests a second of each of the five clients: 20 in all."""
KINDS = ("new", "kept", "http2", "grpc", "grpc-new")
NAMES = tuple(f"u{number}" for number in range(400))
"""Whose requests the clients send."""
USERS = {"header": "x-user-id", "salt": "s"}
_MODEL = {"1": "one", "2": "two"}
Answer = dict[str, Any]


@dataclass(frozen=True)
class Window:
    """A time in which one split was live, by the wall clock of this machine.

    The node is this machine, so that clients have the same clock.
    """

    split: Split
    versions: dict[str, str]
    """Version by the arm's name."""
    began: float
    ended: float


class Address:
    """`fraud`, with versions 1 and 2 in turn."""

    def __init__(self, world: World, features: list[float], name: str = "fraud") -> None:
        self.world, self.name, self._features = world, name, features
        self.windows: list[Window] = []
        self.live_after_s: list[float] = []
        """Seconds from each decision on a share until every router had it."""

    def deploy(self, version: str, replicas: int = 1, **spec: Any) -> None:
        """Ask for a version."""
        model = {"uri": f"configmap://{_MODEL[version]}/model.onnx", "version": version}
        scaling = {"minReplicas": replicas, "maxReplicas": replicas}
        self.world.deploy(self.name, model, **{"scaling": scaling, **spec})

    def split(self, weights: dict[str, int] | None, **more: Any) -> None:
        """Ask for a split, or for none."""
        key = names.SPLIT_ANNOTATION
        text = f"{key}-" if weights is None else f"{key}={json.dumps({'weights': weights, **more})}"
        self.world.kubectl("annotate", "--overwrite", "modeldeployment", self.name, text)

    def live(self) -> JSONObject:
        """Return the resource."""
        return self.world.get("modeldeployment", self.name)

    def memory(self) -> Memory | None:
        """Return what is remembered of the address."""
        return memories.read((self.live().get("status") or {}).get("traffic"))

    def until_state(self, state: State | None, patience_s: float = 120.0) -> None:
        """Wait until the address is in a state; None: direct, without a router."""

        def there() -> bool:
            found = self.memory()
            return (None if found is None else found.state) is state

        until(f"the address is {state or 'Direct'}", there, patience_s)

    def hold(self, share: int, version: str, seconds: float, patience_s: float = 120.0) -> Window:
        """Wait until a version's share is live on all routers; keep it for so long."""

        def live() -> Split | None:
            found = self.memory()
            if found is None or found.configuration is None or found.confirmed_at is None:
                return None
            split = found.configuration.split
            slots = {self._version(arm.key): split.counts[arm.name] for arm in split.arms}
            return split if slots.get(version, 0) == share else None

        split = until(f"version {version} has {share} slots everywhere", live, patience_s)
        began = time.time()
        found = self.memory()
        if found is not None and found.written_at is not None and found.confirmed_at is not None:
            took = (found.confirmed_at - found.written_at).total_seconds()
            self.live_after_s += [took] if took >= 0 else []  # else a trim came after it
        time.sleep(seconds)
        window = Window(
            split=split,
            versions={arm.name: self._version(arm.key) for arm in split.arms},
            began=began,
            ended=time.time(),
        )
        self.windows.append(window)
        return window

    def cycle(self, winner: str, *, hold_s: float = 4.0) -> None:
        """Go direct -> 90/10 -> 50/50 -> 0/100 -> direct, to a version that replaces the other."""
        self.split({}, **USERS)
        self.deploy(winner)
        for share in (1_000, 5_000, 10_000):
            self.split({winner: share}, **USERS)
            self.hold(share, winner, hold_s)
        self.split(None)
        self.world.ready(self.name, version=winner)
        self.until_state(None)

    def begin(self, share: int = 5_000, replicas: int = 1) -> None:
        """Serve version 1, and split the address between it and version 2."""
        self.deploy("1", replicas)
        self.world.ready(self.name, version="1")
        self.split({}, **USERS)
        self.deploy("2", replicas)
        self.split({"2": share}, **USERS)
        self.hold(share, "2", 0)

    def routers(self) -> list[str]:
        """Return the names of the router's pods that are not going."""
        found = self.world.all("pods", f"{names.ROUTER_LABEL}={self.name}")
        return [p["metadata"]["name"] for p in found if "deletionTimestamp" not in p["metadata"]]

    def pods(self, version: str) -> list[str]:
        """Return the names of a version's pods that are not going."""
        [name] = [r["name"] for r in self.live()["status"]["revisions"] if r["version"] == version]
        found = self.world.all("pods", f"fairlead.dev/revision={name[-8:]}")
        return [p["metadata"]["name"] for p in found if "deletionTimestamp" not in p["metadata"]]

    def _version(self, key: str) -> str:
        revisions = self.live()["status"]["revisions"]
        return next((str(each["version"]) for each in revisions if each["name"] == key), "")

    @contextmanager
    def clients(
        self,
        seconds: float,
        rate: float = RATE,
        kinds: tuple[str, ...] = KINDS,
        users: Sequence[str] = NAMES,
    ) -> Iterator[list[Answer]]:
        """Send paced requests from inside the cluster meanwhile.

        Args:
            seconds: The longest time.
            rate: Requests a second of each client.
            kinds: Which clients.
            users: Whose requests they send, round and round.

        Yields:
            A list that holds every answer after the end.
        """
        world, pod = self.world, f"paced-{self.name}"
        host = f"{self.name}.{world.namespace}.svc"
        world.script("paced", PACED.read_text())
        command = [
            "python3", "/script/main.py", host, self.name, str(rate), str(seconds),
            json.dumps(self._features), json.dumps(users), *kinds,
        ]  # fmt: skip
        world.apply(world.pod(pod, command, world.images["runtime"], script="paced"))
        until(f"{pod} sends", lambda: '"version"' in world.log(pod, 8))
        answers: list[Answer] = []
        try:
            yield answers
        finally:
            world.kubectl("exec", pod, "--", "sh", "-c", "kill -TERM 1")
            until(f"{pod} ends", lambda: '"done"' in world.log(pod, 1))
            lines = world.log(pod).splitlines()
            answers += [json.loads(line) for line in lines if '"kind"' in line]
            world.kubectl("delete", "pod", pod, "--grace-period=1")


def failed(answers: list[Answer]) -> list[Answer]:
    """Return the answers that are none."""
    return [each for each in answers if "error" in each]


def within(answer: Answer, began: float, ended: float) -> bool:
    """Whether it was asked and answered in that time: on a busy machine that takes a while."""
    at: float = answer["at"]
    return began < at and at + answer["ms"] / 1_000 < ended


def check_shares(answers: list[Answer], windows: list[Window]) -> dict[str, int]:
    """Hold every answer within a window to its user's arm, and the shares to the weights.

    Users come round, so the share is that of the users' arms: it is exact, and not by chance.

    Returns:
        How many answers of each kind of client were looked at.
    """
    seen: Counter[str] = Counter()
    for window in windows:
        inside = [each for each in answers if within(each, window.began + 0.2, window.ended - 0.2)]
        for answer in inside:
            split = window.split
            arm = split.control.name
            if split.header is not None:
                arm = assignment.arm(split.table, split.salt, answer["user"])
                assert answer["version"] == window.versions[arm], (answer, window)
            assert answer["variant"] in window.versions, answer
            seen[answer["kind"]] += 1
        for arm, version in window.versions.items():
            got = sum(1 for each in inside if each["version"] == version)
            share = window.split.counts[arm] / assignment.SLOTS
            low, high = stats.binom.interval(0.99999, len(inside), share) if 0 < share < 1 else (
                share * len(inside), share * len(inside)
            )  # fmt: skip
            assert low <= got <= high, f"{version} got {got} of {len(inside)}, not {share:.0%}"
    return dict(seen)
