"""The handlers of predictions and their outcomes: how good a model is, as time goes on."""

from __future__ import annotations

import re
import time
from typing import Any

from aiohttp import web

from fairlead_recorder.http import modelwire
from fairlead_recorder.http.answers import instant
from fairlead_recorder.http.errors import RefusedError, answer
from fairlead_recorder.http.recorder import Recorder, now
from fairlead_recorder.http.routes import json_body, target
from fairlead_recorder.store import models, pairs
from fairlead_recorder.store.database import Session
from fairlead_recorder.store.events import MICROSECONDS
from fairlead_recorder.store.models import Model, Watching
from fairlead_recorder.store.pairs import Taken, Truth

_REVISION = re.compile(r"[-A-Za-z0-9_.]{0,63}")


class ModelRoutes:
    """The handlers."""

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder

    async def register(self, request: web.Request) -> web.Response:
        """`PUT /v1/modeldeployments/{namespace}/{name}` by the operator."""
        namespace, name = target(request)
        await self._recorder.access.operator(request)
        said = modelwire.MODEL.validate_json(await json_body(request))
        watching = Watching(
            output=said.output,
            tolerance=said.tolerance,
            window=said.window_seconds * MICROSECONDS,
        )
        at = now()
        changed = await self._recorder.write(
            lambda session: models.register(session, said.uid, namespace, name, watching, at)
        )
        return answer({"uid": said.uid, "changed": changed})

    async def predictions(self, request: web.Request) -> web.Response:
        """`POST /v1/modeldeployments/{namespace}/{name}/predictions` by the model's pods."""
        namespace, name = target(request)
        writer = await self._recorder.access.of_namespace(request, namespace)
        if request.content_type != modelwire.BATCH_TYPE:
            raise RefusedError(415, f"send {modelwire.BATCH_TYPE}")
        revision = request.query.get("revision", "")
        if not _REVISION.fullmatch(revision):
            raise RefusedError(422, "revision must be the hash of a revision")
        model = await self._recorder.read(lambda session: models.of_name(session, namespace, name))
        try:
            found = modelwire.events(await request.read(), model.watching.output, revision)
        except ValueError as error:
            raise RefusedError(400, str(error)) from error
        self._limit(writer.name, len(found.predictions))
        at = now()

        def change(session: Session) -> Taken:
            return pairs.predicted(session, _same(session, model), found.predictions, at)

        taken = await self._recorder.write(change, len(found.predictions) or 1)
        self._count("prediction", taken)
        self._recorder.metrics.pairs.labels("prediction", "skipped").inc(found.skipped)
        return answer({**_taken(taken), "skipped": found.skipped})

    async def outcomes(self, request: web.Request) -> web.Response:
        """`POST /v1/modeldeployments/{namespace}/{name}/outcomes`."""
        namespace, name = target(request)
        writer = await self._recorder.access.of_namespace(request, namespace)
        said = modelwire.TRUTHS.validate_json(await json_body(request)).outcomes
        self._limit(writer.name, len(said))
        batch = [Truth(one.request_id, one.row, modelwire.text(one.outcome)) for one in said]
        at = now()

        def change(session: Session) -> Taken:
            model = models.of_name(session, namespace, name)
            return pairs.turned_out(session, model, batch, at)

        taken = await self._recorder.write(change, len(batch))
        self._count("outcome", taken)
        return answer(_taken(taken))

    async def performance(self, request: web.Request) -> web.Response:
        """`GET /v1/modeldeployments/{namespace}/{name}/performance?since=...`."""
        namespace, name = target(request)
        since = request.query.get("since", "0")
        if not re.fullmatch("[0-9]{1,12}", since):
            raise RefusedError(422, "since must be a time in seconds since 1970")

        def query(session: Session) -> tuple[Model, list[pairs.Window]]:
            model = models.of_name(session, namespace, name)
            return model, pairs.windows(session, model, int(since) * MICROSECONDS)

        model, found = await self._recorder.read(query)
        return answer(_document(model, found, now()))

    def _limit(self, writer: str, count: int) -> None:
        at = time.monotonic()
        rates = self._recorder
        wait_s = rates.request_rates.take(writer, 1, at) or rates.outcome_rates.take(
            writer, count, at
        )
        if wait_s:
            raise RefusedError(
                429, f"too much at once: try again after {wait_s} s", retry_after_s=wait_s
            )

    def _count(self, kind: str, taken: Taken) -> None:
        counts = self._recorder.metrics.pairs
        counts.labels(kind, "waiting").inc(taken.accepted - taken.joined)
        counts.labels(kind, "joined").inc(taken.joined)
        counts.labels(kind, "duplicate").inc(taken.duplicates)


def _same(session: Session, read: Model) -> Model:
    """Return the model as it is now: what was read of another definition does not fit it."""
    return models.of_name(session, read.namespace, read.name)


def _taken(taken: Taken) -> dict[str, Any]:
    return {
        "accepted": taken.accepted,
        "joined": taken.joined,
        "duplicates": taken.duplicates,
    }


def _document(model: Model, found: list[pairs.Window], at: int) -> dict[str, Any]:
    revisions: dict[str, list[dict[str, Any]]] = {}
    for window in found:
        revisions.setdefault(window.revision, []).append(
            {
                "start": window.began // MICROSECONDS,
                "outcomes": window.outcomes,
                "errors": window.errors,
                "distance": window.distance,
            }
        )
    return {
        "uid": model.uid,
        "namespace": model.namespace,
        "name": model.name,
        "at": instant(at),
        "output": model.watching.output,
        "tolerance": model.watching.tolerance,
        "windowSeconds": model.watching.window // MICROSECONDS,
        "revisions": revisions,
    }
