"""What a model saw in training: counts of each feature's values, in bins that serving counts too.

A profile is one JSON document, `profile.json`. `docs/drift.md` describes it field by field.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import numpy as np

from fairlead_runtime.contract.drift import Counts

SCHEMA = "fairlead.dev/drift-profile/v1"
"""What a profile's `schema` says. Another number after the v is another format."""
MAX_FEATURES = 512
"""Elements of a row that are looked at one by one; a longer row is summed up."""
MAX_PROFILE_FEATURES = 2048
"""Features of a whole profile, summaries of long rows included."""
MAX_BINS = 256
"""Bins, or categories, of one feature."""
SUMMARIES = ("mean", "norm")
"""What a row of many elements is summed up to: the mean, and the Euclidean norm."""

Kind = Literal["number", "category"]
Role = Literal["input", "output"]


class ProfileError(ValueError):
    """A profile cannot be used; the message is one line that says what is wrong where."""


@dataclass(frozen=True, kw_only=True)
class Feature:
    """One number or category of each row.

    Attributes:
        name: Unique in the profile; the label `feature_name`.
        role: Whether the model takes it or gives it.
        tensor: The model's input or output that holds it.
        element: Its place in the flattened row; for an output of maps from class to probability,
            the class. None where the row is one value, or summed up.
        summary: One of SUMMARIES where the row is summed up, else empty.
        kind: How it is counted.
        edges: Of a number: rising. Bin i holds edges[i - 1] <= x < edges[i]; the first bin lies
            below the reference's least value, the last above its greatest.
        categories: Of a category: the values, the most frequent first; one more bin counts others.
        counts: Rows of the reference by bin.
        coarse: Where each coarse bin begins among the bins; a coarse bin is their sum.
        missing: Rows of the reference that have no value (NaN, or null).
        mean: Of a number, over finite values.
        deviation: Its standard deviation (divided by n, not n - 1).
        minimum: Its least finite value.
        maximum: Its greatest finite value.
    """

    name: str
    role: Role
    tensor: str
    element: int | str | None = None
    summary: str = ""
    kind: Kind
    edges: tuple[float, ...] = ()
    categories: tuple[str | int, ...] = ()
    counts: tuple[int, ...]
    coarse: tuple[int, ...]
    missing: int = 0
    mean: float = 0.0
    deviation: float = 0.0
    minimum: float = 0.0
    maximum: float = 0.0

    def grouped(self, counts: Counts) -> Counts:
        """Return the coarse bins' counts of these bins' counts."""
        return np.asarray(np.add.reduceat(counts, self.coarse), dtype=np.int64)

    @cached_property
    def cut(self) -> str:
        """What tells ways to cut values into coarse bins apart: 16 hex digits.

        Counts of two profiles may be compared feature by feature where this is the same.
        """
        what = [self.kind, self.edges, self.categories, self.coarse]
        return hashlib.sha256(json.dumps(what).encode()).hexdigest()[:16]

    @property
    def reference(self) -> Counts:
        """The reference's counts."""
        return np.array(self.counts, dtype=np.int64)

    @property
    def points(self) -> tuple[float, ...]:
        """Where each bin of a number lies: its middle; the tails at minimum and maximum."""
        middles = [(low + high) / 2 for low, high in itertools.pairwise(self.edges)]
        return (self.minimum, *middles, self.maximum)


@dataclass(frozen=True, kw_only=True)
class Profile:
    """A model's reference.

    Attributes:
        model_digest: Of the model that it was made with: `sha256:` and 64 digits.
        rows: Rows of the reference.
        exact: Whether the edges are exact quantiles; counts always are exact.
        features: In the order in which everything else counts them.
    """

    model_digest: str
    rows: int
    exact: bool
    features: tuple[Feature, ...]

    @cached_property
    def digest(self) -> str:
        """What tells profiles apart: `sha256:` of the document with sorted keys and no spaces."""
        text = json.dumps(to_document(self), sort_keys=True, separators=(",", ":"))
        return "sha256:" + hashlib.sha256(text.encode()).hexdigest()


