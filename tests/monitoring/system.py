"""Everything that Prometheus scrapes, at work on this machine.

Real are: API server and controllers, an operator process, the recorder, runtimes with a drift
profile, a router, and Prometheus. Pods on nodes are played, so rollouts, Experiments and drift are
driven pass by pass in this process (`tests/apiserver`), and what they show is served by the
operator's own port.
"""

from __future__ import annotations

import contextlib
import csv
import dataclasses
import shutil
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import grpc
import httpx

from cluster import controlplane
from cluster.controlplane import ControlPlane
from cluster.paths import ROOT
from fairlead_operator.evidence.scrape import Scraper
from fairlead_operator.handlers import ports
from fairlead_operator.kube.kinds import MODEL_DEPLOYMENT, SERVICE
from fairlead_operator.reconcile import drift
from fairlead_operator.traffic.counts import Counts, Window
from fairlead_operator.traffic.split import Recorded
from fairlead_runtime.grpc.messages import INFERENCE
from tests.apiserver.api import Api, a_model, until
from tests.apiserver.experimenting import Trial, one_in
from tests.apiserver.kubelet import Kubelet
from tests.apiserver.process import OperatorProcess, operator_kubeconfig
from tests.apiserver.rig import SETTINGS, Rig
from tests.apiserver.rolling import SPEC, Cluster
from tests.apiserver.test_drift import Pods, passes, serving
from tests.apiserver.test_performance import JUDGED, happened, revision_of
from tests.builders import later
from tests.recorder.process import Recorder, recorder
from tests.router.asking import HEADER, a_split
from tests.router.envoy import free_ports
from tests.router.prometheus import Prometheus
from tests.router.world import World

RULES = ROOT / "charts" / "fairlead" / "files" / "rules.yaml"
EXAMPLE = ROOT / "examples" / "breast-cancer"
ROLLING, TRYING, DRIFTING, QUIET = "rolling", "trying", "drifting", "quiet"
"""Namespaces: a rollout, an Experiment, a drifting model, and one with an operator process."""


