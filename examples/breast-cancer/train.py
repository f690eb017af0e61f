"""Make the breast cancer models, versions 1 and 2, and the held-out rows that neither saw."""

from __future__ import annotations

import sys
from pathlib import Path

from sklearn.datasets import load_breast_cancer

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from examples import training

RECIPES = {
    "model.onnx": training.Recipe(hidden=16, seed=1),
    "2/model.onnx": training.Recipe(hidden=48, seed=2),
}

if __name__ == "__main__":
    data = load_breast_cancer()
    training.run(data, "breast-cancer", RECIPES, held_out=200, about=__doc__ or "")
