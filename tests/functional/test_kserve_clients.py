"""KServe's own Python clients, over HTTP and gRPC, with JSON, raw and typed tensors.

They need an environment of their own, that of the benchmark's peer, which `make test-integrations`
makes; `KSERVE_PYTHON` names another one.
"""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import httpx
import pytest

from cluster.controlplane import free_ports
from cluster.paths import cache_dir
from tests import models
from tests.runtimes import served

PEER = cache_dir() / "venv" / "peer-kserve"
PYTHON = Path(os.environ.get("KSERVE_PYTHON", PEER / "bin" / "python"))


@pytest.mark.slow
@pytest.mark.skipif(not PYTHON.exists(), reason=f"no {PYTHON}: make {PEER}/.stamp")
def test_kserves_clients_get_the_same_answers_every_way(tmp_path: Path) -> None:
    model = models.classifier(tmp_path / "model.onnx")
    port = free_ports(1)[0]
    with served(model, tmp_path / "log", "--grpc-port", str(port)) as server:
        command = [str(PYTHON), "tests/functional/kserve_clients.py", str(server.port), str(port)]
        env = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
        done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        rows = [[1.0, 2.0, 3.0], [3.0, 2.0, 1.0]]
        plain = httpx.post(f"http://127.0.0.1:{server.port}/predict", json={"features": rows})
    told = json.loads(done.stdout.splitlines()[-1])
    assert (told["live"], told["ready"], told["model"]) == (True, True, True)
    for way in ("rest-False", "rest-True", "grpc-False", "grpc-True"):
        assert told[way]["id"] == way
        outputs = told[way]["outputs"]
        assert outputs["label"] == plain.json()["prediction"]
        for mine, theirs in zip(outputs["probabilities"], plain.json()["probability"], strict=True):
            assert mine == pytest.approx(theirs)