class System:
    """One of everything; see `running`."""

    def __init__(self, folder: Path, stack: contextlib.AsyncExitStack) -> None:
        self.folder, self._stack = folder, stack
        self.prometheus = Prometheus(folder)
        self.router = World(folder / "router")
        self._jobs: list[dict[str, Any]] = []
        with (EXAMPLE / "held-out.csv").open() as file:
            rows = list(csv.reader(file))[1:]
        self.rows = [[float(cell) for cell in row[:-1]] for row in rows]
        self.plane: ControlPlane
        self.api: Api
        self.recorder: Recorder
        self.rollout: Cluster
        self.trial: Trial
        self.drifting: Rig
        self.pods: Pods

    async def start(self) -> None:
        """Bring everything up, and scrape it."""
        directory = self.folder / "plane"
        self.plane = self._stack.enter_context(controlplane.start(directory, controllers=True))
        self.plane.kubectl("apply", "-f", str(ROOT / "crds"))
        self.plane.kubectl("wait", "--for=condition=Established", "crd", "--all", "--timeout=30s")
        self.api = await self._stack.enter_async_context(Api(self.plane))
        for namespace in (ROLLING, TRYING, DRIFTING, QUIET):
            self.plane.kubectl("create", "namespace", namespace)
        database = f"sqlite:///{self.folder}/events.db"
        self.recorder = self._stack.enter_context(recorder(database, self.folder))
        self._scrape("recorder", self.recorder.port)
        await self._operator()
        self.rollout = Cluster(self.api, await self._rig(ROLLING), Kubelet(self.api, ROLLING))
        rig = await self._rig(TRYING, recorder_url=self.recorder.url)
        self.trial = Trial(self.api, rig, Kubelet(self.api, TRYING), self.recorder)
        self.drifting = await self._rig(DRIFTING, recorder_url=self.recorder.url)
        await self._addresses()
        await self.prometheus.start_jobs(self._jobs, RULES)
        self._stack.push_async_callback(self.prometheus.stop)

    async def roll_out(self) -> None:
        """Bring a rollout to its first step, where gates judge it."""
        await self.rollout.first()
        objectives = {"maxLatencyMs": 50, **SPEC["objectives"]}
        await self.api.merge(
            MODEL_DEPLOYMENT, ROLLING, "fraud", {"spec": {"objectives": objectives}}
        )
        await self.rollout.go(1)
        await self.rollout.second()
        await self.rollout.split()
        await self.rollout.go(5)

    async def experiment(self) -> None:
        """Run an Experiment with a guardrail until its metrics say something."""
        trial = self.trial
        trial.rig.window = Window(begin=later(97), end=later(97))
        await trial.until_running(guardrails=[{"metric": "error", "maxBasisPoints": 100}])
        await trial.expose()
        await trial.report(lambda user, arm: one_in(8 if arm == "bigger" else 10, user))
        arms = {await trial.revision(name): Counts(requests=400) for name in _ARMS}
        trial.rig.window = Window(begin=later(97), end=later(trial.seconds + 61), arms=arms)
        await trial.go(61)

    async def drift(self) -> None:
        """Serve a model that does not drift, and look at it long enough to know."""
        async with contextlib.AsyncExitStack() as inner:
            self.pods = await inner.enter_async_context(Pods.answering())
            self.drifting.drift = drift.reader(await inner.enter_async_context(Scraper()))
            self.drifting.restart()
            self._show(self.drifting)
            await serving(self.api, Kubelet(self.api, DRIFTING), self.drifting, self.pods, **JUDGED)
            revision = await revision_of(self.api, DRIFTING)
            path = f"/v1/modeldeployments/{DRIFTING}/fraud"
            happened(self.recorder, path, revision, "well", 5)
            await passes(self.drifting, self.pods, 6)
            self._stack.push_async_exit(inner.pop_all())

    async def route(self) -> None:
        """Split an address over two real models, and record who saw which."""
        await self.router.begin(recorder=f"127.0.0.1:{self.recorder.exposures_port}")
        self._stack.push_async_callback(self.router.end)
        arms = [await self.router.serving(name, self._model(name)) for name in _VARIANTS]
        status = await self.trial.status()
        uid = (await self.trial.live())["metadata"]["uid"]
        split = a_split(*arms, control=5_000, bigger=5_000)
        split = dataclasses.replace(
            split, salt=status["assignment"]["salt"], recorded=Recorded(uid=uid, epoch=1)
        )
        await self.router.route(split)

    async def ask(self, count: int = 40, *, shift: float = 0.0, wrong: int = 0) -> list[int]:
        """Ask the router for predictions of as many users, and once by gRPC.

        Args:
            count: Requests.
            shift: Added to every feature, times its value.
            wrong: How many requests besides are no requests.
        """
        found = []
        async with httpx.AsyncClient(trust_env=False, timeout=15) as client:
            for number in range(count + wrong):
                row = [value * (1 + shift) for value in self.rows[number % len(self.rows)]]
                answer = await client.post(
                    f"{self.router.envoy.url}/predict",
                    json={"features": row if number < count else "none"},
                    headers={HEADER: f"user-{number}"},
                )
                found.append(answer.status_code)
        async with grpc.aio.insecure_channel(
            self.router.envoy.grpc_url.removeprefix("http://")
        ) as channel:
            call = channel.unary_unary("/inference.GRPCInferenceService/ServerLive")
            with contextlib.suppress(grpc.aio.AioRpcError):  # nobody may be left to answer
                await call(INFERENCE["ServerLiveRequest"]().SerializeToString(), timeout=15)
        return found

    async def lose(self, *arms: str) -> None:
        """Take the pods of some arms away."""
        for name in arms:
            host = next(h for h in self.router.names.addresses if f"-{name}." in h)
            self.router.names.addresses[host] = []
            for model in self.router.models[name]:
                await model.kill()

    def _model(self, name: str) -> Path:
        folder = self.folder / f"model-{name}"
        folder.mkdir()
        for each in ("model.onnx", "profile.json"):
            shutil.copy(EXAMPLE / each, folder / each)
        return folder

    async def _operator(self) -> None:
        """An operator process, with the queue, the Lease and the listings that only it has."""
        config = await operator_kubeconfig(self.api, self.plane, QUIET, self.folder / "config")
        flags = ("--resync-seconds", "5")
        process = OperatorProcess(config, QUIET, self.folder / "operator.log", flags=flags)
        self._stack.callback(process.kill)
        await process.start()
        self._scrape("operator", process.metrics_port)
        await self.api.create(MODEL_DEPLOYMENT, QUIET, a_model())
        # Somebody else has that name: the operator leaves it alone, and counts an error.
        body = {"metadata": {"name": "taken"}, "spec": {"ports": [{"port": 80}]}}
        await self.api.create(SERVICE, QUIET, body)
        await self.api.create(MODEL_DEPLOYMENT, QUIET, a_model("taken"))

        async def worked() -> bool:
            counted = process.metrics()
            wanted = ("fairlead_operator_writes_total", "fairlead_operator_errors_total")
            return all(any(name.startswith(each) for name in counted) for each in wanted)

        await until("the operator has written, and refused", worked)

    async def _rig(self, namespace: str, **settings: Any) -> Rig:
        made = await Rig.connect(self.plane, namespace, dataclasses.replace(SETTINGS, **settings))
        rig = await self._stack.enter_async_context(made)
        self._show(rig)
        [port] = free_ports(1)
        shown = ports.serve(
            stale=lambda: None, ready=lambda: True, registry=rig.metrics.registry,
            health_port=0, metrics_port=port,
        )  # fmt: skip
        await self._stack.enter_async_context(shown)
        self._scrape("operator", port)
        return rig

    def _show(self, rig: Rig) -> None:
        """Show its resources, as a replica that leads does."""

        def models() -> list[dict[str, Any]]:
            keys = rig.cache.model_deployments()
            return [each for key in keys if (each := rig.cache.model_deployment(key))]

        rig.metrics.known.watch(
            leads=lambda: True, models=models, experiments=lambda: rig.cache.experiments(None)
        )

    async def _addresses(self) -> None:
        """Scrape the runtimes as the pods of the rollout and of the drifting model."""
        await self.roll_out()
        await self.experiment()
        await self.drift()
        await self.route()
        settings = self.router.envoy.settings
        for arm in self.router.models.values():
            for model in arm:
                at = f"{model.host}:{model.pod.port}"
                for namespace in (ROLLING, DRIFTING):
                    labels = {
                        "namespace": namespace, "model_deployment": "fraud", "pod": model.name,
                        "revision": model.arm,
                    }  # fmt: skip
                    self._scrape(f"{model.name}-{namespace}", at, **labels)
        router = {"namespace": ROLLING, "model_deployment": "fraud", "pod": "fraud-fl-router-0"}
        self._scrape("routers", settings.metrics_port, path="/stats/prometheus", **router)

    def _scrape(self, job: str, at: int | str, *, path: str = "/metrics", **labels: str) -> None:
        target = at if isinstance(at, str) else f"127.0.0.1:{at}"
        entry = {"targets": [target], "labels": labels}
        known = next((each for each in self._jobs if each["job_name"] == job), None)
        if known is not None:
            known["static_configs"].append(entry)
            return
        self._jobs.append(
            {
                "job_name": job, "metrics_path": path, "honor_labels": job == "operator",
                "static_configs": [entry],
            }
        )  # fmt: skip


_ARMS = ("ranker", "ranker-large")
_VARIANTS = ("control", "bigger")


@contextlib.asynccontextmanager
async def running(folder: Path) -> AsyncIterator[System]:
    """Run everything until the end of the block."""
    async with contextlib.AsyncExitStack() as stack:
        (folder / "router").mkdir(parents=True)
        system = System(folder, stack)
        await system.start()
        yield system
