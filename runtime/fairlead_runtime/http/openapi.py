"""The OpenAPI document of a served model."""

from __future__ import annotations

from typing import Any

import orjson

from fairlead_runtime.contract import names
from fairlead_runtime.http import schemas
from fairlead_runtime.protocol.answering import Answering
from fairlead_runtime.protocol.types import Signature

_PATHS: dict[str, tuple[str, dict[str, str]]] = {
    "/health": ("Whether new traffic should come here", {"200": "Yes", "503": "No, or not yet"}),
    "/health/live": ("Whether the process is alive", {"200": "Yes"}),
    "/health/ready": ("As /health", {"200": "Yes", "503": "No, or not yet"}),
    "/v2": ("The server's name, version and extensions", {"200": "The server"}),
    "/v2/health/live": ("Whether the process is alive", {"200": "Yes"}),
    "/v2/health/ready": ("As /health", {"200": "Yes", "503": "No, or not yet"}),
}
_ERRORS = {
    "400": "The request is wrong; `field` says where, `expected` what should be there",
    "408": "Headers or body took too long to come",
    "413": "The body is too large",
    "429": "Too many requests, or too many bytes of them, are waiting",
    "500": "The model failed",
    "503": "The model is not loaded, or too many connections are open",
    "504": "The time limit passed",
}


def openapi(
    signature: Signature, chosen: Answering, *, name: str, version: str, server_version: str
) -> bytes:
    """Return the document as JSON.

    Args:
        signature: What the model takes and gives.
        chosen: Which outputs the simple API shows.
        name: The model's name.
        version: The model's version.
        server_version: Ours.
    """
    paths = {path: {"get": _reading(text, answers)} for path, (text, answers) in _PATHS.items()}
    paths["/metrics"] = {"get": _reading("Metrics for Prometheus", {"200": "Metrics"}, text=True)}
    paths["/predict"] = {
        "post": _posting(
            "Predict, by the simple API",
            "PredictRequest",
            "PredictResponse",
            schemas.predict_example(signature),
        )
    }
    metadata = _reading("What the model takes and gives", {"200": "Its signature"})
    ready = _reading("Whether the model is ready", {"200": "Yes", "503": "No, or not yet"})
    infer = _posting(
        "Predict, by the Open Inference Protocol v2",
        "InferRequest",
        "InferResponse",
        schemas.infer_example(signature),
    )
    for base in (f"/v2/models/{name}", f"/v2/models/{name}/versions/{version}"):
        paths[base] = {"get": metadata}
        paths[f"{base}/ready"] = {"get": ready}
        paths[f"{base}/infer"] = {"post": infer}
    document = {
        "openapi": "3.1.0",
        "info": {
            "title": name,
            "version": version,
            "description": f"Served by Fairlead {server_version}. Raw tensors, gRPC and all "
            "errors are described in the server's documentation.",
        },
        "paths": paths,
        "components": {
            "schemas": {
                "Error": schemas.error(),
                "PredictRequest": schemas.predict_request(signature),
                "PredictResponse": schemas.predict_response(
                    probability=chosen.probability is not None
                ),
                "InferRequest": schemas.infer_request(signature),
                "InferResponse": schemas.infer_response(),
            },
        },
    }
    return orjson.dumps(document)


def _reading(summary: str, answers: dict[str, str], *, text: bool = False) -> dict[str, Any]:
    kind = "text/plain" if text else "application/json"
    schema = {"type": "string"} if text else {"type": "object"}
    return {
        "summary": summary,
        "responses": {
            status: {"description": what, "content": {kind: {"schema": schema}}}
            for status, what in answers.items()
        },
    }


def _posting(summary: str, request: str, response: str, example: Any) -> dict[str, Any]:  # noqa: ANN401 - JSON
    body: dict[str, Any] = {"schema": _ref(request)}
    if example is not None:
        body["example"] = example
    errors = {
        status: {"description": what, "content": {"application/json": {"schema": _ref("Error")}}}
        for status, what in _ERRORS.items()
    }
    content: dict[str, Any] = {"application/json": {"schema": _ref(response)}}
    if response == "InferResponse":  # where raw tensors are asked for: JSON, and they behind it
        content["application/octet-stream"] = {}
    return {
        "summary": summary,
        "description": f"The header {names.TIMEOUT_HEADER} says how many milliseconds the caller "
        "waits; later the answer is 504.",
        "requestBody": {"required": True, "content": {"application/json": body}},
        "responses": {"200": {"description": "The answer", "content": content}, **errors},
    }


def _ref(name: str) -> dict[str, str]:
    return {"$ref": f"#/components/schemas/{name}"}
