"""What onnxruntime knows about a model once it is loaded."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import onnxruntime as ort

from fairlead_runtime.engine.session import ONNX_TYPES
from fairlead_runtime.workbench.errors import ToolError
from fairlead_runtime.workbench.opening import no_memory


@dataclass(frozen=True, slots=True, kw_only=True)
class Tensor:
    """An input or output.

    Attributes:
        name: Its name.
        datatype: In the words of the Open Inference Protocol v2; onnxruntime's own where the
            protocol has none.
        shape: Sizes; a free axis is its name, or -1 where it has none.
    """

    name: str
    datatype: str
    shape: tuple[int | str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Loaded:
    """What the session says."""

    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]
    metadata: Mapping[str, str]
    producer: str


def load(path: Path) -> Loaded:
    """Load a model without optimising it, which takes the least time.

    Raises:
        ToolError: It cannot be loaded.
    """
    options = ort.SessionOptions()
    options.log_severity_level = 4
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    try:
        session = ort.InferenceSession(
            str(path), sess_options=options, providers=["CPUExecutionProvider"]
        )
    except Exception as error:  # onnxruntime's errors share no base but Exception
        message = " ".join(str(error).split())[:300]
        if no_memory(message):
            raise ToolError("OutOfMemory", f"{message}: give this process more memory") from error
        raise ToolError("InvalidModel", message, blames_model=True) from error
    meta = session.get_modelmeta()
    return Loaded(
        inputs=tuple(_tensor(each) for each in session.get_inputs()),
        outputs=tuple(_tensor(each) for each in session.get_outputs()),
        metadata=dict(sorted(meta.custom_metadata_map.items())),
        producer=meta.producer_name,
    )


def _tensor(value: Any) -> Tensor:  # noqa: ANN401 - onnxruntime's NodeArg
    shape = tuple(
        size if (isinstance(size, str) and size) or (isinstance(size, int) and size >= 0) else -1
        for size in value.shape or ()
    )
    datatype = ONNX_TYPES.get(value.type, value.type)
    return Tensor(name=value.name, datatype=datatype, shape=shape)
