"""Puts this checkout's operator onto a cluster: images, then the chart."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from cluster import build, images
from cluster.imagetool import find_tool
from cluster.kind import Kind
from cluster.node import Node
from cluster.paths import ROOT, ClusterError, log
from cluster.provider import Provider, kubectl

RELEASE = "fairlead"
NAMESPACE = "fairlead-system"
CHART = ROOT / "charts" / "fairlead"


def provide_images(chosen: Provider) -> dict[str, str]:
    """Build this checkout's images and make the cluster have them; return their names.

    Raises:
        ClusterError: The cluster is not ours and there is no registry to bring them there.
    """
    if isinstance(chosen, (Node, Kind)):
        archives = {name: images.archive(name) for name in images.NAMES}
        present = chosen.images()
        for name, archive in archives.items():
            if images.tag(name) not in present:
                log(f"loading image {images.tag(name)} into the cluster")
                chosen.load_archive(archive)
        return {name: images.tag(name) for name in images.NAMES}
    registry = os.environ.get("FAIRLEAD_REGISTRY")
    if not registry:
        raise ClusterError(
            "this cluster is not ours, so it needs a registry for the images: "
            "set FAIRLEAD_REGISTRY=registry.example.com/team, one that you may push to"
        )
    tool = find_tool()
    return {name: images.publish(name, registry, tool) for name in images.NAMES}


def install(
    chosen: Provider,
    *values: str,
    names: dict[str, str] | None = None,
    timeout: str = "180s",
    chart: Path = CHART,
) -> dict[str, str]:
    """Install or upgrade the chart with this checkout's images and wait until it is ready.

    Args:
        chosen: The cluster; it runs.
        values: More values, as `key=value`.
        names: Images that the cluster has already, instead of this checkout's.
        timeout: How long helm waits.
        chart: Another chart than this checkout's, of an older version.

    Returns:
        The images by name (`operator`, `runtime`, `router`).
    """
    names = names or provide_images(chosen)
    repository, _, version = names["operator"].rpartition(":")
    settings = [
        f"image.repository={repository}",
        f"image.tag={version}",
        f"runtimeImage={names['runtime']}",
        f"router.image={names['router']}",
        *values,
    ]
    namespace_with_restricted_pods(chosen.kubeconfig, NAMESPACE)
    args = ["upgrade", "--install", RELEASE, str(chart), "--namespace", NAMESPACE, "--wait"]
    for setting in settings:
        args += ["--set-string" if setting.startswith("image.tag") else "--set", setting]
    log("installing the chart")
    helm(chosen.kubeconfig, *args, "--timeout", timeout)
    return names


def uninstall(chosen: Provider) -> None:
    """Remove the chart's release; the CRDs stay, as the chart says."""
    helm(chosen.kubeconfig, "uninstall", RELEASE, "--namespace", NAMESPACE, "--ignore-not-found")


def namespace_with_restricted_pods(kubeconfig: Path, name: str) -> None:
    """Make a namespace that enforces the restricted Pod Security Standard, if it is not there."""
    if kubectl(kubeconfig, "get", "namespace", name, "--ignore-not-found", "-o", "name"):
        return
    kubectl(kubeconfig, "create", "namespace", name)
    label = "pod-security.kubernetes.io/enforce=restricted"
    kubectl(kubeconfig, "label", "namespace", name, label)


def helm(kubeconfig: Path, *args: str) -> str:
    """Run helm and return what it prints.

    Raises:
        ClusterError: It failed; the message is helm's own.
    """
    done = subprocess.run(
        [str(build.program("helm")), "--kubeconfig", str(kubeconfig), *args],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    if done.returncode != 0:
        raise ClusterError(f"helm {args[0]} failed: {done.stderr.strip()[-800:]}")
    return done.stdout
