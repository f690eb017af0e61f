"""Downloads a model over http(s): streamed, limited, and tried again where that can help."""

from __future__ import annotations

import base64
import http.client
import logging
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import IO

from fairlead_runtime.repository.errors import (
    DownloadFailedError,
    DownloadRefusedError,
    FetchError,
    ModelTooLargeError,
    SourceNotFoundError,
)

log = logging.getLogger(__name__)
_CHUNK = 1 << 20
_TIMEOUT_S = 30.0
_PAUSES_S = (0.5, 1.0, 2.0, 4.0)
_PROGRESS_S = 5.0


def download(
    url: str,
    goal: Path,
    *,
    limit_bytes: int,
    secret_dir: Path | None = None,
    sleep: Callable[[float], None] = time.sleep,
) -> None:
    """Download `url` into the file `goal`.

    Raises:
        FetchError: It is not there, refused, too large, or failed five times within about ten
            seconds.
    """
    headers = {"User-Agent": "fairlead-runtime", "Accept": "*/*", **credentials(secret_dir)}
    for pause in (*_PAUSES_S, None):
        try:
            _once(url, goal, headers, limit_bytes)
        except DownloadFailedError as error:
            if pause is None:
                raise
            log.warning("%s; next try in %.1f s", error, pause)
            sleep(pause)
        else:
            return


def credentials(secret_dir: Path | None) -> dict[str, str]:
    """Return the Authorization header that the files of a mounted Secret make.

    `token` is sent as a bearer token; `username` and `password` as basic credentials.

    Raises:
        DownloadRefusedError: The Secret has neither.
    """
    if secret_dir is None:
        return {}
    token, user = _read(secret_dir / "token"), _read(secret_dir / "username")
    if token:
        return {"Authorization": f"Bearer {token}"}
    if user:
        pair = f"{user}:{_read(secret_dir / 'password') or ''}"
        return {"Authorization": "Basic " + base64.b64encode(pair.encode()).decode()}
    raise DownloadRefusedError("the Secret needs the key token, or the keys username and password")


def _read(path: Path) -> str | None:
    try:
        return path.read_text().strip()
    except OSError:
        return None


class _SameHost(urllib.request.HTTPRedirectHandler):
    """Follows redirects, but never takes credentials to another host."""

    def redirect_request(
        self,
        req: urllib.request.Request,
        fp: IO[bytes],
        code: int,
        msg: str,
        headers: http.client.HTTPMessage,
        newurl: str,
    ) -> urllib.request.Request | None:
        following = super().redirect_request(req, fp, code, msg, headers, newurl)
        if following is not None and following.host != req.host:
            following.remove_header("Authorization")
        return following


def _once(url: str, goal: Path, headers: dict[str, str], limit_bytes: int) -> None:
    request = urllib.request.Request(url, headers=headers)  # noqa: S310 - the scheme is checked
    opener = urllib.request.build_opener(_SameHost)
    shown = url.partition("?")[0]  # a query may carry a signature
    try:
        with opener.open(request, timeout=_TIMEOUT_S) as answer:
            _save(answer, goal, shown, limit_bytes)
    except urllib.error.HTTPError as error:
        error.close()
        raise _by_status(shown, error) from error
    except (OSError, http.client.HTTPException) as error:
        why = getattr(error, "reason", None) or error
        raise DownloadFailedError(f"{shown} cannot be downloaded: {why}") from error


def _save(answer: http.client.HTTPResponse, goal: Path, shown: str, limit_bytes: int) -> None:
    length = answer.headers.get("Content-Length")
    expected = int(length) if length and length.isdigit() else None
    too_large = ModelTooLargeError(
        f"{shown} has more bytes than spec.model.maxSizeMiB allows ({limit_bytes})"
    )
    if expected is not None and expected > limit_bytes:
        raise too_large
    done, told = 0, time.monotonic()
    with goal.open("wb") as output:
        while chunk := answer.read(_CHUNK):
            done += len(chunk)
            if done > limit_bytes:
                raise too_large
            output.write(chunk)
            if time.monotonic() - told > _PROGRESS_S:
                told = time.monotonic()
                log.info("downloaded %d of %s MiB", done >> 20, expected >> 20 if expected else "?")
    if expected is not None and done < expected:
        raise DownloadFailedError(f"{shown}: the connection ended after {done} of {expected} bytes")


def _by_status(shown: str, error: urllib.error.HTTPError) -> FetchError:
    if error.code in (401, 403):
        message = f"{shown} answers {error.code}: check the credentials in spec.model.secretName"
        return DownloadRefusedError(message)
    if error.code in (404, 410):
        return SourceNotFoundError(f"{shown} answers {error.code}: there is no model")
    return DownloadFailedError(f"{shown} answers {error.code}")
