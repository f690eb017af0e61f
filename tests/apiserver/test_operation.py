"""What people who run the operator look at: probes, metrics, logs."""

from __future__ import annotations

import asyncio
from pathlib import Path

from cluster.controlplane import ControlPlane, write_kubeconfig
from fairlead_operator.kube.kinds import MODEL_DEPLOYMENT
from tests.apiserver.api import Api, a_model, until
from tests.apiserver.kubelet import Kubelet
from tests.apiserver.process import OperatorProcess
from tests.apiserver.story import MakeOperator, ready, serve


async def test_probes_metrics_and_logs_tell_what_the_operator_does(
    api: Api, namespace: str, kubelet: Kubelet, new_operator: MakeOperator
) -> None:
    operator = await new_operator("--resync-seconds", "1").start()
    await api.create(MODEL_DEPLOYMENT, namespace, a_model())
    await serve(api, namespace, kubelet)
    assert operator.health("/healthz").json() == {"status": "ok"}
    assert operator.health("/readyz").json() == {"ready": True}
    metrics = operator.metrics()
    assert metrics['fairlead_operator_passes_total{outcome="changed"}'] >= 2
    assert metrics['fairlead_operator_writes_total{kind="Deployment",verb="created"}'] == 1
    assert metrics['fairlead_operator_writes_total{kind="ModelDeployment",verb="status"}'] == 2
    assert metrics["fairlead_operator_pass_duration_seconds_count"] >= 2
    assert metrics["fairlead_operator_leader"] == 1
    assert metrics["fairlead_operator_model_deployments"] == 1
    assert metrics["fairlead_operator_queue_depth"] == 0
    assert metrics["fairlead_operator_queue_age_seconds"] == 0
    about = [line for line in operator.lines() if line["message"].startswith("reconciled")]
    assert about
    for line in about:
        assert (line["kind"], line["namespace"], line["name"]) == (
            "ModelDeployment",
            namespace,
            "fraud",
        )
    for line in operator.lines():
        assert {"time", "level", "logger", "message"} <= line.keys()


async def test_an_operator_without_its_rights_says_so_and_goes_on_trying(
    api: Api, plane: ControlPlane, namespace: str, tmp_path: Path
) -> None:
    config = tmp_path / "powerless"
    authority = plane.directory / "ca.crt"
    token = f"{plane.token}-kube-scheduler"  # somebody with other rights than the operator's
    write_kubeconfig(config, server=plane.server, authority=authority, token=token)
    operator = OperatorProcess(config, namespace, tmp_path / "log")
    operator.launch()
    try:

        async def told() -> bool:
            return any("forbidden" in line["message"] for line in operator.lines())

        await until("the log says what is forbidden", told)
        assert operator.alive()
        answer = await asyncio.to_thread(operator.health, "/readyz")
        assert answer.status_code == 503
    finally:
        assert operator.stop() == 0


async def test_an_operator_that_starts_before_the_api_server_waits_for_it(
    api: Api,
    plane: ControlPlane,
    namespace: str,
    kubelet: Kubelet,
    new_operator: MakeOperator,
) -> None:
    await api.create(MODEL_DEPLOYMENT, namespace, a_model())
    operator = new_operator()
    plane.kill_apiserver()
    try:
        operator.launch()

        async def tried() -> bool:
            return any("cannot renew the Lease" in line["message"] for line in operator.lines())

        await until("the operator has tried", tried)
    finally:
        plane.start_apiserver()
    await serve(api, namespace, kubelet)
    assert operator.alive()
    await ready(api, namespace)
