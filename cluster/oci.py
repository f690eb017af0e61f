"""Images made of one static binary, as an archive that container runtimes import."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from collections.abc import Sequence
from pathlib import Path

_MTIME = 0


def _add(tar: tarfile.TarFile, name: str, content: bytes, mode: int = 0o644) -> None:
    info = tarfile.TarInfo(name)
    info.size, info.mode, info.mtime = len(content), mode, _MTIME
    tar.addfile(info, io.BytesIO(content))


def image_archive(binary: Path, target: Path, *, tag: str, user: str = "65532:65532") -> None:
    """Write a docker-archive with an image that runs `binary` from an otherwise empty root.

    Args:
        binary: A static executable.
        target: The archive to write.
        tag: Name of the image, for example `localhost/fairlead/pause:1`.
        user: Numeric user and group.
    """
    layer = io.BytesIO()
    with tarfile.open(fileobj=layer, mode="w") as tar:
        for folder in ("tmp", "etc"):
            info = tarfile.TarInfo(folder)
            info.type, info.mode, info.mtime = tarfile.DIRTYPE, 0o755, _MTIME
            tar.addfile(info)
        _add(tar, binary.name, binary.read_bytes(), 0o755)
    image_of(layer.getvalue(), target, tags=(tag,), user=user, entrypoint=f"/{binary.name}")


def image_of(
    content: bytes, target: Path, *, tags: Sequence[str], user: str, entrypoint: str | None = None
) -> None:
    """Write a docker-archive with an image of one layer.

    Args:
        content: The layer, a tar file.
        target: The archive to write.
        tags: Names of the image.
        user: Numeric user and group.
        entrypoint: What it runs; None where whoever uses it says that.
    """
    run: dict[str, str | list[str]] = {"User": user, "WorkingDir": "/"}
    if entrypoint is not None:
        run["Entrypoint"] = [entrypoint]
    config = json.dumps(
        {
            "architecture": _architecture(),
            "os": "linux",
            "config": run,
            "rootfs": {
                "type": "layers",
                "diff_ids": ["sha256:" + hashlib.sha256(content).hexdigest()],
            },
        }
    ).encode()
    config_name = hashlib.sha256(config).hexdigest() + ".json"
    manifest = [{"Config": config_name, "RepoTags": list(tags), "Layers": ["layer.tar"]}]
    partial = target.with_suffix(".partial")
    with tarfile.open(partial, mode="w") as tar:
        _add(tar, "layer.tar", content)
        _add(tar, config_name, config)
        _add(tar, "manifest.json", json.dumps(manifest).encode())
    partial.rename(target)


def _architecture() -> str:
    import os

    machine = os.uname().machine
    return {"x86_64": "amd64", "aarch64": "arm64"}.get(machine, machine)
