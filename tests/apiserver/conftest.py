"""A real control plane for the whole session, and a namespace for each test."""

from __future__ import annotations

import dataclasses
import itertools
import json
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest

from cluster import controlplane
from cluster.controlplane import ControlPlane
from tests.apiserver.api import Api
from tests.apiserver.experimenting import Trial
from tests.apiserver.kubelet import Kubelet
from tests.apiserver.process import OperatorProcess, operator_kubeconfig
from tests.apiserver.rig import SETTINGS, Rig
from tests.recorder.process import Recorder, recorder

_ROOT = Path(__file__).resolve().parents[2]
_numbers = itertools.count(1)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark everything here: it needs the built control plane."""
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker(pytest.mark.apiserver)


@pytest.fixture(scope="session")
def plane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    """Etcd, API server and controllers, with the CRDs installed."""
    directory = tmp_path_factory.mktemp("plane")
    with controlplane.start(directory, controllers=True) as running:
        running.kubectl("apply", "-f", str(_ROOT / "crds"))
        running.kubectl("wait", "--for=condition=Established", "crd", "--all", "--timeout=30s")
        yield running


@pytest.fixture
def namespace(plane: ControlPlane) -> str:
    """Return a fresh namespace, which takes only pods fit for the restricted standard."""
    name = f"t{next(_numbers)}"
    labels = {"pod-security.kubernetes.io/enforce": "restricted"}
    made = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}}
    plane.kubectl("create", "-f", "-", stdin=json.dumps(made))
    return name


@pytest.fixture
async def api(plane: ControlPlane) -> AsyncIterator[Api]:
    """Requests to the API server as its administrator."""
    async with Api(plane) as made:
        yield made


@pytest.fixture
def kubelet(api: Api, namespace: str) -> Kubelet:
    """What the pods of the namespace do."""
    return Kubelet(api, namespace)


@pytest.fixture
async def rig(plane: ControlPlane, namespace: str) -> AsyncIterator[Rig]:
    """An operator in this process that makes a pass when told to."""
    async with await Rig.connect(plane, namespace) as made:
        yield made


@pytest.fixture
async def new_operator(
    api: Api, plane: ControlPlane, namespace: str, tmp_path: Path
) -> AsyncIterator[Callable[..., OperatorProcess]]:
    """Return a function that makes operator processes over the namespace; all end with the test."""
    config = await operator_kubeconfig(api, plane, namespace, tmp_path / "kubeconfig")
    made: list[OperatorProcess] = []

    def make(*flags: str) -> OperatorProcess:
        log = tmp_path / f"operator-{len(made)}.log"
        process = OperatorProcess(config, namespace, log, flags=flags)
        made.append(process)
        return process

    yield make
    for process in made:
        process.kill()


@pytest.fixture
def counting(tmp_path: Path) -> Iterator[Recorder]:
    """A recorder as a process of its own."""
    with recorder(f"sqlite:///{tmp_path}/events.db", tmp_path) as running:
        yield running


@pytest.fixture
async def trial(
    api: Api, plane: ControlPlane, namespace: str, kubelet: Kubelet, counting: Recorder
) -> AsyncIterator[Trial]:
    """Return an Experiment's surroundings, with an operator that knows the recorder."""
    settings = dataclasses.replace(
        SETTINGS,
        recorder_url=counting.url,
        recorder_exposures=f"127.0.0.1:{counting.exposures_port}",
    )
    async with await Rig.connect(plane, namespace, settings) as rig:
        yield Trial(api, rig, kubelet, counting)
