"""A drift profile as a user makes it, of rows like those that are sent."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np


def made(model: Path, width: int, folder: Path) -> Path:
    """Return a profile of this model by `fairlead-runtime profile`, in a folder."""
    data, profile = folder / f"{model.stem}-rows.npz", folder / f"{model.stem}-drift.json"
    np.savez(data, x=np.random.default_rng(2).uniform(-0.5, 0.5, (10_000, width)))
    command = [sys.executable, "-m", "fairlead_runtime.cli", "profile", "--model", str(model)]
    subprocess.run(
        [*command, "--data", str(data), "--output", str(profile)], check=True, capture_output=True
    )
    return profile
