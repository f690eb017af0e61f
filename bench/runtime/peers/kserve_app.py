"""The same model in KServe's Python server."""

from __future__ import annotations

import os
import sys

import numpy as np
import onnxruntime as ort
from kserve import InferOutput, InferRequest, InferResponse, Model, ModelServer


class OnnxModel(Model):
    def __init__(self) -> None:
        super().__init__("model")
        options = ort.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        self.session = ort.InferenceSession(
            os.environ["MODEL"], options, providers=["CPUExecutionProvider"]
        )
        self.input = self.session.get_inputs()[0].name
        self.output = self.session.get_outputs()[0].name
        self.ready = True

    async def predict(
        self,
        payload: InferRequest,
        headers: dict[str, str] | None = None,
        response_headers: dict[str, str] | None = None,
    ) -> InferResponse:
        rows = payload.inputs[0].as_numpy().astype(np.float32, copy=False)
        answer = self.session.run([self.output], {self.input: rows})[0]
        output = InferOutput(name=self.output, shape=list(answer.shape), datatype="FP32")
        output.set_data_from_numpy(answer, binary_data=payload.from_grpc or BINARY)
        return InferResponse(
            response_id=payload.id or "1", model_name="model", infer_outputs=[output]
        )


BINARY = os.environ.get("BINARY") == "1"


if __name__ == "__main__":
    server = ModelServer(
        http_port=int(sys.argv[1]),
        grpc_port=int(os.environ["GRPC_PORT"]),
        workers=1,
        enable_latency_logging=False,
    )
    server.start([OnnxModel()])
