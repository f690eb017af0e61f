"""Plays the kubelet of a cluster without nodes: pods do just what they are told.

The Deployment and ReplicaSet controllers are real; only what a node would report comes from here,
in the words that a real kubelet has for it.
"""

from __future__ import annotations

import json
import uuid
from typing import Any

from fairlead_operator.kube.kinds import DEPLOYMENT, EVENT, JOB, POD
from tests.apiserver.api import JSON, Api, until

DIGEST = "sha256:" + "a" * 64
_THEN = "2026-01-01T00:00:00Z"


class Kubelet:
    """Reports for the pods of one namespace; `deployment` says whose pods are meant."""

    def __init__(self, api: Api, namespace: str) -> None:
        self._api = api
        self._namespace = namespace

    async def pods(self, deployment: str) -> list[JSON]:
        """Return the pods of a Deployment that are not going."""
        found = await self._api.list(POD, self._namespace)
        return [
            pod
            for pod in found
            if pod["metadata"]["name"].startswith(deployment + "-")
            # The pod of the revision's validation begins in the same way, and may outlive its Job.
            and "batch.kubernetes.io/job-name" not in pod["metadata"]["labels"]
            and "deletionTimestamp" not in pod["metadata"]
        ]

    async def some_pods(self, deployment: str, count: int = 1) -> list[JSON]:
        """Wait until a Deployment has so many pods, and return them."""

        async def enough() -> list[JSON] | None:
            found = await self.pods(deployment)
            return found if len(found) >= count else None

        return await until(f"{count} pods of {deployment}", enough)

    async def start(self, deployment: str, count: int = 1, *, digest: str = DIGEST) -> None:
        """All its pods fetch the model and become ready; wait until the Deployment says so."""
        for pod in await self.some_pods(deployment, count):
            report = json.dumps({"digest": digest, "sizeBytes": 1234, "uri": "configmap://x/y"})
            await self._report(
                pod,
                [_fetch(_ended(0, report), ready=True)],
                [_runtime({"running": {"startedAt": _THEN}}, ready=True)],
                phase="Running",
            )
        await self.ready_is(deployment, count)

    async def runs(self, pod: JSON) -> None:
        """A pod of one container that fetches nothing becomes ready."""
        main = _container("router", {"running": {"startedAt": _THEN}}, ready=True, last=None)
        await self._report(pod, [], [main], phase="Running")

    async def tries(self, job: str, code: int, report: str, *, reason: str | None = None) -> None:
        """The pod of a validation Job ends; wait until the Job controller has seen it."""

        async def made() -> list[JSON] | None:
            found = await self._api.list(
                POD, self._namespace, f"batch.kubernetes.io/job-name={job}"
            )
            return found or None

        for pod in await until(f"a pod of {job}", made):
            phase = "Succeeded" if code == 0 else "Failed"
            main = _container(
                "validate", _ended(code, report, reason=reason), ready=False, last=None
            )
            await self._report(pod, [_fetch(_ended(0, "{}"), ready=True)], [main], phase=phase)

        async def over() -> bool:
            live = await self._api.get(JOB, self._namespace, job)
            return any(
                each["status"] == "True" and each["type"] in ("Complete", "Failed")
                for each in ((live or {}).get("status") or {}).get("conditions") or ()
            )

        await until(f"{job} has ended", over)

    async def ready_is(self, deployment: str, count: int) -> None:
        """Wait until a Deployment counts so many ready replicas, and has seen its own spec."""

        async def says() -> bool:
            live = await self._api.get(DEPLOYMENT, self._namespace, deployment)
            if live is None:
                return False
            seen = live["status"].get("observedGeneration") == live["metadata"]["generation"]
            return bool(seen and live["status"].get("readyReplicas", 0) == count)

        await until(f"{count} ready replicas of {deployment}", says)

    async def scale(self, deployment: str, replicas: int) -> None:
        """Set the replicas, as an autoscaler does."""
        body = {"spec": {"replicas": replicas}}
        await self._api.merge(DEPLOYMENT, self._namespace, deployment, body)

    async def fetch_fails(
        self, deployment: str, reason: str, message: str, *, exit_code: int
    ) -> None:
        """The init container ends with the report that the runtime leaves, and backs off."""
        report = json.dumps({"reason": reason, "message": message})
        for pod in await self.some_pods(deployment):
            state = _back_off("fetch")
            last = _ended(exit_code, report)
            await self._report(
                pod, [_fetch(state, last=last)], [_runtime(_waiting("PodInitializing"))]
            )

    async def crashes(
        self, deployment: str, output: str, *, exit_code: int = 1, reason: str = "Error"
    ) -> None:
        """The runtime container ends with this output at its end, and backs off."""
        for pod in await self.some_pods(deployment):
            last = _ended(exit_code, output, reason=reason)
            await self._report(
                pod,
                [_fetch(_ended(0, "{}"), ready=True)],
                [_runtime(_back_off("runtime"), last=last)],
                phase="Running",
            )
        await self.ready_is(deployment, 0)

    async def waits(self, deployment: str, reason: str, message: str) -> None:
        """The init container waits for this reason: an image, a Secret."""
        for pod in await self.some_pods(deployment):
            await self._report(
                pod,
                [_fetch(_waiting(reason, message))],
                [_runtime(_waiting("PodInitializing"))],
            )

    async def cannot_mount(self, deployment: str, message: str) -> None:
        """The pod is scheduled and no container starts; a Warning Event says why."""
        for pod in await self.some_pods(deployment):
            waiting = _waiting("PodInitializing")
            await self._report(pod, [_fetch(waiting)], [_runtime(waiting)])
            await self._event(pod, "FailedMount", message)

    async def cannot_schedule(self, deployment: str, message: str) -> None:
        """The scheduler finds no node."""
        for pod in await self.some_pods(deployment):
            unfit = {
                "type": "PodScheduled",
                "status": "False",
                "reason": "Unschedulable",
                "message": message,
            }
            status = {"status": {"phase": "Pending", "conditions": [unfit]}}
            await self._api.merge(POD, self._namespace, pod["metadata"]["name"], status, "status")

    async def _report(
        self, pod: JSON, init: list[JSON], main: list[JSON], *, phase: str = "Pending"
    ) -> None:
        ready = "True" if all(each["ready"] for each in main) else "False"
        conditions = [
            {"type": kind, "status": value, "lastTransitionTime": _THEN}
            for kind, value in (
                ("PodScheduled", "True"),
                ("Initialized", "True" if all(each["ready"] for each in init) else "False"),
                ("ContainersReady", ready),
                ("Ready", ready),
            )
        ]
        status = {
            "phase": phase,
            "conditions": conditions,
            "initContainerStatuses": init,
            "containerStatuses": main,
        }
        name = pod["metadata"]["name"]
        await self._api.merge(POD, self._namespace, name, {"status": status}, "status")

    async def _event(self, pod: JSON, reason: str, message: str) -> None:
        meta = pod["metadata"]
        await self._api.create(
            EVENT,
            self._namespace,
            {
                "metadata": {"name": f"{meta['name']}.{uuid.uuid4().hex[:12]}"},
                "involvedObject": {
                    "apiVersion": "v1",
                    "kind": "Pod",
                    "name": meta["name"],
                    "namespace": self._namespace,
                    "uid": meta["uid"],
                },
                "type": "Warning",
                "reason": reason,
                "message": message,
                "source": {"component": "kubelet"},
            },
        )


def _waiting(reason: str, message: str = "") -> JSON:
    return {"waiting": {"reason": reason, "message": message}}


def _back_off(container: str) -> JSON:
    text = f"back-off 10s restarting failed container={container} pod=x_y(z)"
    return _waiting("CrashLoopBackOff", text)


def _ended(code: int, message: str, *, reason: str | None = None) -> JSON:
    why = reason or ("Completed" if code == 0 else "Error")
    ended: dict[str, Any] = {"exitCode": code, "reason": why, "message": message}
    return {"terminated": {**ended, "startedAt": _THEN, "finishedAt": _THEN}}


def _fetch(state: JSON, *, ready: bool = False, last: JSON | None = None) -> JSON:
    return _container("fetch", state, ready=ready, last=last)


def _runtime(state: JSON, *, ready: bool = False, last: JSON | None = None) -> JSON:
    return _container("runtime", state, ready=ready, last=last)


def _container(name: str, state: JSON, *, ready: bool, last: JSON | None) -> JSON:
    return {
        "name": name,
        "image": "fairlead/runtime:1",
        "imageID": "",
        "ready": ready,
        "restartCount": 1 if last else 0,
        "state": state,
        "lastState": last or {},
    }
