"""A profile's document: what is written is read, and nonsense is refused in words."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest

from fairlead_runtime.contract.drift_profile import (
    Profile,
    ProfileError,
    from_document,
    parse,
    to_document,
    to_text,
)
from fairlead_runtime.drift.check import check, unwatched
from fairlead_runtime.protocol.types import Signature, TensorSpec
from tests.unit.runtime.drifting import DIGEST, SIGNATURE, a_profile

PROFILE = a_profile()


def broken(**change: Any) -> dict[str, Any]:
    """Return the profile's document with fields of the first feature changed."""
    document = copy.deepcopy(to_document(PROFILE))
    document["features"][0].update(change)
    return document


def test_what_is_written_is_read() -> None:
    text = to_text(PROFILE)
    assert parse(text) == PROFILE
    assert json.loads(text) == to_document(PROFILE)
    assert parse(text).digest == PROFILE.digest


def test_the_digest_is_of_what_is_in_it_not_of_its_form() -> None:
    assert parse(json.dumps(to_document(PROFILE), indent=3)).digest == PROFILE.digest
    other = to_document(PROFILE) | {"exact": False}
    assert from_document(other).digest != PROFILE.digest


@pytest.mark.parametrize(
    ("change", "message"),
    [
        pytest.param({"edges": []}, "has no edges", id="empty-edges"),
        pytest.param({"counts": []}, "has no counts", id="empty-bins"),
        pytest.param({"edges": [0.0, float("nan")]}, "finite number", id="nan-edge"),
        pytest.param({"edges": [0.0, 10**400]}, "finite number", id="huge-edge"),
        pytest.param({"edges": [1.0, 1.0]}, "must rise", id="equal-edges"),
        pytest.param({"edges": [0.0]}, "counts for 2 bins", id="other-number-of-bins"),
        pytest.param({"counts": [1.5]}, "whole numbers", id="broken-count"),
        pytest.param({"counts": [-1]}, "whole numbers", id="negative-count"),
        pytest.param({"counts": [1] * 1000}, "1000 bins", id="too-many-bins"),
        pytest.param({"coarse": [1]}, "rise from 0", id="coarse-without-first"),
        pytest.param({"coarse": [0, 5, 5]}, "rise from 0", id="coarse-twice"),
        pytest.param({"coarse": [0, 5000]}, "rise from 0", id="coarse-beyond"),
        pytest.param({"missing": 5}, "do not add up", id="other-number-of-rows"),
        pytest.param({"mean": None}, "the mean of", id="no-mean"),
        pytest.param({"deviation": -1.0}, "negative", id="negative-deviation"),
        pytest.param({"kind": "vector"}, "not number or category", id="unknown-kind"),
        pytest.param({"role": "middle"}, "not input or output", id="unknown-role"),
        pytest.param({"element": -1}, "negative", id="negative-element"),
        pytest.param({"element": 0.5}, "must be a number, a class", id="broken-element"),
        pytest.param({"summary": "median"}, "not mean or norm", id="unknown-summary"),
        pytest.param({"name": ""}, "must be a text", id="no-name"),
        pytest.param({"name": "score[0]"}, "two features are called", id="name-twice"),
        pytest.param({"tensor": None}, "must be a text", id="no-tensor"),
    ],
)
def test_a_broken_feature_is_refused_by_name(change: dict[str, Any], message: str) -> None:
    with pytest.raises(ProfileError, match=message):
        from_document(broken(**change))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"schema": "fairlead.dev/drift-profile/v2"}, "make the profile anew"),
        ({"model": {"digest": "abc"}}, "not sha256"),
        ({"model": None}, "model must be an object"),
        ({"features": []}, "at least one feature"),
        ({"features": [1]}, "must be an object"),
        ({"features": [1] * 100_000}, "100000 features, more than"),
        ({"rows": -3}, "whole numbers"),
    ],
)
def test_a_broken_profile_is_refused(change: dict[str, Any], message: str) -> None:
    with pytest.raises(ProfileError, match=message):
        from_document(to_document(PROFILE) | change)


def test_a_feature_that_was_never_counted_is_refused() -> None:
    document = to_document(PROFILE)
    document["rows"] = 0
    for feature in document["features"]:
        feature["counts"] = [0] * len(feature["counts"])
    with pytest.raises(ProfileError, match="all its bins are empty"):
        from_document(document)


def test_categories_of_two_types_are_refused() -> None:
    document = to_document(PROFILE)
    town = next(each for each in document["features"] if each["name"] == "town")
    town["categories"] = ["Aalen", 2, "Calw", "Daun"]
    with pytest.raises(ProfileError, match="of one type"):
        from_document(document)
    town["categories"] = ["Aalen", None, "Calw", "Daun"]
    with pytest.raises(ProfileError, match="strings or whole numbers"):
        from_document(document)


@pytest.mark.parametrize("text", [b"", b"{", b"[]", b"null", b"\xff", b"[" * 100_000])
def test_what_is_no_profile_is_refused(text: bytes) -> None:
    with pytest.raises(ProfileError):
        parse(text)


def test_a_profile_of_another_model_is_refused() -> None:
    with pytest.raises(ProfileError, match="is served: make it anew"):
        check(PROFILE, digest="sha256:" + "b" * 64, signature=SIGNATURE)


def with_input(spec: TensorSpec) -> Signature:
    return Signature(
        inputs=tuple(spec if each.name == spec.name else each for each in SIGNATURE.inputs),
        outputs=SIGNATURE.outputs,
    )


@pytest.mark.parametrize(
    ("signature", "message"),
    [
        (Signature(inputs=SIGNATURE.inputs[1:], outputs=SIGNATURE.outputs), "no input 'x'"),
        (Signature(inputs=SIGNATURE.inputs, outputs=SIGNATURE.outputs[:1]), "no output 'score'"),
        (with_input(TensorSpec(name="x", datatype="FP32", shape=(-1, 2))), "which has 2"),
        (with_input(TensorSpec(name="x", datatype="BYTES", shape=(-1, 3))), "holds texts"),
        (with_input(TensorSpec(name="town", datatype="FP32", shape=(-1, 1))), "holds numbers"),
    ],
)
def test_a_profile_of_other_features_is_refused(signature: Signature, message: str) -> None:
    with pytest.raises(ProfileError, match=message):
        check(PROFILE, digest=DIGEST, signature=signature)


def test_a_profile_of_its_own_model_is_taken() -> None:
    check(PROFILE, digest=DIGEST, signature=SIGNATURE)
    assert unwatched(PROFILE, SIGNATURE) == []


def test_inputs_without_a_feature_are_named() -> None:
    some = Profile(
        model_digest=DIGEST, rows=2000, exact=True,
        features=tuple(each for each in PROFILE.features if each.tensor != "town"),
    )  # fmt: skip
    check(some, digest=DIGEST, signature=SIGNATURE)
    assert unwatched(some, SIGNATURE) == ["town"]
