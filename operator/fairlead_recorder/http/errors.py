"""Errors as answers: one table, and one shape, `{"error": "<what to do>"}`."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from typing import Any

import orjson
from aiohttp import web
from pydantic import ValidationError

from fairlead_recorder.store.errors import (
    BusyError,
    ConflictError,
    InvalidError,
    StoreError,
    UnavailableError,
    UnknownExperimentError,
)

log = logging.getLogger(__name__)
_STATUS: dict[type[StoreError], int] = {
    UnknownExperimentError: 404,
    ConflictError: 409,
    InvalidError: 422,
    BusyError: 503,
    UnavailableError: 503,
}
_MOST_PROBLEMS = 10


class RefusedError(Exception):
    """A request that is answered with an error.

    Args:
        status: The status code.
        message: What is wrong and what to do.
        problems: Details, one per fault.
        retry_after_s: Whether and when to try again.
    """

    def __init__(
        self,
        status: int,
        message: str,
        *,
        problems: list[str] | None = None,
        retry_after_s: int | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.problems = problems or []
        self.retry_after_s = retry_after_s


def answer(body: object, status: int = 200, headers: dict[str, str] | None = None) -> web.Response:
    """Return JSON."""
    return web.Response(
        body=orjson.dumps(body), status=status, content_type="application/json", headers=headers
    )


def refused(status: int, message: str, *, problems: list[str] | None = None,
            retry_after_s: int | None = None) -> web.Response:  # fmt: skip
    """Return an error as JSON."""
    body: dict[str, Any] = {"error": message}
    if problems:
        body["problems"] = problems[:_MOST_PROBLEMS]
    headers = {} if retry_after_s is None else {"Retry-After": str(retry_after_s)}
    if status == 401:
        headers["WWW-Authenticate"] = "Bearer"
    return answer(body, status, headers)


def problems_of(error: ValidationError) -> list[str]:
    """Return what is wrong with a document, each with its place."""
    return [
        f"{'.'.join(str(part) for part in one['loc']) or 'body'}: {one['msg']}"
        for one in error.errors(include_url=False, include_input=False)[:_MOST_PROBLEMS]
    ]


@web.middleware
async def middleware(
    request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
) -> web.StreamResponse:
    """Turn errors into answers."""
    try:
        return await handler(request)
    except RefusedError as error:
        return refused(
            error.status, str(error), problems=error.problems, retry_after_s=error.retry_after_s
        )
    except ValidationError as error:
        malformed = any(one["type"] == "json_invalid" for one in error.errors())
        return refused(
            400 if malformed else 422,
            "the body is not JSON" if malformed else "the body is not as /openapi.json says",
            problems=problems_of(error),
        )
    except StoreError as error:
        status = _STATUS[type(error)]
        problems = error.problems if isinstance(error, InvalidError) else None
        retry = 1 if status == 503 else None
        return refused(status, str(error), problems=problems, retry_after_s=retry)
    except web.HTTPRequestEntityTooLarge as error:
        return refused(413, f"{error.text}: send less at once")
    except web.HTTPException as error:
        made = refused(error.status, _words(request, error.status))
        if "Allow" in error.headers:
            made.headers["Allow"] = error.headers["Allow"]
        return made
    except Exception:
        log.exception("a request failed")
        return refused(500, "the recorder failed: its log says why")


def _words(request: web.Request, status: int) -> str:
    if status == 404:
        return f"there is no {request.path}: see /openapi.json"
    if status == 405:
        return f"{request.path} does not take {request.method}: see /openapi.json"
    return "the request cannot be understood: see /openapi.json"
