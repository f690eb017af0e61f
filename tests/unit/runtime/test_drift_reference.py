"""Profiles made from rows: bins, categories, names, and data that do not fit into memory."""

from __future__ import annotations

import numpy as np
import pytest

from fairlead_runtime.contract.drift_profile import Feature, from_document, to_document
from fairlead_runtime.drift.reference import Draft, coarse
from fairlead_runtime.drift.sketch import Sketch
from fairlead_runtime.protocol.types import Signature, TensorSpec
from tests.unit.runtime.drifting import DIGEST, SIGNATURE, a_profile, profile_of, rows


def one(values: np.ndarray, datatype: str = "FP64") -> Feature:
    """Return the feature of a single input."""
    signature = Signature(
        inputs=(TensorSpec(name="x", datatype=datatype, shape=(-1,)),),
        outputs=(TensorSpec(name="y", datatype="FP32", shape=(-1,)),),
    )
    profile = profile_of({"x": values}, {"y": np.zeros(len(values), np.float32)}, signature)
    assert from_document(to_document(profile)) == profile
    return profile.features[0]


def test_a_hundred_fine_bins_hold_a_hundredth_each() -> None:
    feature = one(np.random.default_rng(0).standard_normal(10_000))
    assert len(feature.counts) == 102
    assert feature.counts[0] == feature.counts[-1] == 0
    assert set(feature.counts[1:-1]) == {100}
    assert feature.grouped(feature.reference).tolist() == [1000] * 10


def test_bins_moments_and_range_are_those_of_the_rows() -> None:
    values = np.random.default_rng(0).gamma(2.0, size=5000)
    feature = one(values)
    assert feature.mean == pytest.approx(values.mean(), rel=1e-12)
    assert feature.deviation == pytest.approx(values.std(), rel=1e-12)
    assert (feature.minimum, feature.maximum) == (values.min(), values.max())
    expected = np.bincount(np.searchsorted(feature.edges, values, side="right"), minlength=102)
    assert list(feature.counts) == expected.tolist()


def test_missing_infinite_and_absurd_values_spoil_nothing() -> None:
    values = np.random.default_rng(0).standard_normal(1000)
    values[:4] = [np.nan, np.inf, -np.inf, 1e300]
    feature = one(values)
    assert feature.missing == 1
    assert feature.counts[0] == 1
    assert feature.counts[-1] == 2
    assert feature.mean == pytest.approx(values[4:].mean())
    assert feature.maximum == values[4:].max()


@pytest.mark.parametrize("value", [0.0, 3.5, -1e30, np.nan])
def test_a_constant_has_a_profile(value: float) -> None:
    feature = one(np.full(500, value))
    assert feature.deviation == 0
    assert len(feature.coarse) == len(feature.counts)


def test_two_values_have_a_bin_each_and_tails_of_their_own() -> None:
    feature = one(np.array([0.0, 1.0] * 300))
    assert feature.counts == (0, 300, 300, 0)
    assert feature.coarse == (0, 1, 2, 3)


def test_a_value_that_most_rows_have_is_one_bin() -> None:
    values = np.concatenate([np.zeros(9000), np.random.default_rng(0).random(1000) + 1])
    feature = one(values)
    assert 9000 in feature.counts
    assert feature.grouped(feature.reference).sum() == 10_000


def test_few_whole_numbers_are_categories_and_many_are_not() -> None:
    random = np.random.default_rng(0)
    few = one(random.integers(0, 20, 2000), "INT64")
    assert few.kind == "category"
    assert sorted(few.categories) == list(range(20))
    assert few.counts[-1] == 0
    many = one(random.integers(0, 90, 2000), "INT64")
    assert many.kind == "number"
    assert many.mean == pytest.approx(44.5, abs=2)


def test_true_and_false_are_categories() -> None:
    feature = one(np.array([True, False, True]), "BOOL")
    assert feature.categories == (1, 0)
    assert feature.counts == (2, 1, 0)


def test_texts_are_categories_the_most_frequent_first() -> None:
    values = np.array(["b"] * 3 + ["a"] * 5 + ["c"] * 3, dtype=object)
    feature = one(values, "BYTES")
    assert feature.categories == ("a", "b", "c")
    assert feature.counts == (5, 3, 3, 0)


def test_many_texts_are_cut_and_the_others_counted() -> None:
    values = np.array([f"t{i % (1 + i % 300)}" for i in range(30_000)], dtype=object)
    feature = one(values, "BYTES")
    assert len(feature.categories) == 100
    assert sum(feature.counts) == 30_000
    assert feature.counts[-1] > 0
    assert len(feature.coarse) == 11


def test_very_many_texts_do_not_grow_the_memory() -> None:
    draft = Draft(
        Signature(
            inputs=(TensorSpec(name="x", datatype="BYTES", shape=(-1,)),),
            outputs=(TensorSpec(name="y", datatype="FP32", shape=(-1,)),),
        )
    )
    chunks = [
        np.array([f"rare{start + i}" if i % 2 else "often" for i in range(8000)], dtype=object)
        for start in range(0, 80_000, 8000)
    ]
    for step in (draft.add, draft.count):
        for chunk in chunks:
            step({"x": chunk}, {"y": np.zeros(len(chunk), np.float32)})
    profile = draft.finish(DIGEST)
    assert not profile.exact
    assert profile.features[0].categories[0] == "often"
    assert profile.features[0].counts[0] == 40_000
    assert sum(profile.features[0].counts) == 80_000


def test_features_are_called_after_tensor_and_place() -> None:
    assert [each.name for each in a_profile().features] == [
        "x[0]", "x[1]", "x[2]", "code", "town", "label", "score[0]", "score[1]",
    ]  # fmt: skip


