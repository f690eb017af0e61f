"""Opens a model for a tool."""

from __future__ import annotations

import importlib
import os
from pathlib import Path
from types import ModuleType

from fairlead_runtime.engine.providers import Asked, ProviderError, tell
from fairlead_runtime.engine.session import EngineError, OnnxEngine, cpu_limit
from fairlead_runtime.repository.files import MODEL_FILE
from fairlead_runtime.workbench.errors import ToolError

# What onnxruntime says when the machine, not the model, is too small.
_NO_MEMORY = ("bad_alloc", "Failed to allocate memory", "out of memory")


def model_file(model: str | os.PathLike[str]) -> Path:
    """Return the file of a model that is a file, or a folder with `model.onnx`.

    Raises:
        ToolError: There is no such file, or it cannot be read.
    """
    path = Path(model)
    if path.is_dir():
        path = path / MODEL_FILE
    if not path.is_file():
        raise ToolError("ModelNotFound", f"there is no file {path}: give an .onnx file or a folder")
    if not os.access(path, os.R_OK):
        raise ToolError("ModelNotFound", f"{path} may not be read: check its permissions")
    return path


def open_model(
    model: str | os.PathLike[str],
    *,
    threads: int | None = None,
    asked: Asked = Asked.CPU,
    fallback: bool = True,
) -> OnnxEngine:
    """Load a model as the server does, without warming it up.

    Args:
        model: File, or folder with `model.onnx`.
        threads: Threads of one inference; None takes the CPU limit.
        asked: Where it is to run.
        fallback: Whether the CPU will do where CUDA was asked for and cannot be had.

    Raises:
        ToolError: It is not there, CUDA cannot be had, or (blaming the model) it cannot be loaded.
    """
    path = model_file(model)
    try:
        engine = OnnxEngine(path, threads=threads or cpu_limit(), asked=asked)
        tell(engine.provider, fallback=fallback)
    except ProviderError as error:
        raise ToolError("ProviderUnavailable", str(error)) from error
    except EngineError as error:
        if no_memory(str(error)):
            raise ToolError("OutOfMemory", f"{error}: give this process more memory") from error
        raise ToolError("InvalidModel", str(error), blames_model=True) from error
    return engine


def no_memory(message: str) -> bool:
    """Say whether onnxruntime failed for want of memory."""
    return any(words in message for words in _NO_MEMORY)


def needs(module: str, *, install: str, task: str) -> ModuleType:
    """Import an optional package.

    Args:
        module: Its name.
        install: What pip installs.
        task: What needs it, to begin a sentence.

    Raises:
        ToolError: It is not installed; the message is the command that installs it.
    """
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name is None or error.name.split(".")[0] != module.split(".", maxsplit=1)[0]:
            raise  # a broken installation: hiding which part is missing would help nobody
        message = f'{task} needs the package {module}: pip install "{install}"'
        raise ToolError("NotInstalled", message) from None
