"""Finds the PyTorch model that is to be exported: a module, a factory, or a file."""

from __future__ import annotations

import contextlib
import importlib
import re
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from fairlead_runtime.export.quiet import quiet
from fairlead_runtime.workbench.errors import ToolError

_ENTRY = re.compile(r"[\w.]+:[A-Za-z_]\w*")
_STATE_KEYS = ("state_dict", "model_state_dict", "model")


def find(source: Any, *, entry: str | Callable[[], Any] | None, trust: bool) -> Any:  # noqa: ANN401 - torch's objects: torch is imported lazily
    """Return the module to export.

    Args:
        source: A module, a callable or `package.module:callable` that returns one, or a file:
            TorchScript, a `torch.export` archive, a checkpoint.
        entry: A callable or `package.module:callable` that returns the module into which a
            checkpoint's weights are loaded.
        trust: Whether a file may be unpickled, which can run any code that it holds.

    Raises:
        ToolError: There is none, or it cannot be loaded.
    """
    import torch

    if isinstance(source, torch.nn.Module | torch.export.ExportedProgram):
        return source
    if callable(source) or (_ENTRY.fullmatch(str(source)) and not Path(source).exists()):
        return _made(source)
    path = Path(source)
    if not path.is_file():
        message = f"there is no file {path}: give a file, or package.module:callable"
        raise ToolError("ModelNotFound", message)
    kind = _kind(path)
    if kind == "torchscript":
        return _loaded(path, lambda: torch.jit.load(str(path), map_location="cpu"))
    if kind == "exported":
        return _loaded(path, lambda: torch.export.load(str(path)))
    return _checkpoint(path, _made(entry) if entry is not None else None, trust=trust)


def _kind(path: Path) -> str:
    """Tell archives apart by their members: the suffix is a matter of taste."""
    if not zipfile.is_zipfile(path):
        return "checkpoint"  # the format before torch 1.6
    with zipfile.ZipFile(path) as archive:
        names = {name.partition("/")[2] for name in archive.namelist()}
    if "constants.pkl" in names:
        return "torchscript"
    return "checkpoint" if "data.pkl" in names else "exported"


def _checkpoint(path: Path, module: Any, *, trust: bool) -> Any:  # noqa: ANN401
    import pickle

    import torch

    try:
        with quiet():
            held = torch.load(path, map_location="cpu", weights_only=not trust)
    except pickle.UnpicklingError as error:
        if trust:
            raise ToolError("InvalidCheckpoint", f"{path} cannot be read: {error}") from error
        message = (
            f"{path} holds more than weights, and loading it could run any code: save the "
            "state_dict and give --entry, or give --trust-pickle if you made the file"
        )
        raise ToolError("UntrustedPickle", message) from error
    except Exception as error:  # torch raises whatever its readers raise
        raise ToolError("InvalidCheckpoint", f"{path} cannot be read: {error}") from error
    if isinstance(held, torch.nn.Module):
        return held
    state = _state(held)
    if state is None:
        raise ToolError("InvalidCheckpoint", f"{path} holds no weights: a state_dict is needed")
    if module is None:
        message = f"{path} holds weights only: give --entry package.module:callable for the module"
        raise ToolError("NoModel", message)
    try:
        module.load_state_dict(state)
    except RuntimeError as error:
        raise ToolError("WeightsDoNotFit", f"{path}: {error}"[:400], blames_model=True) from error
    return module


def _state(held: Any) -> dict[str, Any] | None:  # noqa: ANN401
    """Training loops keep the weights beside their own state, under one of a few names."""
    import torch

    if not isinstance(held, dict):
        return None
    for key in _STATE_KEYS:
        if isinstance(held.get(key), dict):
            return dict(held[key])
    tensors = all(isinstance(value, torch.Tensor) for value in held.values())
    return dict(held) if held and tensors else None


def _made(entry: str | Callable[[], Any]) -> Any:  # noqa: ANN401
    import torch

    factory = _resolved(entry) if isinstance(entry, str) else entry
    try:
        with contextlib.redirect_stdout(sys.stderr):  # standard output is the result's
            module = factory()
    except Exception as error:  # it is the user's own code
        message = f"{entry} raised {type(error).__name__}: {error}"
        raise ToolError("EntryFailed", message) from error
    if not isinstance(module, torch.nn.Module):
        message = f"{entry} returned a {type(module).__name__}, not a torch.nn.Module"
        raise ToolError("EntryFailed", message)
    return module


def _resolved(entry: str) -> Callable[[], Any]:
    name, _, attribute = entry.partition(":")
    if not attribute:
        raise ToolError("EntryFailed", f"{entry!r}: write package.module:callable")
    # A console script does not look into the current folder, where the user's module lies.
    if "" not in sys.path and str(Path.cwd()) not in sys.path:
        sys.path.insert(0, str(Path.cwd()))
    try:
        found = getattr(importlib.import_module(name), attribute)
    except (ImportError, AttributeError) as error:
        raise ToolError("EntryFailed", f"{entry!r} cannot be imported: {error}") from error
    if not callable(found):
        raise ToolError("EntryFailed", f"{entry!r} is no callable")
    return found  # type: ignore[no-any-return]  # its arguments are the user's business


def _loaded(path: Path, load: Callable[[], Any]) -> Any:  # noqa: ANN401
    try:
        with quiet():
            return load()
    except Exception as error:  # torch raises whatever its readers raise
        raise ToolError("InvalidModel", f"{path} cannot be read: {error}"[:400]) from error
