"""The tutorial's files are those that its script makes, and wrong where they are meant to be."""

from __future__ import annotations

import hashlib
import json

import numpy as np
import onnxruntime as ort
import yaml

from examples.tutorial import prepare
from tests.examples.kept import EXAMPLES

FOLDER = EXAMPLES / "tutorial"
ONE = EXAMPLES / "breast-cancer" / "model.onnx"
TWO = EXAMPLES / "breast-cancer" / "2" / "model.onnx"


def test_the_files_are_those_that_the_script_makes() -> None:
    assert (FOLDER / "golden.json").read_text() == prepare.golden([ONE, TWO])
    assert (FOLDER / "swapped" / "model.onnx").read_bytes() == prepare.swapped(ONE)


def test_only_known_answers_tell_that_the_swapped_model_is_wrong() -> None:
    golden = json.loads((FOLDER / "golden.json").read_text())
    rows = np.array(golden["inputs"]["features"], np.float32)
    wanted = golden["outputs"]["label"]
    for path, right in ((ONE, True), (TWO, True), (FOLDER / "swapped" / "model.onnx", False)):
        session = ort.InferenceSession(path, providers=["CPUExecutionProvider"])
        (labels,) = session.run(["label"], {"features": rows})
        assert (labels.tolist() == wanted) is right
        if not right:
            assert (1 - labels).tolist() == wanted


def test_the_manifest_pins_the_swapped_model() -> None:
    manifest = yaml.safe_load((FOLDER / "swapped" / "modeldeployment.yaml").read_text())
    digest = hashlib.sha256((FOLDER / "swapped" / "model.onnx").read_bytes()).hexdigest()
    assert manifest["spec"]["model"]["digest"] == f"sha256:{digest}"
