"""The command line, `fairlead-runtime`: serve and fetch a model, and the model tools."""

from fairlead_runtime.cli.main import main

__all__ = ["main"]
