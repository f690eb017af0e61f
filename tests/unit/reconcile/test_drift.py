"""Who is asked for counts, how often, and what a rollout's gates get of them."""

from __future__ import annotations

import dataclasses
import datetime as dt
from collections.abc import Awaitable, Sequence
from typing import Any

import pytest

from fairlead_operator.evidence.drift import Told
from fairlead_operator.evidence.scrape import Target
from fairlead_operator.kube.client import Cluster
from fairlead_operator.kube.errors import UnreachableError
from fairlead_operator.kube.kinds import Kind
from fairlead_operator.planning import names
from fairlead_operator.reconcile.drift import READ_EVERY_S, READ_GOING_S, DriftKeeper
from fairlead_operator.rollout.revision import State
from fairlead_operator.rollout.snapshot import Snapshot
from fairlead_operator.stats.drift_rules import Rules
from fairlead_operator.traffic.counts import Window as Evidence
from fairlead_runtime.contract.drift_counts import FeatureCounts, Window
from fairlead_runtime.contract.drift_report import Reference, Report
from tests.builders import a_deployment, a_revision, a_snapshot, later, live

EVEN, SKEW = (90,) * 10, (9, 18, 27, 36, 63, 90, 117, 144, 180, 216)
STABLE, CANDIDATE = a_revision(1), a_revision(2, State.PROGRESSING)
PORTS = [{"name": "metrics", "containerPort": 9001}]
FEATURES = (
    Reference(name="x", role="input", kind="number", cut="x", bins=(100,) * 10, missing=0),
    Reference(name="y", role="output", kind="number", cut="y", bins=(100,) * 10, missing=0),
)


class Pods(Cluster):
    """A cluster that has one pod of each revision, with an inner port."""

    def __init__(self) -> None:
        self.listed = 0
        self.lost = False
        self.meta: dict[str, str] = {}

    async def list(
        self, kind: Kind, namespace: str | None, *, labels: str = "", fields: str = ""
    ) -> list[dict[str, Any]]:
        self.listed += 1
        if self.lost:
            raise UnreachableError("no route to host")
        return [
            {
                "metadata": {"name": labels, **self.meta},
                "spec": {"containers": [{"ports": PORTS}]},
                "status": {
                    "podIP": "10.0.0.1",
                    "conditions": [{"type": "Ready", "status": "True"}],
                },
            }
        ]


async def read(targets: Sequence[Target]) -> tuple[Told, ...]:
    """Answer as the two revisions' pods: the candidate's predictions are others."""
    return tuple(
        Told(
            pod=each.pod,
            report=_report("q", SKEW) if names.short(CANDIDATE.hash) in each.pod else _report(),
        )
        for each in targets
    )


def _report(profile: str = "p", y: tuple[int, ...] = EVEN) -> Report:
    window = Window(
        profile=profile, start_s=0.0, end_s=60.0, rows=900,
        features=tuple(FeatureCounts(bins=each, missing=0, total=0) for each in (EVEN, y)),
    )  # fmt: skip
    return Report(
        instance=profile, version="1", model="m", profile=profile, rows=900, skipped=0,
        features=FEATURES, counted=window, windows=(window,),
    )  # fmt: skip


def judged(*, port: bool = True) -> Snapshot:
    """Return the snapshot of a rollout that is judged."""
    deployments = [a_deployment(STABLE), a_deployment(CANDIDATE)]
    if port:
        for each in deployments:
            each["spec"]["template"]["spec"] = {"containers": [{"ports": PORTS}]}
    found = a_snapshot(
        revisions=(STABLE, CANDIDATE), recognised=CANDIDATE.hash, children=live(*deployments)
    )
    return dataclasses.replace(found, evidence=Evidence(begin=later(0), end=later(0)))


async def test_a_gate_gets_the_scores_of_both_revisions() -> None:
    found = await DriftKeeper(Pods(), read).compared(judged(), later(0))
    assert found.quality is not None
    assert found.quality.predictions is not None
    assert found.quality.inputs is not None
    assert found.quality.predictions.significant
    assert found.quality.predictions.milli > 200
    assert not found.quality.inputs.significant
    assert found.quality.predictions.end == dt.datetime(1970, 1, 1, 0, 1, tzinfo=dt.UTC)


async def test_pods_of_a_split_are_asked_every_five_seconds() -> None:
    cluster = Pods()
    keeper = DriftKeeper(cluster, read)
    for seconds in (0, 1, 2.5, 4.9):
        assert (await keeper.compared(judged(), later(seconds))).quality is not None
    assert cluster.listed == 2
    await keeper.compared(judged(), later(5))
    assert cluster.listed == 4


async def test_where_one_side_has_no_profile_a_split_is_asked_seldom() -> None:
    async def one(targets: Sequence[Target]) -> tuple[Told, ...]:
        short = names.short(CANDIDATE.hash)
        return tuple(
            Told(pod=each.pod, reason="NoProfile")
            if short in each.pod
            else Told(pod=each.pod, report=_report())
            for each in targets
        )

    cluster = Pods()
    keeper = DriftKeeper(cluster, one)
    for seconds in (0, 5, 30, READ_EVERY_S - 1):
        found = (await keeper.compared(judged(), later(seconds))).quality
        assert found is None or found.inputs is None
    assert cluster.listed == 2
    await keeper.compared(judged(), later(READ_EVERY_S))
    assert cluster.listed == 4


async def test_a_spec_may_ask_for_smaller_looks() -> None:
    def told(keeper: DriftKeeper, snapshot: Snapshot) -> Awaitable[Any]:
        return keeper.observe(snapshot, STABLE, later(0))

    usual = await told(DriftKeeper(Pods(), read), judged())
    assert usual is not None
    assert usual.watch.looks == 0
    quick = Rules(minimum_rows=900, look_every_s=60.0, raise_after=1)
    found = await told(DriftKeeper(Pods(), read), dataclasses.replace(judged(), drift=quick))
    assert (found.watch.looks, found.rules) == (1, quick)


