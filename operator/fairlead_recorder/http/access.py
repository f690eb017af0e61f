"""Who may write: ServiceAccounts of the experiment's namespace, and the operator.

A writer sends a token of its ServiceAccount for the audience `fairlead-recorder`; the API server
says whose it is (TokenReview). Answers are kept for a short time.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from aiohttp import web

from fairlead_recorder.http.errors import RefusedError

log = logging.getLogger(__name__)
AUDIENCE = "fairlead-recorder"
_KEPT_S = 60.0
_REFUSAL_KEPT_S = 10.0
_MOST_KEPT = 2_000
_LONGEST_TOKEN = 16_384
_PREFIX = "system:serviceaccount:"


class UnreachableError(Exception):
    """The API server does not say whose a token is."""


Review = Callable[[str], Awaitable[str | None]]
"""Returns the user name of a token, None where it is not valid for the audience.

Raises UnreachableError.
"""


@dataclass(frozen=True, slots=True)
class Writer:
    """Who sent a request.

    Attributes:
        name: `system:serviceaccount:<namespace>:<name>`.
        everywhere: Whether it may write for every namespace.
    """

    name: str
    everywhere: bool

    def may_write(self, namespace: str) -> bool:
        """Return whether it may write for a namespace."""
        return self.everywhere or self.name.startswith(f"{_PREFIX}{namespace}:")


class Access:
    """Asks whose tokens are, and remembers it.

    Args:
        review: Asks the API server. None lets everybody do everything, for tries on one machine.
        operators: User names that may register experiments and write for every namespace.
    """

    def __init__(self, review: Review | None, operators: frozenset[str] = frozenset()) -> None:
        self._review = review
        self._operators = operators
        self._kept: OrderedDict[bytes, tuple[str | None, float]] = OrderedDict()
        self._asking: dict[bytes, asyncio.Task[str | None]] = {}

    async def writer(self, request: web.Request) -> Writer:
        """Return who sent a request.

        Raises:
            RefusedError: 401 without a valid token, 503 where nobody can tell.
        """
        if self._review is None:
            return Writer("anybody", everywhere=True)
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not 0 < len(token) <= _LONGEST_TOKEN:
            raise RefusedError(
                401, f"send `Authorization: Bearer <ServiceAccount token for {AUDIENCE}>`"
            )
        name = await self._name(token)
        if name is None:
            raise RefusedError(
                401, f"the token is not valid, has expired, or is not for the audience {AUDIENCE}"
            )
        return Writer(name, everywhere=name in self._operators)

    async def of_namespace(self, request: web.Request, namespace: str) -> Writer:
        """Return who sent a request, where that one may write for a namespace.

        Raises:
            RefusedError: As `writer`, and 403 for one of another namespace.
        """
        writer = await self.writer(request)
        if not writer.may_write(namespace):
            raise RefusedError(403, f"{writer.name} may not write for namespace {namespace}")
        return writer

    async def operator(self, request: web.Request) -> Writer:
        """Return who sent a request, where it is the operator.

        Raises:
            RefusedError: As `writer`, and 403 for others.
        """
        writer = await self.writer(request)
        if not writer.everywhere:
            raise RefusedError(403, f"{writer.name} is not the operator, which alone registers")
        return writer

    async def _name(self, token: str) -> str | None:
        key = hashlib.sha256(token.encode()).digest()
        kept = self._kept.get(key)
        if kept is not None and time.monotonic() < kept[1]:
            self._kept.move_to_end(key)
            return kept[0]
        asking = self._asking.get(key)
        if asking is None:
            asking = asyncio.create_task(self._ask(key, token))
            self._asking[key] = asking
            asking.add_done_callback(lambda _: self._asking.pop(key, None))
        try:
            return await asyncio.shield(asking)
        except UnreachableError as error:
            log.warning("the API server does not say whose a token is: %s", error)
            raise RefusedError(
                503, "the API server does not say whose the token is", retry_after_s=2
            ) from error

    async def _ask(self, key: bytes, token: str) -> str | None:
        assert self._review is not None  # noqa: S101 - `writer` returned before
        name = await self._review(token)
        if name is not None and not name.startswith(_PREFIX):
            name = None
        self._kept[key] = (
            name, time.monotonic() + (_REFUSAL_KEPT_S if name is None else _KEPT_S)
        )  # fmt: skip
        while len(self._kept) > _MOST_KEPT:
            self._kept.popitem(last=False)
        return name