def test_columns_with_names_keep_them_and_outputs_are_told_apart() -> None:
    inputs, outputs = rows(500)
    draft = Draft(SIGNATURE, names={"x": ["age", "income", "label"]})
    draft.add(inputs, outputs)
    draft.count(inputs, outputs)
    names = [each.name for each in draft.finish(DIGEST).features]
    assert names[:3] == ["age", "income", "label"]
    assert names[5] == "output:label"


def test_long_rows_are_summed_up() -> None:
    signature = Signature(
        inputs=(TensorSpec(name="image", datatype="FP32", shape=(-1, 3, 32, 32)),),
        outputs=(TensorSpec(name="y", datatype="FP32", shape=(-1,)),),
    )
    pixels = np.random.default_rng(0).random((200, 3, 32, 32), dtype=np.float32)
    profile = profile_of({"image": pixels}, {"y": np.zeros(200, np.float32)}, signature)
    assert [each.name for each in profile.features] == ["image:mean", "image:norm", "y"]
    means = pixels.reshape(200, -1).astype(np.float64).mean(axis=1)
    assert profile.features[0].mean == pytest.approx(means.mean(), rel=1e-9)


def test_maps_from_class_to_probability_are_a_feature_for_each_class() -> None:
    signature = Signature(
        inputs=(TensorSpec(name="x", datatype="FP32", shape=(-1,)),),
        outputs=(TensorSpec(name="p", datatype="BYTES", shape=(-1,)),),
    )
    share = np.random.default_rng(0).random(300)
    maps = [{"no": 1 - p, "yes": p} for p in share.tolist()]
    profile = profile_of({"x": np.zeros(300, np.float32)}, {"p": maps}, signature)
    assert [each.name for each in profile.features] == ["x", "p[no]", "p[yes]"]
    assert profile.features[2].mean == pytest.approx(share.mean())


def test_the_same_rows_give_the_same_profile_in_whatever_pieces() -> None:
    inputs, outputs = rows(3000)
    whole = profile_of(inputs, outputs)
    draft = Draft(SIGNATURE)
    for step in (draft.add, draft.count):
        for start in range(0, 3000, 700):
            part = slice(start, start + 700)
            step({k: v[part] for k, v in inputs.items()}, {k: v[part] for k, v in outputs.items()})
    pieces = draft.finish(DIGEST)
    for one_way, other in zip(whole.features, pieces.features, strict=True):
        assert one_way.edges == other.edges
        assert one_way.counts == other.counts
        assert one_way.mean == pytest.approx(other.mean, rel=1e-12)


def test_more_rows_than_memory_give_exact_counts_of_approximate_bins() -> None:
    signature = Signature(
        inputs=(TensorSpec(name="x", datatype="FP64", shape=(-1, 2)),),
        outputs=(TensorSpec(name="y", datatype="FP32", shape=(-1,)),),
    )
    values = np.random.default_rng(0).standard_normal((60_000, 2))
    values[::10, 1] = np.nan
    draft = Draft(signature, memory_bytes=100_000)
    for step in (draft.add, draft.count):
        for start in range(0, 60_000, 4096):
            part = values[start : start + 4096]
            step({"x": part}, {"y": np.zeros(len(part), np.float32)})
    profile = draft.finish(DIGEST)
    assert not profile.exact
    for column, feature in enumerate(profile.features[:2]):
        present = values[~np.isnan(values[:, column]), column]
        counts = np.bincount(np.searchsorted(feature.edges, present, side="right"), minlength=102)
        assert list(feature.counts) == counts.tolist()
        assert max(abs(counts[1:-1] - len(present) / 100)) < 0.006 * len(present)
    assert profile.features[1].missing == 6000


@pytest.mark.parametrize("order", ["random", "rising", "falling"])
def test_a_sketch_keeps_its_promise(order: str) -> None:
    count, size = 200_000, 512
    values = np.random.default_rng(1).random(count)
    if order != "random":
        values = np.sort(values)[:: 1 if order == "rising" else -1]
    sketch = Sketch(1, size)
    for start in range(0, count, 3000):
        sketch.add(values[start : start + 3000, None])
    ranks = np.arange(1, 100) * count // 100
    found = sketch.quantiles(0, ranks, count)
    reached = np.searchsorted(np.sort(values), found)
    promise = np.log2(count / size) / (2 * size)
    assert np.max(np.abs(reached - ranks)) / count <= promise + 1 / size


def test_a_draft_without_rows_is_refused() -> None:
    with pytest.raises(ValueError, match="no row was counted"):
        Draft(SIGNATURE).finish(DIGEST)


def test_coarse_bins_never_leave_a_tail_alone() -> None:
    feature = one(np.random.default_rng(0).standard_normal(1000))
    starts = coarse(feature, feature.counts)
    assert starts[0] == 0
    assert starts[1] > 1
    assert starts[-1] < len(feature.counts) - 1


def test_another_profiles_bins_may_be_taken() -> None:
    first = a_profile(seed=1)
    inputs, outputs = rows(3000, 2, shift=1.0)
    draft = Draft(SIGNATURE, bins=first)
    draft.add(inputs, outputs)
    draft.count(inputs, outputs)
    second = draft.finish(DIGEST)
    assert from_document(to_document(second)) == second
    assert [each.cut for each in second.features] == [each.cut for each in first.features]
    assert second.digest != first.digest
    assert second.features[0].mean == pytest.approx(1.0, abs=0.1)
    assert sum(second.features[0].counts) == 3000
    own = profile_of(inputs, outputs)
    assert own.features[0].cut != first.features[0].cut
