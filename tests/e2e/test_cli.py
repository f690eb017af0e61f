"""The command line on a real node: what it shows of real pods, and a prediction through it."""

from __future__ import annotations

import json

import numpy as np
import numpy.typing as npt
import onnxruntime as ort

from tests.command import Ended
from tests.e2e.world import EXAMPLES, World
from tests.fairleadcli import fairlead

_MODEL = EXAMPLES / "breast-cancer" / "model.onnx"


def _run(world: World, *args: str, stdin: str | None = None) -> Ended:
    return fairlead(*args, "-n", world.namespace, kubeconfig=world.cluster.kubeconfig, stdin=stdin)


def test_a_model_is_shown_asked_and_examined(
    world: World, held_out: npt.NDArray[np.float64]
) -> None:
    world.kubectl("apply", "-k", str(EXAMPLES / "breast-cancer"))
    world.ready("breast-cancer", version="1")

    shown = _run(world, "status", "breast-cancer", "-o", "json")
    (revision,) = shown.json["revisions"]
    assert revision["sharePercent"] == 100
    names = {pod["metadata"]["name"] for pod in world.all("pods")}
    assert {pod["name"] for pod in revision["pods"]} == names
    assert {(pod["state"], pod["ready"]) for pod in revision["pods"]} == {("Running", 1)}

    session = ort.InferenceSession(_MODEL, providers=["CPUExecutionProvider"])
    rows = held_out[:5].astype(np.float32)
    (labels,) = session.run(["label"], {"features": rows})
    simple = _run(world, "predict", "breast-cancer", "-i", "-", stdin=json.dumps(rows.tolist()))
    assert (simple.status, simple.json["prediction"]) == (0, labels.tolist()), simple.err
    assert simple.err == "answered by version 1\n"
    tensor = {"name": "features", "datatype": "FP32", "shape": [5, 30]}
    body = json.dumps({"inputs": [{**tensor, "data": rows.ravel().tolist()}]})
    protocol = _run(world, "predict", "breast-cancer", "-i", "-", stdin=body)
    outputs = {each["name"]: each["data"] for each in protocol.json["outputs"]}
    assert outputs["label"] == labels.tolist()
    refused = _run(world, "predict", "breast-cancer", "-i", "-", stdin="[[1, 2]]")
    assert refused.status == 1
    assert refused.err.startswith("error: the model answered 4"), refused.err

    drift = _run(world, "drift", "breast-cancer")
    assert drift.status == 0, drift.err
    assert "not read" not in drift.out
    examined = _run(world, "doctor")
    assert examined.status == 0, examined.out
    assert "is held by" in examined.out
    assert "are complete" in examined.out
    assert "1 of 1 are ready" in examined.out