def to_document(profile: Profile) -> dict[str, Any]:
    """Return a profile as JSON's values."""
    return {
        "schema": SCHEMA,
        "model": {"digest": profile.model_digest},
        "rows": profile.rows,
        "exact": profile.exact,
        "features": [_feature_document(feature) for feature in profile.features],
    }


def to_text(profile: Profile) -> str:
    """Return a profile's JSON, a feature on each line."""
    document = to_document(profile)
    features = ",\n".join(
        "  " + json.dumps(each, allow_nan=False, ensure_ascii=False)
        for each in document.pop("features")
    )
    head = json.dumps(document, indent=1)[:-2]
    return f'{head},\n "features": [\n{features}\n ]\n}}\n'


def from_document(document: object) -> Profile:
    """Check a document and return its profile.

    Raises:
        ProfileError: It cannot be used; the message names the field.
    """
    top = _object(document, "the profile")
    schema = top.get("schema")
    if schema != SCHEMA:
        raise ProfileError(
            f"schema is {schema!r}, not {SCHEMA!r}: make the profile anew with "
            "`fairlead-runtime profile` of this version"
        )
    model = _object(top.get("model"), "model")
    digest = _text(model.get("digest"), "model.digest")
    if not digest.startswith("sha256:") or len(digest) != 71:
        raise ProfileError(f"model.digest is {digest!r}, not sha256: and 64 digits")
    listed = top.get("features")
    if not isinstance(listed, list) or not listed:
        raise ProfileError("features must be a list with at least one feature")
    if len(listed) > MAX_PROFILE_FEATURES:
        raise ProfileError(f"it has {len(listed)} features, more than {MAX_PROFILE_FEATURES}")
    features = tuple(_feature(each, f"features[{i}]") for i, each in enumerate(listed))
    names: set[str] = set()
    for feature in features:
        if feature.name in names:
            raise ProfileError(f"two features are called {feature.name!r}")
        names.add(feature.name)
    rows = _whole(top.get("rows"), "rows")
    for feature in features:
        if sum(feature.counts) + feature.missing != rows:
            raise ProfileError(f"the counts of {feature.name!r} do not add up to {rows} rows")
    return Profile(
        model_digest=digest, rows=rows, exact=top.get("exact") is True, features=features
    )


def parse(text: str | bytes) -> Profile:
    """Read a profile's JSON.

    Raises:
        ProfileError: It is no JSON, or cannot be used.
    """
    try:
        document = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ProfileError(f"it is no JSON: {error}") from error
    return from_document(document)


def _feature_document(feature: Feature) -> dict[str, Any]:
    shared: dict[str, Any] = {
        "name": feature.name,
        "role": feature.role,
        "tensor": feature.tensor,
        "element": feature.element,
        "kind": feature.kind,
    }
    if feature.summary:
        shared["summary"] = feature.summary
    if feature.kind == "number":
        shared |= {
            "mean": feature.mean,
            "deviation": feature.deviation,
            "minimum": feature.minimum,
            "maximum": feature.maximum,
            "edges": list(feature.edges),
        }
    else:
        shared["categories"] = list(feature.categories)
    return shared | {
        "counts": list(feature.counts),
        "coarse": list(feature.coarse),
        "missing": feature.missing,
    }


