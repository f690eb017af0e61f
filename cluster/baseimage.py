"""The base of our images: the public slim Python image, else one made of Debian packages."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path

from cluster import debian
from cluster.imagetool import Tool
from cluster.paths import ROOT, ClusterError, cache_dir, log

_SUITE = "bookworm"
_PACKAGES = ("python3", "ca-certificates")
_VERSION = "2"
"""Part of the tag: raise it when the recipe changes."""
_OWN = f"localhost/fairlead/python-base:{_SUITE}-{_VERSION}"
_DROPPED = (
    "var/cache/apt", "var/lib/apt/lists", "var/log", "usr/share/doc", "usr/share/man",
    "usr/share/locale", "usr/share/info", "usr/share/lintian", "usr/share/perl",
)  # fmt: skip
_KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")


def public() -> str:
    """Return the base that the Dockerfiles name."""
    found = re.search(r"^ARG BASE=(\S+)", (ROOT / "Dockerfile.runtime").read_text(), re.MULTILINE)
    if found is None:
        raise ClusterError("Dockerfile.runtime names no base image")
    return found.group(1)


def ensure(tool: Tool) -> str:
    """Return a base image that is in the tool's storage or can be pulled by it."""
    chosen = os.environ.get("FAIRLEAD_BASE_IMAGE")
    if chosen:
        return chosen
    if tool.has(_OWN):
        return _OWN
    image = public()
    if tool.has(image) or tool.pull(image):
        return image
    log(f"{image} cannot be pulled: making a base image of Debian packages instead")
    rootfs = _root_file_system()
    tool.from_tar(rootfs, _OWN)
    return _OWN


def _root_file_system() -> Path:
    target = cache_dir() / "base" / f"{_SUITE}-{_VERSION}.tar"
    if target.exists():
        return target
    if os.geteuid() != 0 or shutil.which("apt-get") is None:
        raise ClusterError(
            f"{public()} cannot be pulled, and a base of Debian packages needs root on Debian: "
            "name an image with Python 3.11 in FAIRLEAD_BASE_IMAGE"
        )
    debian.ensure({"debootstrap": debian.IMAGE_PROGRAMS["debootstrap"]})
    started = time.monotonic()
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=".rootfs-") as scratch:
        root = Path(scratch) / "root"
        bootstrap(root, _PACKAGES)
        _trim(root)
        partial = target.with_suffix(".partial")
        _run(["tar", "-C", str(root), "--numeric-owner", "--one-file-system", "-cf",
              str(partial), "."])  # fmt: skip
        partial.rename(target)
    log(f"made the base in {time.monotonic() - started:.0f} s")
    return target


def bootstrap(root: Path, packages: Iterable[str]) -> None:
    """Make a Debian file system in a new folder."""
    keyring = [f"--keyring={_KEYRING}"] if _KEYRING.exists() else []
    include = f"--include={','.join(packages)}"
    _run(["debootstrap", "--variant=minbase", *keyring, include, _SUITE, str(root), _mirror()])


def _trim(root: Path) -> None:
    """Remove what no program reads: documentation, caches, translations; keep the licences."""
    for name in _DROPPED:
        folder = root / name
        if name == "usr/share/doc":
            for path in folder.rglob("*"):
                if path.is_file() and path.name != "copyright":
                    path.unlink()
        else:
            shutil.rmtree(folder, ignore_errors=True)
    for name in ("var/log", "var/lib/apt/lists/partial", "var/cache/apt/archives/partial"):
        (root / name).mkdir(parents=True, exist_ok=True)
    for path in root.rglob("__pycache__"):
        shutil.rmtree(path, ignore_errors=True)
    python = root / "usr" / "bin" / "python"
    if not python.exists():
        python.symlink_to("python3")


def _mirror() -> str:
    """Return the mirror that the machine itself uses."""
    for path in (Path("/etc/apt/sources.list"), *Path("/etc/apt/sources.list.d").glob("*")):
        if path.is_file():
            found = re.search(r"https?://[^\s\]]+/debian/?(?=\s|$)", path.read_text())
            if found is not None:
                return found.group(0)
    raise ClusterError("no Debian mirror is configured in /etc/apt")


def _run(argv: list[str]) -> None:
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        tail = (done.stdout + done.stderr).strip()[-800:]
        raise ClusterError(f"{argv[0]} failed:\n{tail}")
