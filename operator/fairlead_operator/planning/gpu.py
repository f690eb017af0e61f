"""Models on GPUs: who asks for one, and what the runtime is told then."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fairlead_operator.planning import quantity

RESOURCE = "nvidia.com/gpu"
_ENVIRONMENT = {
    "FAIRLEAD_PROVIDER": "cuda",
    # Whoever pays for a GPU wants to hear that it is not used, before the model has traffic.
    "FAIRLEAD_PROVIDER_FALLBACK": "off",
}


def wanted(runtime: Mapping[str, Any]) -> bool:
    """Whether `spec.runtime` asks for a GPU, whole or as a part (`nvidia.com/mig-1g.5gb`)."""
    resources: Mapping[str, Any] = runtime.get("resources") or {}
    named = {**(resources.get("requests") or {}), **(resources.get("limits") or {})}
    return any(
        (name == RESOURCE or name.startswith(("nvidia.com/gpu.", "nvidia.com/mig-")))
        and (quantity.parse(amount) or 0) > 0
        for name, amount in named.items()
    )


def environment(runtime: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the environment of the runtime: the user's own, and before it what a GPU needs.

    What the user says wins, so that a model can be told to use a GPU only where there is one.
    """
    given: list[dict[str, Any]] = list(runtime.get("env") or ())
    if not wanted(runtime):
        return given
    named = {each["name"] for each in given}
    ours = [{"name": k, "value": v} for k, v in _ENVIRONMENT.items() if k not in named]
    return [*ours, *given]
