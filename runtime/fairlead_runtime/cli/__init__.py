"""The command line: `fairlead-runtime serve` and `fairlead-runtime fetch`."""

from fairlead_runtime.cli.main import main

__all__ = ["main"]
