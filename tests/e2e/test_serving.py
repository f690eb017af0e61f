"""A model on a real node answers with its own numbers."""

from __future__ import annotations

import json
import time
import urllib.request
from typing import Any

import numpy as np
import numpy.typing as npt
import onnxruntime as ort
import tritonclient.grpc

from cluster.forward import forwarded
from tests.e2e.world import EXAMPLES, World, condition, until

_MODEL = EXAMPLES / "breast-cancer" / "model.onnx"


def post(url: str, document: dict[str, Any]) -> dict[str, Any]:
    data = json.dumps(document).encode()
    request = urllib.request.Request(url, data, {"Content-Type": "application/json"})
    time.sleep(0.02)  # fewer than fifty a second: what is tested here is no load
    with urllib.request.urlopen(request, timeout=10) as answer:
        result: dict[str, Any] = json.load(answer)
    return result


def test_every_held_out_row_gets_the_answer_of_onnxruntime(
    world: World, held_out: npt.NDArray[np.float64]
) -> None:
    world.kubectl("apply", "-k", str(EXAMPLES / "breast-cancer"))
    live = world.ready("breast-cancer", version="1")
    assert condition(live, "Available")["status"] == "True"
    rows = held_out.astype(np.float32)
    assert len(rows) == 200
    session = ort.InferenceSession(_MODEL, providers=["CPUExecutionProvider"])
    labels, probabilities = session.run(["label", "probabilities"], {"features": rows})
    config = world.cluster.kubeconfig
    with forwarded(config, world.namespace, "service/breast-cancer", 80) as url:
        simple = [post(f"{url}/predict", {"features": row.tolist()}) for row in held_out]
        tensor = {"name": "features", "datatype": "FP32", "shape": [200, 30]}
        tensor["data"] = rows.ravel().tolist()
        batch = post(f"{url}/v2/models/breast-cancer/infer", {"inputs": [tensor]})
    assert [answer["prediction"] for answer in simple] == labels.tolist()
    served = np.array([answer["probability"] for answer in simple])
    np.testing.assert_allclose(served, probabilities, rtol=0, atol=1e-6)
    outputs = {each["name"]: each for each in batch["outputs"]}
    assert outputs["label"]["data"] == labels.tolist()
    whole = np.array(outputs["probabilities"]["data"]).reshape(200, 2)
    np.testing.assert_allclose(whole, probabilities, rtol=0, atol=1e-6)


def test_grpc_at_the_same_address_gives_the_same_answers(
    world: World, held_out: npt.NDArray[np.float64]
) -> None:
    world.kubectl("apply", "-k", str(EXAMPLES / "breast-cancer"))
    world.ready("breast-cancer", version="1")
    rows = held_out.astype(np.float32)
    session = ort.InferenceSession(_MODEL, providers=["CPUExecutionProvider"])
    labels, probabilities = session.run(["label", "probabilities"], {"features": rows})
    config = world.cluster.kubeconfig
    with (
        forwarded(config, world.namespace, "service/breast-cancer", 9000) as url,
        tritonclient.grpc.InferenceServerClient(url.removeprefix("http://")) as client,
    ):
        assert client.is_model_ready("breast-cancer")
        tensor = tritonclient.grpc.InferInput("features", list(rows.shape), "FP32")
        tensor.set_data_from_numpy(rows)
        answer = client.infer("breast-cancer", [tensor])
    np.testing.assert_array_equal(answer.as_numpy("label"), labels)
    served = answer.as_numpy("probabilities")
    np.testing.assert_allclose(served, probabilities, rtol=0, atol=1e-6)


def test_the_autoscaler_sees_the_use_of_cpu(world: World) -> None:
    world.kubectl("apply", "-k", str(EXAMPLES / "digits"))
    world.ready("digits", version="1")

    def measured() -> bool:
        [found] = world.all("hpa")
        return condition(found, "ScalingActive").get("status") == "True"

    until("the autoscaler has a CPU figure", measured, 180)


def test_pods_run_without_root_on_a_read_only_file_system(world: World) -> None:
    world.kubectl("apply", "-k", str(EXAMPLES / "digits"))
    world.ready("digits", version="1")
    [pod] = world.all("pods")
    name = pod["metadata"]["name"]
    assert world.kubectl("exec", name, "--", "id", "-u").strip() == "65532"
    told = world.kubectl("exec", name, "--", "sh", "-c", "touch /nope 2>&1 || true")
    assert "Read-only file system" in told
    assert world.kubectl("exec", name, "--", "sh", "-c", "touch /tmp/yes && echo fine") == "fine\n"


def test_a_deleted_pod_is_missed_by_nobody(world: World, held_out: npt.NDArray[np.float64]) -> None:
    world.model_file("model", _MODEL)
    scaling = {"minReplicas": 2, "maxReplicas": 2}
    world.deploy("fraud", {"uri": "configmap://model/model.onnx", "version": "1"}, scaling=scaling)
    world.ready("fraud", version="1")
    pods = [pod["metadata"]["name"] for pod in world.all("pods")]
    with world.client("fraud", held_out[0].tolist(), seconds=300) as answers:
        began = time.time()
        world.kubectl("delete", "pod", pods[0], "--wait=true", "--timeout=90s")
        world.ready("fraud", version="1")
        ended = time.time()

        def enough() -> bool:
            newest = world.newest("client-fraud")
            return bool(newest.get("at", 0) > ended and newest.get("number", 0) > 50)

        until("requests enough, and one after it", enough)
    assert [answer for answer in answers if "error" in answer] == []
    assert len(answers) > 50
    assert [answer for answer in answers if began < answer["at"] < ended]
