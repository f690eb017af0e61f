"""Where the version stands in this tree, and how a new one is written everywhere at once."""

from __future__ import annotations

import argparse
import datetime as dt
import re
import sys
from collections.abc import Sequence
from pathlib import Path

from cluster.paths import ROOT, ClusterError

_VERSION = r"\d+\.\d+\.\d+(?:(?:a|b|rc)\d+)?"
PLACES: dict[str, tuple[str, ...]] = {
    "pyproject.toml": (r'^version = "(V)"',),
    "charts/fairlead/Chart.yaml": (r"^version: (V)$", r'^appVersion: "(V)"$'),
    "operator/fairlead_operator/settings.py": (
        r'^DEFAULT_RUNTIME_IMAGE = "fairlead/runtime:(V)"',
        r'^DEFAULT_ROUTER_IMAGE = "fairlead/router:(V)"',
    ),
    "operator/fairlead_operator/rollout/settled.py": (
        r'^    router_image: str = "fairlead/router:(V)"',
        r'^    gpu_runtime_image: str = "fairlead/runtime:(V)-cuda"',
    ),
    "Dockerfile.operator": (r"^ARG VERSION=(V)$",),
    "Dockerfile.runtime": (r"^ARG VERSION=(V)$",),
    "Dockerfile.router": (r"^ARG VERSION=(V)$",),
    "README.md": (r"fairlead/runtime:(V)", r"fairlead/router:(V)"),
}
"""Files, and where in them the version stands, each at least once; `V` is any version."""
_UNRELEASED = "## Unreleased\n"


def found(root: Path = ROOT) -> dict[str, set[str]]:
    """Return the versions that each file names.

    Raises:
        ClusterError: A file does not name one where it should.
    """
    versions: dict[str, set[str]] = {}
    for name, patterns in PLACES.items():
        text = (root / name).read_text()
        for pattern in patterns:
            here = _compiled(pattern).findall(text)
            if not here:
                raise ClusterError(f"{name} names no version where {pattern!r} looks for it")
            versions.setdefault(name, set()).update(here)
    return versions


def check(version: str, root: Path = ROOT) -> None:
    """Refuse a version that this tree does not have everywhere.

    Raises:
        ClusterError: It is no version, or some file names another one.
    """
    if not re.fullmatch(_VERSION, version):
        raise ClusterError(f"{version!r} is no version: write it as 1.2.3 or 1.2.3rc1")
    others = sorted(name for name, here in found(root).items() if here != {version})
    if others:
        raise ClusterError(
            f"these do not name version {version}: {', '.join(others)}. Run "
            f"`make version VERSION={version}`, look at the change, and commit it"
        )


def write(version: str, today: dt.date, root: Path = ROOT) -> list[str]:
    """Write a version everywhere, and make the changelog's open section its own.

    Returns:
        The files that changed.

    Raises:
        ClusterError: It is no version, or a file has no place for it.
    """
    if not re.fullmatch(_VERSION, version):
        raise ClusterError(f"{version!r} is no version: write it as 1.2.3 or 1.2.3rc1")
    found(root)
    changed: list[str] = []
    for name, patterns in PLACES.items():
        text = before = (root / name).read_text()
        for pattern in patterns:
            text = _compiled(pattern).sub(lambda match: match[0].replace(match[1], version), text)
        if text != before:
            (root / name).write_text(text)
            changed.append(name)
    changelog = root / "CHANGELOG.md"
    text = changelog.read_text()
    if not re.search(rf"^## {re.escape(version)}\b", text, re.MULTILINE):
        heading = f"{_UNRELEASED}\n## {version} ({today.isoformat()})\n"
        changelog.write_text(text.replace(_UNRELEASED, heading, 1))
        changed.append("CHANGELOG.md")
    return changed


def notes(version: str, text: str) -> str | None:
    """Return the changelog's section of a version without its heading; None where there is none."""
    pattern = rf"^## {re.escape(version)}\b[^\n]*\n(.*?)(?=^## |\Z)"
    section = re.search(pattern, text, re.MULTILINE | re.DOTALL)
    return section[1].strip() + "\n" if section else None


def _compiled(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern.replace("(V)", f"({_VERSION})"), re.MULTILINE)


def main(argv: Sequence[str] | None = None) -> int:
    """Write a version everywhere."""
    parser = argparse.ArgumentParser(prog="python -m cluster.versions")
    parser.add_argument("version", help="such as 0.2.0")
    args = parser.parse_args(argv)
    try:
        changed = write(args.version, dt.datetime.now(dt.UTC).date())
    except ClusterError as error:
        sys.stderr.write(f"version: {error}\n")
        return 1
    print("\n".join(changed) or "nothing to change")
    return 0


if __name__ == "__main__":
    sys.exit(main())
