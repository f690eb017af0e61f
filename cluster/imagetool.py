"""One way to build images: docker, podman or buildah, whichever works here."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from cluster import debian, kind
from cluster.paths import ClusterError, cache_dir, log

BUILDAH_RUN = Path("/run/fairlead-buildah")


@dataclass(frozen=True)
class Tool:
    """A program that builds images.

    Attributes:
        name: `docker`, `podman` or `buildah`.
        options: Global options that stand before its commands.
        build_options: Options of its `build` command.
    """

    name: str
    options: tuple[str, ...] = ()
    build_options: tuple[str, ...] = field(default=())

    def build(
        self,
        context: Path,
        dockerfile: Path,
        tag: str,
        arguments: Mapping[str, str],
        *,
        labels: Mapping[str, str] | None = None,
        platform: str | None = None,
    ) -> None:
        """Build an image, for this machine unless another platform is named.

        Raises:
            ClusterError: It failed; the message has the last lines.
        """
        args = [f"--build-arg={key}={value}" for key, value in arguments.items()]
        args += [f"--label={key}={value}" for key, value in (labels or {}).items()]
        args += [f"--platform={platform}"] if platform else []
        self.run(
            "build", *self.build_options, *args, "-t", tag, "-f", str(dockerfile), str(context)
        )

    def save(self, tag: str, target: Path) -> None:
        """Write an image to a docker-archive."""
        if self.name == "buildah":
            self.run("push", "-q", tag, f"docker-archive:{target}:{tag}")
        else:
            self.run("save", "-o", str(target), tag)

    def load(self, archive: Path, tag: str) -> None:
        """Read an image from a docker-archive."""
        if self.name == "buildah":
            container = self.run("from", f"docker-archive:{archive}").strip()
            self.run("commit", "-q", container, tag)
            self.run("rm", container)
        else:
            self.run("load", "-i", str(archive))

    def push(self, tag: str, there: str) -> None:
        """Push an image to a registry under another name; to this machine's own without TLS."""
        # As Docker and containerd do by themselves, and the others only when they are told.
        plain = ("--tls-verify=false",) if _loopback(there) and self.name != "docker" else ()
        if self.name == "buildah":
            self.run("push", "-q", *plain, tag, f"docker://{there}")
        else:
            self.run("tag", tag, there)
            self.run("push", "-q", *plain, there)

    def combine(self, parts: Sequence[str], there: str) -> None:
        """Push one name for images of several platforms that a registry has."""
        if self.name == "docker":
            self.run("manifest", "create", "--amend", there, *parts)
            self.run("manifest", "push", "--purge", there)
            return
        self.run("manifest", "create", there)
        for part in parts:
            self.run("manifest", "add", there, f"docker://{part}")
        self.run("manifest", "push", "--all", "--rm", there, f"docker://{there}")

    def pull(self, image: str) -> bool:
        """Try to pull an image; False where no registry gives it."""
        try:
            self.run("pull", "-q", image, timeout_s=120)
        except ClusterError:
            return False
        return True

    def has(self, image: str) -> bool:
        """Whether an image is in the local storage."""
        try:
            self.run("inspect", "--type", "image", image)
        except ClusterError:
            return False
        return True

    def from_tar(self, rootfs: Path, tag: str) -> None:
        """Make an image of one file system."""
        if self.name == "buildah":
            container = self.run("from", "scratch").strip()
            self.run("add", "-q", container, str(rootfs), "/")
            self.run("config", "--cmd", "/bin/sh", container)
            self.run("commit", "-q", "--format", "docker", container, tag)
            self.run("rm", container)
        else:
            self.run("import", str(rootfs), tag)

    def run(self, *args: str, timeout_s: float | None = None) -> str:
        """Run one of its commands and return what it prints.

        Raises:
            ClusterError: It failed, or did not end in time.
        """
        command = [self.name, *self.options, *args]
        try:
            done = subprocess.run(
                command, capture_output=True, text=True, check=False, timeout=timeout_s
            )
        except subprocess.TimeoutExpired:
            raise ClusterError(f"{self.name} {args[0]} did not end in {timeout_s:.0f} s") from None
        if done.returncode != 0:
            tail = (done.stdout + done.stderr).strip()[-1200:]
            raise ClusterError(f"{self.name} {args[0]} failed:\n{tail}")
        return done.stdout


def _loopback(image: str) -> bool:
    """Whether an image's registry is on this machine."""
    return image.partition("/")[0].rpartition(":")[0] in ("127.0.0.1", "localhost")


def find_tool() -> Tool:
    """Return what builds images here; buildah is installed where one is root on Debian.

    Raises:
        ClusterError: There is nothing; the message says what to install.
    """
    engine = kind.engine()
    if engine is not None:
        return Tool(engine)
    if shutil.which("buildah") is None:
        if os.geteuid() != 0 or shutil.which("apt-get") is None:
            raise ClusterError("no image builder here: install docker, podman or buildah")
        log("no container engine answers: images are built with buildah")
        debian.ensure({"buildah": debian.IMAGE_PROGRAMS["buildah"]})
    storage = cache_dir() / "buildah"
    return Tool(
        "buildah",
        options=(
            "--root", str(storage), "--runroot", str(BUILDAH_RUN),
            "--storage-driver", _storage_driver(),
        ),
        build_options=("--isolation", "chroot", "--format", "docker", "--layers=true", "-q"),
    )  # fmt: skip


def _storage_driver() -> str:
    """Overlays are many times faster, where the kernel has them."""
    filesystems = Path("/proc/filesystems").read_text().split()
    return "overlay" if "overlay" in filesystems and os.geteuid() == 0 else "vfs"
