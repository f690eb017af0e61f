"""Whether clients of one signature can talk to a model of another."""

from __future__ import annotations

import pytest

from fairlead_runtime.protocol.types import Signature, TensorSpec
from fairlead_runtime.validation.signature import differences, parse


def signature(*, inputs: dict[str, str], outputs: dict[str, str]) -> Signature:
    return Signature(inputs=specs(inputs), outputs=specs(outputs))


def specs(given: dict[str, str]) -> tuple[TensorSpec, ...]:
    found = []
    for name, text in given.items():
        datatype, *sizes = text.split()
        shape = tuple(int(size) for size in sizes)
        found.append(TensorSpec(name=name, datatype=datatype, shape=shape))
    return tuple(found)


WANTED = signature(inputs={"x": "FP32 -1 3"}, outputs={"y": "FP32 -1 2"})
CASES = [
    ("the same", {"x": "FP32 -1 3"}, {"y": "FP32 -1 2"}, ""),
    ("more outputs", {"x": "FP32 -1 3"}, {"y": "FP32 -1 2", "z": "INT64 -1"}, ""),
    ("a free axis more", {"x": "FP32 -1 -1"}, {"y": "FP32 -1 2"}, ""),
    ("a batch of one", {"x": "FP32 1 3"}, {"y": "FP32 -1 2"}, "input x has shape [1, 3]"),
    ("rank", {"x": "FP32 3"}, {"y": "FP32 -1 2"}, "input x has shape [3], but must"),
    ("datatype", {"x": "FP64 -1 3"}, {"y": "FP32 -1 2"}, "input x is FP64, but must be FP32"),
    ("renamed", {"a": "FP32 -1 3"}, {"y": "FP32 -1 2"}, "input x is missing; the model has a"),
    ("a new input", {"x": "FP32 -1 3", "m": "BOOL -1"}, {"y": "FP32 -1 2"}, "input m is required"),
    ("output gone", {"x": "FP32 -1 3"}, {"z": "FP32 -1 2"}, "output y is missing; the model has z"),
    ("output free", {"x": "FP32 -1 3"}, {"y": "FP32 -1 -1"}, "output y has shape [-1, -1]"),
]


@pytest.mark.parametrize(
    ("inputs", "outputs", "message"), [case[1:] for case in CASES], ids=[case[0] for case in CASES]
)
def test_a_difference_is_what_would_break_a_client(
    inputs: dict[str, str], outputs: dict[str, str], message: str
) -> None:
    found = differences(wanted=WANTED, actual=signature(inputs=inputs, outputs=outputs))
    assert bool(found) == bool(message)
    assert not message or found[0].startswith(message)


def test_an_output_may_become_fixed_where_it_was_free() -> None:
    wanted = signature(inputs={}, outputs={"y": "FP32 -1 -1"})
    actual = signature(inputs={}, outputs={"y": "FP32 -1 5"})
    assert differences(wanted=wanted, actual=actual) == ()


def test_named_axes_are_free_when_read_from_json() -> None:
    tensor = {"name": "x", "datatype": "FP32", "shape": ["batch", 3]}
    found = parse({"name": "m", "inputs": [tensor], "outputs": []})
    assert found.inputs == specs({"x": "FP32 -1 3"})


@pytest.mark.parametrize(
    "document",
    [[], {"inputs": []}, {"inputs": [{"name": "x"}], "outputs": []},
     {"inputs": [{"name": "x", "datatype": "FP33", "shape": []}], "outputs": []},
     {"inputs": [{"name": "x", "datatype": "FP32", "shape": 3}], "outputs": []}],
    ids=["list", "no outputs", "no datatype", "unknown datatype", "shape is a number"],
)  # fmt: skip
def test_what_is_no_signature_is_refused(document: object) -> None:
    with pytest.raises((ValueError, TypeError)):
        parse(document)
