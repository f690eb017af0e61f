"""Requests and limits of a container, with the rules that catch a slip at `kubectl apply`."""

from __future__ import annotations

from typing import Annotated

from pydantic import ConfigDict, Field

from fairlead_operator.api.v1alpha1.common import APIModel, Quantity, rules

_QUANTITY_RULES = (
    (
        (
            "self.all(k, k in ['cpu', 'memory', 'ephemeral-storage'] || "
            "k.startsWith('hugepages-') || k.contains('/'))"
        ),
        (
            "a resource is cpu, memory, ephemeral-storage, hugepages-<size>, "
            "or one with a domain such as nvidia.com/gpu"
        ),
    ),
    (
        "self.all(k, isQuantity(string(self[k])))",
        "a quantity is a number with an optional unit, such as 500m, 2 or 1Gi",
    ),
    (
        (
            "self.all(k, !isQuantity(string(self[k])) || "
            "quantity(string(self[k])).isGreaterThan(quantity('0')))"
        ),
        "a quantity must be more than 0",
    ),
    (
        (
            "!('memory' in self) || !isQuantity(string(self['memory'])) || "
            "!quantity(string(self['memory'])).isLessThan(quantity('1Mi'))"
        ),
        "memory is in bytes and must be at least 1Mi: a unit is missing, write for example 512Mi",
    ),
    (
        (
            "!('cpu' in self) || !isQuantity(string(self['cpu'])) || "
            "!quantity(string(self['cpu'])).isGreaterThan(quantity('1024'))"
        ),
        "cpu is in cores and must be at most 1024: write for example 500m or 2",
    ),
)
_Quantities = Annotated[
    dict[Annotated[str, Field(max_length=128)], Quantity],
    Field(max_length=16, json_schema_extra=rules(*_QUANTITY_RULES)),
]


class ResourcesSpec(APIModel):
    """Requests and limits of the runtime container."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            (
                (
                    "!has(self.requests) || !has(self.limits) || self.requests.all(k, "
                    "!(k in self.limits) || !isQuantity(string(self.requests[k])) || "
                    "!isQuantity(string(self.limits[k])) || "
                    "!quantity(string(self.requests[k]))"
                    ".isGreaterThan(quantity(string(self.limits[k]))))"
                ),
                "requests must not be more than limits",
            )
        )
    )

    requests: Annotated[
        _Quantities | None, Field(description="What the scheduler sets aside for a replica.")
    ] = None
    limits: Annotated[_Quantities | None, Field(description="What a replica may use at most.")] = (
        None
    )
