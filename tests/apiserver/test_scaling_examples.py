"""What the operator makes of the examples for autoscaling and for GPUs, on the real API server."""

from __future__ import annotations

import dataclasses
import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from cluster.build import program
from cluster.controlplane import ControlPlane
from cluster.paths import ROOT
from fairlead_operator.kube.kinds import CHILDREN, DEPLOYMENT, JOB, MODEL_DEPLOYMENT
from fairlead_runtime.contract import names
from tests.apiserver.api import JSON, Api
from tests.apiserver.rig import Rig
from tests.builders import NOW, later
from tests.chart import schemas

EXAMPLES = ROOT / "examples"
ADAPTER = EXAMPLES / "autoscaling" / "prometheus-adapter.yaml"


def manifest(folder: str) -> JSON:
    """Return the ModelDeployment of an example."""
    document: JSON = yaml.safe_load((EXAMPLES / folder / "modeldeployment.yaml").read_text())
    return document


def rules() -> dict[str, Any]:
    """Return the adapter's rules by the name of the metric that autoscalers see."""
    found = yaml.safe_load(ADAPTER.read_text())["rules"]["custom"]
    return {rule["name"]["as"]: rule for rule in found}


async def children(
    api: Api, rig: Rig, plane: ControlPlane, folder: str, *, validated: bool
) -> list[JSON]:
    """Apply an example as people do, run the operator, and return all that it makes."""
    document = manifest(folder)
    name = document["metadata"]["name"]
    document["spec"]["validation"] = {"enabled": validated}
    plane.kubectl("-n", rig.namespace, "apply", "-f", "-", stdin=json.dumps(document))
    for second in range(3):
        await rig.run(later(second), name=name)
    live = await api.get(MODEL_DEPLOYMENT, rig.namespace, name)
    assert live is not None
    assert live["spec"]["scaling"]["metrics"] == document["spec"]["scaling"]["metrics"]
    uid = live["metadata"]["uid"]
    return [
        {"apiVersion": kind.api_version, **each}
        for kind in CHILDREN
        for each in await api.list(kind, rig.namespace)
        if uid in {owner["uid"] for owner in each["metadata"].get("ownerReferences") or ()}
    ]


def one(objects: list[JSON], kind: str) -> JSON:
    [found] = [each for each in objects if each["kind"] == kind]
    return found


def conform(objects: list[JSON], folder: Path) -> None:
    """Hold objects against the strict schemas of the oldest and the newest Kubernetes."""
    paths = []
    for number, each in enumerate(objects):
        paths.append(folder / f"{number}.json")
        # What we wrote: the status is the API server's own, in its own version.
        paths[-1].write_text(json.dumps({k: v for k, v in each.items() if k != "status"}))
    for version in (schemas.VERSIONS[0], schemas.VERSIONS[-1]):
        done = subprocess.run(
            [
                str(program("kubeconform")), "-strict", "-summary", "-kubernetes-version", version,
                "-schema-location", schemas.location(), *map(str, paths),
            ],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr
        assert f"Valid: {len(objects)}, Invalid: 0" in done.stdout


async def test_the_autoscaler_has_the_metrics_of_the_example_in_its_words(
    api: Api, rig: Rig, plane: ControlPlane, tmp_path: Path
) -> None:
    objects = await children(api, rig, plane, "autoscaling", validated=False)
    scaler = one(objects, "HorizontalPodAutoscaler")
    scaling = manifest("autoscaling")["spec"]["scaling"]
    assert scaler["spec"]["metrics"] == scaling["metrics"]
    assert (scaler["spec"]["minReplicas"], scaler["spec"]["maxReplicas"]) == (2, 20)
    for direction, wanted in scaling["behavior"].items():
        assert wanted.items() <= scaler["spec"]["behavior"][direction].items()
    conform(objects, tmp_path)


def test_the_adapter_offers_every_metric_of_the_examples() -> None:
    asked = {
        each["pods"]["metric"]["name"]
        for folder in ("autoscaling", "gpu")
        for each in manifest(folder)["spec"]["scaling"]["metrics"]
        if each["type"] == "Pods"
    }
    assert asked == set(rules())


@pytest.mark.parametrize("name", rules())
def test_the_adapter_asks_for_series_that_the_runtime_has(name: str) -> None:
    rule = rules()[name]
    known = {names.PREDICTIONS_TOTAL, names.REQUESTS_IN_FLIGHT} | {
        f"{names.QUEUE_SECONDS}_{part}" for part in ("sum", "count")
    }
    [series] = re.findall(r"^([a-z_]+)\{", rule["seriesQuery"])
    asked = set(re.findall(r"model_[a-z_]+", rule["metricsQuery"])) or {series}
    assert asked | {series} <= known
    for label in ("namespace", "pod"):
        assert f'{label}!=""' in rule["seriesQuery"]
        assert rule["resources"]["overrides"][label] == {"resource": label}


async def test_a_gpu_in_the_limits_picks_image_and_provider(
    api: Api, rig: Rig, plane: ControlPlane, tmp_path: Path
) -> None:
    objects = await children(api, rig, plane, "gpu", validated=False)
    pod = one(objects, "Deployment")["spec"]["template"]["spec"]
    [server], [fetch] = pod["containers"], pod["initContainers"]
    assert server["image"] == fetch["image"] == rig.settings.gpu_runtime_image
    assert {each["name"]: each["value"] for each in server["env"]} == {
        "FAIRLEAD_PROVIDER": "cuda", "FAIRLEAD_PROVIDER_FALLBACK": "off",
    }  # fmt: skip
    assert server["resources"]["limits"]["nvidia.com/gpu"] == "1"
    assert "nvidia.com/gpu" not in json.dumps(fetch["resources"])
    assert pod["tolerations"] == manifest("gpu")["spec"]["runtime"]["tolerations"]
    conform(objects, tmp_path)


async def test_a_gpus_model_is_validated_on_a_gpu_with_the_same_image(
    api: Api, rig: Rig, plane: ControlPlane, tmp_path: Path
) -> None:
    objects = await children(api, rig, plane, "gpu", validated=True)
    assert all(each["kind"] != DEPLOYMENT.kind for each in objects)
    pod = one(objects, JOB.kind)["spec"]["template"]["spec"]
    [container] = pod["containers"]
    assert container["image"] == rig.settings.gpu_runtime_image
    assert container["resources"]["limits"]["nvidia.com/gpu"] == "1"
    assert {"name": "FAIRLEAD_PROVIDER", "value": "cuda"} in container["env"]
    assert pod["nodeSelector"] == {"nvidia.com/gpu.present": "true"}
    conform(objects, tmp_path)


async def test_an_operator_with_another_image_for_gpus_restarts_no_model(
    api: Api, rig: Rig, plane: ControlPlane
) -> None:
    objects = await children(api, rig, plane, "gpu", validated=False)
    before = one(objects, "Deployment")
    rig.settings = dataclasses.replace(rig.settings, gpu_runtime_image="other:2")
    rig.restart()
    await rig.run(NOW, name="embeddings")
    [after] = [
        each
        for each in await api.list(DEPLOYMENT, rig.namespace)
        if each["metadata"]["name"] == before["metadata"]["name"]
    ]
    assert after["metadata"]["generation"] == before["metadata"]["generation"]
