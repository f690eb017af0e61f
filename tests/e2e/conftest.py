"""A real cluster with this checkout's operator on it, and a restricted namespace for each test."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from cluster import provider, release
from cluster.provider import Provider
from tests.e2e.counting import Counting, counting
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
                item.add_marker(pytest.mark.timeout(600))


@pytest.fixture(scope="session")
def cluster() -> Iterator[Provider]:
    """Return a cluster of our own; one that was there before stays."""
    chosen = provider.choose(own_only=True)
    before = chosen.running()
    chosen.up()
    yield chosen
    if not before:
        chosen.down()


@pytest.fixture(scope="session")
def images(cluster: Provider) -> Iterator[dict[str, str]]:
    """Install the chart with this checkout's images; return their names."""
    names = release.install(cluster, *VALUES)
    yield names
    release.install(cluster, names=names)  # with the chart's own values


@pytest.fixture
def world(cluster: Provider, images: dict[str, str]) -> Iterator[World]:
    """Return a fresh namespace that enforces the restricted Pod Security Standard."""
    name = f"e2e-{next(_numbers)}"
    config = cluster.kubeconfig
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
