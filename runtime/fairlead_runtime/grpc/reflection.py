"""Server reflection: clients such as grpcurl learn services and messages from the server."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import grpc
from google.protobuf.message import DecodeError

from fairlead_runtime.grpc.messages import (
    HEALTH_SERVICE,
    INFERENCE_SERVICE,
    REFLECTION,
    REFLECTION_SERVICES,
)
from fairlead_runtime.grpc.schema import POOL

_SERVICES = (INFERENCE_SERVICE, HEALTH_SERVICE, *REFLECTION_SERVICES)
_NOT_FOUND, _UNIMPLEMENTED = 5, 12


def handlers() -> list[grpc.GenericRpcHandler]:
    """Return the handlers of both versions of the service, which differ in their name only."""
    return [
        grpc.method_handlers_generic_handler(
            name,
            {
                "ServerReflectionInfo": grpc.stream_stream_rpc_method_handler(
                    _Reflection(classes).info
                )
            },
        )
        for name, classes in REFLECTION.items()
    ]


class _Reflection:
    def __init__(self, classes: dict[str, Any]) -> None:
        self._request = classes["ServerReflectionRequest"]
        self._response = classes["ServerReflectionResponse"]

    async def info(self, requests: AsyncIterator[bytes], context: Any) -> AsyncIterator[bytes]:  # noqa: ANN401 - grpc.aio's own
        async for body in requests:
            try:
                request = self._request.FromString(body)
            except DecodeError:
                text = "no ServerReflectionRequest"
                await context.abort(grpc.StatusCode.INVALID_ARGUMENT, text)
                raise
            yield self._answer(request).SerializeToString()

    def _answer(self, request: Any) -> Any:  # noqa: ANN401 - protobuf's own
        response = self._response(valid_host=request.host, original_request=request)
        asked = request.WhichOneof("message_request")
        try:
            if asked == "list_services":
                for name in _SERVICES:
                    response.list_services_response.service.add(name=name)
            elif asked == "file_by_filename":
                _add(response, POOL.FindFileByName(request.file_by_filename))
            elif asked == "file_containing_symbol":
                _add(response, POOL.FindFileContainingSymbol(request.file_containing_symbol))
            elif asked == "all_extension_numbers_of_type":
                wanted = request.all_extension_numbers_of_type
                POOL.FindMessageTypeByName(wanted)
                response.all_extension_numbers_response.base_type_name = wanted
            elif asked == "file_containing_extension":
                _fail(response, _NOT_FOUND, "there are no extensions")
            else:
                _fail(response, _UNIMPLEMENTED, "the request asks for nothing")
        except KeyError as error:
            _fail(response, _NOT_FOUND, f"not found: {error.args[0]}")
        return response


def _fail(response: Any, code: int, message: str) -> None:  # noqa: ANN401 - protobuf's own
    response.error_response.error_code = code
    response.error_response.error_message = message


def _add(response: Any, file: Any) -> None:  # noqa: ANN401 - protobuf's own
    # No file imports another: each is all that there is to know.
    response.file_descriptor_response.file_descriptor_proto.append(file.serialized_pb)
