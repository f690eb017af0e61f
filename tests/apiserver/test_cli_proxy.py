"""Requests of the command line to a real runtime, through a real API server's proxy."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
from collections.abc import AsyncIterator
from pathlib import Path

import numpy as np
import pytest

from cluster.controlplane import ControlPlane, free_ports
from fairlead_operator.kube.kinds import MODEL_DEPLOYMENT, POD, SERVICE, Kind
from fairlead_operator.planning import names
from tests.apiserver.api import JSON, SERVICE_ACCOUNT, Api, a_model, until
from tests.command import Ended
from tests.fairleadcli import fairlead
from tests.functional.test_drift import ask, profiled
from tests.runtimes import Served, served

_ENDPOINTS = Kind("", "v1", "Endpoints", "endpoints")


def _own_address() -> str:
    """Return an address of this machine: the API server forwards nothing to loopback."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect(("192.0.2.1", 9))  # sends nothing
        return str(probe.getsockname()[0])


@pytest.fixture
async def behind(api: Api, namespace: str, tmp_path: Path) -> AsyncIterator[Served]:
    """Serve a model behind the Service `fraud`, as a pod would."""
    own = _own_address()
    model = profiled(tmp_path)
    inner = free_ports(1)[0]
    flags = ("--model-name", "fraud", "--model-version", "7", "--metrics-port", str(inner))
    await api.create(MODEL_DEPLOYMENT, namespace, a_model())
    with served(model, tmp_path / "log", *flags) as runtime:
        async with _relay(own, runtime.port) as http, _relay(own, inner) as metrics:
            await _pretend(api, namespace, own, http, metrics)
            yield runtime


@contextlib.asynccontextmanager
async def _relay(own: str, port: int) -> AsyncIterator[int]:
    """Lead from a port of the machine's own address to one of loopback."""

    async def relay(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there = await asyncio.open_connection("127.0.0.1", port)
        await asyncio.gather(_pump(reader, there[1]), _pump(there[0], writer))

    server = await asyncio.start_server(relay, own, 0)
    async with server:
        yield int(server.sockets[0].getsockname()[1])


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(ConnectionError):
        while data := await reader.read(65_536):
            writer.write(data)
            await writer.drain()
    writer.close()


async def _pretend(api: Api, namespace: str, own: str, port: int, metrics: int) -> None:
    """Make the Service, its endpoints and a pod that lead to the process."""
    spec = {"ports": [{"name": "http", "port": 80, "targetPort": port}]}
    await api.create(SERVICE, namespace, {"metadata": {"name": "fraud"}, "spec": spec})
    labels = names.labels("fraud", "0" * 8)

    async def account() -> JSON | None:
        return await api.get(SERVICE_ACCOUNT, namespace, "default")

    await until("the namespace's account is there", account)
    await api.create(
        POD,
        namespace,
        {
            "metadata": {"name": "fraud-0", "labels": labels},
            "spec": {
                "containers": [
                    {
                        "name": "runtime",
                        "image": "none",
                        "ports": [{"name": "metrics", "containerPort": metrics}],
                    }
                ]
            },
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
