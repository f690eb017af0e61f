"""The command line as a process, in one namespace of a control plane."""

from __future__ import annotations

import asyncio
import contextlib
import sys
from collections.abc import AsyncIterator
from pathlib import Path

from cluster.controlplane import ControlPlane
from fairlead_operator.kube.kinds import MODEL_DEPLOYMENT
from tests.apiserver.api import Api, until
from tests.command import Ended
from tests.fairleadcli import environment, fairlead

HASH = "3f2a9c1e" + "0" * 8


class Commands:
    """Runs commands in a namespace, as the administrator unless somebody else is named."""

    def __init__(self, plane: ControlPlane, namespace: str) -> None:
        self._plane, self._namespace = plane, namespace

    async def __call__(
        self, *args: str, kubeconfig: Path | None = None, stdin: str | None = None
    ) -> Ended:
        config = kubeconfig or self._plane.kubeconfig
        where = ("-n", self._namespace)
        return await asyncio.to_thread(fairlead, *args, *where, kubeconfig=config, stdin=stdin)


async def watching(plane: ControlPlane, namespace: str) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        sys.executable, "-m", "fairlead_cli", "status", "fraud", "--watch", "--interval", "0.2",
        "-n", namespace, env=environment(KUBECONFIG=str(plane.kubeconfig)),
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip


async def line_with(process: asyncio.subprocess.Process, word: str) -> None:
    assert process.stdout is not None
    async with asyncio.timeout(30):
        while line := (await process.stdout.readline()).decode():
            if word in line:
                return
    raise AssertionError(f"it ended without {word!r}")


@contextlib.asynccontextmanager
async def operator_says(api: Api, namespace: str, verb: str, result: str) -> AsyncIterator[None]:
    """Say in status what became of an imperative, as soon as somebody has said one."""

    async def play() -> None:
        async def said() -> str | None:
            live = await api.model(namespace)
            found: str | None = live["metadata"].get("annotations", {}).get(f"fairlead.dev/{verb}")
            return found

        value = await until(f"somebody says {verb}", said)
        action = {"verb": verb, "value": value, "result": result, "at": "2026-01-01T00:00:00Z"}
        await api.merge(
            MODEL_DEPLOYMENT, namespace, "fraud", {"status": {"lastAction": action}}, "status"
        )

    task = asyncio.create_task(play())
    try:
        yield
    finally:
        await task
