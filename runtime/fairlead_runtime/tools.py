"""The model tools as functions: what the commands of the same names do.

>>> from fairlead_runtime import tools
>>> tools.inspect("model.onnx").inputs  # doctest: +SKIP
"""

from __future__ import annotations

from fairlead_runtime.benchmark.sweep import Benchmark, benchmark
from fairlead_runtime.export.quantize import Quantized, quantize
from fairlead_runtime.export.torch import Exported, Input, export
from fairlead_runtime.inspection.look import Inspection, inspect
from fairlead_runtime.profiling.run import Profiled, profile
from fairlead_runtime.repository.errors import FetchError
from fairlead_runtime.repository.fetch import Fetched, fetch
from fairlead_runtime.validation.report import Report
from fairlead_runtime.validation.run import validate
from fairlead_runtime.workbench.errors import ToolError

__all__ = [
    "Benchmark",
    "Exported",
    "FetchError",
    "Fetched",
    "Input",
    "Inspection",
    "Profiled",
    "Quantized",
    "Report",
    "ToolError",
    "benchmark",
    "export",
    "fetch",
    "inspect",
    "profile",
    "quantize",
    "validate",
]
