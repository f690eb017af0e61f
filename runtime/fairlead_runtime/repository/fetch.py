"""Fetches a model by its URI into a directory, all of it or nothing."""

from __future__ import annotations

import hashlib
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit

from fairlead_runtime.repository.download import download
from fairlead_runtime.repository.errors import (
    DigestMismatchError,
    InvalidModelError,
    ModelChangedInPlaceError,
    SourceNotFoundError,
    UnsupportedSchemeError,
)
from fairlead_runtime.repository.files import MODEL_FILE, copy

SCHEMES = ("file", "pvc", "configmap", "http", "https")
_CHUNK = 1 << 20
_NOT_MODELS = {
    b"<!DOCTYPE": "an HTML page",
    b"<!doctype": "an HTML page",
    b"<html": "an HTML page",
    b"<?xml": "an XML document",
    b"version https://git-lfs": "a Git LFS pointer: the file itself was not pushed or pulled",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Fetched:
    """What was fetched.

    Attributes:
        digest: `sha256:` and 64 hex digits, of the model file.
        size_bytes: Size of the model file.
        path: The model file.
    """

    digest: str
    size_bytes: int
    path: Path


def fetch(
    uri: str,
    directory: Path,
    *,
    max_size_mib: int = 2048,
    pinned: str | None = None,
    resolved: str | None = None,
    source_dir: Path | None = None,
    secret_dir: Path | None = None,
) -> Fetched:
    """Fetch a model into `directory/model.onnx`, with what lies beside it.

    Args:
        uri: `file:///path`, `pvc://claim/path`, `configmap://name/key`, `http(s)://...`.
        directory: Where the model goes; what was there before is replaced.
        max_size_mib: Most MiB in all.
        pinned: Digest that the user demands.
        resolved: Digest that the revision's first pod found.
        source_dir: Where the claim or the ConfigMap of the URI is mounted.
        secret_dir: Where the Secret with credentials is mounted.

    Raises:
        FetchError: The model could not be fetched, or is not the one that it should be.
    """
    directory.mkdir(parents=True, exist_ok=True)
    scratch = Path(tempfile.mkdtemp(prefix=".fetch-", dir=directory))
    try:
        _bring(uri, scratch, max_size_mib << 20, source_dir, secret_dir)
        model = scratch / MODEL_FILE
        digest = digest_of(model)
        _check(model, digest, pinned, resolved)
        for old in directory.iterdir():
            if old != scratch:
                shutil.rmtree(old) if old.is_dir() else old.unlink()
        for item in sorted(scratch.iterdir(), key=lambda path: path.name == MODEL_FILE):
            item.replace(directory / item.name)  # the model itself last
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    path = directory / MODEL_FILE
    return Fetched(digest=digest, size_bytes=path.stat().st_size, path=path)


def digest_of(path: Path) -> str:
    """Return the digest of a file as `sha256:` and 64 hex digits."""
    digest = hashlib.sha256()
    with path.open("rb") as handle:
        while chunk := handle.read(_CHUNK):
            digest.update(chunk)
    return f"sha256:{digest.hexdigest()}"


def _bring(
    uri: str, target: Path, limit_bytes: int, source_dir: Path | None, secret_dir: Path | None
) -> None:
    parts = urlsplit(uri)
    if parts.scheme in ("http", "https"):
        goal = target / MODEL_FILE
        download(uri, goal, limit_bytes=limit_bytes, secret_dir=secret_dir)
    elif parts.scheme == "file":
        copy(Path(unquote(parts.path)), Path("/"), target, limit_bytes=limit_bytes)
    elif parts.scheme in ("pvc", "configmap"):
        if source_dir is None:
            message = f"{parts.scheme}:// needs --source-dir: where {parts.netloc} is mounted"
            raise SourceNotFoundError(message)
        inside = source_dir / unquote(parts.path).lstrip("/")
        copy(inside, source_dir, target, limit_bytes=limit_bytes)
    else:
        known = ", ".join(f"{scheme}://" for scheme in SCHEMES)
        message = f"cannot fetch {uri!r}: use one of {known}"
        raise UnsupportedSchemeError(message)


def _check(model: Path, digest: str, pinned: str | None, resolved: str | None) -> None:
    if pinned and digest != pinned:
        raise DigestMismatchError(f"the model has digest {digest}, but {pinned} is demanded")
    if resolved and digest != resolved:
        raise ModelChangedInPlaceError(
            f"the model has digest {digest}, but this revision's first pod found {resolved}: "
            "put new bytes at a new URI, or change spec.model.version"
        )
    with model.open("rb") as handle:
        head = handle.read(64)
    if not head:
        raise InvalidModelError("the file is empty")
    for start, what in _NOT_MODELS.items():
        if head.lstrip().startswith(start):
            raise InvalidModelError(f"the file is {what}, not an ONNX model")
