"""The operator's own pods, killed and taken away."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from cluster import provider, release
from tests.e2e.world import World

_LABELS = "app.kubernetes.io/name=fairlead,app.kubernetes.io/component=operator"


def system(world: World, *args: str) -> str:
    """Run kubectl in the operator's namespace."""
    return provider.kubectl(world.cluster.kubeconfig, "-n", release.NAMESPACE, *args)


def kill_operator(world: World) -> None:
    """End the operator as a crash of its node would."""
    system(world, "delete", "pod", "-l", _LABELS, "--grace-period=0", "--force")


@contextmanager
def without_operator(world: World) -> Iterator[None]:
    """Take the operator away meanwhile."""
    system(world, "scale", "deployment/fairlead", "--replicas=0")
    system(world, "wait", "--for=delete", "pod", "-l", _LABELS, "--timeout=60s")
    try:
        yield
    finally:
        system(world, "scale", "deployment/fairlead", "--replicas=1")
        system(world, "rollout", "status", "deployment/fairlead", "--timeout=120s")
