"""Which cluster to use: an explicit KUBECONFIG, kind, or the single node on this machine."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Protocol

from cluster import kind, node
from cluster.kubectl import kubectl
from cluster.paths import ClusterError, log

_HELP = (
    "no cluster can run here: {node}, and no container engine answers. "
    "Install Docker or Podman (kind runs on it), or run as root on Linux, or set KUBECONFIG"
)

__all__ = ["Given", "Provider", "choose", "kubectl"]


class Provider(Protocol):
    """One way to have a cluster."""

    @property
    def kubeconfig(self) -> Path:
        """An administrator's kubeconfig."""

    def running(self) -> bool:
        """Whether the cluster answers."""

    def up(self) -> None:
        """Bring it up unless it runs."""

    def down(self) -> None:
        """Take it down, with everything that `up` made."""


class Given:
    """The cluster of an explicit KUBECONFIG: it is used, and never brought up or taken down."""

    def __init__(self, kubeconfig: Path) -> None:
        self.kubeconfig = kubeconfig

    def running(self) -> bool:
        """Whether its API server answers."""
        return kubectl(self.kubeconfig, "get", "--raw", "/readyz", check=False) == "ok"

    def up(self) -> None:
        """Check that it answers.

        Raises:
            ClusterError: It does not.
        """
        if not self.running():
            raise ClusterError(f"the cluster of KUBECONFIG={self.kubeconfig} does not answer")

    def down(self) -> None:
        """Leave it alone: it is not ours."""
        log(f"the cluster of KUBECONFIG={self.kubeconfig} is not ours: left as it is")


def choose(*, own_only: bool = False) -> Provider:
    """Return the way to have a cluster on this machine.

    Args:
        own_only: Never the cluster of KUBECONFIG: tests break things and must not break yours.

    Raises:
        ClusterError: There is none; the message says what to install.
    """
    chosen = os.environ.get("KUBECONFIG")
    if chosen and not own_only:
        return Given(Path(chosen).expanduser())
    answering = kind.engine() if os.environ.get("FAIRLEAD_CLUSTER") != "node" else None
    if answering is not None:
        return kind.Kind(answering)
    why = node.obstacle()
    if why is None:
        return node.Node()
    raise ClusterError(_HELP.format(node=why))
