"""The version before this one, as its users have it installed: chart and images from a git ref."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from cluster.node import Node
from cluster.paths import ROOT

FIRST = "6b36854"
"""What an upgrade begins from until there is a release: the state before this test was there."""


@dataclass(frozen=True)
class Previous:
    """An older checkout.

    Attributes:
        ref: The git ref.
        chart: Its chart.
        images: The names of its images, which the node has.
    """

    ref: str
    chart: Path
    images: dict[str, str]


def version() -> str:
    """Return the ref of `FAIRLEAD_PREVIOUS`, or else the last tag, or else `FIRST`."""
    given = os.environ.get("FAIRLEAD_PREVIOUS")
    if given:
        return given
    described = _git("describe", "--tags", "--abbrev=0", "HEAD^", check=False)
    return described or FIRST


def provide(node: Node, folder: Path) -> Previous:
    """Check the older version out, build its images by its own code, and load them."""
    ref = version()
    checkout = folder / "previous"
    _git("worktree", "prune")
    _git("worktree", "add", "--detach", str(checkout), ref)
    present = node.images()
    names: dict[str, str] = {}
    for line in _run(checkout, sys.executable, "-m", "cluster.images", "build").splitlines():
        tag, archive, *_ = line.split()
        names[tag.rpartition(":")[0].rpartition("/")[2]] = tag
        if tag not in present:
            node.load_archive(Path(archive))
    return Previous(ref=ref, chart=checkout / "charts" / "fairlead", images=names)


def forget(folder: Path) -> None:
    """Remove the older checkout."""
    _git("worktree", "remove", "--force", str(folder / "previous"))


def _git(*args: str, check: bool = True) -> str:
    return _run(ROOT, "git", *args, check=check).strip()


def _run(folder: Path, *command: str, check: bool = True) -> str:
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    done = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    if check and done.returncode != 0:
        raise AssertionError(f"{' '.join(command)}: {(done.stdout + done.stderr)[-1500:]}")
    return done.stdout if done.returncode == 0 else ""
