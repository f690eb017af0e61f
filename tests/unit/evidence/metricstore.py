"""A metrics store over a real socket: Prometheus' API for the one question that is asked of it."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterable
from types import TracebackType
from typing import Any, Self

from aiohttp import web

from fairlead_operator.evidence.prometheus import Scraped

_LABEL = re.compile(r'(namespace|pod)=~?"((?:[^"\\]|\\.)*)"')


class MetricStore:
    """Answers with the samples that are in the question's range, of the pods that it names.

    Attributes:
        scrapes: All samples that there are, of the namespace `team`.
        broken: An answer instead, with a status that is not OK.
        asked: The questions.
    """

    def __init__(self, *scrapes: Iterable[Scraped]) -> None:
        self.scrapes = [each for scrape in scrapes for each in scrape]
        self.broken = ""
        self.asked: list[str] = []
        self.url = ""

    async def __aenter__(self) -> Self:
        application = web.Application()
        application.router.add_post("/below/api/v1/query", self._answer)
        self._runner = web.AppRunner(application)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}/below"
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._runner.cleanup()

    def scrape(self, *scrapes: Iterable[Scraped]) -> None:
        """Have more scrapes."""
        self.scrapes += [each for scrape in scrapes for each in scrape]

    async def _answer(self, request: web.Request) -> web.Response:
        form = await request.post()
        asked, until = str(form["query"]), float(str(form["time"]))
        self.asked.append(asked)
        if self.broken:
            return web.Response(status=503, text=self.broken)
        labels = {name: text.replace("\\\\", "\\") for name, text in _LABEL.findall(asked)}
        after = until - int(asked.rpartition("[")[2].removesuffix("s]"))
        found = [
            each
            for each in self.scrapes
            if labels["namespace"] == "team"
            and re.fullmatch(labels["pod"], each.pod)
            and after < each.at.timestamp() <= until
        ]
        result: list[Any] = [
            {
                "metric": {**each.sample.labels, "__name__": each.sample.name, "pod": each.pod},
                "values": [[_written(each.at), f"{each.sample.value:g}"]],
            }
            for each in found
        ]
        document: Any = {"status": "success", "data": {"resultType": "matrix", "result": result}}
        return web.json_response(document)


def _written(at: dt.datetime) -> float:
    """Return an instant as the API writes it: seconds with three places."""
    return round(at.timestamp(), 3)
