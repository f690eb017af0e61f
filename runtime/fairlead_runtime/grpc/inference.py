"""The service inference.GRPCInferenceService."""

from __future__ import annotations

import logging
import time
from collections.abc import Awaitable, Callable
from typing import Any, NoReturn

import grpc
import orjson
from google.protobuf.message import DecodeError

from fairlead_runtime.contract import names
from fairlead_runtime.dataplane.access import trace_id
from fairlead_runtime.dataplane.aside import Seen
from fairlead_runtime.dataplane.model import ServedModel
from fairlead_runtime.grpc.convert import parse_infer, render_infer, render_model
from fairlead_runtime.grpc.messages import INFERENCE, INFERENCE_SERVICE
from fairlead_runtime.protocol.errors import (
    Code,
    DeadlineError,
    InferenceError,
    InputRefusedError,
    InvalidRequestError,
    NotReadyError,
    OverloadedError,
    RequestError,
    UnknownModelError,
)

log = logging.getLogger(__name__)
Message = Any  # protobuf's classes are made at run time
Context = Any  # grpc.aio's ServicerContext, whose methods are not typed alike in its versions

ERROR_KEY = "fairlead-error-bin"
"""Trailing metadata of every error: the JSON that an HTTP client would have got."""
_FAULTS = ("UNAVAILABLE", "RESOURCE_EXHAUSTED", "DEADLINE_EXCEEDED", "INTERNAL", "UNKNOWN")
"""What blames the server."""
_STATUS: dict[type[RequestError], grpc.StatusCode] = {
    InvalidRequestError: grpc.StatusCode.INVALID_ARGUMENT,
    InputRefusedError: grpc.StatusCode.INVALID_ARGUMENT,
    UnknownModelError: grpc.StatusCode.NOT_FOUND,
    NotReadyError: grpc.StatusCode.UNAVAILABLE,
    OverloadedError: grpc.StatusCode.RESOURCE_EXHAUSTED,
    DeadlineError: grpc.StatusCode.DEADLINE_EXCEEDED,
    InferenceError: grpc.StatusCode.INTERNAL,
}


class _About:
    """What is known of one call beside its message: the span of it, and the id that it goes by."""

    __slots__ = ("request_id", "span")

    def __init__(self, request_id: str) -> None:
        self.request_id = request_id
        self.span: Any = None


_Infer = Callable[[bytes, Context, _About], Awaitable[bytes]]


class Inference:
    """The service of one model."""

    def __init__(self, model: ServedModel, server_version: str) -> None:
        self._model, self._server_version = model, server_version

    def handler(self) -> grpc.GenericRpcHandler:
        """Return the handler of the service."""
        methods: dict[str, Callable[[Message, Context], Awaitable[Message]]] = {
            "ServerLive": self._server_live,
            "ServerReady": self._server_ready,
            "ServerMetadata": self._server_metadata,
            "ModelReady": self._model_ready,
            "ModelMetadata": self._model_metadata,
        }
        handlers = {
            name: _unary(_answering(method, INFERENCE[f"{name}Request"]))
            for name, method in methods.items()
        }
        infer: _Infer = self._infer if self._model.tracing is None else self._traced_infer
        if self._model.access is not None:
            infer = self._logged(infer)

        async def model_infer(body: bytes, context: Context) -> bytes:
            return await infer(body, context, _about(context))

        handlers["ModelInfer"] = _unary(model_infer)
        return grpc.method_handlers_generic_handler(INFERENCE_SERVICE, handlers)

    async def _server_live(self, _: Message, __: Context) -> Message:
        return INFERENCE["ServerLiveResponse"](live=True)

    async def _server_ready(self, _: Message, __: Context) -> Message:
        return INFERENCE["ServerReadyResponse"](ready=self._model.ready)

    async def _server_metadata(self, _: Message, __: Context) -> Message:
        response = INFERENCE["ServerMetadataResponse"]
        return response(name="fairlead", version=self._server_version)

    async def _model_ready(self, request: Message, context: Context) -> Message:
        _check_name(self._model, request.name, request.version, context)
        return INFERENCE["ModelReadyResponse"](ready=self._model.ready)

    async def _model_metadata(self, request: Message, context: Context) -> Message:
        model = self._model
        _check_name(model, request.name, request.version, context)
        return render_model(model.name, model.version, model.signature(), names.PLATFORM)

    def _logged(self, infer: _Infer) -> _Infer:
        async def logged(body: bytes, context: Context, about: _About) -> bytes:
            access, started = self._model.access, time.perf_counter()
            try:
                return await infer(body, context, about)
            finally:
                if access is not None:
                    access.note(
                        protocol="grpc",
                        method="",
                        path=f"/{INFERENCE_SERVICE}/ModelInfer",
                        status=_code(context),
                        seconds=time.perf_counter() - started,
                        request_id=about.request_id,
                        traceparent=_trace(context),
                    )

        return logged

    async def _traced_infer(self, body: bytes, context: Context, about: _About) -> bytes:
        tracing = self._model.tracing
        if tracing is None:
            return await self._infer(body, context, about)
        metadata = context.invocation_metadata() or ()
        carrier = {key: str(value) for key, value in metadata if key in names.TRACE_HEADERS}
        said = {"rpc.system": "grpc", "rpc.service": INFERENCE_SERVICE, "rpc.method": "ModelInfer"}
        if about.request_id:
            said["fairlead.request.id"] = about.request_id
        span = about.span = tracing.begin(f"{INFERENCE_SERVICE}/ModelInfer", carrier, said)
        status = "CANCELLED"
        try:
            encoded = await self._infer(body, context, about)
        except grpc.aio.AbortError:
            status = _code(context)
            raise
        else:
            status = "OK"
            return encoded
        finally:
            tracing.end(span, "rpc.grpc.status", status, failed=status in _FAULTS)

    async def _infer(self, body: bytes, context: Context, about: _About) -> bytes:
        model = self._model
        _echo_trace(context)
        with model.metrics.in_flight():
            started, now = time.perf_counter(), time.monotonic()
            try:
                request = _parse(INFERENCE["ModelInferRequest"], body)
                _check_name(model, request.model_name, request.model_version, context)
                signature = model.signature()
                remaining = context.time_remaining()
                deadline = None if remaining is None else now + remaining
                call = parse_infer(request, signature, now=now, deadline=deadline)
                call.infer.trace = about.span
                about.request_id = call.infer.id = call.infer.id or about.request_id
                answer = await model.infer(call.infer)
                response = render_infer(
                    answer, signature, call, name=model.name, version=model.version
                )
                encoded: bytes = response.SerializeToString()
                await _echo_id(context, about.request_id)
            except RequestError as error:
                model.metrics.failed(error.code)
                await _abort(context, error)
            except Exception:
                model.metrics.failed(Code.INTERNAL)
                known = {"request_id": about.request_id, "trace_id": trace_id(_trace(context))}
                log.exception("ModelInfer failed", extra=known)
                await _abort(context, RequestError("internal error: see the server's log"))
            took = time.perf_counter() - started
            model.metrics.succeeded(took)
            aside = model.aside
            if aside is not None:
                metadata = context.invocation_metadata() or ()
                if aside.wants or aside.marked(metadata):
                    seen = Seen(call.infer, answer, call.infer.id, took, "grpc", metadata)
                    aside.see(seen, len(body) + len(encoded))
            return encoded


