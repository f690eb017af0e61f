"""Copies a model from a directory that is there already: a volume, or the image."""

from __future__ import annotations

import shutil
from pathlib import Path

from fairlead_runtime.repository.errors import ModelTooLargeError, SourceNotFoundError

MODEL_FILE = "model.onnx"
_SKIPPED = frozenset({"lost+found"})


def copy(source: Path, root: Path, target: Path, *, limit_bytes: int) -> bool:
    """Copy a model file, or a folder with `model.onnx`, into `target`.

    Returns:
        Whether it is a file.

    Args:
        source: File or folder.
        root: Where `source` must stay inside once links are followed.
        target: Existing folder; the model becomes `target/model.onnx`.
        limit_bytes: Most bytes in all.

    Raises:
        SourceNotFoundError: There is no such file, or it leads outside of `root`.
        ModelTooLargeError: It has more than `limit_bytes`.
    """
    resolved = _inside(source, root)
    if resolved.is_dir():
        pairs = _folder(resolved, target)
    elif resolved.is_file():
        pairs = [(resolved, target / MODEL_FILE)]
        pairs += _external_data(resolved, target)
    else:
        raise SourceNotFoundError(f"there is no file or folder {source}{_beside(resolved)}")
    size = sum(path.stat().st_size for path, _ in pairs)
    if size > limit_bytes:
        raise ModelTooLargeError(
            f"the model has {size} bytes, more than spec.model.maxSizeMiB allows ({limit_bytes})"
        )
    for path, goal in pairs:
        goal.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, goal)
    return resolved.is_file()


def copy_file(source: Path, root: Path, goal: Path, *, limit_bytes: int) -> None:
    """Copy one file to `goal`.

    Raises:
        SourceNotFoundError: There is no such file, or it leads outside of `root`.
        ModelTooLargeError: It has more than `limit_bytes`.
    """
    resolved = _inside(source, root)
    if not resolved.is_file():
        what = "is a folder, not a file" if resolved.is_dir() else "is not there"
        raise SourceNotFoundError(f"{source} {what}{_beside(resolved)}")
    if resolved.stat().st_size > limit_bytes:
        raise ModelTooLargeError(f"{source} has more than {limit_bytes} bytes")
    shutil.copyfile(resolved, goal)


def _inside(source: Path, root: Path) -> Path:
    resolved = source.resolve()
    if not resolved.is_relative_to(root.resolve()):
        raise SourceNotFoundError(f"{source} leads out of the source directory")
    return resolved


def _folder(folder: Path, target: Path) -> list[tuple[Path, Path]]:
    if not (folder / MODEL_FILE).is_file():
        raise SourceNotFoundError(f"folder {folder} has no {MODEL_FILE}{_beside(folder / 'x')}")
    pairs: list[tuple[Path, Path]] = []
    for path in sorted(folder.rglob("*")):
        inside = path.relative_to(folder)
        hidden = any(part.startswith(".") or part in _SKIPPED for part in inside.parts)
        if path.is_file() and not hidden:
            if not path.resolve().is_relative_to(folder):
                raise SourceNotFoundError(f"{path} leads out of the model's folder")
            pairs.append((path.resolve(), target / inside))
    return pairs


def _external_data(model: Path, target: Path) -> list[tuple[Path, Path]]:
    """Large models keep their weights in a file beside them, by custom `<model>.data`."""
    beside = model.with_name(model.name + ".data")
    return [(beside, target / beside.name)] if beside.is_file() else []


def _beside(path: Path) -> str:
    try:
        names = sorted(p.name for p in path.parent.iterdir() if not p.name.startswith("."))
    except OSError:
        return ""
    return f"; there are: {', '.join(names[:8])}" if names else "; its folder is empty"
