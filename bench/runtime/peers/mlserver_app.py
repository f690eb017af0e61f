"""The same model in MLServer, without its parallel workers: as fast as it goes in one process."""

from __future__ import annotations

import asyncio
import os
import sys

import numpy as np
import onnxruntime as ort
from mlserver import MLModel, MLServer, ModelSettings, Settings
from mlserver.codecs import NumpyCodec
from mlserver.types import InferenceRequest, InferenceResponse


class OnnxModel(MLModel):
    async def load(self) -> bool:
        options = ort.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        self.session = ort.InferenceSession(
            os.environ["MODEL"], options, providers=["CPUExecutionProvider"]
        )
        self.input = self.session.get_inputs()[0].name
        self.output = self.session.get_outputs()[0].name
        return True

    async def predict(self, payload: InferenceRequest) -> InferenceResponse:
        rows = NumpyCodec.decode_input(payload.inputs[0]).astype(np.float32, copy=False)
        answer = self.session.run([self.output], {self.input: rows})[0]
        return InferenceResponse(
            model_name=self.name, outputs=[NumpyCodec.encode_output(self.output, answer)]
        )


async def main() -> None:
    batch = int(os.environ.get("BATCH", "1"))
    settings = Settings(
        debug=False,
        host="127.0.0.1",
        http_port=int(sys.argv[1]),
        grpc_port=int(os.environ["GRPC_PORT"]),
        metrics_port=int(os.environ["SPARE_PORT"]),
        parallel_workers=0,
    )
    model = ModelSettings(name="model", implementation=OnnxModel)
    if batch > 1:
        model.max_batch_size, model.max_batch_time = batch, 0.001
    await MLServer(settings).start([model])


if __name__ == "__main__":
    asyncio.run(main())
