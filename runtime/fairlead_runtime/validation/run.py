"""`validate`: measure, judge, report."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

from fairlead_runtime.engine.providers import Asked
from fairlead_runtime.engine.session import cpu_limit
from fairlead_runtime.protocol.types import Signature
from fairlead_runtime.repository.fetch import digest_of
from fairlead_runtime.validation.facts import Limits
from fairlead_runtime.validation.judge import judge
from fairlead_runtime.validation.measure import measure
from fairlead_runtime.validation.report import Report
from fairlead_runtime.validation.signature import parse
from fairlead_runtime.workbench.errors import ToolError
from fairlead_runtime.workbench.opening import model_file
from fairlead_runtime.workbench.probes import fixed_batch

_EXAMPLES = ("examples.npz", "examples.json")


def validate(
    model: str | os.PathLike[str],
    *,
    signature: Signature | str | os.PathLike[str] | None = None,
    examples: str | os.PathLike[str] | None = None,
    tolerance_milli: int = 1,
    max_latency_ms: int | None = None,
    max_non_finite_milli: int = 0,
    threads: int | None = None,
    provider: str = "auto",
    provider_fallback: bool = True,
    batch_size: int | None = None,
    round_seconds: float = 1.0,
    round_runs: int = 1000,
    progress: Callable[[str], None] = lambda _: None,
) -> Report:
    """Decide whether a model may be served.

    Args:
        model: File, or folder with `model.onnx`.
        signature: What clients rely on: a signature, or a JSON file with one.
        examples: Golden inputs and outputs (.npz or .json); None takes `examples.npz` or
            `examples.json` of the model's folder, where MODEL is one that has it.
        tolerance_milli: How far a float may be from the example's, in thousandths of 1 or of the
            wanted value where that is larger.
        max_latency_ms: Most milliseconds of the 99th percentile of one request.
        max_non_finite_milli: Most rows, in thousandths, whose answers may hold NaN or infinity.
        threads: Threads of one inference; None takes the CPU limit, as the server does.
        provider: Where it runs: `cpu`, `cuda`, or `auto` for CUDA where it is there.
        provider_fallback: Whether the CPU will do where `cuda` was asked for and cannot be had.
        batch_size: Rows of one request; None takes 1, or the only size that the model takes.
        round_seconds: Most seconds of each of the five rounds.
        round_runs: Most runs of each round.
        progress: Told what is done.

    Raises:
        ToolError: The surroundings are at fault: a file is missing, memory is short.
    """
    path = model_file(model)
    given = signature
    if isinstance(given, str | os.PathLike):
        given = read_signature(Path(given))
    golden = None if examples is None else Path(examples)
    if golden is None and Path(model).is_dir():
        beside = (path.with_name(name) for name in _EXAMPLES)
        golden = next((each for each in beside if each.is_file()), None)
    used = threads or cpu_limit()
    facts = measure(
        path,
        examples=golden,
        tolerance_milli=tolerance_milli,
        threads=used,
        asked=Asked(provider),
        fallback=provider_fallback,
        batch_size=batch_size,
        round_seconds=round_seconds,
        round_runs=round_runs,
        progress=progress,
    )
    limits = Limits(
        signature=given,
        max_latency_ms=max_latency_ms,
        max_non_finite_milli=max_non_finite_milli,
    )
    own = fixed_batch(facts.signature) if facts.signature else None
    return Report(
        digest=digest_of(path),
        checks=judge(facts, limits),
        facts=facts,
        threads=used,
        batch_size=batch_size or own or 1,
    )


def read_signature(path: Path) -> Signature:
    """Read a signature from a JSON file.

    Raises:
        ToolError: There is none in it.
    """
    try:
        return parse(json.loads(path.read_text()))
    except FileNotFoundError:
        raise ToolError("FileNotFound", f"there is no file {path}") from None
    except (OSError, ValueError, TypeError) as error:
        raise ToolError("InvalidSignature", f"{path} holds no signature: {error}") from error