async def test_nobody_is_asked_without_an_inner_port_or_a_rollout() -> None:
    cluster = Pods()
    keeper = DriftKeeper(cluster, read)
    resting = dataclasses.replace(judged(), evidence=None)
    for snapshot in (judged(port=False), resting):
        assert await keeper.compared(snapshot, later(0)) is snapshot
    assert cluster.listed == 0


async def test_pods_that_cannot_be_listed_leave_what_was_known() -> None:
    cluster = Pods()
    keeper = DriftKeeper(cluster, read)
    before = (await keeper.compared(judged(), later(0))).quality
    cluster.lost = True
    assert (await keeper.compared(judged(), later(61))).quality == before


@pytest.mark.parametrize("reader", [None, read])
async def test_without_a_reader_or_an_inner_port_nobody_is_asked(reader: Any) -> None:
    cluster = Pods()
    keeper = DriftKeeper(cluster, reader)
    assert await keeper.observe(judged(port=reader is None), STABLE, later(0)) is None
    assert keeper.wait_s(judged(port=reader is None), STABLE, later(0)) is None
    assert cluster.listed == 0


async def test_pods_that_never_tell_anything_are_asked_less_and_less() -> None:
    async def silent(targets: Sequence[Target]) -> tuple[Told, ...]:
        return tuple(Told(pod=each.pod, reason="Unread", message="refused") for each in targets)

    cluster = Pods()
    keeper = DriftKeeper(cluster, silent)
    for place in range(121):
        assert await keeper.observe(judged(), STABLE, later(READ_EVERY_S * place)) is None
    assert cluster.listed == 10  # after 0, 2, 6, 14, 30 times as long, and then every 16
    wait = keeper.wait_s(judged(), STABLE, later(READ_EVERY_S * 121))
    assert wait is not None
    assert wait > READ_EVERY_S


async def test_a_profile_that_the_pods_refuse_is_shown() -> None:
    async def refused(targets: Sequence[Target]) -> tuple[Told, ...]:
        return tuple(Told(pod=each.pod, reason="ProfileRefused", message="why") for each in targets)

    found = await DriftKeeper(Pods(), refused).observe(judged(), STABLE, later(0))
    assert found is not None
    assert found.refused == "why"


async def test_a_model_without_a_profile_is_asked_once() -> None:
    async def none(targets: Sequence[Target]) -> tuple[Told, ...]:
        return tuple(Told(pod=each.pod, reason="NoProfile") for each in targets)

    cluster = Pods()
    keeper = DriftKeeper(cluster, none)
    for minute in range(10):
        assert await keeper.observe(judged(), STABLE, later(60 * minute)) is None
    assert cluster.listed == 1
    assert keeper.wait_s(judged(), STABLE, later(600)) is None


def scaled(replicas: int) -> Snapshot:
    """Return the same with so many replicas wanted of the stable."""
    found = judged()
    for key, child in found.children.items():
        if key == ("Deployment", STABLE.child_name(found.name)):
            child["spec"]["replicas"] = replicas
    return found


async def test_pods_are_read_at_once_where_fewer_are_wanted_and_while_they_go() -> None:
    cluster = Pods()
    keeper = DriftKeeper(cluster, read)
    for place, replicas in enumerate((2, 3, 2)):
        await keeper.observe(scaled(replicas), STABLE, later(place))
    assert cluster.listed == 2, "at first, and when one was to go"
    assert keeper.wait_s(scaled(2), STABLE, later(2)) == READ_GOING_S
    cluster.meta["deletionTimestamp"] = "now"
    for place in range(1, 4):
        found = await keeper.observe(scaled(2), STABLE, later(2 + READ_GOING_S * place))
        assert found is not None
        assert found.replicas == 1, "it still tells"
    assert cluster.listed == 5
    cluster.meta.clear()
    await keeper.observe(scaled(2), STABLE, later(2 + READ_GOING_S * 4))
    await keeper.observe(scaled(2), STABLE, later(2 + READ_GOING_S * 5))
    assert cluster.listed == 6
    assert keeper.wait_s(scaled(2), STABLE, later(2 + READ_GOING_S * 4)) == READ_EVERY_S


async def test_pods_are_read_too_after_the_clock_was_set_back() -> None:
    cluster = Pods()
    keeper = DriftKeeper(cluster, read)
    for seconds in (7200, 0, 1):
        await keeper.observe(judged(), STABLE, later(seconds))
    assert cluster.listed == 2


async def test_a_pod_that_comes_later_may_have_the_profile_that_the_first_could_not_get() -> None:
    found: list[Told] = [Told(pod="a", reason="NoProfile")]

    async def told(_: Sequence[Target]) -> tuple[Told, ...]:
        return tuple(found)

    def with_ready(count: int) -> Snapshot:
        snapshot = judged()
        stable = dict(snapshot.children["Deployment", STABLE.child_name(snapshot.name)])
        stable["status"] = {"readyReplicas": count}
        return dataclasses.replace(snapshot, children=live(stable))

    cluster = Pods()
    keeper = DriftKeeper(cluster, told)
    for minute in range(3):
        assert await keeper.observe(with_ready(1), STABLE, later(60 * minute)) is None
    assert cluster.listed == 1
    found.append(Told(pod="b", report=_report()))
    view = await keeper.observe(with_ready(2), STABLE, later(240))
    assert view is not None
    assert view.replicas == 1
    assert keeper.wait_s(with_ready(2), STABLE, later(240)) == READ_EVERY_S
