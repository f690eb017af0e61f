"""Runs the kubectl that we built."""

from __future__ import annotations

import subprocess
from pathlib import Path

from cluster import build
from cluster.paths import ClusterError


def kubectl(kubeconfig: Path, *args: str, stdin: str | None = None, check: bool = True) -> str:
    """Run kubectl and return what it prints.

    Raises:
        ClusterError: It failed; the message is kubectl's own.
    """
    done = subprocess.run(
        [str(build.program("kubectl")), "--kubeconfig", str(kubeconfig), *args],
        input=stdin, capture_output=True, text=True, check=False,
    )  # fmt: skip
    if check and done.returncode != 0:
        raise ClusterError(f"kubectl: {done.stderr.strip()}")
    return done.stdout
