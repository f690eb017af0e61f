"""The handlers of the interface; what they take and answer is in the OpenAPI document."""

from __future__ import annotations

import re
import time
from collections.abc import Sequence
from datetime import UTC, datetime

from aiohttp import web

from fairlead_recorder.http import answers
from fairlead_recorder.http.errors import RefusedError, answer
from fairlead_recorder.http.recorder import Recorder, now
from fairlead_recorder.http.wire import (
    EXPERIMENT,
    JUDGEMENT,
    LONGEST_UNIT,
    NAME_PATTERN,
    NAMESPACE_PATTERN,
    OUTCOMES,
    ExperimentIn,
    OutcomeIn,
)
from fairlead_recorder.store import experiments, forgetting, outcomes, summary
from fairlead_recorder.store.database import Session
from fairlead_recorder.store.errors import ConflictError, InvalidError, UnknownExperimentError
from fairlead_recorder.store.events import (
    MICROSECONDS,
    SCALE,
    Definition,
    Epoch,
    Metric,
    Outcome,
)
from fairlead_recorder.store.experiments import Experiment
from fairlead_runtime.contract.assignment import Run

_NAMESPACE = re.compile(NAMESPACE_PATTERN)
_NAME = re.compile(NAME_PATTERN)
_UID = re.compile(r"[-A-Za-z0-9]{1,64}")
_AHEAD = 300 * MICROSECONDS
_BLANK = " \t"


class Routes:
    """The handlers."""

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder

    async def register(self, request: web.Request) -> web.Response:
        """`PUT /v1/experiments/{namespace}/{name}` by the operator."""
        namespace, name = target(request)
        await self._recorder.access.operator(request)
        wanted = _definition(namespace, name, EXPERIMENT.validate_json(await json_body(request)))
        at = now()
        done = await self._recorder.write(lambda session: experiments.register(session, wanted, at))
        return answer({"uid": wanted.uid, "created": done.created, "changed": done.changed})

    async def experiment(self, request: web.Request) -> web.Response:
        """`GET /v1/experiments/{namespace}/{name}`."""
        namespace, name = target(request)
        uid = wanted_uid(request)
        found = await self._recorder.read(
            lambda session: experiments.of_name(session, namespace, name, uid)
        )
        return answer(answers.experiment(found))

    async def end(self, request: web.Request) -> web.Response:
        """`DELETE /v1/experiments/{namespace}/{name}?uid=...` by the operator."""
        namespace, name = target(request)
        await self._recorder.access.operator(request)
        uid = wanted_uid(request)
        if uid is None:
            raise RefusedError(422, "say which experiment has ended: ?uid=<its UID>")
        at = now()
        ended = await self._recorder.write(
            lambda session: experiments.end(session, namespace, name, uid, at)
        )
        return answer({"uid": uid, "ended": ended})

    async def judge(self, request: web.Request) -> web.Response:
        """`PUT /v1/experiments/{namespace}/{name}/judgement` by the operator."""
        namespace, name = target(request)
        await self._recorder.access.operator(request)
        said = JUDGEMENT.validate_json(await json_body(request))

        def change(session: Session) -> None:
            found = experiments.of_name(session, namespace, name, said.uid)
            experiments.judge(session, found.id, said.model_dump_json(by_alias=True))

        await self._recorder.write(change)
        return answer({"uid": said.uid})

    async def outcomes(self, request: web.Request) -> web.Response:
        """`POST /v1/experiments/{namespace}/{name}/outcomes`."""
        namespace, name = target(request)
        writer = await self._recorder.access.of_namespace(request, namespace)
        self._limit(self._recorder.request_rates.take(writer.name, 1, time.monotonic()))
        batch = OUTCOMES.validate_json(await json_body(request)).outcomes
        wait = self._recorder.outcome_rates.take(writer.name, len(batch), time.monotonic())
        self._limit(wait)
        at = now()

        def change(session: Session) -> outcomes.Taken:
            found = experiments.of_name(session, namespace, name)
            if found.ended is not None:
                raise ConflictError(f"experiment {namespace}/{name} has ended")
            return outcomes.record(session, found, _outcomes(found, batch, at), at)

        counts = self._recorder.metrics.outcomes
        try:
            taken = await self._recorder.write(change, len(batch))
        except Exception:
            counts.labels("refused").inc(len(batch))
            raise
        counts.labels("accepted").inc(taken.accepted)
        counts.labels("duplicate").inc(taken.duplicates)
        return answer(answers.taken(taken))

    async def summary(self, request: web.Request) -> web.Response:
        """`GET /v1/experiments/{namespace}/{name}/summary`."""
        namespace, name = target(request)
        uid = wanted_uid(request)
        at = now()

        def query(session: Session) -> summary.Summary:
            found = experiments.of_name(session, namespace, name, uid)
            return summary.read(session, found, at)

        return answer(answers.summary(await self._recorder.read(query)))

    async def forget(self, request: web.Request) -> web.Response:
        """`DELETE /v1/experiments/{namespace}/{name}/units?unit=...`."""
        namespace, name = target(request)
        await self._recorder.access.of_namespace(request, namespace)
        unit = request.query.get("unit", "").strip(_BLANK)
        if not 0 < len(unit) <= LONGEST_UNIT or not unit.isprintable():
            raise RefusedError(422, "say whose data to remove: ?unit=<the user>")

        def change(session: Session) -> int:
            found = experiments.all_of_name(session, namespace, name)
            if not found:
                raise UnknownExperimentError(f"no experiment {namespace}/{name} is registered")
            return sum(forgetting.forget(session, one, unit) for one in found)

        return answer({"removed": await self._recorder.write(change)})

    async def listed(self, _: web.Request) -> web.Response:
        """`GET /v1/experiments`."""
        found = await self._recorder.read(experiments.listed)
        return answer({"experiments": [answers.listed(one) for one in found]})

    def _limit(self, wait_s: int) -> None:
        if wait_s:
            raise RefusedError(
                429, f"too much at once: try again after {wait_s} s", retry_after_s=wait_s
            )


