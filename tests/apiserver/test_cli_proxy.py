"""Requests of the command line to a real runtime, through a real API server's proxy."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from cluster.controlplane import ControlPlane
from fairlead_operator.kube.kinds import MODEL_DEPLOYMENT, POD, SERVICE, Kind
from fairlead_operator.planning import names
from tests import models
from tests.apiserver.api import JSON, SERVICE_ACCOUNT, Api, a_model, until
from tests.command import Ended
from tests.fairleadcli import fairlead
from tests.runtimes import served

_ENDPOINTS = Kind("", "v1", "Endpoints", "endpoints")


def _own_address() -> str:
    """Return an address of this machine: the API server forwards nothing to loopback."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect(("192.0.2.1", 9))  # sends nothing
        return str(probe.getsockname()[0])


@pytest.fixture
async def behind(api: Api, namespace: str, tmp_path: Path) -> AsyncIterator[None]:
    """Serve a model behind the Service `fraud`, as a pod would."""
    own = _own_address()
    model = models.classifier(tmp_path / "model.onnx")
    flags = ("--model-name", "fraud", "--model-version", "7")
    await api.create(MODEL_DEPLOYMENT, namespace, a_model())
    with served(model, tmp_path / "log", *flags) as runtime:

        async def relay(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            there = await asyncio.open_connection("127.0.0.1", runtime.port)
            await asyncio.gather(_pump(reader, there[1]), _pump(there[0], writer))

        server = await asyncio.start_server(relay, own, 0)
        async with server:
            await _pretend(api, namespace, own, server.sockets[0].getsockname()[1])
            yield


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(ConnectionError):
        while data := await reader.read(65_536):
            writer.write(data)
            await writer.drain()
    writer.close()


async def _pretend(api: Api, namespace: str, own: str, port: int) -> None:
    """Make the Service, its endpoints and a pod that lead to the process."""
    spec = {"ports": [{"name": "http", "port": 80, "targetPort": port}]}
    await api.create(SERVICE, namespace, {"metadata": {"name": "fraud"}, "spec": spec})
    labels = names.labels("fraud", "0" * 8)
    notes = {"prometheus.io/port": str(port)}

    async def account() -> JSON | None:
        return await api.get(SERVICE_ACCOUNT, namespace, "default")

    await until("the namespace's account is there", account)
    await api.create(
        POD,
        namespace,
        {
            "metadata": {"name": "fraud-0", "labels": labels, "annotations": notes},
            "spec": {"containers": [{"name": "runtime", "image": "none"}]},
        },
    )
    status = {"phase": "Running", "podIP": own, "podIPs": [{"ip": own}]}
    await api.merge(POD, namespace, "fraud-0", {"status": status}, "status")
    # What the API server's proxy goes by: addresses of pods, and it checks that they are.
    pod = {"kind": "Pod", "namespace": namespace, "name": "fraud-0"}
    subset = {
        "addresses": [{"ip": own, "targetRef": pod}],
        "ports": [{"name": "http", "port": port}],
    }
    await api.create(_ENDPOINTS, namespace, {"metadata": {"name": "fraud"}, "subsets": [subset]})


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


@pytest.mark.usefixtures("behind")
async def test_the_metrics_of_pods_are_read_through_the_api_server(
    plane: ControlPlane, namespace: str
) -> None:
    args = ("drift", "fraud", "-o", "json", "-n", namespace)
    done = await asyncio.to_thread(fairlead, *args, kubeconfig=plane.kubeconfig)
    assert done.status == 0, done.err
    assert (done.json["pods"], done.json["unread"]) == (["fraud-0"], [])
