"""Pages for people: no token, no script, nothing but sums."""

from __future__ import annotations

from aiohttp import web

from fairlead_recorder.http.recorder import Recorder, now
from fairlead_recorder.http.routes import target, wanted_uid
from fairlead_recorder.store import experiments
from fairlead_recorder.store.database import Session

_HEADERS = {
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-store",
}


class Pages:
    """The handlers."""

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder

    async def experiment(self, request: web.Request) -> web.Response:
        """`GET /experiments/{namespace}/{name}`."""
        namespace, name = target(request)
        uid = wanted_uid(request)
        at = now()

        def query(session: Session) -> tuple[str, str]:
            # The statistics need scipy: half of a recorder's memory, and for pages alone.
            from fairlead_recorder.page import html
            from fairlead_recorder.page.gather import gather

            found = experiments.of_name(session, namespace, name, uid)
            return html.page(gather(session, found, at)), html.POLICY

        return _answer(*await self._recorder.read(query))

    async def index(self, _: web.Request) -> web.Response:
        """`GET /experiments`."""
        from fairlead_recorder.page import html

        found = await self._recorder.read(experiments.listed)
        rows: dict[tuple[str, str], bool] = {}
        for one in found:
            key = (one.definition.namespace, one.definition.name)
            rows.setdefault(key, one.ended is None)
        listed = [(namespace, name, going) for (namespace, name), going in sorted(rows.items())]
        return _answer(html.index(listed), html.POLICY)


def _answer(text: str, policy: str) -> web.Response:
    headers = {**_HEADERS, "Content-Security-Policy": policy}
    return web.Response(text=text, content_type="text/html", headers=headers)
