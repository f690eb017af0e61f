"""Processes of this machine behind Services, for the API server's proxy."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Mapping

from fairlead_operator.kube.kinds import POD, SERVICE, Kind
from tests.apiserver.api import JSON, SERVICE_ACCOUNT, Api, until

_LOCKED_DOWN = {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}
_POD_SECURITY = {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}}
_ENDPOINTS = Kind("", "v1", "Endpoints", "endpoints")


def own_address() -> str:
    """Return an address of this machine: the API server forwards nothing to loopback."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect(("192.0.2.1", 9))  # sends nothing
        return str(probe.getsockname()[0])


@contextlib.asynccontextmanager
async def relayed(own: str, port: int) -> AsyncIterator[int]:
    """Lead from a port of the machine's own address to one of loopback."""

    ends: list[asyncio.StreamWriter] = []
    running: set[asyncio.Task[None]] = set()

    async def relay(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there = await asyncio.open_connection("127.0.0.1", port)
        ends.extend((writer, there[1]))
        await asyncio.gather(_pump(reader, there[1]), _pump(there[0], writer))

    def accepted(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        running.add(asyncio.create_task(relay(reader, writer)))

    server = await asyncio.start_server(accepted, own, 0)
    async with server:
        try:
            yield int(server.sockets[0].getsockname()[1])
        finally:
            # The API server keeps its connections: they do not end by themselves.
            for end in ends:
                end.transport.abort()
            await asyncio.gather(*running, return_exceptions=True)


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(ConnectionError):
        while data := await reader.read(65_536):
            writer.write(data)
            await writer.drain()
    writer.close()


async def pretend(
    api: Api,
    namespace: str,
    name: str,
    own: str,
    port: int,
    *,
    labels: Mapping[str, str] | None = None,
    pod_labels: Mapping[str, str] | None = None,
    metrics: int | None = None,
) -> None:
    """Make a Service, its endpoints and a pod that lead to a process.

    Args:
        api: The API server.
        namespace: Where they are made.
        name: The Service's name; the pod's is `<name>-0`.
        own: This machine's address.
        port: The process' port there; the Service calls it `http`.
        labels: Of the Service.
        pod_labels: Of the pod.
        metrics: Another port, which the pod calls `metrics`.
    """
    spec = {"ports": [{"name": "http", "port": 80, "targetPort": port}]}
    meta = {"name": name, "labels": dict(labels or {})}
    await api.create(SERVICE, namespace, {"metadata": meta, "spec": spec})

    async def account() -> JSON | None:
        return await api.get(SERVICE_ACCOUNT, namespace, "default")

    await until("the namespace's account is there", account)
    ports = [] if metrics is None else [{"name": "metrics", "containerPort": metrics}]
    await api.create(
        POD,
        namespace,
        {
            "metadata": {"name": f"{name}-0", "labels": dict(pod_labels or {})},
            "spec": {
                "securityContext": _POD_SECURITY,
                "containers": [
                    {
                        "name": "main",
                        "image": "none",
                        "ports": ports,
                        "securityContext": _LOCKED_DOWN,
                    }
                ],
            },
        },
    )
    status = {"phase": "Running", "podIP": own, "podIPs": [{"ip": own}]}
    await api.merge(POD, namespace, f"{name}-0", {"status": status}, "status")
    # What the API server's proxy goes by: addresses of pods, and it checks that they are.
    pod = {"kind": "Pod", "namespace": namespace, "name": f"{name}-0"}
    subset = {
        "addresses": [{"ip": own, "targetRef": pod}],
        "ports": [{"name": "http", "port": port}],
    }
    await api.create(_ENDPOINTS, namespace, {"metadata": {"name": name}, "subsets": [subset]})
