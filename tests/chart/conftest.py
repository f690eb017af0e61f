"""Everything here needs helm, which is built once; some tests need a control plane as well."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from cluster.controlplane import ControlPlane
from tests.chart.rendering import CHART, NAMESPACE, helm

_BUILD_S = 900


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Leave time to build helm, kubeconform or the control plane, whichever test comes first."""
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker(pytest.mark.timeout(_BUILD_S))


class _StrictControlPlane(ControlPlane):
    """An API server that also asks for the right to block an owner's deletion (OpenShift does)."""

    def _run(self, name: str, *args: str) -> None:
        if name == "kube-apiserver":
            args = (*args, "--enable-admission-plugins=OwnerReferencesPermissionEnforcement")
        super()._run(name, *args)


def label_restricted(plane: ControlPlane, namespace: str) -> None:
    """Create a namespace that enforces the restricted Pod Security Standard."""
    plane.kubectl("create", "namespace", namespace)
    label = "pod-security.kubernetes.io/enforce=restricted"
    plane.kubectl("label", "namespace", namespace, label)


@pytest.fixture(scope="session")
def plane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    """Etcd, API server and controllers, with the chart installed for the whole cluster."""
    with _StrictControlPlane(tmp_path_factory.mktemp("plane"), controllers=True) as running:
        running.start()
        label_restricted(running, NAMESPACE)
        helm(
            "install", "fairlead", str(CHART), "--namespace", NAMESPACE,
            kubeconfig=running.kubeconfig,
        )  # fmt: skip
        running.kubectl("wait", "--for=condition=Established", "crd", "--all", "--timeout=30s")
        yield running
