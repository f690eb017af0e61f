"""Argo CD's and kstatus' own code, as a program: see cluster/go/gitops."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from cluster.build import program
from gitops.argocd import configmap

JSON = dict[str, Any]
CONFIG_MAP = configmap.HERE / configmap.FILE
CUSTOMIZATIONS = configmap.CUSTOMIZATIONS / "fairlead.dev"
STATES = sorted(CUSTOMIZATIONS.glob("*/testdata/*.yaml"))
"""Every state that is kept."""


class EngineError(Exception):
    """It refused; the message is its own."""


def run(*args: str | Path) -> list[Any]:
    """Run the program; return what each line that it prints says.

    Raises:
        EngineError: It failed.
    """
    done = subprocess.run(
        [program("gitops"), *args], capture_output=True, text=True, check=False, timeout=60
    )
    if done.returncode != 0:
        raise EngineError(done.stderr.strip())
    return [json.loads(line) for line in done.stdout.splitlines()]


def health(paths: Iterable[Path]) -> dict[Path, JSON]:
    """Return status and message of each file, by Argo CD."""
    return _by_file(run("health", CONFIG_MAP, *paths))


def kstatus(paths: Iterable[Path]) -> dict[Path, JSON]:
    """Return status and message of each file, by kstatus."""
    return _by_file(run("kstatus", *paths))


def enabled(paths: Iterable[Path]) -> dict[Path, set[str]]:
    """Return the names of the actions that Argo CD offers for each file."""
    return {
        Path(line["file"]): {
            each["name"] for each in line["actions"] if not each.get("disabled", False)
        }
        for line in run("discovery", CONFIG_MAP, *paths)
    }


def act(name: str, path: Path) -> JSON:
    """Return the resource as an action of Argo CD would patch it."""
    [[found]] = run("action", CONFIG_MAP, name, path)
    assert found["operation"] == "patch"
    resource: JSON = found["resource"]
    return resource


def _by_file(lines: list[JSON]) -> dict[Path, JSON]:
    return {Path(line.pop("file")): line for line in lines}
