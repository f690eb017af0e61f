"""The services of compose.yaml as processes on this machine: same command lines, same files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from cluster.paths import ROOT

FILE = ROOT / "compose.yaml"


def service(name: str) -> dict[str, Any]:
    """Return a service as the file has it."""
    found: dict[str, Any] = yaml.safe_load(FILE.read_text())["services"][name]
    return found


def mounts(name: str) -> dict[str, Path]:
    """Return where each path in the container is on this machine; volumes by name are left out."""
    found = {}
    for entry in service(name)["volumes"]:
        source, target = entry.split(":")[:2]
        if source.startswith("."):
            found[target] = (ROOT / source).resolve()
    return found


def command(name: str, **instead: str) -> list[str]:
    """Return a service's command line for this machine.

    Args:
        name: The service.
        instead: What stands here in the place of paths and ports of the container, by what they
            are there.
    """
    here = {target: str(path) for target, path in mounts(name).items()} | instead
    words = []
    for word in service(name)["command"]:
        key, equals, value = word.rpartition("=")
        words.append(key + equals + here.get(value, value))
    return words
