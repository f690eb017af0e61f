"""The recorder, as the operator asks it: see docs/recorder.md."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import aiohttp
import orjson

from fairlead_operator.evidence.session import Asking

Json = Mapping[str, Any]
_TIMEOUT_S = 5.0
_MOST_BYTES = 16 * 1024 * 1024
_CONFLICT = 409


class RecorderError(Exception):
    """The recorder could not be asked, or refuses; the message is for people."""


class ConflictingError(RecorderError):
    """What it knows of this Experiment contradicts what it is told: waiting does not help."""


class Recorder(Asking):
    """Requests to one recorder; use it as a context manager."""

    def __init__(self, url: str, token_file: str = "", authority: str = "") -> None:
        """Say where it is.

        Args:
            url: Its URL, without a slash at the end.
            token_file: A file with a token, read for each request; empty for none.
            authority: Whom its certificate is to be from (PEM); empty for those that all know.
        """
        self._url = url
        self._token_file = token_file
        self._tls = ssl.create_default_context(cadata=authority) if authority else True

    def _opened(self) -> aiohttp.ClientSession:
        return aiohttp.ClientSession(
            timeout=aiohttp.ClientTimeout(total=_TIMEOUT_S), cookie_jar=aiohttp.DummyCookieJar()
        )

    async def ready(self) -> None:
        """Ask whether it is there.

        Raises:
            RecorderError: It is not.
        """
        await self._ask("GET", "/readyz")

    async def register(self, namespace: str, name: str, body: Json) -> None:
        """Make an Experiment and its present table known; repeating it changes nothing.

        Raises:
            ConflictingError: It contradicts what is recorded.
            RecorderError: It could not be done.
        """
        await self._ask("PUT", f"/v1/experiments/{namespace}/{name}", body)

    async def summary(self, namespace: str, name: str) -> Json:
        """Return what was counted.

        Raises:
            RecorderError: It could not be read.
        """
        return await self._ask("GET", f"/v1/experiments/{namespace}/{name}/summary")

    async def judged(self, namespace: str, name: str, body: Json) -> None:
        """Tell what its page is to show of the operator's verdict.

        Raises:
            RecorderError: It could not be done.
        """
        await self._ask("PUT", f"/v1/experiments/{namespace}/{name}/judgement", body)

    async def end(self, namespace: str, name: str, uid: str) -> None:
        """Say that an Experiment is over: nothing more is counted for it.

        Raises:
            RecorderError: It could not be done.
        """
        await self._ask("DELETE", f"/v1/experiments/{namespace}/{name}?uid={uid}")

    async def register_model(self, namespace: str, name: str, body: Json) -> None:
        """Say how a model's answers are compared with their outcomes; repeating it keeps it.

        Raises:
            RecorderError: It could not be done.
        """
        await self._ask("PUT", f"/v1/modeldeployments/{namespace}/{name}", body)

    async def performance(self, namespace: str, name: str, *, since: int = 0) -> Json:
        """Return outcomes and errors of a model by revision and window.

        Args:
            namespace: The ModelDeployment's namespace.
            name: Its name.
            since: Windows that began before are left out, in seconds since 1970.

        Raises:
            RecorderError: It could not be read.
        """
        path = f"/v1/modeldeployments/{namespace}/{name}/performance?since={since}"
        return await self._ask("GET", path)

    async def _ask(self, method: str, path: str, body: Json | None = None) -> Json:
        session = self._session
        if session is None:
            raise RuntimeError("a recorder is used with `async with`")
        if not self._url:
            raise RecorderError("no recorder is configured: see recorder.enabled of the chart")
        headers = {"Content-Type": "application/json"} if body is not None else {}
        try:
            headers |= await self._authorization()
            async with session.request(
                method,
                self._url + path,
                data=None if body is None else orjson.dumps(body),
                headers=headers,
                allow_redirects=False,
                ssl=self._tls,
            ) as answer:
                content = await answer.content.read(_MOST_BYTES)
        except TimeoutError as error:
            raise RecorderError(f"it did not answer within {_TIMEOUT_S:g} s") from error
        except (aiohttp.ClientError, OSError) as error:
            raise RecorderError(str(error) or type(error).__name__) from error
        return _checked(answer.status, content)

    async def _authorization(self) -> dict[str, str]:
        if not self._token_file:
            return {}
        token = await asyncio.to_thread(Path(self._token_file).read_text)
        return {"Authorization": f"Bearer {token.strip()}"}


def _checked(status: int, content: bytes) -> Json:
    try:
        document = orjson.loads(content) if content else {}
    except orjson.JSONDecodeError as error:
        raise RecorderError(f"it answered {status} and no JSON") from error
    if not isinstance(document, dict):
        raise RecorderError(f"it answered {status} and no object")
    if 200 <= status < 300:  # noqa: PLR2004 - success
        return document
    said = str(document.get("error") or f"it answered {status}")
    problems = document.get("problems")
    if isinstance(problems, list) and problems:
        said = f"{said} ({'; '.join(map(str, problems[:3]))})"
    raise (ConflictingError if status == _CONFLICT else RecorderError)(said)
