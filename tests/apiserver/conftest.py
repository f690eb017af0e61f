"""A real control plane for the whole session, and a namespace for each test."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path

import pytest

from cluster import controlplane
from cluster.controlplane import ControlPlane

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
    """Return a fresh namespace."""
    name = f"t{next(_numbers)}"
    plane.kubectl("create", "namespace", name)
    return name
