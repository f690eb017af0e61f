"""Where a model runs: on the CPU or with CUDA; and what happened instead of what was asked for.

onnxruntime goes on with the CPU, and says so only in its log, when a CUDA library is missing. So
what is used is read from the session, never taken from what was asked.
"""

from __future__ import annotations

import contextlib
import ctypes
import io
import logging
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

import onnxruntime as ort

log = logging.getLogger(__name__)
CPU = "CPUExecutionProvider"
CUDA = "CUDAExecutionProvider"
_LIBRARY = "libonnxruntime_providers_cuda.so"


class ProviderError(Exception):
    """The provider that was asked for cannot be had, and no other is wanted; the message is why."""


class Asked(StrEnum):
    """What the user asks for."""

    AUTO = "auto"
    """CUDA where it is there, else the CPU."""
    CPU = "cpu"
    CUDA = "cuda"


@dataclass(frozen=True, slots=True, kw_only=True)
class Provider:
    """What was asked for, and what came of it.

    Attributes:
        asked: `auto`, `cpu` or `cuda`.
        used: onnxruntime's name of the provider that the session has first.
        why: Why it is not the one that was asked for; empty where it is.
    """

    asked: Asked
    used: str
    why: str = ""


def candidates(asked: Asked) -> tuple[list[str], str]:
    """Return the providers to try, in order, and why CUDA is not among them though asked for."""
    if asked is Asked.CPU:
        return [CPU], ""
    if CUDA not in ort.get_available_providers():
        why = "this onnxruntime is built without CUDA: install onnxruntime-gpu in its place"
        return [CPU], why if asked is Asked.CUDA else ""
    _preload()
    return [CUDA, CPU], ""


def outcome(asked: Asked, used: list[str], why: str) -> Provider:
    """Return what came of it.

    Args:
        asked: By the user.
        used: The session's providers, in order.
        why: Why CUDA was not tried or failed, where that is known.
    """
    first = used[0] if used else CPU
    if asked is Asked.CPU or first == CUDA:
        why = ""
    elif not why and CUDA in ort.get_available_providers():
        why = _missing_library() or "CUDA did not start: is there a GPU, and a driver that fits?"
    return Provider(asked=asked, used=first, why=why)


def tell(provider: Provider, *, fallback: bool) -> None:
    """Log which provider is used.

    Args:
        provider: What came of it.
        fallback: Whether another than the one that was asked for will do.

    Raises:
        ProviderError: It will not.
    """
    if provider.asked is Asked.CUDA and provider.used != CUDA:
        if not fallback:
            raise ProviderError(f"CUDA was asked for, but {provider.why}")
        log.warning("CUDA was asked for, but the model runs on the CPU: %s", provider.why)
    elif provider.why:
        log.info("the model runs on the CPU: %s", provider.why)
    else:
        log.info("the model runs with %s", provider.used)


def _preload() -> None:
    """Load CUDA's libraries from Python packages, where they came that way."""
    preload = getattr(ort, "preload_dlls", None)
    if preload is not None:
        # What it prints about libraries that are not there is told better, and once, below.
        with contextlib.redirect_stdout(io.StringIO()), contextlib.suppress(Exception):
            preload()


def _missing_library() -> str:
    library = Path(ort.__file__).parent / "capi" / _LIBRARY
    try:
        ctypes.CDLL(str(library))
    except OSError as error:
        return f"CUDA's libraries are missing here: {error}"
    return ""
