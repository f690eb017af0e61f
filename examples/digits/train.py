"""Make the digits model, and the held-out rows that it never saw."""

from __future__ import annotations

import sys
from pathlib import Path

from sklearn.datasets import load_digits

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from examples import training

RECIPES = {"model.onnx": training.Recipe(hidden=32, seed=1)}

if __name__ == "__main__":
    training.run(load_digits(), "digits", RECIPES, held_out=400, about=__doc__ or "")
