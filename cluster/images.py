"""Builds the project's images from the real Dockerfiles by whatever is there, into archives."""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from cluster import baseimage, inputs
from cluster.imagetool import Tool, find_tool
from cluster.paths import ROOT, ClusterError, cache_dir, forget, locked, log

NAMES = ("operator", "runtime", "router")
_COMMON = ("pyproject.toml", "requirements/build.txt", "runtime/fairlead_runtime/contract")
_OWN = {"operator": ("operator", *_COMMON), "runtime": ("runtime", *_COMMON), "router": ()}
"""Beside its Dockerfile and its requirements; the router has no code of ours."""
_SBOM = "cluster/sbom.py"
_REQUIREMENTS = {"router": ("requirements/envoy.txt",)}
_PYTHON = "3.11"
"""Python of the base image, and of the wheels that go into it."""


def tag(name: str) -> str:
    """Return the tag of this checkout's image: the hash of what it is made from."""
    parts = (*_OWN[name], *_requirements(name)[:1], _SBOM, f"Dockerfile.{name}")
    base = os.environ.get("FAIRLEAD_BASE_IMAGE", "")
    return f"localhost/fairlead/{name}:{inputs.digest(parts, extra=base)}"


def _requirements(name: str) -> tuple[str, ...]:
    """Return the files of pinned requirements that an image is made from, its own first."""
    default = (f"requirements/{name}.txt", "requirements/build.txt")
    return _REQUIREMENTS.get(name, default)


def archive(name: str) -> Path:
    """Build an image unless its archive is in the cache; return the archive.

    Raises:
        ClusterError: It cannot be built; the message says what is missing.
    """
    if name not in NAMES:
        raise ClusterError(f"there is no image {name!r}; there are: {', '.join(NAMES)}")
    wanted = tag(name)
    folder = cache_dir() / "images"
    target = folder / f"{name}-{wanted.rpartition(':')[2]}.tar"
    if target.exists():
        return target
    with locked(cache_dir() / "locks" / "images", "it is building images"):
        if target.exists():
            return target
        folder.mkdir(parents=True, exist_ok=True)
        started = time.monotonic()
        partial = folder / f".{name}-partial.tar"
        build(find_tool(), name, wanted, partial)
        partial.rename(target)
        megabytes = target.stat().st_size / 1e6
        log(f"built {wanted}: {megabytes:.0f} MB in {time.monotonic() - started:.0f} s")
        forget(folder, name, suffix=".tar")
    return target


def build(
    tool: Tool,
    name: str,
    wanted: str,
    target: Path,
    *,
    labels: Mapping[str, str] | None = None,
    platform: str | None = None,
) -> None:
    """Build an image by its real Dockerfile, and save it as a docker-archive.

    Args:
        tool: What builds it.
        name: Which image.
        wanted: Its tag.
        target: The archive.
        labels: Labels beside those of the Dockerfile.
        platform: What it is for, such as `linux/arm64`; None means this machine.

    Raises:
        ClusterError: It cannot be built; the message has the last lines.
    """
    base = baseimage.ensure(tool)
    log(f"building image {wanted} with {tool.name} from {base}")
    target.unlink(missing_ok=True)
    with tempfile.TemporaryDirectory(dir=cache_dir(), prefix=f".image-{name}-") as scratch:
        context = _context(Path(scratch), name, _machine(platform))
        dockerfile = context / f"Dockerfile.{name}"
        tool.build(context, dockerfile, wanted, {"BASE": base}, labels=labels, platform=platform)
        tool.save(wanted, target)


def _machine(platform: str | None) -> str:
    """Return what wheels call a platform's machine."""
    architecture = (platform or "").partition("/")[2]
    return {"amd64": "x86_64", "arm64": "aarch64"}.get(architecture, os.uname().machine)


def wheelhouse(name: str, machine: str | None = None) -> Path:
    """Return a folder with every wheel that an image needs, pip's own included.

    They are fetched here and not in the build: the machine knows how to reach a package index
    (proxy, certificates, mirror), a build inside a container often does not.
    """
    files = _requirements(name)
    machine = machine or os.uname().machine
    key = inputs.digest(files, extra=machine + _PYTHON)
    target = cache_dir() / "wheelhouse" / f"{name}-{key}"
    if target.is_dir():
        return target
    log(f"fetching the wheels of image {name}")
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=f".{name}-") as scratch:
        out = Path(scratch) / "out"
        for requirements in files:
            _download(out, machine, ["--require-hashes", "-r", str(ROOT / requirements)])
        _download(out, machine, ["pip", "setuptools"])
        out.rename(target)
    return target


def _download(out: Path, machine: str, what: list[str]) -> None:
    platforms = [f"manylinux_2_{minor}_{machine}" for minor in range(36, 16, -1)]
    platforms += [f"manylinux2014_{machine}", f"linux_{machine}"]
    command = [
        sys.executable, "-m", "pip", "download", "-q", "--disable-pip-version-check", "--no-deps",
        "--only-binary", ":all:", "--implementation", "cp", "--python-version", _PYTHON,
        "-d", str(out),
    ]  # fmt: skip
    for platform in platforms:
        command += ["--platform", platform]
    done = subprocess.run([*command, *what], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise ClusterError(f"pip download failed:\n{(done.stdout + done.stderr).strip()[-800:]}")


def _context(scratch: Path, name: str, machine: str) -> Path:
    for part in (*(inputs.WHEEL if _OWN[name] else ()), "requirements"):
        source = ROOT / part
        if source.is_dir():
            ignored = shutil.ignore_patterns("__pycache__", "*.egg-info")
            shutil.copytree(source, scratch / part, ignore=ignored)
        else:
            shutil.copy2(source, scratch / part)
    for file in (_SBOM, f"Dockerfile.{name}"):
        (scratch / file).parent.mkdir(exist_ok=True)
        shutil.copy2(ROOT / file, scratch / file)
    shutil.copytree(wheelhouse(name, machine), scratch / "wheelhouse", copy_function=os.link)
    return scratch


def publish(name: str, registry: str, tool: Tool) -> str:
    """Push this checkout's image to a registry and return its name there."""
    there = f"{registry.rstrip('/')}/{tag(name).partition('localhost/')[2]}"
    tool.load(archive(name), tag(name))
    tool.push(tag(name), there)
    return there


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m cluster.images",
        description="Build the project's images with docker, podman or buildah into archives.",
        epilog="FAIRLEAD_BASE_IMAGE names another base image with Python 3.11.",
    )
    parser.add_argument(
        "command", choices=("build", "tags"), help="build them, or print their tags"
    )
    parser.add_argument("name", nargs="*", help=f"which (default: {' '.join(NAMES)})")
    args = parser.parse_args(argv)
    try:
        for name in args.name or NAMES:
            if args.command == "tags":
                print(tag(name))
            else:
                path = archive(name)
                print(f"{tag(name)} {path} {path.stat().st_size / 1e6:.0f} MB")
    except ClusterError as error:
        sys.stderr.write(f"images: {error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