def _feature(value: object, where: str) -> Feature:
    given = _object(value, where)
    name = _text(given.get("name"), f"{where}.name")
    where = f"feature {name!r}"
    kind, role = given.get("kind"), given.get("role")
    if kind not in ("number", "category"):
        raise ProfileError(f"the kind of {where} is {kind!r}, not number or category")
    if role not in ("input", "output"):
        raise ProfileError(f"the role of {where} is {role!r}, not input or output")
    element = given.get("element")
    if element is not None and (isinstance(element, bool) or not isinstance(element, int | str)):
        raise ProfileError(f"the element of {where} must be a number, a class or null")
    if isinstance(element, int) and element < 0:
        raise ProfileError(f"the element of {where} must not be negative")
    summary = given.get("summary", "")
    if summary not in ("", *SUMMARIES):
        raise ProfileError(f"the summary of {where} is {summary!r}, not {' or '.join(SUMMARIES)}")
    counts = tuple(_whole(each, f"the counts of {where}") for each in _list(given, "counts", where))
    coarse = tuple(_whole(each, f"coarse of {where}") for each in _list(given, "coarse", where))
    _check_bins(counts, coarse, where)
    feature = Feature(
        name=name,
        role="input" if role == "input" else "output",
        tensor=_text(given.get("tensor"), f"the tensor of {where}"),
        element=element,
        summary=str(summary),
        kind="number" if kind == "number" else "category",
        counts=counts,
        coarse=coarse,
        missing=_whole(given.get("missing"), f"missing of {where}"),
        **(_number(given, where) if kind == "number" else _category(given, where)),
    )
    bins = len(feature.edges) + 1 if kind == "number" else len(feature.categories) + 1
    if len(counts) != bins:
        raise ProfileError(f"{where} has {len(counts)} counts for {bins} bins")
    if sum(counts) + feature.missing == 0:
        raise ProfileError(f"{where} was never counted: all its bins are empty")
    return feature


def _number(given: Mapping[str, Any], where: str) -> dict[str, Any]:
    edges = tuple(_float(each, f"an edge of {where}") for each in _list(given, "edges", where))
    if any(not low < high for low, high in itertools.pairwise(edges)):
        raise ProfileError(f"the edges of {where} must rise")
    fields = ("mean", "deviation", "minimum", "maximum")
    moments = {field: _float(given.get(field), f"the {field} of {where}") for field in fields}
    if moments["deviation"] < 0:
        raise ProfileError(f"the deviation of {where} is negative")
    return {"edges": edges, **moments}


def _category(given: Mapping[str, Any], where: str) -> dict[str, Any]:
    categories = tuple(_list(given, "categories", where))
    plain = [each for each in categories if isinstance(each, str | int)]
    if len(plain) != len(categories) or any(isinstance(each, bool) for each in categories):
        raise ProfileError(f"the categories of {where} must be strings or whole numbers")
    if len({type(each) for each in categories}) > 1 or len(set(categories)) != len(categories):
        raise ProfileError(f"the categories of {where} must be of one type, and each there once")
    return {"categories": categories}


def _check_bins(counts: Sequence[int], coarse: Sequence[int], where: str) -> None:
    if not 1 <= len(counts) <= MAX_BINS:
        raise ProfileError(f"{where} has {len(counts)} bins, not 1 to {MAX_BINS}")
    rising = all(low < high for low, high in itertools.pairwise(coarse))
    if not coarse or coarse[0] != 0 or not rising or coarse[-1] >= len(counts):
        raise ProfileError(f"coarse of {where} must rise from 0 and stay below {len(counts)}")


def _object(value: object, where: str) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise ProfileError(f"{where} must be an object")
    return value


def _list(given: Mapping[str, Any], field: str, where: str) -> list[Any]:
    value = given.get(field)
    if not isinstance(value, list) or not value:
        raise ProfileError(f"{where} has no {field}")
    return value


def _text(value: object, where: str) -> str:
    if not isinstance(value, str) or not value:
        raise ProfileError(f"{where} must be a text")
    return value


def _whole(value: object, where: str) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < 1 << 53:
        raise ProfileError(f"{where} must be whole numbers, not {str(value)[:40]}")
    return value


def _float(value: object, where: str) -> float:
    if not isinstance(value, bool) and isinstance(value, int | float):
        try:
            number = float(value)
        except OverflowError:  # a whole number beyond the floats
            number = math.inf
        if math.isfinite(number):
            return number
    raise ProfileError(f"{where} must be a finite number, not {str(value)[:40]}")
