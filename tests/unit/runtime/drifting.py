"""Profiles and rows for the tests of drift."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from fairlead_runtime.contract.drift_profile import Profile
from fairlead_runtime.drift.reference import Draft
from fairlead_runtime.protocol.types import Signature, TensorSpec

DIGEST = "sha256:" + "a" * 64
SIGNATURE = Signature(
    inputs=(
        TensorSpec(name="x", datatype="FP32", shape=(-1, 3)),
        TensorSpec(name="code", datatype="INT64", shape=(-1, 1)),
        TensorSpec(name="town", datatype="BYTES", shape=(-1, 1)),
    ),
    outputs=(
        TensorSpec(name="label", datatype="INT64", shape=(-1,)),
        TensorSpec(name="score", datatype="FP32", shape=(-1, 2)),
    ),
)
TOWNS = ("Aalen", "Bonn", "Calw", "Daun")


def rows(count: int, seed: int = 0, *, shift: float = 0.0) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return inputs and outputs of a model with SIGNATURE."""
    random = np.random.default_rng(seed)
    score = random.random((count, 2), dtype=np.float32)
    inputs = {
        "x": (random.standard_normal((count, 3)) + np.array((shift, 0, 0))).astype(np.float32),
        "code": random.integers(0, 5, (count, 1)),
        "town": np.array(TOWNS, dtype=object)[random.integers(0, 4, (count, 1))],
    }
    return inputs, {"label": random.integers(0, 2, count), "score": score}


def profile_of(
    inputs: Mapping[str, Any], outputs: Mapping[str, Any], signature: Signature = SIGNATURE
) -> Profile:
    """Return the profile of these rows."""
    draft = Draft(signature)
    draft.add(inputs, outputs)
    draft.count(inputs, outputs)
    return draft.finish(DIGEST)


def a_profile(count: int = 2000, seed: int = 1) -> Profile:
    """Return a profile of made-up rows."""
    return profile_of(*rows(count, seed))
