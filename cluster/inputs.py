"""What a build is made from, as a hash: a cached result is used only for the same inputs."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path

from cluster.paths import ROOT

WHEEL = ("pyproject.toml", "README.md", "LICENSE", "operator", "runtime")
"""What goes into the wheel."""


def digest(parts: Iterable[str], *, root: Path = ROOT, extra: str = "") -> str:
    """Return a short hash over files and folders of the checkout (names and bytes)."""
    total = hashlib.sha256(extra.encode())
    for part in parts:
        path = root / part
        files = sorted(path.rglob("*")) if path.is_dir() else [path]
        for file in files:
            if file.is_file() and "__pycache__" not in file.parts:
                total.update(f"{file.relative_to(root)}\0".encode())
                total.update(file.read_bytes())
    return total.hexdigest()[:12]
