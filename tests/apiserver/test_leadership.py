"""One replica writes; the others take over, at once or after the Lease."""

from __future__ import annotations

import asyncio

import pytest

from fairlead_operator.kube.errors import ConflictError, NotLeaderError
from fairlead_operator.kube.kinds import MODEL_DEPLOYMENT
from fairlead_operator.kube.lease import Lease
from fairlead_operator.reconcile.passes import Reconciler
from tests.apiserver.api import NAMESPACE, Api, a_model, until
from tests.apiserver.kubelet import Kubelet
from tests.apiserver.process import OperatorProcess
from tests.apiserver.rig import Rig, nobody, world
from tests.apiserver.story import MakeOperator, change, revision, serve, serving
from tests.builders import NOW, later


async def leads(operator: OperatorProcess, *, within_s: float) -> None:
    async def probe() -> bool:
        return operator.metrics()["fairlead_operator_leader"] == 1

    await until("the operator leads", probe, within_s=within_s)


def written(operator: OperatorProcess) -> float:
    found = operator.metrics().items()
    return sum(value for name, value in found if name.startswith("fairlead_operator_writes_total"))


async def quiet(operator: OperatorProcess) -> None:
    """Wait until no pass runs or waits: a write that is under way counts when it is answered."""
    name = "fairlead_operator_pass_duration_seconds_count"
    seen = [-1.0]

    async def probe() -> bool:
        await asyncio.sleep(0.3)
        found = operator.metrics()
        before, seen[0] = seen[0], found[name]
        return before == found[name] and found["fairlead_operator_queue_depth"] == 0

    await until("the operator has nothing to do", probe)


async def test_a_stale_writer_gets_a_conflict_and_changes_nothing(
    api: Api, namespace: str, kubelet: Kubelet, rig: Rig
) -> None:
    name = await serving(api, kubelet, rig)
    await kubelet.crashes(name, "gone")  # so that there is something to say
    await rig.loop.resync()
    await api.merge(MODEL_DEPLOYMENT, namespace, "fraud", {"metadata": {"labels": {"a": "b"}}})
    before = await world(api, namespace)
    with pytest.raises(ConflictError):
        await rig.reconciler.run((namespace, "fraud"), later(20))
    assert await world(api, namespace) == before
    await rig.reconciler.refresh((namespace, "fraud"))
    assert (await rig.reconciler.run((namespace, "fraud"), later(21))).changed == ("status",)


async def test_only_the_holder_of_the_lease_writes_and_hands_it_over_when_it_stops(
    api: Api, namespace: str, kubelet: Kubelet, new_operator: MakeOperator
) -> None:
    first = await new_operator().start()
    await leads(first, within_s=10)
    second = await new_operator().start()
    await api.create(MODEL_DEPLOYMENT, namespace, a_model())
    await serve(api, namespace, kubelet)
    assert written(first) > 0
    assert written(second) == 0
    assert second.health("/readyz").status_code == 200, "its caches are warm"
    assert first.stop() == 0
    await leads(second, within_s=8)  # the Lease lasts 15 s: it was handed over
    await change(api, namespace, version="2")
    await serve(api, namespace, kubelet, "2")
    assert written(second) > 0
    assert second.health().status_code == 200, "keys that waited for it are not stale"


async def test_a_leader_that_froze_or_died_is_replaced_and_never_writes_again(
    api: Api, namespace: str, kubelet: Kubelet, new_operator: MakeOperator
) -> None:
    first = await new_operator().start()
    await leads(first, within_s=10)
    second = await new_operator().start()
    await api.create(MODEL_DEPLOYMENT, namespace, a_model())
    await serve(api, namespace, kubelet)
    await quiet(first)
    before = written(first)
    first.pause()
    await change(api, namespace, version="2")
    await leads(second, within_s=25)
    await revision(api, namespace, "2")
    first.resume()  # it believes to lead, and has much to do
    await serve(api, namespace, kubelet, "2")
    assert first.metrics()["fairlead_operator_leader"] == 0
    assert written(first) == before
    second.kill()
    await change(api, namespace, version="3")
    await leads(first, within_s=25)
    await serve(api, namespace, kubelet, "3")


async def test_a_leader_that_loses_the_api_server_stops_writing(
    api: Api, namespace: str, rig: Rig
) -> None:
    seconds = [0.0]
    lease = Lease(
        rig.cluster, namespace=namespace, name="l", identity="me", monotonic=lambda: seconds[0]
    )
    gated = rig.cluster.gated(lease)
    rig.reconciler = Reconciler(gated, rig.cache, rig.settings, rig.metrics, nobody)
    await lease.step()
    await api.create(MODEL_DEPLOYMENT, namespace, a_model())
    await rig.settle(NOW)
    rig.cluster.lost = True
    for _ in range(6):
        seconds[0] += 2
        await lease.step()
    rig.cluster.lost = False
    assert not lease.held()
    await change(api, namespace, version="2")
    before = await world(api, namespace)
    with pytest.raises(NotLeaderError):
        await rig.run(later(10))
    assert await world(api, namespace) == before
    await lease.step()
    assert (await rig.run(later(10))).changed


async def test_an_operator_of_one_namespace_does_not_look_outside(
    api: Api, namespace: str, new_operator: MakeOperator
) -> None:
    other = f"{namespace}-other"
    await api.create(NAMESPACE, None, {"metadata": {"name": other}})
    await api.create(MODEL_DEPLOYMENT, other, a_model())
    operator = await new_operator("--resync-seconds", "0.5").start()
    await api.create(MODEL_DEPLOYMENT, namespace, a_model())
    await revision(api, namespace, "1")
    assert operator.metrics()["fairlead_operator_model_deployments"] == 1
    assert (await api.model(other))["status"] == {"observedGeneration": 0}
    assert not operator.errors()
