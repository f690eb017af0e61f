"""A real cluster with this checkout's operator on it, and a restricted namespace for each test."""

from __future__ import annotations

import fcntl
import itertools
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from cluster import provider, release
from cluster.paths import locked
from cluster.provider import Provider
from tests.e2e.counting import Counting, counting
from tests.e2e.rollouts import Deployment
from tests.e2e.splits import Address
from tests.e2e.trial import Trial
from tests.e2e.world import EXAMPLES, World

# Short ages, so that a drained revision is gone in seconds and not in minutes.
VALUES = (
    "operator.connectionAgeSeconds=5",
    "operator.drainSeconds=12",
    "operator.settleSeconds=10",
    "operator.resyncSeconds=20",
)
_numbers = itertools.count(1)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark everything here: it needs a real node."""
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker(pytest.mark.e2e)
            if item.get_closest_marker("timeout") is None:
                # Without the fixtures: a test may wait for others that run beside it.
                item.add_marker(pytest.mark.timeout(600, func_only=True))


@pytest.fixture(scope="session")
def shared(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Path:
    """Return the folder that all workers of this run share; without workers, this session's own."""
    mine = tmp_path_factory.getbasetemp()
    return mine if worker_id == "master" else mine.parent


@pytest.fixture(scope="session")
def cluster() -> Provider:
    """Return the kind of cluster that runs here."""
    return provider.choose(own_only=True)


@pytest.fixture(scope="session")
def images(cluster: Provider, shared: Path) -> Iterator[dict[str, str]]:
    """Bring up the cluster, install the chart with this checkout's images; return their names.

    The first worker that comes does it and the last one that goes undoes it. A cluster that was
    there before stays.
    """
    record = shared / "cluster.json"
    with locked(shared / "cluster.lock", "another worker brings up the cluster"):
        if not record.exists():
            before = cluster.running()
            cluster.up()
            names = release.install(cluster, *VALUES)
            record.write_text(json.dumps({"before": before, "names": names, "users": 0}))
        state = _count(record, 1)
    yield state["names"]
    with locked(shared / "cluster.lock", "another worker leaves the cluster"):
        state = _count(record, -1)
        if state["users"]:
            return
        record.unlink()
        if state["before"]:
            release.install(cluster, names=state["names"])  # with the chart's own values
        else:
            cluster.down()


def _count(record: Path, difference: int) -> dict[str, Any]:
    state: dict[str, Any] = json.loads(record.read_text())
    state["users"] += difference
    record.write_text(json.dumps(state))
    return state


@pytest.fixture
def world(
    request: pytest.FixtureRequest,
    cluster: Provider,
    images: dict[str, str],
    shared: Path,
    worker_id: str,
) -> Iterator[World]:
    """Return a fresh namespace that enforces the restricted Pod Security Standard.

    A test that is marked `alone` waits until no other runs, and none begins beside it.
    """
    alone = request.node.get_closest_marker("alone") is not None
    name = f"e2e-{worker_id}-{next(_numbers)}"
    config = cluster.kubeconfig
    with (shared / "alone.lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX if alone else fcntl.LOCK_SH)
        provider.kubectl(config, "delete", "namespace", name, "--ignore-not-found", "--wait=true")
        release.namespace_with_restricted_pods(config, name)
        yield World(cluster=cluster, namespace=name, images=images)
        provider.kubectl(config, "delete", "namespace", name, "--wait=false")


@pytest.fixture
def address(world: World, held_out: npt.NDArray[np.float64]) -> Address:
    """Return an address with two models to split it between; nothing is deployed yet."""
    for name, folder in (("one", "breast-cancer"), ("two", "breast-cancer/2")):
        world.model_file(name, EXAMPLES / folder / "model.onnx")
    return Address(world, held_out[0].tolist())


@pytest.fixture
def deployment(world: World, tmp_path: Path) -> Deployment:
    """Return `fraud`, whose model is a table; nothing is deployed yet."""
    return Deployment(world, tmp_path)


@pytest.fixture(scope="module")
def recorder(
    cluster: Provider, images: dict[str, str], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Counting]:
    """Return a recorder, which is there for the tests of a module."""
    with counting(cluster, images, tmp_path_factory.mktemp("recorder"), *VALUES) as found:
        yield found


@pytest.fixture
def trial(recorder: Counting, address: Address, held_out: npt.NDArray[np.float64]) -> Trial:
    """Return an Experiment's surroundings; nothing is deployed yet."""
    return Trial(address.world, recorder, held_out[0].tolist())


@pytest.fixture(scope="session")
def held_out() -> npt.NDArray[np.float64]:
    """Return the features of the held-out rows of breast-cancer, 200 x 30."""
    path = EXAMPLES / "breast-cancer" / "held-out.csv"
    rows: npt.NDArray[np.float64] = np.loadtxt(path, delimiter=",", skiprows=1)
    return rows[:, :-1]
