"""Each kind of pod that the operator makes, to an API server that enforces the restricted standard.

The namespaces of all tests here enforce it; this shows every shape of a pod, and that each of its
containers is looked at.
"""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest

from cluster.controlplane import ControlPlane
from cluster.paths import ClusterError
from fairlead_operator.planning import router, validation
from fairlead_operator.planning.podtemplate import pod_template

_SHA = "0" * 64
_GPU = {"resources": {"limits": {"nvidia.com/gpu": "1"}}, "nodeSelector": {"gpu": "yes"}}
_MODELS: dict[str, dict[str, Any]] = {
    "web": {"uri": "https://models.example/m.onnx"},
    "secret": {"uri": "s3://models/m.onnx", "secretName": "keys", "digest": "sha256:" + _SHA},
    "claim": {"uri": "pvc://claim/m.onnx"},
    "config map": {"uri": "configmap://fraud/m.onnx"},
    "image": {"uri": "file:///m.onnx"},
}
_EXAMPLES = ("configmap://examples/rows.json", "pvc://claim/rows.json", None)


def _serving(model: dict[str, Any], runtime: dict[str, Any]) -> dict[str, Any]:
    return pod_template(
        name="fraud", revision_hash=_SHA, version="1", image="fairlead/runtime:1", model=model,
        runtime=runtime, connection_age_s=60, private_redirects=False,
    )  # fmt: skip


def _templates() -> dict[str, dict[str, Any]]:
    found = {f"model from {name}": _serving(model, {}) for name, model in _MODELS.items()}
    found["model on a GPU"] = _serving(_MODELS["web"], _GPU)
    for examples in _EXAMPLES:
        job = validation.job_spec(
            name="fraud", revision_hash=_SHA, template=found["model from secret"],
            validation={"examplesUri": examples}, objectives={}, threads=2,
        )  # fmt: skip
        found[f"validation with {examples}"] = job["template"]
    plan = router.Plan(
        image="fairlead/router:1", args=("-c", router.bootstrap_file()), bootstrap="{}",
        documents={"routes.json": "{}"}, connection_age_s=60,
    )  # fmt: skip
    found["router"] = router.template("fraud", plan)
    return found


@pytest.mark.parametrize("name", _templates())
def test_the_restricted_standard_admits_it(plane: ControlPlane, namespace: str, name: str) -> None:
    spec = copy.deepcopy(_templates()[name]["spec"])
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "rendered"}, "spec": spec}
    _create(plane, namespace, pod)
    containers = [*spec["containers"], *spec.get("initContainers", ())]
    for each in containers:  # each of them is looked at
        kept = each.pop("securityContext")
        with pytest.raises(ClusterError, match=f'"{each["name"]}".* must set'):
            _create(plane, namespace, pod)
        each["securityContext"] = kept


def _create(plane: ControlPlane, namespace: str, pod: dict[str, Any]) -> None:
    plane.kubectl("-n", namespace, "create", "--dry-run=server", "-f", "-", stdin=json.dumps(pod))
