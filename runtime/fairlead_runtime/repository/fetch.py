"""Fetches a model by its URI into a directory, all of it or nothing."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import urlsplit

from fairlead_runtime.repository import objects, transfer
from fairlead_runtime.repository.errors import (
    DigestMismatchError,
    DownloadFailedError,
    InvalidModelError,
    ModelChangedInPlaceError,
)
from fairlead_runtime.repository.files import MODEL_FILE, copy
from fairlead_runtime.repository.onefile import Wish, bring_file, on_disk
from fairlead_runtime.repository.profile import bring_profile, bring_profile_beside

_SCRATCH = ".fetch-"
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
    directory: str | os.PathLike[str],
    *,
    max_size_mib: int = 2048,
    pinned: str | None = None,
    resolved: str | None = None,
    source_dir: str | os.PathLike[str] | None = None,
    secret_dir: str | os.PathLike[str] | None = None,
    private_redirects: bool = True,
    profile_uri: str | None = None,
    profile_source_dir: str | os.PathLike[str] | None = None,
    patience: transfer.Patience | None = None,
    progress: transfer.Progress | None = None,
) -> Fetched:
    """Fetch a model into `directory/model.onnx`, with what lies beside it.

    Whenever the process is killed, `directory/model.onnx` is not there, or the whole of a model is.

    Args:
        uri: `file:///path`, `pvc://claim/path`, `configmap://name/key`, `http(s)://...`,
            `s3://bucket/key`, `gs://bucket/key`, `az://container/key`.
        directory: Where the model goes; what was there before is replaced.
        max_size_mib: Most MiB in all.
        pinned: Digest that the user demands.
        resolved: Digest that the revision's first pod found.
        source_dir: Where the claim or the ConfigMap of the URI is mounted.
        secret_dir: Where the Secret with credentials is mounted.
        private_redirects: Whether an http(s) redirect may lead to an address that is not public.
        profile_uri: Where its drift profile is; where it cannot be had, `profile.problem` says why
            and the model is fetched all the same. Without it, what lies beside the model is taken.
        profile_source_dir: Where the claim or the ConfigMap of that URI is mounted.
        patience: How long a source is waited for.
        progress: Is told how many bytes there are; the log is, without one.

    Raises:
        FetchError: The model could not be fetched, or is not the one that it should be.
    """
    target = Path(directory)
    target.mkdir(parents=True, exist_ok=True)
    with _alone(target):
        for left_by_a_kill in target.glob(f"{_SCRATCH}*"):
            shutil.rmtree(left_by_a_kill)
        scratch = Path(tempfile.mkdtemp(prefix=_SCRATCH, dir=target))
        try:
            wish = Wish(
                limit_bytes=max_size_mib << 20,
                source_dir=_path(source_dir),
                secret_dir=_path(secret_dir),
                private_redirects=private_redirects,
                patience=patience or transfer.Patience(),
                progress=progress or transfer.logged(),
            )
            alone = _bring(uri, scratch, wish)
            digest = digest_of(scratch / MODEL_FILE)
            _check(scratch / MODEL_FILE, digest, pinned, resolved)
            if profile_uri:
                mounted = _path(profile_source_dir)
                bring_profile(profile_uri, scratch, replace(wish, source_dir=mounted))
            elif alone:
                bring_profile_beside(uri, scratch, wish)
            _place(scratch, target)
        finally:
            shutil.rmtree(scratch, ignore_errors=True)
    path = target / MODEL_FILE
    return Fetched(digest=digest, size_bytes=path.stat().st_size, path=path)


def _path(given: str | os.PathLike[str] | None) -> Path | None:
    return None if given is None else Path(given)


@contextlib.contextmanager
def _alone(directory: Path) -> Iterator[None]:
    """Keep other fetches out of the directory; the lock ends with the process, however it ends."""
    handle = os.open(directory, os.O_RDONLY)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise DownloadFailedError(f"another fetch is writing to {directory}") from error
        except OSError:
            pass  # a file system without locks
        yield
    finally:
        os.close(handle)


def _place(scratch: Path, directory: Path) -> None:
    """Move a checked model to its place: the file that makes it one goes first and comes last."""

    def model_first(path: Path) -> bool:
        return path.name != MODEL_FILE

    for old in sorted(directory.iterdir(), key=model_first):
        if old != scratch:
            shutil.rmtree(old) if old.is_dir() and not old.is_symlink() else old.unlink()
    for item in sorted(scratch.iterdir(), key=model_first, reverse=True):
        item.replace(directory / item.name)


def digest_of(path: Path) -> str:
    """Return the digest of a file as `sha256:` and 64 hex digits."""
    digest = hashlib.sha256()
    with path.open("rb") as handle:
        while chunk := handle.read(_CHUNK):
            digest.update(chunk)
    return f"sha256:{digest.hexdigest()}"


def _bring(uri: str, target: Path, wish: Wish) -> bool:
    """Bring the model; return whether it is one file rather than a folder."""
    scheme = urlsplit(uri).scheme
    if scheme in objects.SCHEMES:
        return objects.fetch_objects(
            uri,
            target,
            limit_bytes=wish.limit_bytes,
            patience=wish.patience,
            progress=wish.progress,
            secret_dir=wish.secret_dir,
        )
    if scheme in ("http", "https"):
        bring_file(uri, target / MODEL_FILE, wish)
        return True
    source, root = on_disk(uri, wish.source_dir)
    return copy(source, root, target, limit_bytes=wish.limit_bytes)


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
