"""A model is replaced without a lost request, and a broken one replaces nothing."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from tests.e2e.world import EXAMPLES, World, condition, until

_ONE = EXAMPLES / "breast-cancer" / "model.onnx"
_TWO = EXAMPLES / "breast-cancer" / "2" / "model.onnx"
_FILES = """
import http.server, pathlib
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(404 if "missing" in self.path else 403)
        self.send_header("Content-Length", "0")
        self.end_headers()
http.server.ThreadingHTTPServer(("", 8000), Handler).serve_forever()
"""


def model(name: str, version: str, **more: Any) -> dict[str, Any]:
    return {"uri": f"configmap://{name}/model.onnx", "version": version, **more}


def test_an_update_loses_no_request_and_moves_every_connection(
    world: World, held_out: npt.NDArray[np.float64]
) -> None:
    world.model_file("one", _ONE)
    world.model_file("two", _TWO)
    world.deploy("fraud", model("one", "1"))
    world.ready("fraud", version="1")
    with world.client("fraud", held_out[0].tolist(), seconds=240) as answers:
        world.deploy("fraud", model("two", "2"))
        live = world.ready("fraud", version="2")
        old = next(r for r in live["status"]["revisions"] if r["version"] == "1")
        until(
            "the old revision is gone",
            lambda: len(world.all("deployments")) == 1,
        )
        until(
            "its pods are gone",
            lambda: not world.all("pods", f"fairlead.dev/revision={old['hash'][:8]}"),
        )
    assert [answer for answer in answers if "error" in answer] == []
    for fresh in (True, False):
        versions = [a["version"] for a in answers if a["fresh"] is fresh]
        assert versions[0] == "1"
        assert versions[-1] == "2"
        assert versions == sorted(versions), "went back to the old version"


BROKEN: dict[str, tuple[dict[str, Any], dict[str, Any], str, str]] = {
    "a wrong digest": (
        model("two", "2", digest="sha256:" + "0" * 64), {},
        "DigestMismatch", "is demanded",
    ),
    "a file that is no ONNX": (
        {"uri": "configmap://text/model.onnx", "version": "2"}, {},
        "InvalidModel", "not an ONNX model",
    ),
    "a crash at the start": (
        model("two", "2"), {"env": [{"name": "PYTHONHOME", "value": "/nowhere"}]},
        "Crashed", "encodings",
    ),
    "a URI that answers 404": (
        {"uri": "http://files:8000/missing.onnx", "version": "2"}, {},
        "SourceNotFound", "answers 404",
    ),
    "a URI that answers 403": (
        {"uri": "http://files:8000/private.onnx", "version": "2"}, {},
        "DownloadRefused", "answers 403",
    ),
    "too little memory": (
        model("two", "2"), {"resources": {"limits": {"memory": "20Mi"}}},
        "OutOfMemory", "raise spec.runtime.resources.limits.memory",
    ),
    "an image that is not there": (
        model("two", "2"), {"image": "localhost/fairlead/none:1"},
        "ImagePullFailed", "localhost/fairlead/none:1",
    ),
    "a pod that fits no node": (
        model("two", "2"), {"resources": {"requests": {"cpu": "900"}}},
        "Unschedulable", "Insufficient cpu",
    ),
    "a ConfigMap that is not there": (
        model("nobody", "2"), {},
        "VolumeMountFailed", 'configmap "nobody" not found',
    ),
}  # fmt: skip


@pytest.fixture
def broken(world: World) -> World:
    """Return a world with two models, a text, and a server that has no model."""
    world.model_file("one", _ONE)
    world.model_file("two", _TWO)
    world.model_file("text", Path(__file__))
    world.script("files", _FILES)
    pod = world.pod("files", ["python3", "/script/main.py"], world.images["runtime"],
                    script="files")  # fmt: skip
    service = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "files", "namespace": world.namespace},
        "spec": {"selector": {"app": "files"}, "ports": [{"port": 8000}]},
    }
    world.apply(pod, service)
    return world


def test_broken_updates_say_what_is_wrong_while_the_old_version_serves(
    broken: World, held_out: npt.NDArray[np.float64]
) -> None:
    world = broken
    world.deploy("fraud", model("one", "1"))
    world.ready("fraud", version="1")
    told: dict[str, str] = {}
    with world.client("fraud", held_out[0].tolist(), seconds=540) as answers:
        for what, (wanted, runtime, reason, words) in BROKEN.items():
            world.deploy("fraud", wanted, **({"runtime": runtime} if runtime else {}))
            found = world.reason("fraud", reason)
            assert found["status"] == "False", what
            assert words in found["message"], what
            assert "version 1 goes on serving" in found["message"], what
            live = world.get("modeldeployment", "fraud")
            assert condition(live, "Available")["status"] == "True", what
            assert live["status"]["version"] == "1", what
            told[what] = found["message"]
        # Each reason is an Event as well: who looks there must not have to look elsewhere.
        events = json.loads(world.kubectl("get", "events", "-o", "json"))["items"]
        warned = {e["reason"] for e in events if e["type"] == "Warning"}
        assert {reason for _, _, reason, _ in BROKEN.values()} <= warned
        world.deploy("fraud", model("one", "1"))
        world.ready("fraud", version="1")
        until("the broken ones are gone", lambda: len(world.all("deployments")) == 1)
    assert [answer for answer in answers if "error" in answer] == []
    assert {answer["version"] for answer in answers} == {"1"}
    print(json.dumps(told, indent=1))
