"""Installs the Debian packages that are missing, and starts none of their services."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterable
from pathlib import Path

from cluster.paths import ClusterError, log

_POLICY = Path("/usr/sbin/policy-rc.d")
PROGRAMS = {
    "containerd": "containerd",
    "runc": "runc",
    "nft": "nftables",
    "ip": "iproute2",
    "conntrack": "conntrack",
    "openssl": "openssl",
    "mount": "mount",
    "/usr/lib/cni/ptp": "containernetworking-plugins",
}
IMAGE_PROGRAMS = {"buildah": "buildah", "debootstrap": "debootstrap"}


def missing(programs: dict[str, str]) -> list[str]:
    """Return the packages of programs that are not there."""
    path = os.environ.get("PATH", "") + ":/usr/sbin:/sbin"
    return sorted({p for name, p in programs.items() if shutil.which(name, path=path) is None})


def ensure(programs: dict[str, str]) -> None:
    """Install what is missing.

    Raises:
        ClusterError: It is missing and cannot be installed here; the message names the packages.
    """
    packages = missing(programs)
    if not packages:
        return
    if os.geteuid() != 0 or shutil.which("apt-get") is None:
        raise ClusterError(f"these packages are missing, install them: {' '.join(packages)}")
    log(f"installing Debian packages: {' '.join(packages)}")
    env = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    # A package's service (containerd's) would be a process that is not ours to start or stop.
    placed = not _POLICY.exists()
    if placed:
        _POLICY.write_text("#!/bin/sh\nexit 101\n")
        _POLICY.chmod(0o755)
    try:
        _apt(["update", "-q"], env)
        _apt(["install", "-q", "-y", "--no-install-recommends", *packages], env)
    finally:
        if placed:
            _POLICY.unlink()


def _apt(args: Iterable[str], env: dict[str, str]) -> None:
    done = subprocess.run(["apt-get", *args], env=env, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        tail = (done.stdout + done.stderr).strip()[-600:]
        raise ClusterError(f"apt-get {' '.join(args)} failed:\n{tail}")
