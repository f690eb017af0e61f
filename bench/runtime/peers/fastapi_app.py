"""What a user writes by hand: FastAPI, pydantic, Prometheus, an asynchronous prediction log."""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
import uuid

import numpy as np
import onnxruntime as ort
import uvicorn
from fastapi import BackgroundTasks, FastAPI, Response
from prometheus_client import Counter, Histogram, generate_latest
from pydantic import BaseModel

options = ort.SessionOptions()
options.intra_op_num_threads = options.inter_op_num_threads = 1
session = ort.InferenceSession(os.environ["MODEL"], options, providers=["CPUExecutionProvider"])
INPUT, OUTPUT = session.get_inputs()[0].name, session.get_outputs()[0].name

PREDICTIONS = Counter("predictions", "Predictions.", ["version", "status"])
LATENCY = Histogram("latency_seconds", "Latency.", ["version"])
app = FastAPI()


class Asked(BaseModel):
    features: list[float] | list[list[float]]
    request_id: str | None = None


class Answer(BaseModel):
    prediction: list[float] | list[list[float]]
    request_id: str
    model_version: str
    latency_ms: float


async def log_prediction(request_id: str, latency_ms: float) -> None:
    """Stand for a sink that is written to asynchronously."""
    json.dumps({"request_id": request_id, "latency_ms": latency_ms})
    await asyncio.sleep(0)


@app.get("/health")
async def health() -> dict[str, object]:
    return {"status": "healthy", "model_loaded": True}


@app.get("/metrics")
async def metrics() -> Response:
    return Response(generate_latest(), media_type="text/plain")


@app.post("/predict")
async def predict(asked: Asked, background: BackgroundTasks) -> Answer:
    started = time.perf_counter()
    rows = np.array(asked.features, dtype=np.float32)
    single = rows.ndim == 1
    output = session.run([OUTPUT], {INPUT: rows[None] if single else rows})[0]
    took = time.perf_counter() - started
    request_id = asked.request_id or str(uuid.uuid4())
    PREDICTIONS.labels("1", "success").inc()
    LATENCY.labels("1").observe(took)
    background.add_task(log_prediction, request_id, took * 1000)
    return Answer(
        prediction=(output[0] if single else output).tolist(),
        request_id=request_id,
        model_version="1",
        latency_ms=took * 1000,
    )


if __name__ == "__main__":
    uvicorn.run(app, host="127.0.0.1", port=int(sys.argv[1]), access_log=False, log_level="warning")