def _unary(method: Callable[[bytes, Context], Awaitable[bytes]]) -> grpc.RpcMethodHandler:
    # Bytes both ways: grpc would answer UNKNOWN to a request that it cannot decode.
    return grpc.unary_unary_rpc_method_handler(method)


def _answering(
    method: Callable[[Message, Context], Awaitable[Message]], request_class: Message
) -> Callable[[bytes, Context], Awaitable[bytes]]:
    async def answer(body: bytes, context: Context) -> bytes:
        try:
            response = await method(_parse(request_class, body), context)
        except RequestError as error:
            await _abort(context, error)
        encoded: bytes = response.SerializeToString()
        return encoded

    return answer


def _parse(message_class: Message, body: bytes) -> Message:
    try:
        return message_class.FromString(body)
    except DecodeError:
        name = message_class.DESCRIPTOR.full_name
        raise InvalidRequestError(
            "", f"the message is no {name}", expected=name, code=Code.INVALID_REQUEST
        ) from None


def _about(context: Context) -> _About:
    return _About(_told(context, names.REQUEST_ID_HEADER)[:256])


async def _echo_id(context: Context, request_id: str) -> None:
    if request_id.isascii() and request_id.isprintable() and request_id:
        await context.send_initial_metadata(((names.REQUEST_ID_HEADER, request_id),))


def _echo_trace(context: Context) -> None:
    found = tuple(
        (key, value) for key, value in context.invocation_metadata() if key in names.TRACE_HEADERS
    )
    if found:
        context.set_trailing_metadata(found)


def _trace(context: Context) -> str:
    return _told(context, names.TRACE_HEADERS[0])


def _told(context: Context, name: str) -> str:
    """Return an entry of the call's metadata, empty where it is not there."""
    metadata = context.invocation_metadata() or ()
    return next((str(value) for key, value in metadata if key == name), "")


def _check_name(model: ServedModel, name: str, version: str, context: Context) -> None:
    """Raise UnknownModelError unless the model is meant: by its name, or by the router's word.

    As an arm of an experiment a model answers for the one whose address it shares.
    """
    meant = name == model.name or name == _told(context, names.MODEL_HEADER)
    model.check_name(model.name if meant else name, version or None)


def _code(context: Context) -> str:
    code = context.code() or grpc.StatusCode.OK
    return str(getattr(code, "name", code))


async def _abort(context: Context, error: RequestError) -> NoReturn:
    metadata: list[tuple[str, str | bytes]] = [(ERROR_KEY, orjson.dumps(error.document()))]
    if isinstance(error, OverloadedError):
        metadata.append(("retry-after", str(error.retry_after_s)))
    status = _STATUS.get(type(error), grpc.StatusCode.INTERNAL)
    await context.abort(status, str(error), (*context.trailing_metadata(), *metadata))
    raise AssertionError  # abort raises
