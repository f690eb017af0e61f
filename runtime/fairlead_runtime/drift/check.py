"""Whether a profile belongs to the model that is served."""

from __future__ import annotations

import math

from fairlead_runtime.contract.drift_profile import Feature, Profile, ProfileError
from fairlead_runtime.protocol.types import DATATYPES, Signature, TensorSpec


def check(profile: Profile, *, digest: str, signature: Signature) -> None:
    """Raise ProfileError unless the profile was made with this model.

    Args:
        profile: The profile.
        digest: The model's own.
        signature: What it takes and gives.
    """
    if profile.model_digest != digest:
        raise ProfileError(
            f"it was made with the model {profile.model_digest}, but {digest} is served: make it "
            "anew with `fairlead-runtime profile`"
        )
    for feature in profile.features:
        spec = (
            signature.input(feature.tensor)
            if feature.role == "input"
            else signature.output(feature.tensor)
        )
        if spec is None:
            raise ProfileError(f"the model has no {feature.role} {feature.tensor!r}")
        _check_feature(feature, spec)


def unwatched(profile: Profile, signature: Signature) -> list[str]:
    """Return inputs and outputs of the model of which the profile has no feature."""
    known = {(feature.role, feature.tensor) for feature in profile.features}
    inputs = [spec.name for spec in signature.inputs if ("input", spec.name) not in known]
    return inputs + [spec.name for spec in signature.outputs if ("output", spec.name) not in known]


def _check_feature(feature: Feature, spec: TensorSpec) -> None:
    row = spec.shape[1:]
    if isinstance(feature.element, int) and row and all(size > 0 for size in row):
        width = math.prod(row)
        if feature.element >= width:
            raise ProfileError(
                f"feature {feature.name!r} is element {feature.element} of {spec.name!r}, "
                f"which has {width}"
            )
    texts = DATATYPES[spec.datatype].kind == "O"
    if feature.role == "output" and texts:
        return  # may be a list of maps, whose values are numbers
    if feature.kind == "number" and texts:
        raise ProfileError(f"feature {feature.name!r} is a number, but {spec.name!r} holds texts")
    if feature.kind == "category" and texts != isinstance(feature.categories[0], str):
        what = "texts" if texts else "numbers"
        raise ProfileError(f"feature {feature.name!r} has other categories: its input holds {what}")
