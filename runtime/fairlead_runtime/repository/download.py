"""A file on an HTTP server: ranges, validators, redirects, credentials."""

from __future__ import annotations

import contextlib
import email.utils
import http.client
import re
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from email.message import Message
from typing import IO

from fairlead_runtime.repository.addresses import Checks, Guard
from fairlead_runtime.repository.errors import (
    DownloadFailedError,
    DownloadRefusedError,
    FetchError,
    SourceNotFoundError,
)
from fairlead_runtime.repository.transfer import Piece

_CHUNK = 1 << 20
_UNSTEADY = frozenset({408, 425, 429})
_CONTENT_RANGE = re.compile(r"bytes (\d+)-\d+/(\d+|\*)")


class HttpFile:
    """The file at an http(s) URL, of which the version that was met first is remembered."""

    def __init__(
        self,
        url: str,
        *,
        headers: Mapping[str, str],
        stall_s: float,
        private_redirects: bool = True,
    ) -> None:
        self._url, self._stall_s = url, stall_s
        self._private_redirects = private_redirects
        self._headers = {"User-Agent": "fairlead-runtime", "Accept": "*/*", **headers}
        self._validator: str | None = None
        self._total: int | None = None

    @property
    def shown(self) -> str:
        """Its URL without the query, which may carry a signature."""
        return self._url.partition("?")[0]

    @contextlib.contextmanager
    def open(self, start: int) -> Iterator[Piece]:
        """Ask for the bytes from `start`, or for all where that is not the same file any more."""
        headers = dict(self._headers)
        if start and self._validator:
            headers |= {"Range": f"bytes={start}-", "If-Range": self._validator}
        request = urllib.request.Request(self._url, headers=headers)  # noqa: S310 - is checked
        with self._ask(request) as answer:
            yield self._piece(answer, start)

    def _ask(self, request: urllib.request.Request) -> http.client.HTTPResponse:
        guard = Guard(self.shown, private_redirects=self._private_redirects)
        opener = urllib.request.build_opener(_Redirects(guard), Checks(guard))
        try:
            answer: http.client.HTTPResponse = opener.open(request, timeout=self._stall_s)
        except urllib.error.HTTPError as error:
            error.close()
            raise self._by_status(error) from error
        except (OSError, http.client.HTTPException) as error:
            raise self._broken(error) from error
        return answer

    def _piece(self, answer: http.client.HTTPResponse, start: int) -> Piece:
        if (coding := answer.headers.get("Content-Encoding", "identity")) != "identity":
            message = f"{self.shown} is sent {coding}-encoded though that was not asked for"
            raise DownloadFailedError(f"{message}: store the model as it is", again=False)
        validator = validator_of(answer.headers)
        if answer.status == http.HTTPStatus.PARTIAL_CONTENT:
            self._same(answer, start, validator)
            return Piece(start=start, total_bytes=self._total, chunks=self._chunks(answer))
        length = answer.headers.get("Content-Length", "")
        self._validator, self._total = validator, int(length) if length.isdigit() else None
        return Piece(start=0, total_bytes=self._total, chunks=self._chunks(answer))

    def _same(self, answer: http.client.HTTPResponse, start: int, validator: str | None) -> None:
        """Refuse a part that is not of the same file, or not the part that was asked for.

        A server or a proxy that does not know If-Range answers with a part of whatever is there.
        """
        found = _CONTENT_RANGE.fullmatch(answer.headers.get("Content-Range", "").strip())
        total = int(found[2]) if found and found[2] != "*" else None
        dated = self._validator is not None and not self._validator.endswith('"')
        same = validator == self._validator or (dated and validator is None)
        asked_for = found is not None and int(found[1]) == start and start > 0
        if not (same and asked_for and total in (None, self._total)):
            self._validator = None  # the next try asks for the whole
            raise DownloadFailedError(f"{self.shown} changed while it was downloaded")

    def _chunks(self, answer: http.client.HTTPResponse) -> Iterator[bytes]:
        while True:
            try:
                # read1 gives what is there: a server that trickles is noticed, what came is kept.
                chunk = answer.read1(_CHUNK)
            except (OSError, http.client.HTTPException) as error:
                raise self._broken(error) from error
            if not chunk:
                return
            yield chunk

    def _broken(self, error: Exception) -> DownloadFailedError:
        return DownloadFailedError(f"{self.shown} cannot be downloaded: {_why(error)}")

    def _by_status(self, error: urllib.error.HTTPError) -> FetchError:
        shown, code = self.shown, error.code
        if code in (401, 403):
            return DownloadRefusedError(
                f"{shown} answers {code}: check the credentials in spec.model.secretName"
            )
        if code in (404, 410):
            return SourceNotFoundError(f"{shown} answers {code}: there is no model")
        if code == http.HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
            self._validator = None
            return DownloadFailedError(f"{shown} changed while it was downloaded")
        if 300 <= code < 400:
            return DownloadFailedError(f"{shown} is redirected without end or to nowhere: {code}")
        again = code >= 500 or code in _UNSTEADY
        wanted = error.headers.get("Retry-After", "")
        pause = float(wanted) if wanted.isdigit() else None
        return DownloadFailedError(f"{shown} answers {code}", again=again, pause_s=pause)


class _Redirects(urllib.request.HTTPRedirectHandler):
    """Follows redirects over http(s), but takes credentials neither elsewhere nor out of TLS."""

    def __init__(self, guard: Guard) -> None:
        self._guard = guard

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
        if following is None:
            return None
        if following.type not in ("http", "https"):
            raise DownloadFailedError(f"a redirect to {following.type}:// is not followed")
        left_tls = req.type == "https" and following.type == "http"
        if following.host != req.host or left_tls:
            following.remove_header("Authorization")
        self._guard.redirected = True
        return following


def validator_of(headers: Message) -> str | None:
    """Return what tells one version of a file from another byte for byte, for `If-Range`.

    That is a strong ETag, else a Last-Modified that is older than the answer by a second at least:
    a younger one may stand for two versions.
    """
    tag: str | None = headers.get("ETag")
    if tag:
        return None if tag.startswith("W/") else tag
    modified: str | None = headers.get("Last-Modified")
    answered = headers.get("Date")
    if modified and answered:
        with contextlib.suppress(ValueError, TypeError):
            age = _instant(answered) - _instant(modified)
            return modified if age >= timedelta(seconds=1) else None
    return None


def _instant(text: str) -> datetime:
    return email.utils.parsedate_to_datetime(text)


def _why(error: Exception) -> str:
    reason = getattr(error, "reason", None) or error
    if isinstance(reason, TimeoutError):
        return "nothing came for too long"
    return str(reason) or type(reason).__name__
