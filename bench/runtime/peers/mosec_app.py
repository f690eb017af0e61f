"""The same model in mosec, batched."""

from __future__ import annotations

import os
from typing import Any

import numpy as np
import onnxruntime as ort
from mosec import Server, Worker

BATCH = int(os.environ["BATCH"])


class Inference(Worker):
    def __init__(self) -> None:
        super().__init__()
        options = ort.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        self.session = ort.InferenceSession(
            os.environ["MODEL"], options, providers=["CPUExecutionProvider"]
        )
        self.input = self.session.get_inputs()[0].name
        self.output = self.session.get_outputs()[0].name

    def forward(self, data: Any) -> Any:  # noqa: ANN401 - mosec's
        if BATCH == 1:  # mosec gives one request then, not a list
            return self.answers([data])[0]
        return self.answers(data)

    def answers(self, data: list[dict[str, Any]]) -> list[dict[str, Any]]:
        rows = [np.array(each["features"], dtype=np.float32) for each in data]
        rows = [each[None] if each.ndim == 1 else each for each in rows]
        outputs = self.session.run([self.output], {self.input: np.concatenate(rows)})[0]
        cuts = np.cumsum([len(each) for each in rows])[:-1]
        return [{"prediction": part.tolist()} for part in np.split(outputs, cuts)]


if __name__ == "__main__":
    server = Server()
    server.append_worker(
        Inference, num=1, max_batch_size=BATCH, max_wait_time=1 if BATCH > 1 else 0
    )
    server.run()
