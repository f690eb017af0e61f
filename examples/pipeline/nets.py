"""The network whose weights the pipeline trains."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from examples import training

FEATURES, HIDDEN = 30, 24


def make() -> training.Classifier:
    """Return it untrained, in single precision."""
    model = training.Classifier(np.zeros((2, FEATURES)), hidden=HIDDEN, classes=2)
    model.float()
    return model
