"""Requests of the command line to a real runtime, through a real API server's proxy."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path

import numpy as np
import pytest

from cluster.controlplane import ControlPlane, free_ports
from fairlead_operator.kube.kinds import MODEL_DEPLOYMENT
from fairlead_operator.planning import names
from tests.apiserver.api import JSON, Api, a_model, until
from tests.apiserver.relay import own_address, pretend, relayed
from tests.command import Ended
from tests.fairleadcli import fairlead
from tests.functional.test_drift import ask, profiled
from tests.runtimes import Served, served


@pytest.fixture
async def behind(api: Api, namespace: str, tmp_path: Path) -> AsyncIterator[Served]:
    """Serve a model behind the Service `fraud`, as a pod would."""
    own = own_address()
    model = profiled(tmp_path)
    inner = free_ports(1)[0]
    flags = ("--model-name", "fraud", "--model-version", "7", "--metrics-port", str(inner))
    await api.create(MODEL_DEPLOYMENT, namespace, a_model())
    with served(model, tmp_path / "log", *flags) as runtime:
        async with relayed(own, runtime.port) as http, relayed(own, inner) as metrics:
            labels = names.labels("fraud", "0" * 8)
            await pretend(api, namespace, "fraud", own, http, pod_labels=labels, metrics=metrics)
            yield runtime


@pytest.mark.usefixtures("behind")
async def test_a_prediction_goes_through_the_api_server(
    plane: ControlPlane, namespace: str
) -> None:
    def predict(text: str) -> Ended:
        args = ("predict", "fraud", "-i", "-", "-n", namespace)
        return fairlead(*args, kubeconfig=plane.kubeconfig, stdin=text)

    done = await asyncio.to_thread(predict, "[[0.1, 0.2, 0.3]]")
    assert done.status == 0, done.err
    assert len(done.json["prediction"]) == 1
    assert done.err == "answered by version 7\n"
    wrong = await asyncio.to_thread(predict, json.dumps({"features": "none"}))
    assert wrong.status == 1
    assert wrong.err.startswith("error: the model answered 4"), wrong.err


async def test_the_counts_of_drift_are_read_through_the_api_server(
    behind: Served, plane: ControlPlane, namespace: str
) -> None:
    random = np.random.default_rng(7)
    rows = random.standard_normal((1200, 3)) + np.array([0.0, 2.0, 0.0])
    await asyncio.to_thread(ask, behind, rows)

    async def all_counted() -> JSON | None:
        args = ("drift", "fraud", "-o", "json", "-n", namespace)
        done = await asyncio.to_thread(fairlead, *args, kubeconfig=plane.kubeconfig)
        assert done.status == 0, done.err
        (found,) = done.json["revisions"]
        return found if found["rows"] == 1200 else None

    found = await until("all rows are counted", all_counted)
    assert (found["pods"], found["version"]) == (["fraud-0"], "7")
    inputs = {
        each["feature"]: each["drifting"] for each in found["features"] if "x" in each["feature"]
    }
    assert list(inputs.values()).count(True) == 1, found
    shown = await asyncio.to_thread(
        fairlead, "drift", "fraud", "-n", namespace, kubeconfig=plane.kubeconfig
    )
    assert "drifting" in shown.out
