"""A real cluster with this checkout's operator on it, and a restricted namespace for each test."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from cluster import provider, release
from cluster.provider import Provider
from tests.e2e import sharing
from tests.e2e.counting import Counting
from tests.e2e.rollouts import Deployment
from tests.e2e.splits import Address
from tests.e2e.trial import Trial
from tests.e2e.world import EXAMPLES, World

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
def cluster() -> Provider:
    """Return the kind of cluster that runs here."""
    return provider.choose(own_only=True)


@pytest.fixture(scope="session")
def images(cluster: Provider) -> Iterator[dict[str, str]]:
    """Bring up the cluster with the chart on it, or share it; return the images' names."""
    with sharing.installed(cluster) as names:
        yield names


@pytest.fixture
def world(
    request: pytest.FixtureRequest, cluster: Provider, images: dict[str, str]
) -> Iterator[World]:
    """Return a fresh namespace that enforces the restricted Pod Security Standard.

    A test that is marked `alone` waits until no other runs, and none begins beside it.
    """
    name = f"e2e-{os.getpid()}-{next(_numbers)}"
    config = cluster.kubeconfig
    with sharing.turn(alone=request.node.get_closest_marker("alone") is not None):
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


@pytest.fixture
def trial(address: Address, held_out: npt.NDArray[np.float64]) -> Trial:
    """Return an Experiment's surroundings; nothing is deployed yet."""
    return Trial(address.world, Counting(address.world.cluster), held_out[0].tolist())


@pytest.fixture(scope="session")
def held_out() -> npt.NDArray[np.float64]:
    """Return the features of the held-out rows of breast-cancer, 200 x 30."""
    path = EXAMPLES / "breast-cancer" / "held-out.csv"
    rows: npt.NDArray[np.float64] = np.loadtxt(path, delimiter=",", skiprows=1)
    return rows[:, :-1]
