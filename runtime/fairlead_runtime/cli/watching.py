"""What looks at answers aside, and what the inner port shows of it."""

from __future__ import annotations

import argparse
from pathlib import Path

from fairlead_runtime.dataplane.finite import FiniteCheck
from fairlead_runtime.dataplane.model import ServedModel
from fairlead_runtime.http.internal import Internal


def watch(args: argparse.Namespace, model: ServedModel, path: Path, internal: Internal) -> None:
    """Give the model its sinks, and the inner port its pages, before anything is served.

    Args:
        args: The flags of `serve`.
        model: The model, which is not loaded yet: its signature is not known here. A sink that
            needs it asks for it with its first batch, when the model has answered.
        path: The model's file; what belongs to it lies beside it.
        internal: Where pages are added.
    """
    del path, internal  # for sinks that have a profile or something to show
    if args.check_outputs == "on":
        model.watch(FiniteCheck(model.metrics))