def target(request: web.Request) -> tuple[str, str]:
    """Return namespace and name of the path.

    Raises:
        RefusedError: They cannot be those of an experiment.
    """
    namespace, name = request.match_info["namespace"], request.match_info["name"]
    if not _NAMESPACE.fullmatch(namespace) or not _NAME.fullmatch(name):
        raise RefusedError(404, "namespace and name must be such as Kubernetes has them")
    return namespace, name


def wanted_uid(request: web.Request) -> str | None:
    """Return the UID that is asked for, None where it is the newest.

    Raises:
        RefusedError: It cannot be one.
    """
    uid = request.query.get("uid")
    if uid is not None and not _UID.fullmatch(uid):
        raise RefusedError(422, "uid must be the UID of an Experiment")
    return uid


async def json_body(request: web.Request) -> bytes:
    """Return the body of a request that says it is JSON.

    Raises:
        RefusedError: It says something else.
    """
    if request.content_type != "application/json":
        raise RefusedError(415, "send application/json")
    return await request.read()


def _micros(instant: datetime) -> int:
    since = instant.astimezone(UTC) - datetime(1970, 1, 1, tzinfo=UTC)
    return (since.days * 86_400 + since.seconds) * MICROSECONDS + since.microseconds


def _definition(namespace: str, name: str, said: ExperimentIn) -> Definition:
    return Definition(
        uid=said.uid,
        namespace=namespace,
        name=name,
        salt=said.salt,
        variants=tuple(said.variants),
        metrics=tuple(
            Metric(
                name=m.name,
                type=m.type,
                goal=m.goal,
                numerator=m.numerator or "",
                denominator=m.denominator or "",
            )
            for m in said.metrics
        ),
        window=said.outcome_window_seconds * MICROSECONDS,
        epochs=tuple(
            sorted(
                (
                    Epoch(
                        number=epoch.epoch,
                        started=_micros(epoch.started_at),
                        table=tuple(Run(run.arm, run.slots) for run in epoch.table),
                    )
                    for epoch in said.epochs
                ),
                key=lambda epoch: epoch.number,
            )
        ),
        analysis=tuple(sorted(said.analysis.model_dump().items())),
    )


def _outcomes(experiment: Experiment, batch: Sequence[OutcomeIn], at: int) -> list[Outcome]:
    """Return a batch as the store takes it.

    Raises:
        InvalidError: Something does not fit the experiment; nothing of the batch is taken.
    """
    problems: list[str] = []
    made: list[Outcome] = []
    types = {metric.name: metric.type for metric in experiment.definition.metrics}
    for index, one in enumerate(batch):
        kind = types.get(one.metric)
        unit = one.unit.strip(_BLANK)
        happened = at if one.time is None else _micros(one.time)
        if kind is None:
            problem = f"metric {one.metric} is none of {', '.join(types)}"
        elif kind == "binary" and one.value not in (0, 1):
            problem = f"metric {one.metric} is binary: value must be true, false, 1 or 0"
        elif kind == "mean" and isinstance(one.value, bool):
            problem = f"metric {one.metric} is a mean: value must be a number"
        elif kind == "ratio":
            problem = f"metric {one.metric} is a ratio: send what it is made of"
        elif not unit:
            problem = "unit is blank"
        elif happened > at + _AHEAD:
            problem = "time is in the future"
        else:
            made.append(Outcome(one.key, unit, one.metric, round(one.value * SCALE), happened))
            continue
        problems.append(f"outcomes.{index}: {problem}")
    if problems:
        raise InvalidError("outcomes do not fit the experiment; none was taken", problems)
    return made
