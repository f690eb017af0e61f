"""The OpenAPI document: requests from the models that check them, answers by hand."""

from __future__ import annotations

import functools
from typing import Any

from pydantic.json_schema import models_json_schema

from fairlead_recorder.http import modelwire, wire

Json = dict[str, Any]
_REFERENCE = "#/components/schemas/{model}"


@functools.cache
def document() -> Json:
    """Return the document."""
    read = (
        wire.OutcomesIn, wire.ExperimentIn, wire.JudgementIn, modelwire.ModelIn, modelwire.TruthsIn
    )  # fmt: skip
    _, made = models_json_schema([(model, "validation") for model in read], ref_template=_REFERENCE)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Fairlead recorder",
            "version": "v1",
            "description": "Outcomes in, counts out: docs/recorder.md and docs/performance.md.",
        },
        "paths": _paths() | _model_paths(),
        "components": {
            "schemas": {**made["$defs"], **_answers(), **_model_answers()},
            "securitySchemes": {
                "serviceAccount": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": "A ServiceAccount token for the audience `fairlead-recorder`.",
                }
            },
        },
    }


def _paths() -> Json:
    one = "/v1/experiments/{namespace}/{name}"
    return {
        "/v1/experiments": {
            "get": _operation("List the experiments", "Listed", errors=()),
        },
        one: {
            "parameters": _target(),
            "put": _operation(
                "Register an experiment (the operator)", "Registered", body="ExperimentIn",
                errors=(401, 403, 404, 409, 413, 415, 422),
            ),
            "get": _operation(
                "What is registered", "Experiment", query=[_uid()], errors=(404, 422)
            ),
            "delete": _operation(
                "End an experiment (the operator)", "Ended", query=[_uid(required=True)],
                secured=True, errors=(401, 403, 404, 422),
            ),
        },
        f"{one}/judgement": {
            "parameters": _target(),
            "put": _operation(
                "What the operator says of it, for the page", "Judged", body="JudgementIn",
                errors=(401, 403, 404, 413, 415, 422),
            ),
        },
        f"{one}/outcomes": {
            "parameters": _target(),
            "post": _operation(
                "Record outcomes; answered when they are durable", "Taken", body="OutcomesIn",
                errors=(401, 403, 404, 409, 413, 415, 422, 429),
            ),
        },
        f"{one}/summary": {
            "parameters": _target(),
            "get": _operation("What was counted", "Summary", query=[_uid()], errors=(404, 422)),
        },
        f"{one}/units": {
            "parameters": _target(),
            "delete": _operation(
                "Remove one unit's data", "Removed", secured=True, errors=(401, 403, 404, 422),
                query=[_query("unit", {"type": "string", "minLength": 1,
                                       "maxLength": wire.LONGEST_UNIT,
                                       "pattern": r"^[!-~]+( [!-~]+)*$"}, required=True)],
            ),
        },
    }  # fmt: skip


def _model_paths() -> Json:
    one = "/v1/modeldeployments/{namespace}/{name}"
    events: Json = {"$ref": _REFERENCE.format(model="Events")}
    predictions = _operation(
        "Record what a model answered: the runtime's prediction log", "Paired", secured=True,
        query=[_query("revision", {"type": "string", "pattern": "^[-A-Za-z0-9_.]{0,63}$"})],
        errors=(400, 401, 403, 404, 413, 415, 422, 429),
    )  # fmt: skip
    predictions["requestBody"] = {
        "required": True,
        "content": {modelwire.BATCH_TYPE: {"schema": events}},
    }
    return {
        one: {
            "parameters": _target(),
            "put": _operation(
                "Say how a model's answers are compared (the operator)", "ModelRegistered",
                body="ModelIn", errors=(401, 403, 404, 413, 415, 422),
            ),
        },
        f"{one}/predictions": {"parameters": _target(), "post": predictions},
        f"{one}/outcomes": {
            "parameters": _target(),
            "post": _operation(
                "Record what turned out to be true; answered when it is durable", "Paired",
                body="TruthsIn", errors=(401, 403, 404, 413, 415, 422, 429),
            ),
        },
        f"{one}/performance": {
            "parameters": _target(),
            "get": _operation(
                "Outcomes and errors by revision and window", "Performance", errors=(404, 422),
                query=[_query("since", {"type": "string", "pattern": "^[0-9]{1,12}$"})],
            ),
        },
    }  # fmt: skip


def _target() -> list[Json]:
    return [
        {"name": name, "in": "path", "required": True,
         "schema": {"type": "string", "pattern": pattern}}
        for name, pattern in (
            ("namespace", wire.NAMESPACE_PATTERN), ("name", wire.NAME_PATTERN)
        )
    ]  # fmt: skip


def _query(name: str, schema: Json, *, required: bool = False) -> Json:
    return {"name": name, "in": "query", "required": required, "schema": schema}


