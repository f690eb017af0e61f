"""Runs an image as the kubelet would under the restricted standard: by an engine, else by runc."""

from __future__ import annotations

import contextlib
import json
import secrets
import subprocess
import tarfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import pytest

from cluster import debian, kind
from cluster.imagetool import find_tool

_START_S = 60


@dataclass(frozen=True)
class Process:
    """A process in a container, as this machine's kernel sees it."""

    pid: int

    def facts(self) -> dict[str, str]:
        """Return what it may do, as `/proc` says it."""
        lines = Path(f"/proc/{self.pid}/status").read_text().splitlines()
        return {name: value.strip() for name, _, value in (line.partition(":") for line in lines)}

    def options(self, mounted: str) -> set[str]:
        """Return the options of what is mounted at a path."""
        lines = Path(f"/proc/{self.pid}/mounts").read_text().splitlines()
        return {path: set(rest.split(",")) for _, path, _, rest, *_ in map(str.split, lines)}[
            mounted
        ]

    def program(self) -> Path:
        """Return the file that it runs."""
        return Path(f"/proc/{self.pid}/exe").readlink()


def config(archive: Path) -> dict[str, Any]:
    """Return an image's configuration."""
    with tarfile.open(archive) as outer:
        found: dict[str, Any] = json.load(_member(outer, _manifest(outer)["Config"]))
    return found


def unpack(archive: Path, root: Path) -> None:
    """Write an image's files into a folder that is made; whiteouts are not looked at."""
    root.mkdir()
    with tarfile.open(archive) as outer:
        for layer in _manifest(outer)["Layers"]:
            with tarfile.open(fileobj=_member(outer, layer)) as files:
                files.extractall(root, filter="tar")


def _manifest(outer: tarfile.TarFile) -> dict[str, Any]:
    manifest: dict[str, Any] = json.load(_member(outer, "manifest.json"))[0]
    return manifest


def _member(outer: tarfile.TarFile, name: str) -> IO[bytes]:
    return outer.extractfile(name) or pytest.fail(f"the archive has no {name}")


@contextlib.contextmanager
def running(
    archive: Path, args: Sequence[str], *, shared: Sequence[Path], scratch: Path
) -> Iterator[Process]:
    """Run an image without root, rights or a writable file, in the machine's own network.

    Args:
        archive: The image.
        args: What its entry point is given.
        shared: Files and folders that it finds at the same path, read-only.
        scratch: A folder for what this needs.

    Yields:
        The process that runs.
    """
    name = f"fairlead-test-{secrets.token_hex(4)}"
    engine = kind.engine()
    if engine is None:
        command = _with_runc(archive, args, shared, scratch, name)
        clean = ["runc", "delete", "--force", name]
        asked = ["runc", "state", name]
    else:
        command = _with_engine(engine, archive, args, shared, name)
        clean = [engine, "rm", "--force", name]
        asked = [engine, "inspect", "--format", '{"pid": {{.State.Pid}}}', name]
    log = scratch / "log"
    with log.open("wb") as output:
        process = subprocess.Popen(command, stdout=output, stderr=output)
    try:
        yield Process(_pid(asked, process, log))
    finally:
        subprocess.run(clean, capture_output=True, check=True)
        process.wait()


def _pid(asked: Sequence[str], process: subprocess.Popen[bytes], log: Path) -> int:
    deadline = time.monotonic() + _START_S
    while True:
        done = subprocess.run(asked, capture_output=True, text=True, check=False)
        pid = json.loads(done.stdout)["pid"] if done.returncode == 0 else 0
        if pid:
            return int(pid)
        waiting = process.poll() is None and time.monotonic() < deadline
        assert waiting, log.read_text()[-2000:]
        time.sleep(0.1)


def _with_engine(
    engine: str, archive: Path, args: Sequence[str], shared: Sequence[Path], name: str
) -> list[str]:
    tool = find_tool()
    with tarfile.open(archive) as outer:
        tag = _manifest(outer)["RepoTags"][0]
    tool.load(archive, tag)
    mounts = [f"--volume={path}:{path}:ro" for path in shared]
    return [
        engine, "run", "--name", name, "--read-only", "--cap-drop=ALL", "--network=host",
        "--security-opt=no-new-privileges", *mounts, tag, *args,
    ]  # fmt: skip


def _with_runc(
    archive: Path, args: Sequence[str], shared: Sequence[Path], scratch: Path, name: str
) -> list[str]:
    debian.ensure({"runc": debian.PROGRAMS["runc"]})
    image = config(archive)["config"]
    user, group = (int(part) for part in image["User"].split(":"))
    bundle = scratch / "bundle"
    bundle.mkdir()
    unpack(archive, bundle / "rootfs")
    document = {
        "ociVersion": "1.0.2",
        "process": {
            "user": {"uid": user, "gid": group},
            "args": [*image["Entrypoint"], *args],
            "env": image["Env"],
            "cwd": image["WorkingDir"],
            "capabilities": {},
            "noNewPrivileges": True,
        },
        "root": {"path": "rootfs", "readonly": True},
        "mounts": [
            {"destination": "/proc", "type": "proc", "source": "proc"},
            {"destination": "/dev", "type": "tmpfs", "source": "tmpfs"},
            *(
                {"destination": str(path), "source": str(path), "options": ["rbind", "ro"]}
                for path in shared
            ),
        ],
        "linux": {"namespaces": [{"type": each} for each in ("pid", "ipc", "uts", "mount")]},
    }
    (bundle / "config.json").write_text(json.dumps(document))
    return ["runc", "run", "--bundle", str(bundle), name]
