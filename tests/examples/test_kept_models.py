"""The kept models load, answer and are what `examples/README.md` says."""

from __future__ import annotations

import re

import numpy as np
import onnx
import pytest
from sklearn.datasets import load_breast_cancer, load_digits

from fairlead_runtime.engine.session import load
from fairlead_runtime.protocol.answering import Answering, answering
from tests.examples.kept import EXAMPLES, MODELS, Kept, ask, rows, session, signature, stated

CONFIGMAP_LIMIT = 1 << 20
DATA = {"breast-cancer": load_breast_cancer, "digits": load_digits}

each_model = pytest.mark.parametrize("kept", MODELS, ids=lambda kept: kept.file)


def test_every_kept_file_is_tested_here() -> None:
    found = {str(path.relative_to(EXAMPLES)) for path in EXAMPLES.rglob("*.onnx")}
    found -= {"tutorial/swapped/model.onnx"}  # wrong on purpose: test_tutorial_files.py
    assert found == {kept.file for kept in MODELS} == set(stated())


@each_model
def test_takes_and_gives_what_the_readme_says(kept: Kept) -> None:
    onnx.checker.check_model(str(kept.path), full_check=True)
    assert signature(session(kept.path)) == [
        ("features", "tensor(float)", ["batch", kept.features]),
        ("label", "tensor(int64)", ["batch"]),
        ("probabilities", "tensor(float)", ["batch", kept.classes]),
    ]


@each_model
def test_the_simple_api_shows_the_label_and_the_probabilities(kept: Kept) -> None:
    chosen = answering(load(kept.path, threads=1).signature)
    assert chosen == Answering(prediction="label", probability="probabilities", width=kept.features)


@each_model
def test_held_out_accuracy_is_what_the_readme_states(kept: Kept) -> None:
    features, truth = rows(kept.held_out)
    assert len(truth) >= 200
    labels, _ = ask(session(kept.path), features)
    # The README rounds to a tenth of a percent.
    assert float((labels == truth).mean()) == pytest.approx(stated()[kept.file][1], abs=0.0005)


@each_model
def test_a_batch_gives_what_its_rows_give_one_by_one(kept: Kept) -> None:
    features, _ = rows(kept.held_out)
    loaded = session(kept.path)
    labels, probabilities = ask(loaded, features)
    singles = [ask(loaded, features[number : number + 1]) for number in range(len(features))]
    assert np.array_equal(labels, np.concatenate([each[0] for each in singles]))
    one_by_one = np.concatenate([each[1] for each in singles])
    np.testing.assert_allclose(probabilities, one_by_one, rtol=0, atol=1e-6)


@each_model
def test_the_label_is_the_likeliest_class_and_probabilities_add_up(kept: Kept) -> None:
    labels, probabilities = ask(session(kept.path), rows(kept.held_out)[0])
    assert np.array_equal(labels, probabilities.argmax(axis=1))
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, rtol=0, atol=1e-5)


@each_model
def test_the_file_is_whole_small_and_says_nothing_of_the_machine_that_made_it(kept: Kept) -> None:
    body = kept.path.read_bytes()
    assert len(body) == stated()[kept.file][0]
    assert len(body) < CONFIGMAP_LIMIT
    assert (
        re.search(rb"/(root|work|home|tmp|usr|opt)\b|site-packages|\.py\b|Traceback", body) is None
    )
    graph = onnx.load_from_string(body).graph
    assert not [each for each in graph.initializer if each.external_data]
    assert not [each for each in (*graph.node, *graph.value_info) if each.metadata_props]


@pytest.mark.parametrize("name", DATA)
def test_the_held_out_rows_are_those_of_the_data_set_unchanged(name: str) -> None:
    data = DATA[name]()
    path = EXAMPLES / name / "held-out.csv"
    header = path.read_text().splitlines()[0].split(",")
    assert header == [*data.feature_names, "label"]
    known = {
        (*map(float, row), int(label)) for row, label in zip(data.data, data.target, strict=True)
    }
    lines = [line.split(",") for line in path.read_text().splitlines()[1:]]
    assert {(*map(float, line[:-1]), int(line[-1])) for line in lines} <= known


@pytest.mark.parametrize("name", DATA)
def test_each_class_keeps_its_share_in_the_held_out_rows(name: str) -> None:
    _, truth = rows(EXAMPLES / name / "held-out.csv")
    target = DATA[name]().target
    expected = np.bincount(target) * len(truth) / len(target)
    assert np.abs(np.bincount(truth) - expected).max() <= 1


def test_the_update_answers_with_other_numbers() -> None:
    first, second = MODELS[:2]
    features, _ = rows(first.held_out)
    before, after = (ask(session(kept.path), features)[1] for kept in (first, second))
    apart = np.abs(before - after).max(axis=1)
    # Where both models are quite sure they agree; most rows tell which version answered.
    assert (apart > 1e-5).mean() > 0.8
    assert apart.max() > 0.05
