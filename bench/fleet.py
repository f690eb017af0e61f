"""Many objects at once through the API, and when all of them are ready."""

from __future__ import annotations

import asyncio
import json
import ssl
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from typing import Any

import aiohttp

from cluster.controlplane import ControlPlane
from cluster.paths import ClusterError, log

JSONObject = dict[str, Any]
Ready = Callable[[Mapping[str, Any]], bool]
CONNECTIONS = 30
_PROGRESS_S = 3.0
_WATCH_S = 20


class Client:
    """The few requests that a benchmark makes, as the administrator."""

    def __init__(self, session: aiohttp.ClientSession) -> None:
        self._session = session

    async def create(self, path: str, body: JSONObject) -> None:
        """Create an object.

        Raises:
            ClusterError: The API server refused it.
        """
        async with self._session.post(path, json=body) as answer:
            if answer.status >= 300:
                raise ClusterError(f"POST {path}: {answer.status} {(await answer.text())[:300]}")
            await answer.read()

    async def list(self, path: str, **query: str) -> JSONObject:
        """Read a collection.

        Raises:
            ClusterError: The API server refused it.
        """
        async with self._session.get(path, params=query) as answer:
            if answer.status >= 300:
                raise ClusterError(f"GET {path}: {answer.status} {(await answer.text())[:300]}")
            found: JSONObject = json.loads(await answer.read())
            return found

    async def watch(self, path: str, version: str) -> AsyncIterator[JSONObject]:
        """Yield the objects that change after a version, until the API server ends the watch."""
        query = {"watch": "true", "resourceVersion": version, "timeoutSeconds": str(_WATCH_S)}
        async with self._session.get(path, params=query) as answer:
            async for line in answer.content:
                event = json.loads(line)
                if event["type"] == "ERROR":
                    return
                yield event["object"]


@asynccontextmanager
async def client(plane: ControlPlane) -> AsyncIterator[Client]:
    """Connect as the administrator."""
    trust = ssl.create_default_context(cafile=str(plane.directory / "ca.crt"))
    async with aiohttp.ClientSession(
        base_url=plane.server,
        headers={"Authorization": f"Bearer {plane.token}"},
        connector=aiohttp.TCPConnector(limit=CONNECTIONS + 2, ssl=trust),
        read_bufsize=2**22,  # a line of a watch is a whole object
    ) as session:
        yield Client(session)


async def at_once(jobs: Iterable[Callable[[], Awaitable[None]]]) -> None:
    """Run jobs on all connections: each connection takes the next one that is left."""
    left = iter(jobs)

    async def work() -> None:
        for job in left:
            await job()

    async with asyncio.TaskGroup() as group:
        for _ in range(CONNECTIONS):
            group.create_task(work())


async def until_ready(
    api: Client,
    path: str,
    wanted: int,
    ready: Ready,
    *,
    what: str,
    deadline: float,
    check: Callable[[], None] = lambda: None,
) -> list[JSONObject]:
    """Wait until so many objects are ready at the same time; return those that are not.

    Args:
        api: The connection.
        path: Path of the collection.
        wanted: How many there have to be.
        ready: Whether one is.
        what: Plural name for the progress lines.
        deadline: When to give up, by the monotonic clock.
        check: Asked now and then; raises where waiting has no sense any more.
    """
    seen: dict[str, tuple[bool, JSONObject]] = {}

    def done() -> bool:
        return len(seen) >= wanted and all(is_ready for is_ready, _ in seen.values())

    async def follow() -> None:
        while not done():
            listed = await api.list(path)
            seen.clear()
            for obj in listed["items"]:
                seen[obj["metadata"]["name"]] = (ready(obj), obj)
            if done():
                return
            async for obj in api.watch(path, listed["metadata"]["resourceVersion"]):
                seen[obj["metadata"]["name"]] = (ready(obj), obj)
                if done():
                    return

    following = asyncio.create_task(follow())
    try:
        while time.monotonic() < deadline:
            await asyncio.wait({following}, timeout=_PROGRESS_S)
            if following.done():
                following.result()
                return []
            check()
            number = sum(is_ready for is_ready, _ in seen.values())
            log(f"  {number} of {wanted} {what} are ready ({len(seen)} exist)")
    finally:
        following.cancel()
    missing = [obj for is_ready, obj in seen.values() if not is_ready]
    return missing + [{"metadata": {"name": "(not created)"}}] * (wanted - len(seen))
