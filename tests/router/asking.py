"""Splits and requests of the tests."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Callable

import httpx

from fairlead_operator.traffic import slots
from fairlead_operator.traffic.split import Arm, Split

HEADER = "x-user-id"
SALT = "9b0e6f1c-experiment"


def a_split(*arms: Arm, header: str | None = HEADER, **shares: int) -> Split:
    """Return a split with so many slots for each arm."""
    wanted = {arm.name: shares.get(arm.name, 0) for arm in arms}
    table = slots.change(slots.all_to(arms[0].name), wanted).table
    salt = SALT if header else ""
    return Split(arms=arms, table=table, header=header, salt=salt, experiment="checkout")


def a_client(*, http2: bool = False) -> httpx.AsyncClient:
    """Return a client that speaks one protocol only, in the clear."""
    return httpx.AsyncClient(http1=not http2, http2=http2, trust_env=False, timeout=15)


async def ask(
    client: httpx.AsyncClient, url: str, user: str | None = None, **headers: str
) -> httpx.Response:
    """Send one request, of a user or of nobody."""
    extra = {} if user is None else {HEADER: user}
    return await client.get(f"{url}/v2", headers={**extra, **headers})


def arm_of(response: httpx.Response) -> str:
    """Return the arm whose pod answered."""
    assert response.status_code == 200, response.text
    return str(response.json()["pod"].rsplit("-", maxsplit=1)[0])


async def eventually(met: Callable[[], bool | Awaitable[bool]], seconds: float) -> None:
    """Wait until something holds; fail after so many seconds."""
    async with asyncio.timeout(seconds):
        while True:
            found = met()
            if await found if inspect.isawaitable(found) else found:
                return
            await asyncio.sleep(0.05)
