"""Brings one file from any source to a path: a model of one file, or what comes with a model."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit

from fairlead_runtime.repository import objects, secret, transfer
from fairlead_runtime.repository.download import HttpFile
from fairlead_runtime.repository.errors import (
    ModelTooLargeError,
    SourceNotFoundError,
    UnsupportedSchemeError,
)
from fairlead_runtime.repository.files import copy_file

MOUNTED = ("pvc", "configmap")
REMOTE = ("http", "https", *objects.SCHEMES)
"""What has to be fetched; a claim, a ConfigMap and the image are there already, as folders."""
SCHEMES = ("file", *MOUNTED, *REMOTE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """How a source is to be read.

    Attributes:
        limit_bytes: Most bytes in all.
        source_dir: Where the claim or the ConfigMap of the URI is mounted.
        secret_dir: Where the Secret with credentials is mounted.
        private_redirects: Whether an http(s) redirect may lead to an address that is not public.
        patience: How long the source is waited for.
        progress: Is told how many bytes there are.
    """

    limit_bytes: int
    source_dir: Path | None
    secret_dir: Path | None
    patience: transfer.Patience
    progress: transfer.Progress
    private_redirects: bool = True


def bring_file(uri: str, goal: Path, wish: Wish) -> None:
    """Bring the one file at `uri` to `goal`.

    Raises:
        FetchError: It is not there, no file, refused, too large, or failed too often.
    """
    scheme = urlsplit(uri).scheme
    if scheme in ("http", "https"):
        headers = secret.http_headers(wish.secret_dir)
        transfer.transfer(
            HttpFile(
                uri,
                headers=headers,
                stall_s=wish.patience.stall_s,
                private_redirects=wish.private_redirects,
            ),
            goal,
            budget=transfer.Budget(wish.limit_bytes),
            patience=wish.patience,
            progress=wish.progress,
        )
    elif scheme in objects.SCHEMES:
        objects.fetch_object(
            uri,
            goal,
            limit_bytes=wish.limit_bytes,
            patience=wish.patience,
            progress=wish.progress,
            secret_dir=wish.secret_dir,
        )
    else:
        source, root = on_disk(uri, wish.source_dir)
        copy_file(source, root, goal, limit_bytes=wish.limit_bytes)


def on_disk(uri: str, source_dir: Path | None) -> tuple[Path, Path]:
    """Return where a `file`, `pvc` or `configmap` URI leads, and the folder that it must stay in.

    Raises:
        UnsupportedSchemeError: Nobody here can read this kind of URI.
        SourceNotFoundError: It is not said where the claim or ConfigMap is mounted.
    """
    parts = urlsplit(uri)
    path = unquote(parts.path)
    if parts.scheme == "file":
        return Path(path), Path("/")
    if parts.scheme not in MOUNTED:
        known = ", ".join(f"{scheme}://" for scheme in SCHEMES)
        message = f"cannot fetch {uri!r}: use one of {known}"
        raise UnsupportedSchemeError(message)
    if source_dir is None:
        message = f"{parts.scheme}:// needs --source-dir: where {parts.netloc} is mounted"
        raise SourceNotFoundError(message)
    return source_dir / path.lstrip("/"), source_dir


def fetch_file(
    uri: str,
    folder: Path,
    *,
    limit_bytes: int,
    secret_dir: Path | None = None,
    private_redirects: bool = True,
    patience: transfer.Patience | None = None,
) -> Path:
    """Fetch one file into a folder, under the last part of its URI's path.

    Args:
        uri: `http(s)://...`, `s3://bucket/key`, `gs://bucket/key` or `az://container/key`.
        folder: An existing folder.
        limit_bytes: Most bytes.
        secret_dir: Where the Secret with credentials is mounted.
        private_redirects: Whether an http(s) redirect may lead to an address that is not public.
        patience: How long the source is waited for.

    Raises:
        FetchError: It could not be fetched.
    """
    parts = urlsplit(uri)
    if parts.scheme not in REMOTE:
        known = ", ".join(f"{scheme}://" for scheme in REMOTE)
        raise UnsupportedSchemeError(f"cannot fetch {uri!r}: use one of {known}, or a path")
    name = Path(unquote(parts.path)).name
    if not name or parts.path.endswith("/"):
        raise SourceNotFoundError(f"{uri} names no file")
    wish = Wish(
        limit_bytes=limit_bytes,
        source_dir=None,
        secret_dir=secret_dir,
        patience=patience or transfer.Patience(),
        progress=transfer.logged(),
        private_redirects=private_redirects,
    )
    try:
        bring_file(uri, folder / name, wish)
    except ModelTooLargeError as error:
        raise ModelTooLargeError(f"{uri} has more than {limit_bytes} bytes") from error
    return folder / name
