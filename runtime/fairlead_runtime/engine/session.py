"""An ONNX model in onnxruntime."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import onnxruntime as ort
from onnxruntime.capi.onnxruntime_pybind11_state import InvalidArgument

from fairlead_runtime.engine import bfloat
from fairlead_runtime.engine.cpus import cpu_limit
from fairlead_runtime.engine.providers import CPU, Asked, Provider, candidates, outcome, tell
from fairlead_runtime.protocol.errors import InferenceError, InputRefusedError
from fairlead_runtime.protocol.types import DATATYPES, Array, Signature, TensorSpec

__all__ = ["ONNX_TYPES", "Engine", "EngineError", "OnnxEngine", "cpu_limit", "load"]

log = logging.getLogger(__name__)
# onnxruntime writes to standard error what it cannot raise, such as each CUDA library it misses.
ort.set_default_logger_severity(4)
ONNX_TYPES = {
    "tensor(bool)": "BOOL",
    "tensor(uint8)": "UINT8",
    "tensor(uint16)": "UINT16",
    "tensor(uint32)": "UINT32",
    "tensor(uint64)": "UINT64",
    "tensor(int8)": "INT8",
    "tensor(int16)": "INT16",
    "tensor(int32)": "INT32",
    "tensor(int64)": "INT64",
    "tensor(float16)": "FP16",
    "tensor(bfloat16)": "BF16",
    "tensor(float)": "FP32",
    "tensor(double)": "FP64",
    "tensor(string)": "BYTES",
}
_WARM_UP_RUNS = 3
_WARM_UP_S = 0.2
_WARM_UP_ELEMENTS = 1 << 24  # beyond that a guess at the sizes does more harm than good


class EngineError(Exception):
    """The file is not a model that can be served; the message is one line."""


class Engine(Protocol):
    """A loaded model."""

    @property
    def signature(self) -> Signature:
        """What it takes and gives."""

    def run(
        self, inputs: Mapping[str, Array], outputs: tuple[str, ...] | None
    ) -> dict[str, Array | list[Any]]:
        """Return the wanted outputs by name, or all; called from several threads at once."""


class OnnxEngine:
    """An onnxruntime session. `run` may be called from several threads.

    Attributes:
        signature: What the model takes and gives.
        provider: Where it runs.
    """

    def __init__(
        self, path: Path, *, threads: int, asked: Asked = Asked.CPU, spinning: bool = False
    ) -> None:
        options = ort.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        # Threads that spin while they wait take 1.2 to 1.7 times the CPU time, which a container's
        # quota does not give twice; docs/serving.md has the figures.
        options.add_session_config_entry("session.intra_op.allow_spinning", str(int(spinning)))
        options.log_severity_level = 4  # what it would log as an error it raises as well
        self._session, self.provider = _start(path, options, asked)
        self._run_options = ort.RunOptions()
        self.signature = Signature(
            inputs=tuple(_spec(each, "input") for each in self._session.get_inputs()),
            outputs=tuple(_spec(each, "output") for each in self._session.get_outputs()),
        )
        if not self.signature.outputs:
            raise EngineError("the model has no outputs")
        self._narrow = {s.name for s in self.signature.inputs if s.datatype == "BF16"}
        self._gives_bfloat = any(spec.datatype == "BF16" for spec in self.signature.outputs)
        if self._gives_bfloat and any(spec.datatype == "BYTES" for spec in self.signature.inputs):
            # onnxruntime's Python gives the one only where all inputs are its own values, which it
            # cannot make of strings.
            raise EngineError(
                "a model that takes strings and gives bfloat16 cannot be served: let it end with a "
                "Cast to FLOAT"
            )

    def run(
        self, inputs: Mapping[str, Array], outputs: tuple[str, ...] | None
    ) -> dict[str, Array | list[Any]]:
        """Run the model.

        Raises:
            InputRefusedError: It is the input's fault; the message is one line.
            InferenceError: The model failed.
        """
        names = outputs or tuple(spec.name for spec in self.signature.outputs)
        try:
            if self._gives_bfloat:
                values = bfloat.run(
                    self._session, list(names), inputs, self._narrow, self._run_options
                )
            elif self._narrow:
                values = self._session.run(
                    list(names), bfloat.fed(inputs, self._narrow), self._run_options
                )
            else:
                values = self._session.run(list(names), dict(inputs), self._run_options)
        except InvalidArgument as error:
            raise InputRefusedError(f"the model refuses the input: {_one_line(error)}") from error
        except Exception as error:
            raise InferenceError(f"the model failed: {_one_line(error)}") from error
        return dict(zip(names, values, strict=True))

    def stop(self) -> None:
        """Let runs end before their time, with an error; onnxruntime looks between two nodes."""
        self._run_options.terminate = True

    def warm_up(self) -> None:
        """Run the model on zeros, so that the first client does not pay for first-time work."""
        inputs: dict[str, Array] = {}
        for spec in self.signature.inputs:
            shape = tuple(1 if size < 0 else size for size in spec.shape)
            if math.prod(shape) > _WARM_UP_ELEMENTS:
                return
            if spec.datatype == "BYTES":
                inputs[spec.name] = np.full(shape, "", dtype=object)
            else:
                inputs[spec.name] = np.zeros(shape, dtype=DATATYPES[spec.datatype])
        try:
            started = time.perf_counter()
            for _ in range(_WARM_UP_RUNS):
                self.run(inputs, None)
                if time.perf_counter() - started > _WARM_UP_S:
                    return
        except InferenceError as error:
            # Zeros may be no valid input of this model: no reason to refuse it.
            log.info("no warm-up: %s", error)


def load(
    path: Path,
    *,
    threads: int,
    asked: Asked = Asked.CPU,
    fallback: bool = True,
    spinning: bool = False,
) -> OnnxEngine:
    """Load and warm up a model.

    Args:
        path: The file.
        threads: Of one run.
        asked: Where it is to run.
        fallback: Whether the CPU will do where CUDA was asked for and cannot be had.
        spinning: Whether threads without work spin for a while, which is for cores of one's own.

    Raises:
        EngineError: It cannot be served.
        ProviderError: CUDA cannot be had, and the CPU will not do.
    """
    engine = OnnxEngine(path, threads=threads, asked=asked, spinning=spinning)
    tell(engine.provider, fallback=fallback)
    engine.warm_up()
    return engine


def _start(
    path: Path, options: ort.SessionOptions, asked: Asked
) -> tuple[ort.InferenceSession, Provider]:
    providers, why = candidates(asked)
    while True:
        try:
            session = ort.InferenceSession(str(path), sess_options=options, providers=providers)
        except Exception as error:  # onnxruntime's errors share no base but Exception
            if len(providers) == 1:
                message = f"not an ONNX model that can be loaded: {_one_line(error)}"
                raise EngineError(message) from error
            # Perhaps it is CUDA's fault and not the model's: the CPU will tell.
            providers, why = [CPU], f"CUDA failed: {_one_line(error)}"
            continue
        return session, outcome(asked, session.get_providers(), why)


def _spec(value: Any, what: str) -> TensorSpec:  # noqa: ANN401 - onnxruntime's NodeArg
    datatype = ONNX_TYPES.get(value.type)
    if datatype is None:
        if what == "output" and value.type.startswith("seq("):
            return TensorSpec(name=value.name, datatype="BYTES", shape=(-1,))
        raise EngineError(f"{what} {value.name} has type {value.type}, which is not supported")
    shape = tuple(size if isinstance(size, int) and size >= 0 else -1 for size in value.shape)
    first = value.shape[0] if value.shape else None
    rows = first if isinstance(first, str) else ""
    return TensorSpec(name=value.name, datatype=datatype, shape=shape, rows=rows)


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())[:300]
