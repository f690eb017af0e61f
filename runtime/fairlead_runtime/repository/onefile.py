"""Fetches one file that belongs to a model but is none, such as its golden examples."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import unquote, urlsplit

from fairlead_runtime.repository import objects, secret, transfer
from fairlead_runtime.repository.bucket import Bucket
from fairlead_runtime.repository.download import HttpFile
from fairlead_runtime.repository.errors import (
    ModelTooLargeError,
    SourceNotFoundError,
    UnsupportedSchemeError,
)

SCHEMES = ("http", "https", *objects.SCHEMES)
"""What has to be fetched; a claim, a ConfigMap and the image are there already, as folders."""


def fetch_file(
    uri: str,
    folder: Path,
    *,
    limit_bytes: int,
    secret_dir: Path | None = None,
    patience: transfer.Patience | None = None,
) -> Path:
    """Fetch one file into a folder, under the last part of its URI's path.

    Args:
        uri: `http(s)://...`, `s3://bucket/key`, `gs://bucket/key` or `az://container/key`.
        folder: An existing folder.
        limit_bytes: Most bytes.
        secret_dir: Where the Secret with credentials is mounted.
        patience: How long the source is waited for.

    Raises:
        FetchError: It could not be fetched.
    """
    parts = urlsplit(uri)
    if parts.scheme not in SCHEMES:
        known = ", ".join(f"{scheme}://" for scheme in SCHEMES)
        raise UnsupportedSchemeError(f"cannot fetch {uri!r}: use one of {known}, or a path")
    name = Path(unquote(parts.path)).name
    if not name or parts.path.endswith("/"):
        raise SourceNotFoundError(f"{uri} names no file")
    used = patience or transfer.Patience()
    try:
        transfer.transfer(
            _remote(uri, used, secret_dir),
            folder / name,
            budget=transfer.Budget(limit_bytes),
            patience=used,
            progress=transfer.logged(),
        )
    except ModelTooLargeError as error:
        raise ModelTooLargeError(f"{uri} has more than {limit_bytes} bytes") from error
    return folder / name


def _remote(uri: str, patience: transfer.Patience, secret_dir: Path | None) -> transfer.Remote:
    scheme, _, place = uri.partition("://")
    if scheme in objects.SCHEMES:
        name, _, key = place.partition("/")
        bucket = Bucket(scheme, name, patience=patience, secret_dir=secret_dir)
        return bucket.file(bucket.look(key))
    return HttpFile(uri, headers=secret.http_headers(secret_dir), stall_s=patience.stall_s)