def _uid(*, required: bool = False) -> Json:
    return _query("uid", {"type": "string", "pattern": "^[-A-Za-z0-9]{1,64}$"}, required=required)


def _operation(
    summary: str,
    done: str,
    *,
    body: str | None = None,
    query: list[Json] | None = None,
    secured: bool = False,
    errors: tuple[int, ...] = (),
) -> Json:
    made: Json = {"summary": summary, "responses": {"200": _response("Done", done)}}
    if body is not None:
        made["requestBody"] = {"required": True, "content": _content(body)}
    if query:
        made["parameters"] = query
    if secured or body is not None:
        made["security"] = [{"serviceAccount": []}]
    for status in sorted({*errors, 503, *([400] if body else [])}):
        made["responses"][str(status)] = _response(_WORDS[status], "Error")
        if status in (429, 503):
            made["responses"][str(status)]["headers"] = {
                "Retry-After": {"schema": {"type": "integer"}}
            }
    return made


def _response(words: str, schema: str) -> Json:
    return {"description": words, "content": _content(schema)}


def _content(schema: str) -> Json:
    return {"application/json": {"schema": {"$ref": _REFERENCE.format(model=schema)}}}


_WORDS = {
    400: "The body is not JSON",
    401: "No valid token",
    403: "Not allowed for this namespace",
    404: "No such experiment or model",
    409: "It contradicts what is recorded",
    413: "The body is too large",
    415: "The body is of another type",
    422: "Something does not fit; nothing was taken",
    429: "Too much at once",
    503: "Not now: try again",
}


def _object(**properties: Json) -> Json:
    return {"type": "object", "properties": properties, "required": list(properties)}


def _list(items: Json) -> Json:
    return {"type": "array", "items": items}


def _map(values: Json) -> Json:
    return {"type": "object", "additionalProperties": values}


def _answers() -> Json:
    text, number, flag = {"type": "string"}, {"type": "integer"}, {"type": "boolean"}
    time: Json = {"type": "string", "format": "date-time"}
    maybe: Json = {"type": ["string", "null"], "format": "date-time"}
    metrics = _list(_object(name=text, type=text, goal=text))
    line = _object(uid=text, namespace=text, name=text, registeredAt=time, endedAt=maybe)
    runs = _list(_object(arm=text, slots=number))
    error = _object(error=text)
    error["properties"]["problems"] = _list(text)
    binary = _object(count=number, successes=number)
    mean = _object(
        count=number, total={"type": "number"}, squares={"type": "number"},
        totalMillionths=text, squaresTrillionths=text,
    )  # fmt: skip
    arm = _object(
        units=number, departed=number, crossed=number, metrics=_map({"oneOf": [binary, mean]})
    )
    return {
        "Error": error,
        "Listed": _object(experiments=_list(line)),
        "Registered": _object(uid=text, created=flag, changed=flag),
        "Ended": _object(uid=text, ended=flag),
        "Judged": _object(uid=text),
        "Removed": _object(removed=number),
        "Taken": _object(
            accepted=number, duplicates=number, conflicts=_list(_object(metric=text, key=text))
        ),
        "Experiment": _object(
            uid=text, namespace=text, name=text, salt=text, variants=_list(text), metrics=metrics,
            outcomeWindowSeconds=number,
            epochs=_list(_object(epoch=number, startedAt=time, table=runs)),
            analysis=_map({"type": "number"}), registeredAt=time, endedAt=maybe,
        ),
        "Summary": _object(
            uid=text, namespace=text, name=text, registeredAt=time, endedAt=maybe, at=time,
            settling=flag, variants=_list(text), metrics=metrics,
            epochs=_list(
                _object(
                    epoch=number, startedAt=maybe, slots=_map(number), stayingSlots=_map(number),
                    arms=_map(arm),
                )
            ),
            counters=_map(number),
            gaps=_object(
                count=number, seconds={"type": "number"},
                latest=_list(_object(**{"from": time, "to": time, "reason": text})),
            ),
        ),
    }  # fmt: skip


def _model_answers() -> Json:
    text, number, real = {"type": "string"}, {"type": "integer"}, {"type": "number"}
    window = _object(start=number, outcomes=number, errors=number, distance=real)
    paired = _object(accepted=number, joined=number, duplicates=number)
    paired["properties"]["skipped"] = number
    event = {"description": f"A CloudEvent of type {modelwire.EVENT}; what is none is skipped."}
    return {
        "Events": {"type": "array", "maxItems": modelwire.MOST_EVENTS, "items": event},
        "ModelRegistered": _object(uid=text, changed={"type": "boolean"}),
        "Paired": paired,
        "Performance": _object(
            uid=text, namespace=text, name=text, at={"type": "string", "format": "date-time"},
            output=text, tolerance={"type": ["number", "null"]}, windowSeconds=number,
            revisions=_map(_list(window)),
        ),
    }  # fmt: skip
